"""In which order a group steps its nodes, and which of them side by side."""

from nodes.runtime.check import find_class
from nodes.runtime.plan import GroupPlan


def ranks(plan: GroupPlan) -> list[list[str]]:
    """Node ids, producers before consumers; those of a rank are stepped at once (``nodes.runtime.abreast``).

    Where a file is read each has its own rank: one message goes through all of them before the next.
    """
    kinds = {spec.id: find_class(spec.kind) for spec in plan.nodes}
    alike = {id: kind for id, kind in kinds.items() if plan.live and getattr(kind, "abreast", False)}
    if len(set(alike.values())) == len(alike):
        return [[id] for id in kinds]
    before: dict[str, set[str]] = {id: set() for id in kinds}
    for route, takers in plan.local.items():
        maker, _, _ = route.partition("/")
        for taker in takers if maker in kinds else ():  # a group's health is made by no node
            before[taker].add(maker)
    depths: dict[str, int] = {}
    for _ in range(2):  # how deep each lies, then as deep as the deepest of its kind
        least = {id: max(depths.get(one, 0) for one in alike if alike[one] is alike[id]) for id in alike}
        depths = {}
        for id in kinds:
            depths[id] = max([least.get(id, 0), *(depths[one] + 1 for one in before[id])])
    found: dict[tuple[int, object], list[str]] = {}
    for id in sorted(kinds, key=depths.__getitem__):
        found.setdefault((depths[id], alike.get(id, id)), []).append(id)
    return list(found.values())
