"""What of a pipeline.yaml is planned: which groups meet, where, and with what bounds."""

from pipeline_files import ADDRESSES, GOOD, ROBOT, read

from nodes.runtime.check import check
from nodes.runtime.graph import BOUNDS, Bound
from nodes.runtime.plan import plan


def test_the_plan_joins_every_group_to_whoever_takes_health(tmp_path):
    graph = check(read(tmp_path, GOOD))
    planned = plan(graph, "/tmp/x", live=False)
    edges = {(e.source, e.target): e for g in planned.groups.values() for e in g.outgoing}
    assert set(edges) == {("capture", "perceive"), ("capture", "publish"), ("perceive", "publish")}
    assert set(edges["capture", "publish"].routes) == {"capture/health"}
    assert not edges["capture", "publish"].carries_data
    assert edges["perceive", "publish"].routes["face/face"] == ("diary",)
    assert all(edge.wait for edge in edges.values())
    assert [(e.source, e.target) for e in planned.supervisor] == [("supervisor", "publish")]
    assert planned.groups["perceive"].local == {"face/face": ("words",)}
    assert planned.groups["publish"].local == {"publish/health": ("diary",)}
    assert len({e.address for e in edges.values()}) == len(edges)


def test_bounds_and_places_of_groups(tmp_path):
    groups = "groups:\n  capture:\n    edges: {picture: {messages: 2, bytes: 1000000}}\n"
    graph = check(read(tmp_path, GOOD + groups))
    assert graph.groups["capture"].edges == {"picture": Bound(2, 1000000)}
    edges = {(e.source, e.target): e for e in plan(graph, "/tmp/x", True).groups["capture"].outgoing}
    bounds = edges["capture", "perceive"].bounds
    assert bounds == {"camera/picture": Bound(2, 1000000), "microphone/audio": BOUNDS["audio"]}


def test_groups_on_two_hosts_meet_at_fixed_ports_and_only_what_crosses_does(tmp_path):
    graph = check(read(tmp_path, GOOD + ROBOT))
    assert graph.hosts == ["robot"]
    one, again = (plan(graph, "/tmp/x", True, ADDRESSES) for _ in range(2))
    assert one == again, "a group that is started again binds what it bound before"
    edges = {(e.source, e.target): e for group in one.groups.values() for e in group.outgoing}
    crossing = edges["capture", "perceive"]
    assert crossing.address.startswith("tcp://10.0.0.2:204")
    assert crossing.clock.startswith("udp://10.0.0.2:204")
    assert (crossing.crosses, crossing.hosts) == (True, ("robot", "local"))
    assert edges["perceive", "publish"].address == "ipc:///tmp/x/perceive-publish"
    assert not edges["perceive", "publish"].crosses
    assert one.groups["capture"].host == "robot"
    bound = [e.address for e in edges.values()] + [e.clock for e in edges.values() if e.clock]
    assert len(set(bound)) == len(edges) + len({e.source for e in edges.values() if e.clock})


def test_a_file_keeps_its_own_times_also_between_hosts(tmp_path):
    planned = plan(check(read(tmp_path, GOOD + ROBOT)), "/tmp/x", False, ADDRESSES)
    assert {e.clock for e in planned.groups["capture"].outgoing} == {""}


def test_pictures_that_would_go_between_hosts_are_warned_of_in_one_line(tmp_path, caplog):
    plan(check(read(tmp_path, GOOD + ROBOT)), "/tmp/x", True, ADDRESSES)
    assert caplog.messages == [
        "camera/picture goes from host robot to host local, 23 MB/s at 640x480;"
        " put face into group capture to send faces"
    ]
    caplog.clear()
    moved = GOOD.replace("Lips\n    group: perceive", "Lips\n    group: capture", 1)
    plan(check(read(tmp_path, moved + ROBOT)), "/tmp/x", True, ADDRESSES)
    assert caplog.messages == []
