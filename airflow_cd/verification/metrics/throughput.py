"""Requests: how many an instance gets is the router's business, unless they all but stop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from airflow_cd.verification.metrics.findings import reason_of, title_of
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

_COLLAPSED = 0.1  # of its share of the traffic before
_ENOUGH_TO_COLLAPSE = 30.0  # requests to be expected


def judge_throughput(base: MetricResult, sides: Sides) -> MetricResult:
    """How much traffic an instance gets is the router's business; only that it all but stops is the release's.

    :param base: the result so far; ``sides`` its rows.
    """
    ours, theirs = base.canary["mean"], base.control["mean"]
    effect = ours / theirs - 1.0 if theirs else None
    result = replace(base, effect=effect)
    if sides.compared_with == "control" and not sides.group:
        times = np.unique(sides.control.time)
        late = times[-max(1, len(times) // 3)]
        was = [float(side.value[side.time < late].sum()) for side in (sides.canary, sides.control)]
        now = [float(side.value[side.time >= late].sum()) for side in (sides.canary, sides.control)]
        expected = was[0] / was[1] * now[1] if was[1] else 0.0
        if expected >= _ENOUGH_TO_COLLAPSE and now[0] < _COLLAPSED * expected:
            text = f"{title_of(sides)}: collapsed to {now[0]:.0f} requests where {expected:.0f} were to be expected."
            numbers = {"observed": now[0], "expected": expected}
            return replace(result, verdict=Verdict.FAIL, reason=Reason("metric_regressed", text, numbers))
    return replace(result, verdict=Verdict.PASS, reason=reason_of(result, sides, "no_regression"))
