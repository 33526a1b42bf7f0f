"""One metric of one canary: the rule of its kind that judges it, and the reason in words and numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from airflow_cd.verification.metrics.cells import CAP, Comparison
from airflow_cd.verification.metrics.evidence import Estimate, regressed
from airflow_cd.verification.metrics.kinds import LEVELS
from airflow_cd.verification.metrics.null import COUNTED, NOTHING_TAUGHT, Taught
from airflow_cd.verification.metrics.rows import Rows, summed
from airflow_cd.verification.metrics.shape import SCATTERS, scatter, tail_grown
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.weighing import Weighed
from airflow_cd.verification.samples import Direction, Metric
from airflow_cd.verification.times import iso_time_of
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

POINTS_KEPT = 240  # of a series in the evidence
DETECTABLE = 5.0  # times the minimum effect: less precise than that is no reason to pass
# What is compared with another time is less sure by nature; the same demands there would let nothing pass.
SUSPICIOUS = {"control": 1.5, "before": 2.5}  # times the minimum effect: an uncertain change so large is none to pass
APDEX_PART = 0.25  # of the minimum effect: a score that ends at 1 moves less than a duration
LEAST_ERRORS = 0.001  # increase of the error share below which it does not matter, however sure
FULL_BUCKET = 20.0  # requests in an instance's bucket; of fewer, one slow request is all the scatter there is
SHAPE_PART = 0.1  # of the false alarms allowed to a level: that it scatters, and that its tail grows; each half
_COLLAPSED = 0.1  # of its share of the traffic before
_ENOUGH_TO_COLLAPSE = 30.0  # requests to be expected
_BUCKETS_OF_A_GAUGE = 5
_LEAST_FREEDOM = 3.0
_MOSTLY = 0.5  # of the rows: more without a number, and the rest is no picture of the whole


@dataclass(frozen=True)
class Limits:
    """What a judgement is held to; see :func:`~airflow_cd.verification.metrics.performance.judge_performance`.

    :param minimum_effect: smallest relative change that counts as a regression: 0.2 is 20 %.
    :param min_requests: fewest requests on either side to judge by.
    """

    minimum_effect: float
    min_requests: int

    def threshold(self, metric: Metric) -> float:
        """Smallest relative change of this metric that counts.

        :param metric: which metric.
        """
        return self.minimum_effect * (APDEX_PART if metric.kind == "apdex" else 1.0)


def few_requests(canary: float, control: float, least: int, what: str = "requests") -> Reason:
    """The reason that there was too little traffic to judge by.

    :param canary: how many there were on the canary; ``control`` likewise.
    :param least: how many are needed on each side.
    :param what: what was counted.
    """
    text = (
        f"{canary:.0f} {what} on the canary and {control:.0f} on the other side, at least {least} are needed on each."
    )
    return Reason("few_requests", text, {"canary_requests": canary, "control_requests": control, "least": least})


class Judge:
    """Judges one metric at a time.

    :param limits: what every metric is held to.
    :param alpha: chance of a false alarm allowed to each.
    """

    def __init__(self, limits: Limits, alpha: float) -> None:
        self.limits = limits
        self.alpha = alpha

    def judge(self, sides: Sides, taught: Taught = NOTHING_TAUGHT) -> MetricResult:
        """Judge these rows.

        :param sides: the rows of one metric on either side.
        :param taught: what earlier deployments taught about the metric.
        """
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
            canary={**_summary(sides.canary, metric), **({"gaps": float(sides.gaps)} if sides.gaps else {})},
            control=_summary(sides.control, metric),
            compared_with=sides.compared_with,
        )
        open_reason = self._not_to_be_judged(base, sides)
        if open_reason is not None:
            return replace(base, reason=open_reason)
        if metric.kind == "throughput" and (metric.direction == "either" or not sides.paired):
            return _judge_throughput(base, sides)
        comparison = sides.compare()
        if comparison is None or _says_too_little(comparison, taught, metric):
            return _not_comparable(base, sides)
        decided = self._level(base, sides, comparison, taught)
        if decided.verdict is not Verdict.FAIL and metric.kind in LEVELS:
            decided = self._shape(decided, sides, comparison, taught) or decided
        if decided.verdict is not Verdict.FAIL and sides.started_late() and not sides.group:
            text = f"{_title(sides)}: the canary has data for less than half of the time that the control has."
            return replace(decided, verdict=Verdict.INCONCLUSIVE, reason=Reason("started_late", text))
        return decided

    def _not_to_be_judged(self, base: MetricResult, sides: Sides) -> Reason | None:
        """Why these rows say nothing, if so."""
        kind = base.kind
        if max(sides.unusable, sides.control_unusable) > _MOSTLY:
            text = (
                f"{_title(sides)}: {sides.unusable:.0%} of the canary's rows and {sides.control_unusable:.0%} of the "
                "other side's hold no usable number."
            )
            numbers = {"canary": sides.unusable, "control": sides.control_unusable}
            return Reason("not_numbers", text, numbers)
        if not len(sides.canary) or not len(sides.control):
            return base.reason
        if kind == "throughput":
            return None
        ours, theirs = base.canary["requests"], base.control["requests"]
        least, what = self.limits.min_requests, "requests"
        if kind in ("gauge", "count", "share"):
            least, what = _BUCKETS_OF_A_GAUGE, "buckets"
            ours, theirs = base.canary["buckets"], base.control["buckets"]
        if min(ours, theirs) >= least:
            return None
        reason = few_requests(ours, theirs, least, what)
        return replace(reason, text=f"{_title(sides)}: {reason.text}")

    def _level(self, base: MetricResult, sides: Sides, comparison: Comparison, taught: Taught) -> MetricResult:
        """The result by the mean, the share or the number."""
        metric, threshold = sides.metric, self.limits.threshold(sides.metric)
        alpha = self.alpha if metric.kind in COUNTED else self.alpha * (1.0 - SHAPE_PART)
        weighed = Weighed.of(comparison, taught, metric.kind, sides.direction, alpha, paired=sides.paired)
        estimate = weighed.estimate()
        if metric.kind == "apdex":
            estimate = _score(estimate, float(comparison.control_exposure), comparison, base)
        worse = bool(regressed(weighed.evidence, estimate.effect, alpha, threshold, sides.direction))
        if metric.kind == "errors" and estimate.effect > 0:
            worse = worse and base.canary["mean"] - base.control["mean"] >= LEAST_ERRORS
        result = replace(
            base,
            effect=estimate.effect,
            interval=(estimate.lower, estimate.upper),
            smallest_detectable=max(threshold, estimate.smallest),
        )
        if worse:
            reason = _reason(result, sides, "metric_regressed", estimate)
            return replace(result, verdict=Verdict.FAIL, reason=reason)
        if metric.kind in LEVELS:
            large = abs(estimate.effect) >= SUSPICIOUS[sides.compared_with] * threshold
            vague = estimate.smallest > DETECTABLE * threshold
            if vague or (large and _points_worse(sides.direction, estimate.effect)):
                return replace(result, reason=_reason(result, sides, "not_certain", estimate))
        return replace(result, verdict=Verdict.PASS, reason=_reason(result, sides, "no_regression", estimate))

    def _shape(self, base: MetricResult, sides: Sides, comparison: Comparison, taught: Taught) -> MetricResult | None:
        """The result if measurements hang or scatter far more than usual; None if not."""
        alpha = self.alpha * SHAPE_PART / 2.0
        if base.kind == "latency" and base.direction != "lower_is_worse":
            tail = tail_grown(sides.canary, sides.control, alpha)
            if tail is not None:
                text = (
                    f"{_title(sides)}: {tail.canary:.1%} of {tail.rows:.0f} measurements are more than {CAP:g} times "
                    f"what is usual, {tail.control:.1%} {_other(sides)}."
                )
                numbers = {"canary": tail.canary, "control": tail.control, "measurements": tail.rows}
                return replace(base, verdict=Verdict.FAIL, reason=Reason("tail_regressed", text, numbers))
        if base.kind == "latency" and base.canary["requests"] < FULL_BUCKET * len(sides.canary):
            return None
        weighed = Weighed.of(comparison, taught, sides.metric.kind, "either", alpha, paired=sides.paired)
        evidence, times = (float(number) for number in scatter(comparison, taught, weighed.null))
        if not sides.paired or evidence < -math.log(alpha) or times < SCATTERS:
            return None
        text = f"{_title(sides)}: it scatters {times:.1f} times as much as {_other(sides)}, at the same level."
        numbers = {"times": times, "threshold": SCATTERS, "buckets": base.canary["buckets"]}
        return replace(base, verdict=Verdict.FAIL, reason=Reason("variance_regressed", text, numbers))


def _says_too_little(comparison: Comparison, taught: Taught, metric: Metric) -> bool:
    """Whether nobody knows how much a measurement varies: neither the comparison nor history has enough of them."""
    return metric.kind not in COUNTED and bool(comparison.freedom + taught.spread_freedom < _LEAST_FREEDOM)


def _not_comparable(base: MetricResult, sides: Sides) -> MetricResult:
    if base.canary["mean"] == base.control["mean"] == 0:
        reason = _reason(base, sides, "no_regression", None)
        return replace(base, verdict=Verdict.PASS, effect=0.0, reason=reason)
    text = f"{_title(sides)}: the two sides have nothing in common that can be compared."
    return replace(base, reason=Reason("not_comparable", text))


def _points_worse(direction: Direction, effect: float) -> bool:
    return {"higher_is_worse": effect > 0, "lower_is_worse": effect < 0, "either": True}[direction]


def _score(estimate: Estimate, exposure: float, comparison: Comparison, result: MetricResult) -> Estimate:
    """From the ratio of dissatisfaction back to the Apdex score: more dissatisfied is a lower score."""
    requests = result.control["requests"]
    wrong = min(1.0, max(float(comparison.control_ratio) * exposure, 0.5) / requests) if requests else 1.0
    ours, theirs = result.canary["mean"], result.control["mean"]
    if wrong >= 1.0 or theirs <= 0.0:
        return Estimate(0.0, -1.0, math.inf, math.inf)

    def score(change: float) -> float:
        return (1.0 - min(1.0, (1.0 + change) * wrong)) / (1.0 - wrong) - 1.0

    return Estimate(ours / theirs - 1.0, score(estimate.upper), score(estimate.lower), -score(estimate.smallest))


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


def _reason(result: MetricResult, sides: Sides, code: str, estimate: Estimate | None) -> Reason:
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
    """Points over time of either side, pooled over instances and groups, thinned to :data:`POINTS_KEPT`.

    :param sides: the rows of one metric on either side.
    """
    return {"canary": _points(sides.canary, sides.metric), "control": _points(sides.control, sides.metric)}


def means_of(sides: Sides) -> dict[str, float]:
    """Mean of each canary instance.

    :param sides: the rows of one metric on either side.
    """
    return {name: _summary(sides.of_instance(name).canary, sides.metric)["mean"] for name in sides.instances}


def _points(rows: Rows, metric: Metric) -> list[tuple[str, float]]:
    times, bucket = np.unique(rows.time, return_inverse=True)
    step = max(1, math.ceil(len(times) / POINTS_KEPT))
    point = bucket // step
    size = -(-len(times) // step)
    counted = metric.kind in ("errors", "throughput")
    totals = summed(point, rows.value if counted else rows.total, size)
    divisor = summed(point, rows.count, size)
    if metric.kind == "throughput":
        cells = np.unique(bucket * (int(rows.instance.max(initial=0)) + 1) + rows.instance, return_index=True)[1]
        divisor = summed(point[cells], np.ones(len(cells)), size)
    values = np.divide(totals, divisor, out=np.zeros(size), where=divisor > 0)
    return [(iso_time_of(int(when)), float(value)) for when, value in zip(times[::step], values, strict=True)]
