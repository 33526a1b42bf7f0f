"""Reading the sources of a verification piece by piece, and keeping their data, errors and warnings."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from airflow_cd.errors import Refused, SourceRejected
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.samples import (
    METRIC_COLUMNS,
    LogSample,
    LogSource,
    Metric,
    MetricSample,
    MetricSource,
    Window,
)
from airflow_cd.verification.source_kinds import SourceKind

if TYPE_CHECKING:
    import pandas as pd

_ERRORS_KEPT = 20


@dataclass(frozen=True)
class Instances:
    """Which instances are compared with which, and when all ran the same release.

    :param canary: names of the instances on the new release.
    :param control: names of the instances on the running release; may be empty.
    :param before: a time before the deployment, when every instance ran the old release; None if there is none.
    """

    canary: tuple[str, ...]
    control: tuple[str, ...]
    before: Window | None


class Reader(abc.ABC):
    """One source, read up to :attr:`cursor`.

    :param source: the source.
    :param instances: whose data is read.
    :param since: when the verification's own time begins.
    :ivar cursor: up to when it has been read.
    :ivar query: the query of the last read.
    :ivar warnings: what the source warned of, each once.
    :ivar failures: consecutive failed reads.
    :ivar hopeless: True when reading again cannot help: wrong credentials, a rejected query.
    :ivar errors: what the source answered instead of data, the newest last; bounded.
    """

    kind: ClassVar[SourceKind]
    columns: ClassVar[tuple[str, ...]]

    def __init__(self, source: MetricSource | LogSource, instances: Instances, since: datetime) -> None:
        self.name = source.name
        self.delay: timedelta = source.delay
        self.instances = instances
        self.since = since
        self.cursor = since
        self.failures = 0
        self.hopeless = False
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.query = ""
        self._past_is_read = instances.before is None

    def advance(self, now: datetime, end: datetime) -> None:
        """Read what is new by now. Never raises what the source raised: that is kept in :attr:`errors`.

        :param now: the present time.
        :param end: when the verification's time ends.
        """
        until = self.reachable(min(now - self.delay, end), end)
        try:
            if not self._past_is_read:
                self.read_past()
                self._past_is_read = True
            if until > self.cursor:
                self.read(Window(self.cursor, until))
                self.cursor = until
        except Exception as error:  # noqa: BLE001 - a source is anybody's code, and none of its errors is the release's
            self.failures += 1
            self.hopeless = isinstance(error, Refused)
            self.errors = [*self.errors, f"{self.name}: {str(error) or type(error).__name__}"][-_ERRORS_KEPT:]
        else:
            self.failures = 0

    def forgive(self) -> None:
        """Start its budget of errors again."""
        self.failures, self.hopeless = 0, False

    def reachable(self, until: datetime, end: datetime) -> datetime:
        """Up to when to read.

        :param until: up to when could be read.
        :param end: when the verification's time ends.
        """
        return until

    @abc.abstractmethod
    def read_past(self) -> None:
        """Read the time before the deployment."""

    @abc.abstractmethod
    def read(self, window: Window) -> None:
        """Read a window of the verification's own time.

        :param window: which follows the one before.
        """

    def note(self, sample: MetricSample | LogSample) -> None:
        """Keep the sample's query and warnings.

        :param sample: that was just read.
        :raises SourceRejected: it is one of the other kind of source.
        """
        if missing := set(self.columns) - set(sample.frame.columns):
            raise SourceRejected(
                f"{self.name} was given as a source of {self.kind} and returned a {type(sample).__name__} without "
                f"{', '.join(sorted(missing))}.",
                next_step="Give a source of metrics as metrics=[...], and a source of logs as logs=[...].",
            )
        self.query = sample.query
        for warning in sample.warnings:
            self.warn(warning)

    def warn(self, text: str) -> None:
        """Keep a warning, once.

        :param text: of the warning, without the name of the source.
        """
        warning = f"{self.name}: {text}"
        if warning not in self.warnings:
            self.warnings.append(warning)


class LogReader(Reader):
    """A log source, kept as profiles.

    :ivar canary: what the canary logged so far. ``control`` likewise.
    :ivar past: what all instances logged before the deployment.

    :param source: the source; ``instances`` and ``since`` are as for :class:`Reader`.
    """

    kind = "logs"
    columns = ("message",)

    def __init__(self, source: LogSource, instances: Instances, since: datetime) -> None:
        super().__init__(source, instances, since)
        self.source = source
        self.canary, self.control, self.past = LogProfile(), LogProfile(), LogProfile()

    def read_past(self) -> None:
        """Read all instances' records from before the deployment: rare but known events are in them."""
        if self.instances.before is not None:
            names = self.instances.canary + self.instances.control
            self.past = self._profiles(self.instances.before, names)[0]

    def read(self, window: Window) -> None:
        """Add the window's records."""
        ours, theirs = self._profiles(window, self.instances.canary, self.instances.control)
        self.canary = LogProfile.merge(self.canary, ours)
        self.control = LogProfile.merge(self.control, theirs)

    def _profiles(self, window: Window, *sides: tuple[str, ...]) -> list[LogProfile]:
        """A profile for each side, from one query."""
        sample = self.source.read(window, [name for side in sides for name in side])
        self.note(sample)
        if sample.truncated:
            self.warn(f"returned less than there is between {window.since.isoformat()} and {window.until.isoformat()}")
        frame = sample.frame
        length = window.length.total_seconds()
        profiles = []
        for side in sides:
            rows = frame[frame["instance"].isin(list(side))] if len(frame) else frame
            profiles.append(LogProfile.of(rows, watched=length * len(side)))
        for profile in profiles:
            for trouble, count in profile.troubles.items():
                if trouble != "empty":
                    self.warn(f"{count} records were {trouble.replace('_', ' ')}")
        return profiles


