"""Rows that are too few, or no numbers, to be judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from airflow_cd.verification.metrics.findings import few_requests, title_of
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.samples import MetricKind
from airflow_cd.verification.verdict import MetricResult, Reason

ONLY_CANARY = "only_canary"
"""Code of the reason that the other side does not measure it at all."""

_BUCKETS_OF_A_GAUGE = 5
# Buckets that are enough where nobody counted requests: of a level as many as of a gauge.
_ROWS_ENOUGH: dict[MetricKind, int] = {"latency": _BUCKETS_OF_A_GAUGE, "errors": 10}
_AS_RARE, _ENOUGH_OF_RARE = 0.15, 10  # between the sides' missing parts, and buckets: then it is that kind of metric
_FEWEST_BUCKETS = 2  # of a share that fails by itself
_MOSTLY = 0.5  # of the rows: more without a number, and the rest is no picture of the whole


def why_not(base: MetricResult, sides: Sides, min_requests: int) -> Reason | None:
    """Why these rows say nothing, if so.

    :param base: the result so far, with the figures of both sides.
    :param sides: the rows of one metric on either side.
    :param min_requests: fewest requests on either side to judge by.
    """
    kind = base.kind
    if min(sides.unusable, sides.control_unusable) >= 1.0:
        text = f"{title_of(sides)}: not one usable number on either side, so nobody measures it here."
        return Reason("not_measured", text)
    alike = abs(sides.unusable - sides.control_unusable) <= _AS_RARE
    if max(sides.unusable, sides.control_unusable) > _MOSTLY and alike and len(sides.canary) and len(sides.control):
        if min(base.canary["buckets"], base.control["buckets"]) < _ENOUGH_OF_RARE:
            text = (
                f"{title_of(sides)}: a number in only {1.0 - sides.unusable:.0%} of the rows on either side: "
                "too rarely to be judged.".replace("%", " %")
            )
            return Reason("few_requests", text, {"canary": sides.unusable, "control": sides.control_unusable})
    elif max(sides.unusable, sides.control_unusable) > _MOSTLY:
        known, known_there = (_numbers(part) for part in (sides.unusable, sides.control_unusable))
        text = f"{title_of(sides)}: {known} of the canary's rows and {known_there} of the other side's hold a number."
        numbers = {"canary": sides.unusable, "control": sides.control_unusable}
        return Reason("not_numbers", text, numbers)
    if not len(sides.canary) or not len(sides.control):
        return _without_one_side(base, sides)
    if kind == "throughput":
        return None
    ours, theirs = base.canary["requests"], base.control["requests"]
    least, what = min_requests, "requests"
    if kind in ("gauge", "count", "share"):
        least, what = _BUCKETS_OF_A_GAUGE, "buckets"
        ours, theirs = base.canary["buckets"], base.control["buckets"]
    if kind in _ROWS_ENOUGH and float(sides.canary.count.max()) <= 1.0 >= float(sides.control.count.max()):
        # Nobody counted the requests: what there are is buckets.
        least, what = min(least, _ROWS_ENOUGH[kind]), "buckets"
    if min(ours, theirs) >= least:
        return None
    reason = few_requests(ours, theirs, least, what)
    return replace(reason, text=f"{title_of(sides)}: {reason.text}")


def may_fail_early(reason: Reason, sides: Sides) -> bool:
    """Whether so few buckets may fail all the same: what succeeds does so from the first request on.

    :param reason: as :func:`why_not` returned it; ``sides`` of the same rows.
    """
    few = reason.code == "few_requests" and sides.metric.kind == "share" and sides.metric.direction == "lower_is_worse"
    return few and min(len(np.unique(side.time)) for side in (sides.canary, sides.control)) >= _FEWEST_BUCKETS


def _without_one_side(base: MetricResult, sides: Sides) -> Reason:
    if not len(sides.canary) or sides.control_unusable:
        return base.reason
    return Reason(ONLY_CANARY, f"{title_of(sides)}: only the canary has it, so there is nothing to compare with.")


def _numbers(unusable: float) -> str:
    """How many rows hold a number, in words."""
    if unusable >= 1.0:
        return "none"
    return f"{1.0 - unusable:.0%}".replace("%", " %") if unusable else "all"
