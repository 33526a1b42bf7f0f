"""Instances that differed from the control before the deployment as they do now: where they stand, and no release.

Hosts are changed in place, so the canary's instances have a past of their own beside the control's. What they were
slower by all that time, they are slower by now.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from airflow_cd.verification.metrics.hosts import levels
from airflow_cd.verification.metrics.limits import Limits
from airflow_cd.verification.metrics.rows import Rows
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.words import change
from airflow_cd.verification.verdict import MetricResult, Verdict

STOOD_SO = "stood_so"
"""Code of the reason of such a result."""

_KINDS = ("latency", "gauge")
_CODES = ("metric_regressed", "instance_regressed", "not_certain", "not_precise")
_PIECES = 3  # of the time before, in each of which it was so
_FEWEST = 12  # buckets of that time


def with_standing(
    results: Sequence[MetricResult], sides: Mapping[str, Sides], past: Mapping[str, Sides], limits: Limits
) -> list[MetricResult]:
    """The results, a level passed that is as far from the control's as on the same instances before the deployment.

    :param results: of all metrics and groups.
    :param sides: by the name of a metric, its rows.
    :param past: by the name of a metric, the time before the deployment as the other side, beside a control.
    :param limits: what every metric is held to.
    """
    return [_stood(one, sides[one.name], past[one.name], limits) if one.name in past else one for one in results]


def _stood(result: MetricResult, sides: Sides, past: Sides, limits: Limits) -> MetricResult:
    """The result of one metric, passed where its change is as old as the time before."""
    asked = result.kind in _KINDS and result.verdict is not Verdict.PASS and result.reason.code in _CODES
    if not asked or result.group or not result.effect or result.effect <= -1.0 or not math.isfinite(result.effect):
        return result
    alone = result.reason.numbers.get("instance")
    if alone is not None:
        sides = sides.of_instance(str(alone))
    sign = 1.0 if result.effect > 0 else -1.0
    apart = _apart(sides, past.control, sign)
    left = abs(math.log1p(result.effect)) - apart
    if apart <= 0.0 or left >= math.log1p(limits.threshold(sides.metric)):
        return result
    was = change(math.expm1(sign * apart), sides.metric.kind)
    text = f"{result.reason.text[:-1]}; it was at least {was} on the same instances before the deployment, too."
    reason = replace(result.reason, code=STOOD_SO, text=text, numbers={**result.reason.numbers, "before": apart})
    return replace(result, verdict=Verdict.PASS, reason=reason)


def _apart(sides: Sides, before: Rows, sign: float) -> float:
    """How far the canary's instances were from the control's in every piece of the time before, on the log scale."""
    ours, theirs = ({rows.instance_names[code] for code in rows.instances()} for rows in (sides.canary, sides.control))
    there = {before.instance_names[code] for code in before.instances()}
    times = np.unique(before.time)
    # Names that both sides have are numbers that were given to files, and no instances.
    if ours & theirs or not ours <= there or not theirs & there or len(times) < _FEWEST:
        return 0.0
    found = []
    for piece in np.array_split(times, _PIECES):
        known = levels(before.where(np.isin(before.time, piece)), counts=False)
        named = {before.instance_names[code]: level for code, level in known.items()}
        if not ours <= named.keys() or not theirs & named.keys():
            return 0.0
        usual = [float(np.mean([named[name] for name in side if name in named])) for side in (ours, theirs)]
        found.append(sign * (usual[0] - usual[1]))
    return min(found)
