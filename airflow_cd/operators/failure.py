"""What an error means to Airflow: a task that was refused fails for good, one that found something away is retried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.errors import AirflowCdError, Refused


class ReportingTask(Protocol):
    """A task that keeps what became of it in its rendered fields."""

    result: dict[str, Any] | str

    @property
    def log(self) -> Any:
        """Airflow's logger of the task."""


@contextmanager
def failing_as_airflow_expects(
    task: ReportingTask, *, pipeline: str, service: str | None = None, environment: str | None = None
) -> Iterator[None]:
    """Turn errors of Airflow CD in the body into task failures, the same way for every operator and sensor.

    Exceptions of Airflow's own (skip, defer, await input) and everything unforeseen pass through.

    :param task: gets ``result = {"failed": ...}``, which pages show as the reason.
    :param pipeline: where it happened, like ``service`` and ``environment`` filled in where the error does not say.
    :raises AirflowFailException: the body was refused: Airflow fails the task without another try.
    :raises AirflowCdError: as it came, when something is unavailable: Airflow retries the task if it has retries.
    """
    try:
        yield
    except AirflowCdError as error:
        error.at(pipeline=pipeline, service=service, environment=environment)
        task.result = {"failed": str(error)}
        if isinstance(error, Refused):
            raise AirflowFailException(str(error)) from error
        task.log.error("%s", error)
        raise