class MetricReader(Reader):
    """A metric source, kept as rows.

    :ivar metrics: the metrics that its last sample held.

    :param source: the source; ``instances`` and ``since`` are as for :class:`Reader`.
    """

    kind = "metrics"
    columns = ("metric", "value")

    def __init__(self, source: MetricSource, instances: Instances, since: datetime) -> None:
        super().__init__(source, instances, since)
        self.source = source
        self.metrics: tuple[Metric, ...] = ()
        self._rows: list[pd.DataFrame] = []
        self._past: list[pd.DataFrame] = []
        self._bucket: timedelta | None = getattr(source, "bucket", None)

    @property
    def bucket_ms(self) -> int:
        """Width of its buckets in milliseconds, 0 while it is unknown."""
        return round(self._bucket.total_seconds() * 1000) if isinstance(self._bucket, timedelta) else 0

    def reachable(self, until: datetime, end: datetime) -> datetime:
        """Only whole buckets, until the very end: half a bucket beside whole ones compares badly."""
        if until >= end or not isinstance(self._bucket, timedelta) or self._bucket <= timedelta(0):
            return until
        return self.since + max(0, (until - self.since) // self._bucket) * self._bucket

    def read_past(self) -> None:
        """Read the canary's instances before the deployment; with a control there is no need."""
        if self.instances.before is not None and not self.instances.control:
            self._past = [self._read(self.instances.before, self.instances.canary)]

    def read(self, window: Window) -> None:
        """Add the window's buckets."""
        self._rows.append(self._read(window, self.instances.canary + self.instances.control))

    def frame(self, names: Sequence[str]) -> pd.DataFrame:
        """Rows of these instances so far.

        :param names: of the instances.
        """
        rows = _concatenated(self._rows)
        chosen: pd.DataFrame = rows[rows["instance"].isin(list(names))]
        return chosen

    def past(self) -> pd.DataFrame | None:
        """Rows of the canary's instances before the deployment; None when they were not needed."""
        return _concatenated(self._past) if self._past else None

    def _read(self, window: Window, names: Sequence[str]) -> pd.DataFrame:
        sample = self.source.read(window, names)
        self.note(sample)
        self.metrics = sample.metrics
        self._bucket = sample.bucket if self._bucket is None else self._bucket
        return sample.frame


def _concatenated(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(METRIC_COLUMNS))


def advance_all(readers: Sequence[Reader], now: datetime, end: datetime) -> None:
    """Read every source that is not at the end, all at once.

    :param readers: of all sources.
    :param now: the present time.
    :param end: when the verification's time ends.
    """
    waiting = [reader for reader in readers if reader.cursor < end]
    if not waiting:
        return
    with ThreadPoolExecutor(max_workers=len(waiting), thread_name_prefix="source") as pool:
        list(pool.map(lambda reader: reader.advance(now, end), waiting))
