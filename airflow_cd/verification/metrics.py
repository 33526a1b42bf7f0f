"""One metric of one canary: what is compared, and the rule of its kind that judges it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.evidence import CAP, Estimate, beyond_cap, burst_factor, ratio_of_levels, ratio_of_rates
from airflow_cd.verification.profile import iso_time
from airflow_cd.verification.rows import Rows, pair_of_rows, summed
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

if TYPE_CHECKING:
    import pandas as pd

POINTS_KEPT = 240  # of a series in the evidence
DETECTABLE = 5.0  # times the minimum effect: less precise than that is no reason to pass
# What is compared with another time is less sure by nature; the same demands there would let nothing pass.
SUSPICIOUS = {"control": 1.5, "before": 2.5}  # times the minimum effect: an uncertain change so large is none to pass
APDEX_PART = 0.25  # of the minimum effect: a score that ends at 1 moves less than a duration
LEAST_ERRORS = 0.001  # increase of the error share below which it does not matter, however sure
LEAST_TAIL = 0.01  # increase of the share of measurements that are far too long, below which it does not matter
TAIL_GROWS = 0.5  # by which that share surely grows: slow moments cluster, so a small ratio proves little
_HOSTS_DIFFER = 0.1  # by which rates of like instances differ
_COLLAPSED = 0.1  # of its share of the traffic before
_ENOUGH_TO_COLLAPSE = 30.0  # requests to be expected
_BUCKETS_OF_A_GAUGE = 5


@dataclass(frozen=True)
class Limits:
    """What a judgement is held to; see :func:`~airflow_cd.verification.performance.judge_performance`."""

    minimum_effect: float
    min_requests: int

    def threshold(self, metric: Metric) -> float:
        """Smallest relative change of this metric that counts."""
        return self.minimum_effect * (APDEX_PART if metric.kind == "apdex" else 1.0)


@dataclass(frozen=True)
class Sides:
    """The rows of one metric on either side.

    :param compared_with: ``control`` (same time, other instances) or ``before`` (same instances, earlier).
    """

    metric: Metric
    canary: Rows
    control: Rows
    compared_with: str
    group: str = ""

    @classmethod
    def of(cls, metric: Metric, canary: pd.DataFrame, control: pd.DataFrame, compared_with: str) -> Sides:
        """Pick the metric's rows."""
        ours, theirs = pair_of_rows(canary, control, metric.name, ignore_count=metric.kind == "gauge")
        return cls(metric, ours, theirs, compared_with)

    @property
    def groups(self) -> list[str]:
        """Groups that the canary has, if it is broken down at all."""
        return [name for code, name in enumerate(self.canary.group_names) if name and (self.canary.group == code).any()]

    @property
    def instances(self) -> list[str]:
        """The canary's instances."""
        return [self.canary.instance_names[code] for code in self.canary.instances()]

    def of_group(self, group: str) -> Sides:
        """The same for one group."""
        code = self.canary.group_names.index(group)
        canary, control = (side.where(side.group == code) for side in (self.canary, self.control))
        return replace(self, canary=canary, control=control, group=group)

    def of_instance(self, name: str) -> Sides:
        """The same for one instance of the canary; compared with before, against its own past."""
        code = self.canary.instance_names.index(name)
        control = self.control
        if self.compared_with == "before":
            control = control.where(control.instance == code)
        return replace(self, canary=self.canary.where(self.canary.instance == code), control=control)

    def means(self) -> dict[str, float]:
        """Mean of each canary instance."""
        return {name: _summary(self.of_instance(name).canary, self.metric)["mean"] for name in self.instances}


def few_requests(canary: float, control: float, least: int, what: str = "requests") -> Reason:
    """The reason that there was too little traffic to judge by."""
    text = (
        f"{canary:.0f} {what} on the canary and {control:.0f} on the other side, at least {least} are needed on each."
    )
    return Reason("few_requests", text, {"canary_requests": canary, "control_requests": control, "least": least})


