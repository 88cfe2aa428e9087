"""Which hosts have joined, and waiting for those that a graph needs."""

import time
from collections.abc import Callable

from nodes.runtime.cluster import ray
from nodes.runtime.endpoint import endpoint
from nodes.runtime.errors import UserError
from nodes.runtime.graph import LOCAL, ClusterSpec

JOIN_S = 120.0
POLL_S = 0.25


def addresses() -> dict[str, str]:
    """Of every host that is here, by its name."""
    found = {}
    for node in ray.nodes():
        if node["Alive"]:
            found.update(dict.fromkeys(node["Resources"], node["NodeManagerAddress"]))
    return found


def is_here(host: str) -> bool:
    return host == LOCAL or host in addresses()


def wait_for(hosts: list[str], cluster: ClusterSpec, tell: Callable[[str], None]) -> dict[str, str]:
    """The addresses of all hosts once ``hosts`` have joined.

    tell: is given a line for each that has to be waited for, and how to start it.  UserError where one has
    not come within two minutes.
    """
    until_s = time.monotonic() + JOIN_S
    told: set[str] = set()
    while missing := sorted(set(hosts) - (here := addresses()).keys()):
        if time.monotonic() > until_s:
            raise UserError(
                f"host {', '.join(missing)} has not joined within {JOIN_S:.0f} s; on it, run:"
                f" {how_to_join(missing[0], cluster)}"
            )
        for host in missing:
            if host not in told:
                told.add(host)
                tell(f"waiting for host {host}; on it, run: {how_to_join(host, cluster)}")
        time.sleep(POLL_S)
    return here


def how_to_join(host: str, cluster: ClusterSpec) -> str:
    where = endpoint(cluster.address, cluster.port)
    return f"python launch.py join {where} --as {host} --keys keys"
