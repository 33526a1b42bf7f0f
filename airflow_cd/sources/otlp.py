"""Metrics of OpenTelemetry as the collector's file exporter writes them: OTLP in JSON, a batch on each line.

What a sum or a histogram holds since its start becomes what happened between two points; the first point of a process
counts from 0 where its start says that nothing of it was missed. Names of fields are read in both spellings that
protobuf's JSON mapping allows, and whole numbers as texts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from airflow_cd.sources.distributions import Distribution, explicit, exponential
from airflow_cd.sources.metric_files import Point

_TIME = re.compile(r'"(?:timeUnixNano|time_unix_nano)":\s*"?(\d{16,20})')
_NO_VALUE = 1  # the flag of a point that only says that a series is over
_DELTA = (1, "1", "AGGREGATION_TEMPORALITY_DELTA")
_KINDS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_SECOND = 1e9

Kind = Literal["level", "delta", "cumulative"]


class OtlpStamps:
    """The newest time that a batch states."""

    def of(self, line: str) -> datetime | None:
        """When the newest point of a line was measured; None where it holds none.

        :param line: a batch.
        """
        newest = max((int(found[1]) for found in _TIME.finditer(line)), default=0)
        return datetime.fromtimestamp(newest / _SECOND, timezone.utc) if newest else None


@dataclass(frozen=True)
class Raw:
    """A data point as it stands in a file.

    :param instance: by the attribute that names it; ``""`` where there is none.
    :param name: of the metric.
    :param attributes: of the point.
    :param started: since when it counts, in seconds since 1970; 0 where it does not say.
    :param at: until when.
    :param value: a number, or a distribution.
    :param kind: what the value is of.
    :param unit: as the instrument has it.
    """

    instance: str
    name: str
    attributes: tuple[tuple[str, str], ...]
    started: float
    at: float
    value: float | Distribution
    kind: Kind
    unit: str


def raw_points(line: str, instance_attribute: str) -> Iterator[Raw]:
    """The data points of a line.

    :param line: a batch.
    :param instance_attribute: of the resource or of the point, that names the instance.
    :raises ValueError: it is none.
    """
    batch = json.loads(line)
    for resource in _list(batch, "resourceMetrics"):
        outer = _attributes(_of(resource, "resource"))
        for scope in _list(resource, "scopeMetrics"):
            for metric in _list(scope, "metrics"):
                yield from _points_of(metric, outer, instance_attribute)


def _points_of(metric: Mapping[str, Any], outer: Mapping[str, str], instance_attribute: str) -> Iterator[Raw]:
    name, unit = str(_of(metric, "name") or ""), str(_of(metric, "unit") or "")
    for form in _KINDS:
        data = _of(metric, form)
        if not isinstance(data, Mapping):
            continue
        kind: Kind = "delta" if _of(data, "aggregationTemporality") in _DELTA else "cumulative"
        if form == "gauge" or (form == "sum" and kind == "cumulative" and not _of(data, "isMonotonic")):
            kind = "level"
        for point in _list(data, "dataPoints"):
            value = None if int(_of(point, "flags") or 0) & _NO_VALUE else _value(point, form)
            if value is None:
                continue
            attributes = _attributes(point)
            instance = outer.get(instance_attribute) or attributes.pop(instance_attribute, "")
            times = [int(_of(point, field) or 0) / _SECOND for field in ("startTimeUnixNano", "timeUnixNano")]
            yield Raw(instance, name, tuple(sorted(attributes.items())), times[0], times[1], value, kind, unit)


def _value(point: Mapping[str, Any], form: str) -> float | Distribution | None:
    if form in ("gauge", "sum"):
        given = _of(point, "asDouble")
        number = float(given if given is not None else _of(point, "asInt") or 0)
        return number if math.isfinite(number) else None
    count = float(_of(point, "count") or 0)
    total = _of(point, "sum")
    buckets: dict[tuple[float, float], float] = {}
    ends: list[float] = []
    if form == "histogram":
        ends = [float(end) for end in _list(point, "explicitBounds")]
        buckets = explicit(map(float, _list(point, "bucketCounts")), ends)
    elif form == "exponentialHistogram":
        growth = 2.0 ** (2.0 ** -int(_of(point, "scale") or 0))
        zero = float(_of(point, "zeroThreshold") or 0.0)
        if float(_of(point, "zeroCount") or 0):
            buckets[-zero, zero] = float(_of(point, "zeroCount"))
        buckets |= _powers(_of(point, "positive"), growth)
        buckets |= {(-high, -low): number for (low, high), number in _powers(_of(point, "negative"), growth).items()}
    return Distribution(count, float(total) if total is not None else math.nan, buckets, ends=frozenset(ends))


def _powers(side: Any, growth: float) -> dict[tuple[float, float], float]:
    if not isinstance(side, Mapping):
        return {}
    return exponential(map(float, _list(side, "bucketCounts")), int(_of(side, "offset") or 0), growth)


def happened(
    raw: Iterable[Raw], group_by: str, status_attribute: str, since: Callable[[str], float]
) -> Iterator[Point]:
    """What happened at which time, of points that may say what there was since a start.

    :param raw: in any order; a point that stands there twice counts once.
    :param group_by: attribute to break down by; ``""`` for none.
    :param status_attribute: attribute that holds a status of HTTP, whose 5xx are failures.
    :param since: by an instance's name, from when on all of its points were read, in seconds since 1970: what began
        before that was partly missed.
    """
    series: dict[tuple[Any, ...], dict[float, Raw]] = {}
    for one in raw:
        series.setdefault((one.instance, one.name, one.attributes, one.kind), {})[one.at] = one
    for points in series.values():
        before: Raw | None = None
        for at in sorted(points):
            one = points[at]
            value = _grown(one, before, since(one.instance)) if one.kind == "cumulative" else one.value
            before = one
            if value is None:
                continue
            attributes = dict(one.attributes)
            status = attributes.get(status_attribute)
            failed = math.nan
            if isinstance(value, Distribution) and status is not None:
                failed = value.count if status.startswith("5") else 0.0
            group = attributes.get(group_by, "") if group_by else ""
            yield Point(one.instance, one.name, one.at, value, one.kind == "level", group, failed, one.unit)


def _grown(now: Raw, before: Raw | None, since: float) -> float | Distribution | None:
    """By how much something has grown; None where nobody knows."""
    value = now.value
    if before is None:
        return value if now.started and now.started >= since else None
    began_again = now.started > before.at or (now.started > before.started > 0)
    earlier = before.value
    if isinstance(value, Distribution) and isinstance(earlier, Distribution):
        return value if began_again else value.less(earlier)
    if isinstance(value, Distribution) or isinstance(earlier, Distribution):
        return None
    return value if began_again or value < earlier else value - earlier


def _of(given: Any, name: str) -> Any:
    """A field by its name in JSON, ``dataPoints``, or in protobuf, ``data_points``."""
    if not isinstance(given, Mapping):
        return None
    if name in given:
        return given[name]
    return given.get(re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name))


def _list(given: Any, name: str) -> list[Any]:
    found = _of(given, name)
    return found if isinstance(found, list) else []


def _attributes(given: Any) -> dict[str, str]:
    found = {}
    for one in _list(given, "attributes"):
        value = _of(one, "value")
        if isinstance(value, Mapping) and value:
            found[str(_of(one, "key"))] = str(next(iter(value.values())))
    return found
