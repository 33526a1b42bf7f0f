"""The judge of this project on many runs at once.

It is the judge's own arithmetic, the one :func:`~airflow_cd.verification.performance.judge_performance` calls, with an
axis more. Only what turns a source's rows into arrays is left out, and so is the count of measurements that hang, of
which the model has none. ``tests/verification/test_metric_quality_bounds.py`` holds both against each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from airflow_cd.verification.cells import Cells, Comparison, compare
from airflow_cd.verification.evidence import regressed
from airflow_cd.verification.metric_profile import Lesson
from airflow_cd.verification.metrics import APDEX_PART, LEAST_ERRORS, SHAPE_PART
from airflow_cd.verification.null import COUNTED, NOTHING_TAUGHT, Taught
from airflow_cd.verification.performance import allowances
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.shape import SCATTERS, scatter
from airflow_cd.verification.weighing import Weighed
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


def first_alarm(metric: Metric, canary: Side, control: Side, taught: Taught, metrics: int) -> np.ndarray:
    """The minute in which each run fails, infinite where it never does; looked at every minute.

    :param metrics: how many metrics the verification has.
    """
    minutes = canary.value.shape[2]
    first = np.full(len(canary.value), np.inf)
    for look in range(minutes, FIRST_LOOK - 1, -1):
        first[failed_at(metric, canary.until(look), control.until(look), taught, metrics)] = look
    return first


def failed_at(metric: Metric, canary: Side, control: Side, taught: Taught, metrics: int) -> np.ndarray:
    """Whether each run fails when it is looked at once, at its end: all hosts together, or one by itself."""
    hosts = canary.value.shape[1]
    several = hosts if hosts > 1 else 0
    whole, _, single = allowances(SENSITIVITY, metrics, 0, metrics * several)
    failed = _failed(metric, canary, control, taught, whole)
    for host in range(several):
        one = Side(canary.value[:, host : host + 1], canary.count[:, host : host + 1])
        failed |= _failed(metric, one, control, taught, single)
    return failed


def _failed(metric: Metric, canary: Side, control: Side, taught: Taught, alpha: float) -> np.ndarray:
    comparison = compared(metric, canary, control)
    level = alpha if metric.kind in COUNTED else alpha * (1.0 - SHAPE_PART)
    weighed = Weighed.of(comparison, taught, metric.kind, metric.direction, level)
    effect, threshold = weighed.effect, MINIMUM_EFFECT
    if metric.kind == "apdex":
        threshold *= APDEX_PART
        ours, theirs = (1.0 - _share(side) for side in (canary, control))
        effect = ours / theirs - 1.0
    failed = regressed(weighed.evidence, effect, level, threshold, metric.direction)
    if metric.kind == "errors":
        failed &= _share(canary) - _share(control) >= LEAST_ERRORS
    if metric.kind in ("latency", "gauge"):
        evidence, times = scatter(comparison, taught, weighed.null)
        failed |= (evidence >= -np.log(alpha * SHAPE_PART / 2.0)) & (times >= SCATTERS)
    return failed


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
