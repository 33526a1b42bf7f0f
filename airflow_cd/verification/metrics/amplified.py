"""Requests that ask more of what is behind a service than before: a cache that no longer holds, a query in a loop."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from airflow_cd.verification.metrics.limits import Limits
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.words import number
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

AMPLIFIED = "amplified"
"""Code of the reason of such a result."""

BEHIND = frozenset(("backend", "upstream", "origin", "downstream", "db", "database", "sql", "outbound", "egress"))
"""Words of what is behind a service."""

_TIMES = 2.5  # as many for each request
_FEWEST = 100.0  # requests on the other side, of either


def with_amplified(results: Sequence[MetricResult], sides: Mapping[str, Sides], limits: Limits) -> list[MetricResult]:
    """The results, a pass of requests to what is behind a service held up where there are far more for each request.

    :param results: of all metrics.
    :param sides: by the name of a metric, its rows.
    :param limits: what every metric is held to.
    """
    rates = {name: rate for name, one in sides.items() if (rate := _change(one, limits)) is not None}
    own = {name: rate for name, rate in rates.items() if not BEHIND & set(words_of(name))}
    if not own:
        return list(results)
    asked = max(own, key=lambda name: float(sides[name].control.value.sum()))
    changed = []
    for result in results:
        times = rates.get(result.name, 0.0) / own[asked]
        held = not result.group and result.verdict is Verdict.PASS and result.name not in own and times >= _TIMES
        changed.append(_held(result, asked, times) if held else result)
    return changed


def _change(sides: Sides, limits: Limits) -> float | None:
    """How many times as many requests an instance of the canary gets as one of the other side, its start aside."""
    if sides.metric.kind != "throughput":
        return None
    grown = sides.older_than(limits.longest(sides.watched))
    if not len(grown.canary) or float(grown.control.value.sum()) < _FEWEST:
        return None
    times = float(grown.canary.value.mean()) / float(grown.control.value.mean())
    return times if math.isfinite(times) and times > 0 else None


def _held(result: MetricResult, asked: str, times: float) -> MetricResult:
    text = (
        f"{result.name}: {number(times)} times as many for each of {asked} as on the other side. "
        "Does a request now ask more of what is behind the service?"
    )
    return replace(result, verdict=Verdict.INCONCLUSIVE, reason=Reason(AMPLIFIED, text, {"times": times}))