class Judge:
    """Judges one metric at a time.

    :param alpha: chance of a false alarm allowed to each.
    """

    def __init__(self, limits: Limits, alpha: float) -> None:
        self.limits = limits
        self.alpha = alpha

    def judge(self, sides: Sides) -> MetricResult:
        """Judge these rows."""
        metric = sides.metric
        base = MetricResult(
            name=metric.name,
            group=sides.group,
            kind=metric.kind,
            unit=metric.unit,
            direction=metric.direction,
            verdict=Verdict.INCONCLUSIVE,
            reason=Reason("no_data", f"{_title(sides)}: no data."),
            threshold=self.limits.threshold(metric),
            canary=_summary(sides.canary, metric),
            control=_summary(sides.control, metric),
            compared_with=sides.compared_with,
        )
        if not len(sides.canary) or not len(sides.control):
            return base
        if metric.kind == "throughput":
            return _judge_throughput(base, sides)
        ours, theirs = base.canary["requests"], base.control["requests"]
        if metric.kind == "gauge":
            least, ours, theirs = _BUCKETS_OF_A_GAUGE, base.canary["buckets"], base.control["buckets"]
            what = "buckets"
        else:
            least, what = self.limits.min_requests, "requests"
        if min(ours, theirs) < least:
            reason = few_requests(ours, theirs, least, what)
            return replace(base, reason=replace(reason, text=f"{_title(sides)}: {reason.text}"))
        estimate = self._estimate(sides)
        if estimate is None:
            if base.canary["mean"] == base.control["mean"] == 0:
                return replace(base, verdict=Verdict.PASS, effect=0.0, reason=_said(base, sides, "no_regression", None))
            text = f"{_title(sides)}: the two sides have nothing in common that can be compared."
            return replace(base, reason=Reason("not_comparable", text))
        decided = self._decided(base, sides, estimate)
        if decided.verdict is not Verdict.FAIL and metric.kind == "latency" and metric.direction != "lower_is_worse":
            return self._tail(decided, sides) or decided
        return decided

    def _estimate(self, sides: Sides) -> Estimate | None:
        kind = sides.metric.kind
        if kind in ("errors", "apdex"):
            return _rates(sides, self.alpha)
        return ratio_of_levels(sides.canary, sides.control, self.alpha, paired=sides.compared_with == "control")

    def _tail(self, base: MetricResult, sides: Sides) -> MetricResult | None:
        """The result if measurements are far too long far more often than usual; None if not."""
        ours, our_rows = beyond_cap(sides.canary, sides.control)
        theirs, their_rows = beyond_cap(sides.control, sides.control)
        if not ours or not our_rows or not their_rows:
            return None
        estimate = ratio_of_rates(ours, our_rows, theirs, their_rows, self.alpha)
        if estimate.lower <= TAIL_GROWS or ours / our_rows - theirs / their_rows < LEAST_TAIL:
            return None
        text = (
            f"{_title(sides)}: {ours / our_rows:.1%} of {our_rows:.0f} measurements are more than {CAP:g} times "
            f"what is usual, {theirs / their_rows:.1%} {_other(sides)}."
        )
        numbers = {"canary": ours / our_rows, "control": theirs / their_rows, "measurements": our_rows}
        return replace(base, verdict=Verdict.FAIL, reason=Reason("tail_regressed", text, numbers))

    def _decided(self, base: MetricResult, sides: Sides, estimate: Estimate) -> MetricResult:
        metric, threshold = sides.metric, self.limits.threshold(sides.metric)
        margin = _HOSTS_DIFFER if metric.kind == "errors" else 0.0
        higher = estimate.lower > margin and estimate.effect >= threshold
        # Halving is as large a change as doubling.
        lower = estimate.upper < -margin and estimate.effect <= -threshold / (1.0 + threshold)
        if metric.kind == "errors":
            higher = higher and base.canary["mean"] - base.control["mean"] >= LEAST_ERRORS
        worse = {
            "higher_is_worse": higher,
            "lower_is_worse": lower,
            "either": higher or lower,
        }[metric.direction]
        result = replace(
            base,
            effect=estimate.effect,
            interval=(estimate.lower, estimate.upper),
            smallest_detectable=max(threshold, estimate.smallest),
        )
        if worse:
            reason = _said(result, sides, "metric_regressed", estimate)
            return replace(result, verdict=Verdict.FAIL, reason=reason)
        if metric.kind in ("latency", "gauge"):
            large = abs(estimate.effect) >= SUSPICIOUS[sides.compared_with] * threshold
            vague = estimate.smallest > DETECTABLE * threshold
            if vague or (large and _points_worse(metric, estimate.effect)):
                return replace(result, reason=_said(result, sides, "not_certain", estimate))
        return replace(result, verdict=Verdict.PASS, reason=_said(result, sides, "no_regression", estimate))


def _points_worse(metric: Metric, effect: float) -> bool:
    return {"higher_is_worse": effect > 0, "lower_is_worse": effect < 0, "either": True}[metric.direction]


def _rates(sides: Sides, alpha: float) -> Estimate:
    """Errors and apdex as counts: what went wrong, out of how many requests."""
    canary, control = _wrongs(sides.canary, sides.metric), _wrongs(sides.control, sides.metric)
    burst = max(burst_factor(*side) for side in (canary, control))
    wrongs, requests = zip(*((side[0].sum(), side[1].sum()) for side in (canary, control)), strict=True)
    estimate = ratio_of_rates(wrongs[0], requests[0], wrongs[1], requests[1], alpha, burst)
    if sides.metric.kind == "errors":
        return estimate
    # From the ratio of dissatisfaction back to the score: more dissatisfied is a lower score.
    wrong = float(wrongs[1] / requests[1])
    if wrong >= 1.0:
        return Estimate(0.0, -1.0, math.inf, math.inf)
    ours = float(wrongs[0] / requests[0])

    def score(ratio: float) -> float:
        return (1.0 - min(1.0, ratio * max(wrong, 1e-6))) / (1.0 - wrong) - 1.0

    return Estimate(
        (1.0 - ours) / (1.0 - wrong) - 1.0,
        score(estimate.upper + 1.0),
        score(estimate.lower + 1.0),
        -score(estimate.smallest + 1.0),
    )


