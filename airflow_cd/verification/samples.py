"""What sources hand to verification: windows, metric samples, log samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pandas as pd

MetricKind = Literal["latency", "errors", "throughput", "apdex", "gauge"]
Direction = Literal["higher_is_worse", "lower_is_worse", "either"]

METRIC_COLUMNS = ("time", "instance", "metric", "group", "value", "count")
LOG_COLUMNS = ("time", "instance", "message")


@dataclass(frozen=True)
class Window:
    """A half-open stretch of time, ``since <= t < until``; both ends are aware and in UTC."""

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise ValueError("a window needs aware datetimes")
        if self.until < self.since:
            raise ValueError(f"a window cannot end ({self.until}) before it starts ({self.since})")

    @property
    def length(self) -> timedelta:
        """How long the window is."""
        return self.until - self.since


@dataclass(frozen=True)
class Metric:
    """One thing that is measured, and how a change in it is to be judged.

    :param name: unique within a verification (``response_time``, ``response_time.p95``, ``error_rate``).
    :param kind: *latency* is compared as ratios, *errors*, *throughput* and *apdex* as counts, *gauge* as is.
    :param direction: which way is worse.
    :param unit: of the values (``ms``, ``requests``, ``share``).
    """

    name: str
    kind: MetricKind
    direction: Direction = "higher_is_worse"
    unit: str = ""


@dataclass(frozen=True)
class MetricSample:
    """Metrics of some instances over a window.

    :param frame: one row for each time bucket, instance, metric and group, columns :data:`METRIC_COLUMNS`.
        ``time`` is the start of the bucket, UTC; ``group`` is what the metric is broken down by (a transaction's
        name), ``""`` when it is not; ``value`` is the bucket's mean (latency, apdex, gauge) or number (errors,
        throughput) as float; ``count`` is how many requests the bucket holds. A bucket without data has no row.
    :param metrics: the metrics the frame speaks of, whether or not they have rows.
    :param query: the query as it was sent, everything resolved.
    :param bucket: width of a bucket.
    :param warnings: what the source said beside the answer.
    """

    frame: pd.DataFrame
    metrics: tuple[Metric, ...]
    query: str
    bucket: timedelta
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class LogSample:
    """Log records of some instances over a window.

    :param frame: columns :data:`LOG_COLUMNS`; ``message`` is the record as logged, may hold several lines.
    :param query: the query as it was sent, everything resolved.
    :param truncated: True when the source gave less than there was; never silently.
    :param warnings: what the source said beside the answer.
    """

    frame: pd.DataFrame
    query: str
    truncated: bool = False
    warnings: tuple[str, ...] = field(default=())


@runtime_checkable
class MetricSource(Protocol):
    """Yields metrics. Raises :class:`~airflow_cd.errors.SourceError`, never an application's failure."""

    @property
    def name(self) -> str:
        """What reports call the source; unique within a verification."""
        ...

    @property
    def delay(self) -> timedelta:
        """How long after an event the source is sure to have it."""
        ...

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Metrics of the instances over the window."""
        ...


@runtime_checkable
class LogSource(Protocol):
    """Yields log records. Raises :class:`~airflow_cd.errors.SourceError`, never an application's failure."""

    @property
    def name(self) -> str:
        """What reports call the source; unique within a verification."""
        ...

    @property
    def delay(self) -> timedelta:
        """How long after an event the source is sure to have it."""
        ...

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Records of the instances over the window."""
        ...
