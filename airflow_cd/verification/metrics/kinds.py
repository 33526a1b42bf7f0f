"""What the name of a metric suggests, and what an author says instead: how it is judged and which way is worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

from airflow_cd.errors import VerificationError
from airflow_cd.verification.metrics.names.reading import NameReading, read_name
from airflow_cd.verification.samples import SUMMED, Direction, Metric, MetricKind

KINDS: tuple[MetricKind, ...] = get_args(MetricKind)
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
LEVELS: tuple[MetricKind, ...] = ("latency", "gauge", "share")
"""Kinds that are levels, compared by their means."""

_SHORT_DIRECTIONS: dict[str, Direction] = {
    "higher": "higher_is_worse",
    "lower": "lower_is_worse",
    "either": "either",
    **{direction: direction for direction in DIRECTIONS},
}
_USUAL: dict[MetricKind, Direction] = {
    "throughput": "lower_is_worse",
    "apdex": "lower_is_worse",
    "latency": "higher_is_worse",
    "errors": "higher_is_worse",
}
_WORDS: dict[MetricKind, str] = {
    "latency": "a duration",
    "errors": "errors",
    "throughput": "requests",
    "apdex": "an Apdex score",
    "gauge": "a level",
    "share": "a share",
    "count": "a count",
    "info": "information, not judged",
}
_WORSE: dict[Direction, str] = {
    "higher_is_worse": "more is worse",
    "lower_is_worse": "less is worse",
    "either": "a large change either way counts",
}
_PERIODS = {1.0: "per second", 60.0: "per minute", 3600.0: "per hour"}


def guessed(name: str) -> Metric:
    """The metric of this name; *gauge* and *either* where the name suggests nothing.

    :param name: as the file has it.

    >>> guessed("checkout_latency_ms")
    Metric(name='checkout_latency_ms', kind='latency', direction='higher_is_worse', unit='ms')
    """
    return _metric(name, read_name(name))


def is_counter(name: str) -> bool:
    """Whether a name ends as those of counters do that only grow (``_total``).

    :param name: of the metric.
    """
    return read_name(name).counter


def is_share(name: str) -> bool:
    """Whether a metric of this name is a share of something rather than a number (``error_rate``).

    :param name: of the metric.
    """
    return read_name(name).share


def resolved(metrics: Sequence[Metric], kinds: Mapping[str, str], directions: Mapping[str, str]) -> list[Metric]:
    """The metrics with the kinds and directions that were given instead of those that their names suggest.

    :param metrics: as :func:`guessed` returns them.
    :param kinds: by the name of a metric, one of :data:`KINDS`.
    :param directions: by the name of a metric, which way is worse: ``higher``, ``lower`` or ``either``.
    :raises airflow_cd.errors.VerificationError: there is no metric of that name, or no such kind or direction.
    """
    names = {metric.name for metric in metrics}
    for given, option, allowed in (
        (kinds, "--kind", KINDS),
        (directions, "--direction", tuple(_SHORT_DIRECTIONS)),
    ):
        for name, word in given.items():
            if name not in names:
                raise VerificationError(
                    f"{option} names {name!r}, which is not a metric of these files.",
                    next_step=f"Name one of: {', '.join(sorted(names))}.",
                )
            if word not in allowed:
                raise VerificationError(
                    f"{option} gives {word!r} for {name}, which is unknown.",
                    next_step=f"Give one of: {', '.join(allowed)}.",
                )
    return [_resolved(metric, kinds, directions) for metric in metrics]


def described(metric: Metric) -> str:
    """How a metric is judged, in words: ``a duration in ms, more is worse``.

    :param metric: which metric.
    """
    if metric.kind == "info":
        return _WORDS["info"]
    what = _WORDS[metric.kind]
    if metric.unit and metric.kind in ("latency", "gauge"):
        what += f" in {metric.unit}"
    if metric.period:
        what += f" {_PERIODS.get(metric.period, f'per {metric.period:g} s')}"
    return f"{what}, {_WORSE[metric.direction]}"


def _metric(name: str, reading: NameReading) -> Metric:
    metric = Metric(name, reading.kind, reading.direction, reading.unit, period=reading.period, part=reading.share)
    return replace(metric, assumed=described(metric))


def _resolved(metric: Metric, kinds: Mapping[str, str], directions: Mapping[str, str]) -> Metric:
    given = next((kind for kind in KINDS if kind == kinds.get(metric.name)), None)
    if given is not None and given != metric.kind:
        direction = _USUAL.get(given, metric.direction)
        unit = {"throughput": "requests", "errors": "", "apdex": "", "count": ""}.get(given, metric.unit)
        period = metric.period if given in SUMMED else 0.0
        part = metric.part and given == "errors"
        metric = replace(metric, kind=given, part=part, direction=direction, unit=unit, period=period)
    if metric.name in directions:
        metric = replace(metric, direction=_SHORT_DIRECTIONS[directions[metric.name]])
    return replace(metric, assumed=described(metric))
