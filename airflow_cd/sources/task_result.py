"""A number that a task of the same run has returned: of a load test, a count of orders, a script of the author's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from airflow_cd.errors import SourceQueryRejected
from airflow_cd.http.json_values import MISSING, value_at
from airflow_cd.sources.arrivals import MOMENT, given_once
from airflow_cd.sources.run_values import outside_a_run, returned
from airflow_cd.sources.specification import mistakes_of_texts, refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.metrics.thresholds import Threshold
from airflow_cd.verification.samples import Metric, MetricSample, Window


@keeps_misspelt_keywords
@dataclass(frozen=True)
class TaskResult:
    """A number that a task of the run returns, held against fixed limits. While it has not come, nothing passes.

    It says something of the release as a whole, so there is no control to compare it with.

    :param task_id: of the task, with its groups: ``load_test`` or ``checks.load_test``.
    :param metric: what the number is, a :class:`Metric`, or a name: ``p95 of the load test``.
    :param above: what it must not exceed, on its own scale; no limit by default.
    :param below: what it must not fall below; no limit by default. One of the two must be given.
    :param path: where the number stands in what was returned: ``summary.p95_ms``; ``""``, the default, where it is the
        number itself.
    :param key: of the XCom; what the task returns by default.
    :param name: what reports call the source; ``Result of <task>`` by default.
    """

    task_id: str
    metric: Metric | str
    above: float | None = None
    below: float | None = None
    path: str = ""
    key: str = "return_value"
    name: str = ""

    delay: ClassVar[timedelta] = timedelta(0)
    bucket: ClassVar[timedelta] = MOMENT
    of_release: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Result of {self.task_id}")

    @property
    def limits(self) -> tuple[Threshold, ...]:
        """What the number is held against."""
        return (Threshold(self._metric.name, above=self.above, below=self.below),)

    @property
    def _metric(self) -> Metric:
        return self.metric if isinstance(self.metric, Metric) else Metric(str(self.metric), "gauge", "either")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*mistakes_of_texts(task_id=self.task_id, key=self.key, metric=self._metric.name)]
        if not isinstance(self.path, str):
            found.append(f"path: {self.path!r} is not a text")
        found += [mistake for limit in self.limits for mistake in limit.mistakes()]
        return [f"{type(self).__name__}({self.name!r}): {mistake}" for mistake in found]

    def examined(self, instances: Sequence[str]) -> Iterator[tuple[str, bool]]:
        """What can be said of it outside a run; for ``airflow-cd source check``.

        :param instances: not looked at.
        :returns: sentences, and whether something is not as it must be.
        :raises SourceQueryRejected: this specification is wrong.
        """
        refuse(self.mistakes())
        yield outside_a_run(self.task_id), False

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read what the task has returned by now.

        :param window: half-open, aware.
        :param instances: of the canary.
        :raises SourceQueryRejected: this specification is wrong, or there is no number in what was returned.
        :raises SourceRejected: no task is running here, or its DAG has no such task.
        :raises SourceUnavailable: Airflow does not answer.
        """
        refuse(self.mistakes())
        run, content = returned(self.task_id, self.key)
        values: dict[Metric, float] = {}
        warnings = [f"The task {self.task_id} has not returned anything yet."] if content is None else []
        if content is not None:
            values[self._metric] = self._number(content)
        query = f"{self.key} of {self.task_id}" + (f", {self.path}" if self.path else "")
        return given_once(f"{run} {self!r}", window, instances, (self._metric,), values, query=query, warnings=warnings)

    def _number(self, content: Any) -> float:
        found = value_at(content, self.path)
        if found is MISSING:
            known = f", which has {', '.join(map(str, list(content)[:8]))}" if isinstance(content, dict) else ""
            raise SourceQueryRejected(
                f"{self.name}: there is no {self.path} in what the task {self.task_id} returned{known}.",
                next_step="Correct path.",
            )
        if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
            raise SourceQueryRejected(
                f"{self.name}: what the task {self.task_id} returned{f' at {self.path}' if self.path else ''} is "
                f"{type(found).__name__}, not a number.",
                next_step="Let the task return a number, or say where it stands: path=.",
            )
        return float(found)
