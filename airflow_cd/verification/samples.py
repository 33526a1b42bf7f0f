"""What a source of metrics or logs is, and what it returns. An author of a source needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from airflow_cd.verification.throttling import Throttling

if TYPE_CHECKING:
    import pandas as pd

MetricKind = Literal["latency", "errors", "throughput", "apdex", "gauge", "share", "count", "info"]
"""How a metric is judged; see :class:`Metric`."""

SUMMED: tuple[MetricKind, ...] = ("throughput", "errors", "count")
"""Kinds whose values are numbers of events: over a bucket they are summed up, others are averaged."""

Direction = Literal["higher_is_worse", "lower_is_worse", "either"]
"""Which way a metric gets worse."""

METRIC_COLUMNS = ("time", "instance", "metric", "group", "value", "count")
"""Columns of :attr:`MetricSample.frame`."""

FURTHER_METRIC_COLUMNS = ("deviation",)
"""Columns that :attr:`MetricSample.frame` may have as well."""

LOG_COLUMNS = ("time", "instance", "message")
"""Columns of :attr:`LogSample.frame`."""

FURTHER_LOG_COLUMNS = ("id", "received")
"""Columns that :attr:`LogSample.frame` may have as well."""


@dataclass(frozen=True)
class Window:
    """A half-open span of time, ``since <= t < until``.

    :param since: its beginning, aware.
    :param until: its end, aware, not before ``since``.
    :raises ValueError: an end has no time zone, or ``until`` is before ``since``.
    """

    since: datetime
    until: datetime

    def __post_init__(self) -> None:
        if self.since.tzinfo is None or self.until.tzinfo is None:
            raise ValueError("a window needs times with a time zone")
        if self.until < self.since:
            raise ValueError(f"a window cannot end ({self.until}) before it starts ({self.since})")

    @property
    def length(self) -> timedelta:
        """Time from its beginning to its end."""
        return self.until - self.since


@dataclass(frozen=True)
class Metric:
    """One thing that is measured, and how a change in it is judged.

    :param name: unique within a verification (``response_time``, ``response_time.p95``, ``error_rate``).
    :param kind: *latency* (durations, compared as ratios), *errors* (how many of the requests failed), *throughput*
        (numbers of requests), *apdex* (a score from 0 to 1), *share* (a part of a whole: success, availability, hit
        ratio, utilisation; 0 to 1 or per cent, judged by the part that is bad), *count* (numbers of other events:
        orders, restarts, dropped messages), *gauge* (any other level: memory, queue length) or *info* (start times,
        build numbers, leader flags: shown and not judged).
    :param direction: which way is worse; ``higher_is_worse`` by default.
    :param unit: of the values, as reports show it (``ms``, ``requests``); ``""`` for none.
    :param period: seconds of which numbers of events are rates, 60 for *per minute*; 0 (the default) where they are
        numbers for each bucket.
    :param part: whether errors are given as a part of the requests, 0 to 1 or per cent, instead of as their number;
        False by default.
    :param cumulative: True for a counter that only grows and is to be read by its increases, False for one that is
        not; None (the default) finds out by its values.
    :param assumed: what of all this was read from name and values, for a reader of the report; ``""`` where an author
        said it.
    """

    name: str
    kind: MetricKind
    direction: Direction = "higher_is_worse"
    unit: str = ""
    period: float = field(default=0.0, repr=False)
    part: bool = field(default=False, repr=False)
    cumulative: bool | None = field(default=None, repr=False)
    assumed: str = field(default="", repr=False)

    @property
    def adds_up(self) -> bool:
        """Whether what several series hold of one time is together their sum: of parts and levels it is not."""
        return self.kind in SUMMED and not self.part

    @property
    def adds_up_over_time(self) -> bool:
        """Whether what several times hold is together their sum: of rates it is not."""
        return self.adds_up and not self.period


@dataclass(frozen=True)
class MetricSample:
    """Metrics of some instances over a window.

    :param frame: one row for each time bucket, instance, metric and group, with the columns :data:`METRIC_COLUMNS`:

        - ``time`` (``datetime64[ns, UTC]``): start of the bucket;
        - ``instance`` (text): one of the names that were asked for;
        - ``metric`` (text): the name of one of ``metrics``;
        - ``group`` (text): what the metric is broken down by, such as the name of a transaction; ``""`` when it is not;
        - ``value`` (float): the bucket's mean for latency, apdex and gauge, the number of events for errors and
          throughput, in the metric's unit;
        - ``count`` (int): how many requests the bucket holds; in a column of floats NaN where nobody knows;
        - ``deviation`` (float, may be left out): standard deviation of the measurements in the bucket, NaN where it is
          not known. Then few buckets tell how far measurements scatter, too.

        A bucket without data has no row; without any data the frame is empty, with the same columns and types.
    :param metrics: the metrics in the frame, whether or not they have rows in this window.
    :param query: the query as it was sent, everything resolved; shown in the report, so it holds no secrets.
    :param bucket: width of a bucket.
    :param warnings: what a reader of the report should know about the answer, one sentence each.
    :param throttling: what the source said of its rate limit. None by default: what is called over the HTTP client of
        this package is added by whoever reads.
    """

    frame: pd.DataFrame
    metrics: tuple[Metric, ...]
    query: str
    bucket: timedelta
    warnings: tuple[str, ...] = ()
    throttling: Throttling | None = None


@dataclass(frozen=True)
class LogSample:
    """Log records of some instances over a window.

    :param frame: one row for each record or line, oldest first, with the columns :data:`LOG_COLUMNS`:

        - ``time`` (``datetime64[ns, UTC]``): when it was logged;
        - ``instance`` (text): one of the names that were asked for;
        - ``message`` (text or bytes): the record as it was logged, with its level and, where there is one, its stack
          trace. A record may hold several lines, or come as a row for each of its lines.

        It may have the columns :data:`FURTHER_LOG_COLUMNS` as well. They make a verification surer and quicker:

        - ``id`` (text): what tells the record apart from all others of the source, the same whenever it is read;
          ``""`` where it has none. Without it, records are told apart by time, instance and message;
        - ``received`` (``datetime64[ns, UTC]``): when the source received the record; NaT where that is not known.
          The lag is known from it; without it, it is learned from records that come into a window already read.
    :param query: the query as it was sent, everything resolved; shown in the report, so it holds no secrets.
    :param truncated: True when the source returned fewer records than there are; False by default.
    :param warnings: what a reader of the report should know about the answer, one sentence each.
    :param unassigned: records of the window that belong to none of the instances asked for, where the source can tell:
        the rest of a line that was cut on its way, for one. None (0) by default.
    :param cut: whether it is truncated because the window holds more records than the source reads at once, so that
        shorter windows hold all of them; False by default. A verification reads those then.
    :param whole_until: of a cut window, the time before which every record of it is in the frame, and none after it is,
        where the source can tell: a verification reads on from there. None by default.
    :param throttling: as of :class:`MetricSample`.
    """

    frame: pd.DataFrame
    query: str
    truncated: bool = False
    warnings: tuple[str, ...] = field(default=())
    unassigned: int = 0
    cut: bool = False
    whole_until: datetime | None = None
    throttling: Throttling | None = None


@runtime_checkable
class MetricSource(Protocol):
    """A source of metrics: anything that has a name, a delay and a method ``read``.

    Optional: ``bucket``, the width of a bucket as a timedelta where it is known before the first read (then only whole
    buckets are asked for); ``whole_buckets``, True where nothing can be read of a shorter time, and they begin at
    multiples of their width since 1970; ``of_release``, True
    where what it gives says something of the release as a whole (then it is asked for the canary alone, and its values
    are not compared but held against the author's thresholds and those of its attribute ``limits``);
    ``examined(instances)``, where nothing can be read back: what ``airflow-cd source check`` says instead; and
    ``mistakes()``, which returns what is wrong with the source's configuration, one sentence each (then they are found
    when the DAG file is parsed). :mod:`airflow_cd.sources.contract` holds the tests that a source must pass.
    """

    @property
    def name(self) -> str:
        """What reports call the source; unique within a verification."""
        ...

    @property
    def delay(self) -> timedelta:
        """How long after an event the source usually returns it: a first guess, until its lag was seen."""
        ...

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        """Read metrics.

        Called every few seconds, from a thread of its own, with windows that reach back into those before: the same
        window gives the same rows, and those that came since.

        :param window: which buckets: those that start in it.
        :param instances: names of the instances, canary and control together; none gives an empty frame.
        :raises airflow_cd.errors.SourceUnavailable: it does not answer now; it is read again at the next look, until
            the budget of errors is used up.
        :raises airflow_cd.errors.SourceUnauthorized: the credentials are refused; the source is given up at once.
        :raises airflow_cd.errors.SourceQueryRejected: the query is refused; the source is given up at once.
        """
        ...


@runtime_checkable
class LogSource(Protocol):
    """A source of log records: anything that has a name, a delay and a method ``read``.

    Optional: ``mistakes()``, which returns what is wrong with the source's configuration, one sentence each (then they
    are found when the DAG file is parsed), and ``share``, the part of the records that the store keeps, where it does
    not keep all of them (:class:`~airflow_cd.sources.Sampled` gives it to any source).
    :mod:`airflow_cd.sources.contract` holds the tests that a source must pass.
    """

    @property
    def name(self) -> str:
        """What reports call the source; unique within a verification."""
        ...

    @property
    def delay(self) -> timedelta:
        """How long after an event the source usually returns it: a first guess, until its lag was seen."""
        ...

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read log records.

        Called every few seconds, from a thread of its own, with windows that reach back into those before: the same
        window gives the same rows, and those that came since.

        :param window: when the records were logged.
        :param instances: names of the instances, canary and control together; none gives an empty frame.
        :raises airflow_cd.errors.SourceUnavailable: it does not answer now; it is read again at the next look, until
            the budget of errors is used up.
        :raises airflow_cd.errors.SourceUnauthorized: the credentials are refused; the source is given up at once.
        :raises airflow_cd.errors.SourceQueryRejected: the query is refused; the source is given up at once.
        """
        ...
