"""The figures that a result shows: what a person reads beside a change, and whether anybody would notice it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from airflow_cd.verification.metrics.evidence import Estimate
from airflow_cd.verification.metrics.illustration import summary_of
from airflow_cd.verification.metrics.kinds import LEVELS
from airflow_cd.verification.metrics.least_change import least_change
from airflow_cd.verification.metrics.series.scale import AS_IT_IS
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.weighing import Weighed
from airflow_cd.verification.metrics.words import number, share
from airflow_cd.verification.samples import Direction
from airflow_cd.verification.verdict import MetricResult

LEAST_ERRORS = 0.001  # increase of the error share below which it does not matter, however sure
SHAPED = LEVELS  # kinds whose values may be far out


def figure(value: float, result: MetricResult) -> str:
    """A value of a metric as its result shows it.

    :param value: in the unit of the metric; of a share, a part of 1.
    :param result: of the metric.
    """
    return share(value) if result.kind == "share" else number(value, result.unit)


def with_means(base: MetricResult, sides: Sides) -> MetricResult:
    """The result with the figures of these rows.

    :param base: the result so far.
    :param sides: its rows.
    """
    canary, control = (summary_of(rows, sides.metric) for rows in (sides.as_measured(), sides.control))
    return replace(base, canary={**base.canary, **canary}, control={**base.control, **control})


def with_figures(base: MetricResult, shown: Sides, weighed: Weighed, warm_up: float) -> MetricResult:
    """The result with figures that say what the comparison says: of the same rows, load and mix of groups.

    :param base: the result so far.
    :param shown: the rows that were compared.
    :param weighed: the comparison.
    :param warm_up: milliseconds after a start that were left out of it; 0 for none.
    """
    canary, control = dict(base.canary), dict(base.control)
    if warm_up:
        canary |= {**summary_of(shown.as_measured(), shown.metric), "warm_up": warm_up / 1000.0}
        control |= summary_of(shown.control, shown.metric)
    # The figure beside the canary's is what a control would show at its load.
    if base.kind in SHAPED and shown.scale == AS_IT_IS:
        whole = shown.compare(capped=False)
        if whole is not None:
            canary["mean"] *= float(weighed.comparison.ratio / whole.ratio)
        control["mean"] = canary["mean"] / float(np.exp(weighed.comparison.log_ratio))
    else:
        control["mean"] *= shown.load
    if shown.load != 1.0:
        canary["load"] = shown.load
    return replace(base, canary=canary, control=control)


def change_of(result: MetricResult, sides: Sides, estimate: Estimate) -> tuple[float, tuple[float, float] | None]:
    """The change that goes with the figures of a result, and its interval where it has one on their scale.

    :param result: with its figures.
    :param sides: the rows that were compared.
    :param estimate: the change on the scale on which they were compared.
    """
    if sides.scale == AS_IT_IS:
        return estimate.effect, (min(estimate.lower, estimate.effect), max(estimate.upper, estimate.effect))
    ours, theirs = result.canary["mean"], result.control["mean"]
    below = theirs < 0 and ours <= 0 and sides.metric.direction == "either"
    if (theirs > 0 and ours >= 0) or below:
        return ours / theirs - 1.0, None
    return (math.inf if theirs == 0 and ours > 0 else estimate.effect), None


def points_worse(direction: Direction, effect: float) -> bool:
    """Whether a relative change goes the way in which a metric gets worse.

    :param direction: of the metric.
    :param effect: the change.
    """
    return {"higher_is_worse": effect > 0, "lower_is_worse": effect < 0, "either": True}[direction]


def shown_worse(result: MetricResult) -> bool:
    """Whether the figures of a result do not say the contrary: on its own scale a level may be worse at a better mean.

    :param result: with its figures.
    """
    ours, theirs = result.canary["mean"], result.control["mean"]
    return {"higher_is_worse": ours >= theirs, "lower_is_worse": ours <= theirs, "either": True}[result.direction]


def matters(result: MetricResult, sides: Sides) -> bool:
    """Whether the change is one that anybody would notice.

    :param result: with its figures.
    :param sides: the rows that were compared.
    """
    difference = abs(result.canary["mean"] - result.control["mean"])
    if result.kind == "errors":
        return difference >= LEAST_ERRORS
    return difference >= least_change(sides.metric, sides.canary.value, sides.control.value)
