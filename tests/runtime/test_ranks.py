"""Nodes that are alike are stepped side by side: after what either waits for, before what waits for them."""

from nodes.runtime.check import check
from nodes.runtime.graph import parse
from nodes.runtime.plan import plan
from nodes.runtime.ranks import ranks

NODE = (
    '  {id}: {{node: "tests.runtime.sample_nodes:{kind}", group: perceive, inputs: [{inputs}], '
    "with: {{{options}}}}}\n"
)


def ranked(tmp_path, *nodes, live=True):
    """nodes: id, kind, inputs, options, of one group."""
    text = 'nodes:\n  tone: {node: "tests.runtime.sample_nodes:Tone", group: capture}\n'
    for id, kind, inputs, *options in nodes:
        text += NODE.format(id=id, kind=kind, inputs=inputs, options="".join(options))
    path = tmp_path / "pipeline.yaml"
    path.write_text(text)
    return ranks(plan(check(parse(path)), "/tmp/hs-test", live).groups["perceive"])


LIPS = ("lips", "Lips", "tone/picture")
ONE = ("one", "Asking", "tone/audio, lips/face")
TWO = ("two", "Asking", "tone/audio")


def test_one_of_a_kind_changes_nothing(tmp_path):
    assert ranked(tmp_path, LIPS, ONE) == [["lips"], ["one"]]


def test_two_of_a_kind_are_stepped_at_once_after_what_either_waits_for(tmp_path):
    assert ranked(tmp_path, TWO, LIPS, ONE) == [["lips"], ["two", "one"]]


def test_what_waits_for_one_of_them_comes_after_both(tmp_path):
    after = ("after", "Diary", "two/voice", "path: none.jsonl")
    assert ranked(tmp_path, TWO, after, LIPS, ONE) == [["lips"], ["two", "one"], ["after"]]


def test_where_a_file_is_read_each_has_its_turn(tmp_path):
    found = ranked(tmp_path, LIPS, ONE, TWO, live=False)
    assert sorted(found) == [["lips"], ["one"], ["two"]]
    assert found.index(["lips"]) < found.index(["one"])
