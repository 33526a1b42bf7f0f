"""The judge that ships, on runs of the model.

All that :func:`~airflow_cd.verification.metrics.performance.judge_performance` does with the rows of its metrics is
done here too, by the same functions: levels, shapes, climbs, single instances, excursions. Only what reads a source's
rows is left out. ``tests/verification/metrics/test_metric_quality_bounds.py`` holds both against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airflow_cd.verification.metrics.conclusion import conclude
from airflow_cd.verification.metrics.excursion_rules import with_excursions
from airflow_cd.verification.metrics.limits import Limits
from airflow_cd.verification.metrics.null import NOTHING_TAUGHT, Taught
from airflow_cd.verification.metrics.performance import ENOUGH_REQUESTS
from airflow_cd.verification.metrics.profile import Lesson
from airflow_cd.verification.metrics.rows import Rows
from airflow_cd.verification.metrics.settling import while_settling
from airflow_cd.verification.metrics.sides import ALONE, Sides
from airflow_cd.verification.metrics.stated_load import load_of
from airflow_cd.verification.metrics.together import Judges
from airflow_cd.verification.metrics.warm_up import LONGEST
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.verdict import MetricResult, Verdict
from benchmarks.metric_model import Side

MINIMUM_EFFECT = 0.2
SENSITIVITY = "medium"
FIRST_LOOK = 2
_MINUTE = 60_000
# As a canary that is watched for half an hour has them by default.
_LIMITS = Limits(MINIMUM_EFFECT, ENOUGH_REQUESTS, float(LONGEST))


@dataclass(frozen=True)
class Watched:
    """Runs of one metric that is watched.

    :param canary: its values; ``control`` likewise.
    :param taught: for each run what earlier deployments taught; None where there were none.
    """

    metric: Metric
    canary: Side
    control: Side
    taught: Sequence[Taught] | None = None

    def sides(self, run: int, minutes: int) -> Sides:
        """The rows of one run, as they are after so many minutes."""
        return sides_of(self.metric, self.canary, self.control, run, minutes)

    def lesson(self, run: int) -> Taught:
        """What was taught before one run."""
        return NOTHING_TAUGHT if self.taught is None else self.taught[run]


def sides_of(metric: Metric, canary: Side, control: Side, run: int, minutes: int) -> Sides:
    """One run of a metric as the judge has it."""
    names = tuple(
        f"{side}{number}" for side in "ck" for number in range(canary.value.shape[1] + control.value.shape[1])
    )
    return Sides.of_rows(metric, *(_rows(metric, side, run, minutes, names) for side in (canary, control)), "control")


def _rows(metric: Metric, side: Side, run: int, minutes: int, names: tuple[str, ...]) -> Rows:
    value, count = (array[run, :, :minutes] for array in (side.value, side.count))
    host, minute = (index.ravel() for index in np.indices(value.shape))
    counts = np.ones(value.size) if metric.kind in ALONE else count.ravel()
    return Rows(minute * _MINUTE, host, np.zeros_like(host), value.ravel(), counts, names, ("",))


def taught_by(metric: Metric, deployments: Sequence[tuple[Side, Side]]) -> list[Taught]:
    """For each run what earlier deployments teach, each as its canary and its control."""
    runs, _, minutes = deployments[0][0].value.shape
    found = []
    for run in range(runs):
        compared = [sides_of(metric, canary, control, run, minutes).compare() for canary, control in deployments]
        lessons = [Lesson.of(comparison) for comparison in compared if comparison is not None]
        together = lessons[0]
        for lesson in lessons[1:]:
            together = together.plus(lesson)
        found.append(together.taught())
    return found


def results_at(watched: Sequence[Watched], run: int, minutes: int, metrics: int) -> list[MetricResult]:
    """The results of one run when it is looked at after so many minutes.

    :param watched: the metrics that are judged.
    :param metrics: how many metrics the verification has with those that are not looked at here; it divides the false
        alarms that are allowed.
    """
    sides = {one.metric.name: one.sides(run, minutes) for one in watched}
    load = load_of(list(sides.values()))
    number = max(metrics, len(sides))
    judges = Judges.of(_LIMITS, SENSITIVITY, [one for one in sides.values() for _ in range(number // len(sides))], load)
    results = [judges.pooled_result(sides[one.metric.name], one.lesson(run)) for one in watched]
    return with_excursions(while_settling(results, sides, _LIMITS), sides, _LIMITS, load)


def verdicts(watched: Sequence[Watched], minutes: int) -> list[Verdict]:
    """The verdict of each run, looked at once."""
    runs = len(watched[0].canary.value)
    return [conclude(results_at(watched, run, minutes, len(watched))).verdict for run in range(runs)]


def first_alarms(watched: Sequence[Watched], metrics: int) -> np.ndarray:
    """The minute in which each run fails, infinite where it never does; looked at every minute."""
    runs, _, minutes = watched[0].canary.value.shape
    first = np.full(runs, np.inf)
    for run in range(runs):
        for look in range(FIRST_LOOK, minutes + 1):
            if any(result.verdict is Verdict.FAIL for result in results_at(watched, run, look, metrics)):
                first[run] = look
                break
    return first
