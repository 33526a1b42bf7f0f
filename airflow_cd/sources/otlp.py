"""Metrics of OpenTelemetry as the collector's file exporter writes them: OTLP in JSON, a batch on each line.

Names of fields are read in both spellings that protobuf's JSON mapping allows, and whole numbers as texts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Literal

from airflow_cd.sources.distributions import Distribution, explicit, exponential
from airflow_cd.sources.stamps import Stamps

_TIME = re.compile(r'"(?:timeUnixNano|time_unix_nano)":\s*"?(\d{16,20})')
_NO_VALUE = 1  # the flag of a point that only says that a series is over
_DELTA = (1, "1", "AGGREGATION_TEMPORALITY_DELTA")
_KINDS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_SECOND = 1e9

Kind = Literal["level", "delta", "cumulative"]


class OtlpStamps(Stamps):
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
    :param resource: all attributes of what it is of.
    :param scope: name and version of what has measured it.
    """

    instance: str
    name: str
    attributes: tuple[tuple[str, str], ...]
    started: float
    at: float
    value: float | Distribution
    kind: Kind
    unit: str
    resource: tuple[tuple[str, str], ...] = ()
    scope: tuple[str, str] = ("", "")


def raw_points(line: str, instance_attribute: str) -> Iterator[Raw]:
    """The data points of a line.

    :param line: a batch.
    :param instance_attribute: of the resource or of the point, that names the instance.
    :raises ValueError: it is none.
    """
    batch = json.loads(line)
    for resource in _list(batch, "resourceMetrics"):
        outer = _attributes(_of(resource, "resource"))
        whose = tuple(sorted(outer.items()))
        for scope in _list(resource, "scopeMetrics"):
            about = _of(scope, "scope")
            by = (str(_of(about, "name") or ""), str(_of(about, "version") or ""))
            for metric in _list(scope, "metrics"):
                for one in _points_of(metric, outer, instance_attribute):
                    yield replace(one, resource=whose, scope=by)


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
