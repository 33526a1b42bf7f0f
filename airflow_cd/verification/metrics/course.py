"""What the mean of a level does not say: values far out too often, a straight climb, a change that begins late."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from airflow_cd.verification.metrics.findings import compared_words, reason_of, title_of
from airflow_cd.verification.metrics.late import late_change
from airflow_cd.verification.metrics.least_change import least_change
from airflow_cd.verification.metrics.limits import Limits
from airflow_cd.verification.metrics.load import Load, at_usual_load, goes_with_requests
from airflow_cd.verification.metrics.null import Taught
from airflow_cd.verification.metrics.result_figures import (
    change_of,
    figure,
    matters,
    points_worse,
    with_figures,
    with_means,
)
from airflow_cd.verification.metrics.shape import FarOut, coarseness, far_out
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.trend import Climb, climb
from airflow_cd.verification.metrics.warm_up import DISCOUNT
from airflow_cd.verification.metrics.weighing import Weighed
from airflow_cd.verification.metrics.words import duration
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

DETECTABLE = 5.0  # times the minimum effect: less precise than that is no reason to pass
QUARTER_SURE = 0.25  # of the evidence that a failure needs, where the figures are twice as large
HALF_SURE = 0.5  # the same: below it a change is as likely chance
FULL_BUCKET = 20.0  # requests in an instance's bucket; of fewer, one slow request is all the scatter there is
SHAPE_PART = 0.2  # of the false alarms allowed to a level: that values are far out too often
_CLIMB_PART = 0.1  # the same, that it climbs in a straight line
_LATER_HALF, _MOSTLY = 0.5, 0.75  # of the time, and of the moments in it that are beyond all
_FEWEST_LATELY = 8  # moments
_FAR_BEYOND = 2.0  # times the worst there ever was: to fail
_FELT_LEVELS = ("latency", "share")  # kinds of which a change that begins late is asked: load does not set them


@dataclass(frozen=True)
class Held:
    """What a metric is held to.

    :param limits: of every metric.
    :param alpha: chance of a false alarm allowed to this one.
    :param load: how much more or less than the other side the canary has to do; None if that is unknown.
    """

    limits: Limits
    alpha: float
    load: Load | None = None


def far_out_too_often(held: Held, base: MetricResult, sides: Sides, taught: Taught) -> MetricResult | None:
    """The result if values are far out far more often than on the other side; None if not.

    :param held: what the metric is held to.
    :param base: the result so far.
    :param sides: its rows.
    :param taught: what earlier deployments taught about the metric.
    """
    ours, theirs = (rows.requests / max(1, len(rows)) for rows in (sides.canary, sides.control))
    if base.kind == "latency" and ours < FULL_BUCKET and ours < 0.5 * theirs:
        return None  # of fewer requests the slowest weighs more
    found: FarOut | None = None
    needed, sure = -math.log(held.alpha * SHAPE_PART), True
    for length, discount in ((0.0, 0.0), (held.limits.longest(sides.watched), DISCOUNT)):
        canary, control, usual = sides.older_than(length).moments()
        if not len(canary.value) or not len(control.value):
            return None
        least = least_change(sides.metric, sides.canary.value, sides.control.value)
        coarse = coarseness(sides.as_measured().value, sides.control.value) if base.kind == "gauge" else 0.0
        found = far_out(canary, control, usual, sides.direction, held.limits.minimum_effect, least, coarse)
        if not found.worse:
            return None
        # How far out they are counts too: what is cut from a mean is here what it is about.
        evidence = max(float(found.evidence), _uncut(held, sides.older_than(length), taught)) + discount
        sure = sure and evidence >= needed
        if evidence < (QUARTER_SURE if _doubled(held, sides, base) else HALF_SURE) * needed:
            return None
    if found is None or not (sure or base.verdict is Verdict.PASS):
        return None
    level, bounds = _bounds(found, base, sides)
    text = (
        f"{title_of(sides)}: {bounds} in {found.moments:.0f} of {found.of:.0f} moments, "
        f"in {found.control_moments:.0f} of {found.control_of:.0f} {compared_words(sides)}"
        f"{'' if sure else ': too few to tell from chance'}."
    )
    numbers = {
        "canary": float(found.moments / found.of),
        "control": float(found.control_moments / found.control_of),
        "moments": float(found.of),
        "limit": level,
    }
    verdict = Verdict.FAIL if sure else Verdict.INCONCLUSIVE
    return replace(base, verdict=verdict, reason=Reason("far_out" if sure else "not_certain", text, numbers))


def _bounds(found: FarOut, base: MetricResult, sides: Sides) -> tuple[float, str]:
    """Where values are far out, as a level and in words."""
    usual, limit = float(np.nanmedian(found.usual)), float(found.limit)
    above, below = (sides.scale.back(level) * sides.load for level in (usual * limit, usual / limit))
    if sides.metric.direction == "either":
        if below <= 0.0 <= above:
            return above, f"above {figure(above, base)}"
        return above, f"below {figure(below, base)} or above {figure(above, base)}"
    level = below if sides.direction == "lower_is_worse" else above
    return level, f"{'below' if base.direction == 'lower_is_worse' else 'above'} {figure(level, base)}"


def _uncut(held: Held, sides: Sides, taught: Taught) -> float:
    """Logarithm of the e-value that the mean changed for the worse, with every value as it is."""
    comparison = sides.compare(capped=False)
    if comparison is None:
        return 0.0
    alpha, kind = held.alpha * SHAPE_PART, sides.metric.kind
    weighed = Weighed.of(comparison, taught, kind, sides.direction, alpha, paired=sides.paired)
    return float(weighed.evidence) if points_worse(sides.direction, float(weighed.effect)) else 0.0


def _doubled(held: Held, sides: Sides, base: MetricResult) -> bool:
    """Whether the figures that a person is shown are so far apart that a pass would contradict them."""
    effect = base.effect or 0.0
    return abs(effect) >= DETECTABLE * held.limits.minimum_effect and points_worse(sides.metric.direction, effect)


def climbing(held: Held, base: MetricResult, sides: Sides) -> MetricResult | None:
    """The result if the level climbs in a straight line; None if not.

    :param held: what the metric is held to.
    :param base: the result so far.
    :param sides: its rows.
    """
    less = sides.load < 1.0
    if (sides.paired and sides.load > 1.0) or (less and sides.metric.direction != "higher_is_worse"):
        return None
    if sides.load != 1.0:
        sides = replace(sides.scaled(sides.load), load=1.0)
        base = with_means(base, sides)
    grown = sides.older_than(held.limits.longest(sides.watched))
    found = climb(grown, held.limits.minimum_effect, less_load=less)
    if found is None or not _is_sure(held, found):
        return None
    asked = held.load.over_time if held.load is not None else None
    if asked is not None and goes_with_requests(sides.metric):
        beside = climb(at_usual_load(grown, asked), held.limits.minimum_effect)
        if beside is None or not _is_sure(held, beside):
            return None
    if abs(found.last - base.control["mean"]) < least_change(sides.metric, sides.canary.value, sides.control.value):
        return None
    goes = "falls" if found.last < found.first else "climbs"
    text = (
        f"{title_of(sides)}: {goes} without levelling off, from {figure(found.first, base)} to "
        f"{figure(found.last, base)} in {duration(found.seconds)}; "
        f"{figure(base.control['mean'], base)} {compared_words(sides)}."
    )
    numbers = {"first": found.first, "last": found.last, "seconds": found.seconds, "steps": found.steps}
    return replace(base, verdict=Verdict.FAIL, reason=Reason("climbs", text, numbers))


def beyond_all(held: Held, base: MetricResult, sides: Sides) -> MetricResult | None:
    """The result if a level got worse than it had ever been before and stayed so; None if not.

    A level that gets there in steps looks as if it varied too much to be judged.

    :param held: what the metric is held to.
    :param base: the result so far.
    :param sides: its rows.
    """
    if sides.paired or base.kind != "gauge" or sides.metric.direction == "either":
        return None
    lately = sides.lately(_LATER_HALF)
    ours, theirs = (sides.scale.of(rows).value for rows in (lately.canary, sides.control))
    if len(ours) < _FEWEST_LATELY or len(theirs) < _FEWEST_LATELY or min(ours.min(), theirs.min()) <= 0:
        return None
    sign = -1.0 if sides.direction == "lower_is_worse" else 1.0
    worst = float(np.max(sign * np.log(theirs)))
    beyond = float(np.quantile(sign * np.log(ours), 1.0 - _MOSTLY)) - worst
    if beyond < math.log1p(held.limits.threshold(sides.metric)):
        return None
    level, ever = float(np.median(lately.canary.value)), sides.scale.back(math.exp(sign * worst))
    if abs(level - ever) < least_change(sides.metric, sides.canary.value, sides.control.value):
        return None
    text = (
        f"{title_of(sides)}: {figure(level * sides.load, base)} in the last {duration(lately.watched / 1000.0)}, "
        f"never {'below' if sign < 0 else 'above'} {figure(ever * sides.load, base)} {compared_words(sides)}."
    )
    numbers = {"canary": level, "control": ever, "seconds": lately.watched / 1000.0}
    sure = beyond >= math.log(_FAR_BEYOND)
    verdict, code = (Verdict.FAIL, "metric_regressed") if sure else (Verdict.INCONCLUSIVE, "not_certain")
    return replace(base, verdict=verdict, reason=Reason(code, text, numbers))


def _is_sure(held: Held, found: Climb) -> bool:
    return found.steps**2 / 2.0 >= -math.log(held.alpha * _CLIMB_PART)


def changed_late(held: Held, base: MetricResult, sides: Sides, taught: Taught) -> MetricResult | None:
    """The result if users have felt a change in the last part of the time; None if not.

    :param held: what the metric is held to.
    :param base: the result so far.
    :param sides: its rows.
    :param taught: what earlier deployments taught about the metric.
    """
    if base.kind not in _FELT_LEVELS:
        return None
    grown = sides.older_than(held.limits.longest(sides.watched))
    threshold = held.limits.threshold(sides.metric)
    found = late_change(grown, taught, held.alpha, threshold)
    if found is None:
        return None
    result = with_figures(with_means(base, found.sides), found.sides, found.weighed, 0.0)
    if not matters(result, found.sides):
        return None
    estimate = found.weighed.estimate()
    effect, interval = change_of(result, found.sides, estimate)
    result = replace(result, effect=effect, interval=interval, verdict=Verdict.FAIL)
    reason = reason_of(result, found.sides, "metric_regressed", estimate)
    text = f"{reason.text[:-1]}, in the last {duration(found.seconds)} and still."
    return replace(result, reason=replace(reason, text=text))