def _wrongs(rows: Rows, metric: Metric) -> tuple[np.ndarray, np.ndarray]:
    """For each bucket of each instance how much went wrong, in how many requests."""
    wrong = rows.value if metric.kind == "errors" else (1.0 - rows.value.clip(0.0, 1.0)) * rows.count
    times, bucket = np.unique(rows.time, return_inverse=True)
    cells, cell = np.unique(rows.instance * len(times) + bucket, return_inverse=True)
    return summed(cell, wrong, len(cells)), summed(cell, rows.count, len(cells))


def _judge_throughput(base: MetricResult, sides: Sides) -> MetricResult:
    """How much traffic an instance gets is the router's business; only that it all but stops is the release's."""
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
            text = f"{_title(sides)}: collapsed to {now[0]:.0f} requests where {expected:.0f} were to be expected."
            numbers = {"observed": now[0], "expected": expected}
            return replace(result, verdict=Verdict.FAIL, reason=Reason("metric_regressed", text, numbers))
    text = f"{_title(sides)}: {ours:.3g} per instance and bucket, {theirs:.3g} on the {sides.compared_with} side."
    reason = Reason("no_regression", text, {"canary": ours, "control": theirs})
    return replace(result, verdict=Verdict.PASS, reason=reason)


def _said(result: MetricResult, sides: Sides, code: str, estimate: Estimate | None) -> Reason:
    """The reason in words and numbers."""
    unit = f" {result.unit}" if result.unit else ""
    ours, theirs = result.canary["mean"], result.control["mean"]
    text = f"{_title(sides)}: {ours:.4g}{unit} against {theirs:.4g}{unit} {_other(sides)}"
    numbers: dict[str, float | int | str | None] = {"canary": ours, "control": theirs}
    if estimate is not None:
        ends = f"{_percent(estimate.lower)} to {_percent(estimate.upper)}"
        text += f", {_percent(estimate.effect)} ({ends}; a change of {result.threshold:.0%} counts)"
        numbers |= {
            "effect": estimate.effect,
            "lower": estimate.lower,
            "upper": estimate.upper,
            "threshold": result.threshold,
            "smallest_detectable": result.smallest_detectable,
        }
    text += f" over {result.canary['requests']:.0f} requests"
    if code == "not_certain" and estimate is not None:
        text += f": not certain, only a change of {_percent(estimate.smallest)} would have been"
    return Reason(code, text + ".", {**numbers, "canary_requests": result.canary["requests"]})


def _percent(share: float) -> str:
    return f"{share:+.0%}" if math.isfinite(share) else "no bound"


def _other(sides: Sides) -> str:
    return "on the control" if sides.compared_with == "control" else "before"


def _title(sides: Sides) -> str:
    return f"{sides.metric.name} of {sides.group}" if sides.group else sides.metric.name


def _summary(rows: Rows, metric: Metric) -> dict[str, float]:
    """``mean`` (a share for errors, per instance and bucket for throughput), ``requests`` and ``buckets``."""
    buckets = float(len(np.unique(rows.time)))
    summary = {"mean": 0.0, "requests": rows.requests, "buckets": buckets}
    if metric.kind == "errors":
        summary["errors"] = float(rows.value.sum())
        summary["mean"] = summary["errors"] / rows.requests if rows.requests else 0.0
    elif metric.kind == "throughput":
        cells = buckets * len(np.unique(rows.instance))
        summary["mean"] = float(rows.value.sum()) / cells if cells else 0.0
    elif rows.requests:
        summary["mean"] = float(rows.total.sum() / rows.requests)
    return summary


def series_of(sides: Sides) -> dict[str, list[tuple[str, float]]]:
    """Points over time of either side, pooled over instances and groups, thinned to :data:`POINTS_KEPT`."""
    return {"canary": _points(sides.canary, sides.metric), "control": _points(sides.control, sides.metric)}


def _points(rows: Rows, metric: Metric) -> list[tuple[str, float]]:
    times = np.unique(rows.time)
    step = max(1, math.ceil(len(times) / POINTS_KEPT))
    points = []
    for start in range(0, len(times), step):
        part = rows.where((rows.time >= times[start]) & (rows.time <= times[min(start + step, len(times)) - 1]))
        points.append((iso_time(int(times[start])), _summary(part, metric)["mean"]))
    return points
