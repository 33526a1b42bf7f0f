"""The judge of this project on many runs at once.

It is the judge's own arithmetic, the one :func:`~airflow_cd.verification.metrics.performance.judge_performance` calls,
with an axis more. Only what turns a source's rows into arrays is left out.
``tests/verification/metrics/test_metric_quality_bounds.py`` holds both against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airflow_cd.verification.metrics.cells import Cells, Comparison, compare
from airflow_cd.verification.metrics.course import SHAPE_PART
from airflow_cd.verification.metrics.evidence import regressed
from airflow_cd.verification.metrics.judge import LATELY, NEW, still_worse
from airflow_cd.verification.metrics.limits import APDEX_PART, Limits
from airflow_cd.verification.metrics.null import COUNTED, NOTHING_TAUGHT, Taught
from airflow_cd.verification.metrics.performance import allowances
from airflow_cd.verification.metrics.profile import Lesson
from airflow_cd.verification.metrics.result_figures import LEAST_ERRORS, SHAPED
from airflow_cd.verification.metrics.shape import FarOut, Moments, far_out
from airflow_cd.verification.metrics.warm_up import DISCOUNT, LONGEST, Tried, weakest
from airflow_cd.verification.metrics.weighing import Weighed
from airflow_cd.verification.samples import Metric
from benchmarks.metric_model import Side

MINIMUM_EFFECT = 0.2
SENSITIVITY = "medium"
FIRST_LOOK = 2


def taught_by(metric: Metric, deployments: Sequence[tuple[Side, Side]]) -> Taught:
    """What earlier deployments teach, each as its canary and its control."""
    if not deployments:
        return NOTHING_TAUGHT
    lessons = [Lesson.of(compared(metric, canary, control)) for canary, control in deployments]
    together = lessons[0]
    for lesson in lessons[1:]:
        together = together.plus(lesson)
    return together.taught()


@dataclass(frozen=True)
class Setting:
    """How the judge is asked.

    :param taught: what earlier deployments taught.
    :param metrics: how many metrics the verification has.
    """

    taught: Taught
    metrics: int


def first_alarms(metric: Metric, canary: Side, control: Side, settings: Sequence[Setting]) -> list[np.ndarray]:
    """For each setting the minute in which each run fails, infinite where it never does; looked at every minute."""
    minutes = canary.value.shape[2]
    first = [np.full(len(canary.value), np.inf) for _ in settings]
    for look in range(minutes, FIRST_LOOK - 1, -1):
        failed = failed_at(metric, canary.until(look), control.until(look), settings)
        for alarms, now in zip(first, failed, strict=True):
            alarms[now] = look
    return first


def failed_at(metric: Metric, canary: Side, control: Side, settings: Sequence[Setting]) -> list[np.ndarray]:
    """Whether each run fails when it is looked at once, at its end: all hosts together, or one by itself."""
    hosts = canary.value.shape[1]
    several = hosts if hosts > 1 else 0
    allowed = [allowances(SENSITIVITY, setting.metrics, 0, setting.metrics * several) for setting in settings]
    whole = [alpha for alpha, _, _ in allowed]
    failed = _failed(metric, canary, control, settings, whole)
    for host in range(several):
        one = Side(canary.value[:, host : host + 1], canary.count[:, host : host + 1])
        single = _failed(metric, one, control, settings, [alpha for _, _, alpha in allowed])
        failed = [before | now for before, now in zip(failed, single, strict=True)]
    return failed


def _failed(
    metric: Metric, canary: Side, control: Side, settings: Sequence[Setting], alphas: Sequence[float]
) -> list[np.ndarray]:
    minutes = canary.value.shape[2]
    limits = Limits(MINIMUM_EFFECT, 1, float(LONGEST))
    tried = limits.lengths(60_000.0 * minutes, 60_000.0, metric.kind)
    cuts = [(round(length / 60_000), discount) for length, discount in tried]
    parts = {
        length: (compared(metric, canary.after(length), control.after(length)) if length < minutes else None)
        for length, _ in cuts
    }
    last = minutes - max(1, round(LATELY * minutes))
    lately = compared(metric, canary.after(last), control.after(last))
    whole = compared(metric, canary, control)
    new = 60_000 * minutes <= NEW * LONGEST
    still = still_worse(lately, whole, metric.kind, metric.direction, MINIMUM_EFFECT, new=new)
    shares = [_share(side) for side in (canary, control)]
    warm = min(round(LONGEST / 60_000), minutes)
    shapes = []
    for length, discount in ((0, 0.0), (warm, DISCOUNT)) if metric.kind in SHAPED else ():
        if length < minutes:
            shapes.append((_shape(metric, canary.after(length), control.after(length)), discount))
    failed = []
    for setting, alpha in zip(settings, alphas, strict=True):
        level = alpha if metric.kind in COUNTED else alpha * (1.0 - SHAPE_PART)
        weighed = [
            Tried(
                length,
                discount,
                None if part is None else Weighed.of(part, setting.taught, metric.kind, metric.direction, level),
            )
            for (length, discount), part in zip(cuts, parts.values(), strict=True)
        ]
        bad = _worse(metric, weighed, still, shares, level)
        if shapes:
            limit = -np.log(alpha * SHAPE_PART)
            bad |= np.logical_and.reduce(
                [(shape.evidence + discount >= limit) & shape.worse for shape, discount in shapes]
            )
        failed.append(bad)
    return failed


def _shape(metric: Metric, canary: Side, control: Side) -> FarOut:
    moments = [Moments(side.value, side.value > 0) for side in (canary, control)]
    usual = np.broadcast_to(np.median(control.value, axis=(1, 2))[:, None], canary.value.shape[:2])
    return far_out(*moments, usual, metric.direction, MINIMUM_EFFECT)


def _worse(
    metric: Metric,
    tried: Sequence[Tried],
    still: np.ndarray,
    shares: Sequence[np.ndarray],
    alpha: float,
) -> np.ndarray:
    doubted = weakest(tried)
    effect, threshold = doubted.effect, MINIMUM_EFFECT
    if metric.kind == "apdex":
        threshold *= APDEX_PART
        effect = (1.0 - shares[0]) / (1.0 - shares[1]) - 1.0
    failed = regressed(doubted.evidence, effect, alpha, threshold, metric.direction)
    if metric.kind == "errors":
        return failed & (shares[0] - shares[1] >= LEAST_ERRORS)
    return failed & still


def compared(metric: Metric, canary: Side, control: Side) -> Comparison:
    """Both sides as the judge compares them."""
    counts = metric.kind in COUNTED
    sides = [_cells(metric, side) for side in (canary, control)]
    level = sides[1].total.sum(axis=(1, 2)) / sides[1].expected.sum(axis=(1, 2))
    if counts:
        level = np.maximum(sides[1].total.sum(axis=(1, 2)), 0.5) / sides[1].expected.sum(axis=(1, 2))
    ours, theirs = (Cells(side.total, side.expected * level[:, None, None], side.count) for side in sides)
    return compare(ours, theirs, counts=counts)


def _cells(metric: Metric, side: Side) -> Cells:
    one = np.ones_like(side.value)
    if metric.kind == "gauge":
        return Cells(side.value, one, one)
    if metric.kind == "throughput":
        return Cells(side.value, one, one)
    if metric.kind == "errors":
        return Cells(side.value, side.count, side.count)
    if metric.kind == "apdex":
        return Cells((1.0 - side.value) * side.count, side.count, side.count)
    return Cells(side.value * side.count, side.count, side.count)


def _share(side: Side) -> np.ndarray:
    """Errors per request, or dissatisfaction where values are scores."""
    wrong = side.value if side.value.max() > 1.0 else (1.0 - side.value) * side.count
    return wrong.sum(axis=(1, 2)) / np.maximum(side.count.sum(axis=(1, 2)), 1.0)
