"""What keeps a host from joining, or a group from running on it, is said before anything is started."""

from pathlib import Path

import pytest

from nodes.outputs import keys
from nodes.runtime.actor import GroupActor, _at_home, checksum
from nodes.runtime.errors import UserError
from nodes.runtime.graph import Bound
from nodes.runtime.join import join
from nodes.runtime.plan import Edge, GroupPlan


@pytest.fixture
def folder(tmp_path):
    keys.make(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.mark.parametrize("name", ["Robot", "", "local", "a b"])
def test_a_name_that_none_can_have(folder, name):
    with pytest.raises(UserError, match="a host's name is at most 32 of small letters"):
        join("10.0.0.1", name, folder, None, print)


def test_keys_that_were_not_copied(tmp_path):
    with pytest.raises(UserError, match=r"keys/hosts/edge\.key_secret: no such key"):
        join("10.0.0.1", "robot", tmp_path / "keys", None, print)


def test_a_password_that_others_can_read(folder):
    (folder / "hosts" / "ray.token").chmod(0o644)
    with pytest.raises(UserError, match=r"ray\.token: others may read this secret"):
        join("10.0.0.1", "robot", folder, None, print)


def group(*edges):
    return GroupPlan("capture", (), {}, edges, (), live=True, memory_mb=100, host="robot")


def test_a_host_with_another_version_is_refused():
    other = GroupActor(group(), 0, 0, before=0, code="of another version")
    refusal = "host robot has another version of hearsee than this one; update one of them"
    assert (other.open(), other.life()) == (refusal, refusal)
    same = GroupActor(group(), 0, 0, before=0, code=checksum())
    assert same.open() is None
    same.stop([])
    assert same.life() is None


def test_sockets_within_a_host_lie_in_its_own_folder(monkeypatch):
    monkeypatch.setenv("HEARSEE_RUN", "/tmp/there")
    route = {"face/face": ("words",)}
    edge = Edge("capture", "words", "ipc://RUN/capture-words", route, {"face/face": Bound(1, 1)}, False)
    [found] = _at_home(group(edge)).outgoing
    assert Path(found.address.removeprefix("ipc://")) == Path("/tmp/there/capture-words")
