"""Results of a test run of the release: data tests, smoke tests, contract tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar

from airflow_cd.errors import SourceQueryRejected, SourceUnavailable
from airflow_cd.sources.arrivals import MOMENT, given_once, watched_since
from airflow_cd.sources.check_formats import Check, UnknownFormat, checks_of
from airflow_cd.sources.run_values import outside_a_run, returned
from airflow_cd.sources.specification import mistakes_of_texts, refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.metrics.thresholds import Threshold
from airflow_cd.verification.samples import Metric, MetricSample, Window

_LISTED = 5
_MOST_BYTES = 64_000_000


@keeps_misspelt_keywords
@dataclass(frozen=True)
class CheckResults:
    """How many tests failed, of a run of tests that a task of this run has made. While there is none, nothing passes.

    Known are dbt's ``run_results.json``, results of Great Expectations, JUnit's XML (pytest, Playwright, Newman, k6 and
    most others write it), and ``{"passed": 118, "failed": 2}``. Tests that were skipped, or only warn, do not fail.

    :param task_id: of a task that returns the result; none (``""``) where it is in a file.
    :param path: of the file that holds the result, as the workers see it; none (``""``) where a task returns it. A file
        that is older than the time that is watched belongs to another release, and does not count.
    :param allowed: how many tests may fail; 0 by default.
    :param key: of the XCom; what the task returns by default.
    :param name: what reports call the source; ``Checks of <task or file>`` by default.
    """

    task_id: str = ""
    path: str = ""
    allowed: int = 0
    key: str = "return_value"
    name: str = ""

    delay: ClassVar[timedelta] = timedelta(0)
    bucket: ClassVar[timedelta] = MOMENT
    of_release: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Checks of {self.task_id or Path(str(self.path)).name}")

    @property
    def metrics(self) -> tuple[Metric, Metric]:
        """What is counted: tests that failed, and those that ran."""
        return Metric("failed checks", "count"), Metric("checks", "count", "lower_is_worse")

    @property
    def limits(self) -> tuple[Threshold, ...]:
        """What is held against it: so many may fail, and a run of no test proves nothing."""
        failed, ran = self.metrics
        return Threshold(failed.name, above=self.allowed), Threshold(ran.name, below=1)

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*mistakes_of_texts(key=self.key, name=self.name)]
        if bool(self.task_id) == bool(self.path):
            found.append("give the task that returns the result (task_id), or the file that holds it (path)")
        if isinstance(self.allowed, bool) or not isinstance(self.allowed, int) or self.allowed < 0:
            found.append(f"allowed: {self.allowed!r} is not a number of tests")
        return [f"{type(self).__name__}({self.name!r}): {mistake}" for mistake in found]

    def examined(self, instances: Sequence[str]) -> Iterator[tuple[str, bool]]:
        """What can be said of it outside a run; for ``airflow-cd source check``.

        :param instances: not looked at.
        :returns: sentences, and whether something is not as it must be.
        :raises SourceError: as of :meth:`read`.
        """
        refuse(self.mistakes())
        if self.task_id:
            yield outside_a_run(self.task_id), False
            return
        file = Path(self.path)
        if not file.exists():
            yield f"There is no {self.path} now; a run waits for it.", False
            return
        checks = self._checks(self._content(file)[0], self.path)
        yield f"{self.path} holds {len(checks)} checks, {sum(check.failed for check in checks)} of them failed.", False

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read what there is of the result by now.

        :param window: half-open, aware.
        :param instances: of the canary.
        :raises SourceQueryRejected: this specification is wrong, or nobody knows the form of the result.
        :raises SourceRejected: no task is running here, or its DAG has no such task.
        :raises SourceUnavailable: Airflow does not answer, or the file cannot be read now.
        """
        refuse(self.mistakes())
        run, content, missing = self._returned() if self.task_id else self._written(window)
        where = f"{self.key} of {self.task_id}" if self.task_id else self.path
        failed, ran = self.metrics
        values: dict[Metric, float] = {}
        warnings = [missing] if missing else []
        if not missing:
            checks = self._checks(content, where)
            wrong = [check for check in checks if check.failed]
            values = {failed: float(len(wrong)), ran: float(len(checks))}
            warnings = [_sentence(check) for check in wrong[:_LISTED]]
            if more := len(wrong) - _LISTED:
                warnings += [f"{more} more checks failed."] if more > 0 else []
        return given_once(f"{run} {self!r}", window, instances, self.metrics, values, query=where, warnings=warnings)

    def _returned(self) -> tuple[str, Any, str]:
        run, content = returned(self.task_id, self.key)
        return run, content, "" if content is not None else f"The task {self.task_id} has not returned anything yet."

    def _written(self, window: Window) -> tuple[str, Any, str]:
        file, since = Path(self.path), watched_since(repr(self), window)
        try:
            content, written = self._content(file)
        except FileNotFoundError:
            return "", None, f"There is no {self.path} yet."
        if written < since:
            return "", None, f"{self.path} was written before the release was deployed."
        return written.isoformat(), content, ""

    def _content(self, file: Path) -> tuple[bytes, datetime]:
        """What the file holds, and when it was written."""
        try:
            found = file.stat()
            if found.st_size > _MOST_BYTES:
                raise SourceQueryRejected(
                    f"{self.name}: {self.path} is larger than {_MOST_BYTES:,} bytes.",
                    next_step="Name a file of results.",
                )
            return file.read_bytes(), datetime.fromtimestamp(found.st_mtime, timezone.utc)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SourceUnavailable(
                f"{self.name}: {self.path} cannot be read: {error.strerror or type(error).__name__}.",
                next_step="See whether the worker may read it.",
            ) from error

    def _checks(self, content: Any, where: str) -> list[Check]:
        try:
            return checks_of(content)
        except UnknownFormat as error:
            raise SourceQueryRejected(
                f"{self.name}: {where} is no result of tests that is known here: {error}.",
                next_step="Give dbt's run_results.json, a result of Great Expectations, or JUnit's XML.",
            ) from None


def _sentence(check: Check) -> str:
    return f"{check.name} failed{f': {check.said}' if check.said else ''}."
