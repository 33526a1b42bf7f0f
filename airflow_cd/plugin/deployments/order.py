"""In which order environments are shown: as deliveries reach them, and side by side always by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations

MOST_ASKED = 8
"""Pipelines that are asked for their order."""


def delivery_order(ways: Iterable[tuple[str, Sequence[str]]], depths: Callable[[str], Mapping[str, int]]) -> list[str]:
    """The environments in the order that most runs reach them.

    Which of two that are delivered to side by side a run happened to reach first says nothing: the pipelines are
    asked, and only of one that is not known (any more) the order of its runs counts.

    :param ways: the pipeline of each run, and the environments it reached, in its order.
    :param depths: how deep in a pipeline its environments are, equal where they are side by side; empty if unknown.
    """
    times = Counter((pipeline, tuple(way)) for pipeline, way in ways)
    known = _known(times, depths)
    before: Counter[tuple[str, str]] = Counter()
    names: set[str] = set()
    for (_, way), count in times.items():
        names.update(way)
        depth = next((found for found in known if found.keys() >= set(way)), None)
        for earlier, later in combinations(way, 2):
            if depth is None or depth[earlier] < depth[later]:
                before[earlier, later] += count
            elif depth[earlier] > depth[later]:
                before[later, earlier] += count
    order: list[str] = []
    left = sorted(names)
    while left:
        first = min(left, key=lambda name: (sum(before[other, name] > before[name, other] for other in left), name))
        order.append(first)
        left.remove(first)
    return order


def _known(
    ways: Iterable[tuple[str, tuple[str, ...]]], depths: Callable[[str], Mapping[str, int]]
) -> list[Mapping[str, int]]:
    """Of one pipeline for every set of environments that is no part of another: a thousand may have the same."""
    by_reach: dict[frozenset[str], str] = {}
    for pipeline, way in ways:
        reach = frozenset(way)
        # By name, not by time: whose run was last must not move the columns.
        by_reach[reach] = min(pipeline, by_reach.get(reach, pipeline))
    known: list[Mapping[str, int]] = []
    asked = 0
    for reach in sorted(by_reach, key=lambda names: (-len(names), sorted(names))):
        if len(reach) > 1 and asked < MOST_ASKED and not any(reach <= found.keys() for found in known):
            asked += 1
            known.append(depths(by_reach[reach]))
    return [found for found in known if found]


def in_order(names: Collection[str], order: Sequence[str]) -> list[str]:
    """The names in that order, those that are not in it last."""
    places = {name: number for number, name in enumerate(order)}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))
