"""What the name of a metric suggests: how it is judged and which way is worse."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

from airflow_cd.errors import VerificationError
from airflow_cd.verification.samples import Direction, Metric, MetricKind

KINDS: tuple[MetricKind, ...] = get_args(MetricKind)
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
_SHORT_DIRECTIONS: dict[str, Direction] = {
    "higher": "higher_is_worse",
    "lower": "lower_is_worse",
    "either": "either",
    **{direction: direction for direction in DIRECTIONS},
}

# Words of a name, the first match counts: "error_rate" is errors although a rate may be anything.
_BY_WORD: tuple[tuple[MetricKind, str], ...] = (
    ("apdex", r"apdex"),
    ("errors", r"errors?|failures?|failed|faults?|exceptions?|5xx"),
    ("latency", r"latency|duration|time|elapsed|p50|p75|p9[0-9]+|millis|ms|seconds"),
    ("throughput", r"throughput|requests?|rpm|rps|qps|tps|calls"),
)
_NO_LATENCY = re.compile(r"\b(?:up|cpu|gc|idle|wall)[ _]?time\b|\buptime\b")
_WORSE_WHEN_LOWER = re.compile(r"\b(?:availab\w*|success\w*|uptime|healthy|free|hit|score|conversions?|ready)\b")
_WORSE_WHEN_HIGHER = re.compile(
    r"\b(?:cpu|memory|mem|rss|heap|gc|queue\w*|lag|backlog|pending|usage|utili[sz]ation|load|threads?|connections?"
    r"|retr\w+|timeouts?|restarts?|dropped|saturation|disk|time)\b"
)
_SHARE = re.compile(r"\b(?:rate|ratio|share|percent|percentage|pct)\b|%")
_UNITS = (
    ("ms", r"ms|millis|milliseconds"),
    ("s", r"s|sec|secs|seconds"),
    ("us", r"us|micros|microseconds"),
    ("MB", r"mb|megabytes"),
    ("bytes", r"bytes"),
    ("%", r"percent|percentage|pct"),
)


def guessed(name: str) -> Metric:
    """The metric of this name; *gauge* and *either* where the name suggests nothing.

    :param name: as the file has it.

    >>> guessed("checkout_latency_ms")
    Metric(name='checkout_latency_ms', kind='latency', direction='higher_is_worse', unit='ms')
    """
    text = _words(name)
    kind: MetricKind = next((kind for kind, words in _BY_WORD if re.search(rf"\b(?:{words})\b", text)), "gauge")
    if kind == "latency" and _NO_LATENCY.search(text):
        kind = "gauge"
    return Metric(name, kind, _direction(kind, text), _unit(kind, text))


def is_share(name: str) -> bool:
    """Whether a metric of this name is a share of something rather than a number (``error_rate``).

    :param name: of the metric.
    """
    return _SHARE.search(_words(name)) is not None


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


def _resolved(metric: Metric, kinds: Mapping[str, str], directions: Mapping[str, str]) -> Metric:
    given = next((kind for kind in KINDS if kind == kinds.get(metric.name)), None)
    if given is not None:
        text = _words(metric.name)
        metric = replace(metric, kind=given, direction=_direction(given, text), unit=_unit(given, text))
    if metric.name in directions:
        metric = replace(metric, direction=_SHORT_DIRECTIONS[directions[metric.name]])
    return metric


def _words(name: str) -> str:
    """The name in small letters, its words apart: ``http.responseTime_p95`` becomes ``http response time p95``."""
    return re.sub(r"[^a-z0-9%]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower()).strip()


def _direction(kind: MetricKind, text: str) -> Direction:
    if kind in ("throughput", "apdex"):
        return "lower_is_worse"
    if kind in ("latency", "errors"):
        return "higher_is_worse"
    if _WORSE_WHEN_LOWER.search(text):
        return "lower_is_worse"
    return "higher_is_worse" if _WORSE_WHEN_HIGHER.search(text) else "either"


def _unit(kind: MetricKind, text: str) -> str:
    if kind in ("errors", "apdex", "throughput"):
        return "requests" if kind == "throughput" else ""
    return next((unit for unit, words in _UNITS if re.search(rf"\b(?:{words})$", text)), "")
