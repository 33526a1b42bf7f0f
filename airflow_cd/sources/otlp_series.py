"""What happened at which time, of OpenTelemetry's points: each writer's own, then those of all of them together.

Who writes a point is told by all attributes of its resource, by its scope, and by the time since when it counts:
the processes of one host have one instance's name, and count each for itself.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from airflow_cd.sources.distributions import Distribution
from airflow_cd.sources.metric_files import Point
from airflow_cd.sources.otlp import Raw

_RETURNS = 2  # how often a counter falls and is back at once until that is no process that starts again


@dataclass
class Happened:
    """What points say.

    :param points: what happened when.
    :param shared: instance and metric of those of which nothing is said, as several writers cannot be told apart.
    """

    points: list[Point] = field(default_factory=list)
    shared: list[tuple[str, str]] = field(default_factory=list)


def happened(raw: Iterable[Raw], group_by: str, status_attribute: str, since: Callable[[str], float]) -> Happened:
    """What happened at which time, of points that may say what there was since a start.

    :param raw: in any order; a point that stands there twice counts once.
    :param group_by: attribute to break down by; ``""`` for none.
    :param status_attribute: attribute that holds a status of HTTP, whose 5xx are failures.
    :param since: by an instance's name, from when on all of its points were read, in seconds since 1970: what began
        before that was partly missed.
    """
    counters: dict[tuple[Any, ...], list[Raw]] = defaultdict(list)
    others: dict[tuple[Any, ...], Raw] = {}
    found: list[tuple[Raw, float | Distribution]] = []
    shared: set[tuple[str, str]] = set()
    for one in raw:
        who = (one.instance, one.name, one.attributes, one.scope, one.started)
        if one.kind == "cumulative":
            counters[who].append(one)
            continue
        # Levels are averaged, whoever writes them.
        place = (*who, one.resource, one.at, one.value if one.kind == "level" else None)
        if _differ(others.setdefault(place, one), one):
            shared.add((one.instance, one.name))
    found += ((one, one.value) for one in others.values())
    for of_start in counters.values():
        for points in _writers(of_start):
            if _is_shared(points):
                shared.add((points[0].instance, points[0].name))
            found += _grown(points, since(points[0].instance))
    told = [_point(one, value, group_by, status_attribute) for one, value in found]
    # A part of a metric would be taken for all of it.
    return Happened([one for one in told if (one.instance, one.name) not in shared], sorted(shared))


def _writers(points: Iterable[Raw]) -> Iterator[list[Raw]]:
    """The points of each writer, of those that count the same since the same time.

    A resource gets attributes while its process runs, once a collector knows more of it; two of them at a time are two
    processes.
    """
    by_resource: dict[tuple[tuple[str, str], ...], list[Raw]] = defaultdict(list)
    for one in sorted(points, key=lambda one: one.at):
        by_resource[one.resource].append(one)
    writers: list[list[Raw]] = []
    for own in sorted(by_resource.values(), key=lambda own: own[0].at):
        earlier = next((one for one in writers if own[0].started and one[-1].at < own[0].at), None)
        if earlier is None:
            writers.append(own)
        else:
            earlier += own
    yield from writers


def _is_shared(points: Sequence[Raw]) -> bool:
    """Whether several count under one name: at one time they say different things, or the count goes to and fro."""
    if any(one.at == other.at and _differ(one, other) for one, other in pairwise(points)):
        return True
    returns = 0
    fell_from, lowest = math.inf, math.inf
    for before, now in pairwise(map(_count, points)):
        if now < before and fell_from == math.inf:
            fell_from, lowest = before, now
        elif now >= fell_from:
            # A process that starts again climbs back step by step.
            returns += 2 * (now - before) >= fell_from - lowest
            fell_from = math.inf
        lowest = min(lowest, now)
    return returns >= _RETURNS


def _differ(one: Raw, other: Raw) -> bool:
    if isinstance(one.value, Distribution) and isinstance(other.value, Distribution):
        # A sum that nobody has is equal to none, not even itself.
        return (one.value.count, one.value.buckets) != (other.value.count, other.value.buckets)
    return one.value != other.value


def _count(one: Raw) -> float:
    return one.value.count if isinstance(one.value, Distribution) else one.value


def _grown(points: Sequence[Raw], since: float) -> Iterator[tuple[Raw, float | Distribution]]:
    """By how much one writer's counter has grown until each point, where anybody knows."""
    first = points[0]
    if first.started and first.started >= since:
        yield first, first.value
    for before, now in pairwise(points):
        value, earlier = now.value, before.value
        if before.at == now.at:
            continue
        if isinstance(value, Distribution) and isinstance(earlier, Distribution):
            if (more := value.less(earlier)) is not None:
                yield now, more
        elif not isinstance(value, Distribution) and not isinstance(earlier, Distribution):
            yield now, value if value < earlier else value - earlier


def _point(one: Raw, value: float | Distribution, group_by: str, status_attribute: str) -> Point:
    attributes = dict(one.attributes)
    status = attributes.get(status_attribute)
    failed = math.nan
    if isinstance(value, Distribution) and status is not None:
        failed = value.count if status.startswith("5") else 0.0
    group = attributes.get(group_by, "") if group_by else ""
    return Point(one.instance, one.name, one.at, value, one.kind == "level", group, failed, one.unit)
