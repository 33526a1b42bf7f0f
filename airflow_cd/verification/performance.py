"""What the metrics say: each metric of the canary against the control, and the verdict they lead to.

Measured on the traffic model of the tests (five metrics, nine transactions, 2 canary against 8 control instances,
four requests a second and instance, a minute): looked at every 5 s, a release twice as slow failed within 10 s and one
60 % slower within 25 s in each of 20 runs. Of 1,000 verifications without any change, looked at every 10 s, half of
them in 1 s and half in 5 s buckets, none failed and all passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_cd.verification.configuration import Sensitivity
from airflow_cd.verification.metrics import Judge, Limits, Sides, few_requests, series_of
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.verdict import MetricResult, Performance, Reason, Verdict

if TYPE_CHECKING:
    import pandas as pd

# Chance that a verification without any change ever raises an alarm, over all its metrics and looks.
FALSE_ALARMS: dict[Sensitivity, float] = {"low": 0.002, "medium": 0.01, "high": 0.05}
_POOLED, _GROUPS, _INSTANCES = 0.5, 0.25, 0.25  # how it is divided


def judge_performance(
    canary: pd.DataFrame,
    control: pd.DataFrame | None,
    before: pd.DataFrame | None,
    metrics: Sequence[Metric],
    *,
    sensitivity: Sensitivity = "medium",
    minimum_effect: float = 0.2,
    min_requests: int = 50,
    learn: bool = False,
) -> Performance:
    """Judge every metric, over all its groups together, for each group and for each canary instance.

    Frames have the columns of :data:`~airflow_cd.verification.samples.METRIC_COLUMNS`. The verdict is valid at every
    look, so it may be asked for as often as one likes while rows arrive.

    A metric fails when its interval lies wholly on the worse side *and* the change is at least the minimum effect.
    It passes with at least ``min_requests`` requests on both sides, precise enough to have shown five times the
    minimum effect. Everything else is INCONCLUSIVE; of a single group or instance that does not hold up the whole.

    :param control: instances on the running release in the same window.
    :param before: the canary's instances before the deployment; compared with when there is no control.
    :param minimum_effect: smallest relative change that counts as a regression.
    :param min_requests: fewest requests to judge by.
    :param learn: whether having nothing to compare with is a reason to pass.
    """
    limits = Limits(minimum_effect, min_requests)
    alpha = FALSE_ALARMS[sensitivity]
    compared_with = "control" if control is not None and len(control) else "before"
    other = control if compared_with == "control" else before
    if not len(canary):
        seen = len(other) if other is not None else 0
        text = "No metric of the canary has any data" + (", the control's have." if seen else ", nor has the control.")
        return Performance(Verdict.INCONCLUSIVE, [Reason("no_data", text, {"control_rows": seen})])
    if other is None or not len(other):
        return _nothing_to_compare(canary, metrics, learn=learn)
    sides = {metric.name: Sides.of(metric, canary, other, compared_with) for metric in metrics}
    groups = [(metric, group) for metric in metrics for group in sides[metric.name].groups]
    instances = [(metric, name) for metric in metrics for name in sides[metric.name].instances]
    pooled_judge = Judge(limits, alpha * _POOLED / max(1, len(metrics)))
    group_judge = Judge(limits, alpha * _GROUPS / max(1, len(groups)))
    instance_judge = Judge(limits, alpha * _INSTANCES / max(1, len(instances)))
    results = []
    for metric in metrics:
        pooled = pooled_judge.judge(sides[metric.name])
        if pooled.verdict is not Verdict.FAIL and len(sides[metric.name].instances) > 1:
            pooled = _with_worst_instance(pooled, sides[metric.name], instance_judge)
        results.append(_illustrated(pooled, sides[metric.name]))
    for metric, group in groups:
        part = sides[metric.name].of_group(group)
        result = group_judge.judge(part)
        results.append(_illustrated(result, part) if result.verdict is Verdict.FAIL else result)
    return _together(results)


def _illustrated(result: MetricResult, sides: Sides) -> MetricResult:
    """The result with its charts; evidence is bounded, so only results that somebody will look at have them."""
    return replace(result, series=series_of(sides), instances=sides.means())


def _with_worst_instance(pooled: MetricResult, sides: Sides, judge: Judge) -> MetricResult:
    """The pooled result, failed where a single instance of the canary is bad enough by itself."""
    for name in sides.instances:
        result = judge.judge(sides.of_instance(name))
        if result.verdict is Verdict.FAIL:
            text = f"instance {name} alone: {result.reason.text}"
            return replace(
                pooled,
                verdict=Verdict.FAIL,
                reason=Reason("instance_regressed", text, {**result.reason.numbers, "instance": name}),
                effect=result.effect,
                interval=result.interval,
                smallest_detectable=result.smallest_detectable,
            )
    return pooled


def _together(results: Sequence[MetricResult]) -> Performance:
    failed = [result for result in results if result.verdict is Verdict.FAIL]
    pooled = [result for result in results if not result.group]
    open_ones = [result for result in pooled if result.verdict is Verdict.INCONCLUSIVE]
    if failed:
        # The whole says more than one of its parts.
        decisive = [result for result in failed if not result.group] or failed
        return Performance(Verdict.FAIL, [result.reason for result in decisive], results)
    if open_ones:
        return Performance(Verdict.INCONCLUSIVE, [result.reason for result in open_ones], results)
    requests = max((result.canary.get("requests", 0.0) for result in pooled), default=0.0)
    widest = max((result.smallest_detectable or 0.0 for result in pooled if result.kind == "latency"), default=0.0)
    text = f"No regression in {len(pooled)} metrics over {requests:.0f} canary requests"
    text += f"; a latency change of {widest:.0%} would have shown." if widest else "."
    numbers = {"metrics": len(pooled), "requests": requests, "smallest_detectable": widest or None}
    return Performance(Verdict.PASS, [Reason("no_regression", text, numbers)], results)


def _nothing_to_compare(canary: pd.DataFrame, metrics: Sequence[Metric], *, learn: bool) -> Performance:
    requests = max(
        (float(canary.loc[canary["metric"] == metric.name, "count"].sum()) for metric in metrics), default=0.0
    )
    numbers = {"requests": requests}
    if not requests:
        return Performance(Verdict.INCONCLUSIVE, [few_requests(0, 0, 1)])
    if learn:
        text = f"Nothing to compare metrics with yet; {requests:.0f} requests were seen."
        return Performance(Verdict.PASS, [Reason("learning", text, numbers)])
    text = "There is neither a control nor a time before the deployment to compare the canary's metrics with."
    return Performance(Verdict.INCONCLUSIVE, [Reason("no_baseline", text, numbers)])
