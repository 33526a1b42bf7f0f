"""Reading the sources of a verification piece by piece, and keeping their data, errors and warnings."""

from __future__ import annotations

import abc
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar

from airflow_cd.durations import format_duration
from airflow_cd.errors import Refused, SourceRejected
from airflow_cd.verification.health import Condition
from airflow_cd.verification.lag import Lag
from airflow_cd.verification.pace import Pace
from airflow_cd.verification.remembering import Memory, remembering
from airflow_cd.verification.samples import (
    LogSample,
    LogSource,
    MetricSample,
    MetricSource,
    Window,
)
from airflow_cd.verification.source_kinds import SourceKind
from airflow_cd.verification.throttling import Throttling, noted
from airflow_cd.verification.times import iso_time
from airflow_cd.verification.verdict import Reason

_ERRORS_KEPT = 20
CHEAP_ROWS = 2_000
"""Rows that are read again at every look: no more than a page of them."""
LONGEST_READ = 600.0
"""Seconds after which a source that has not answered is given up; ours give up sooner by themselves."""


@dataclass(frozen=True)
class Instances:
    """Which instances are compared with which, and when all ran the same release.

    :param canary: names of the instances on the new release.
    :param control: names of the instances on the running release; may be empty.
    :param before: a time before the deployment, when every instance ran the old release; None if there is none.
    :param starts: by the name of a canary instance, from when on what is logged under it is the new release's; where
        nothing is said, from the beginning of the watched time.
    :param earlier: names of the instances before the deployment, where a platform has given them other names since;
        by default those of canary and control.
    """

    canary: tuple[str, ...]
    control: tuple[str, ...]
    before: Window | None
    starts: Mapping[str, datetime] = field(default_factory=dict)
    earlier: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Canary and control."""
        return self.canary + self.control

    @property
    def past(self) -> tuple[str, ...]:
        """Names of the instances before the deployment."""
        return self.earlier or self.all

    def joined_by(self, sides: Sides) -> Instances:
        """With replicas that have come since; those that have gone keep what they have shown.

        :param sides: who they are now.
        """
        known = set(self.all)
        return replace(
            self,
            canary=(*self.canary, *(name for name in sides.canary if name not in known)),
            control=(*self.control, *(name for name in sides.control if name not in known)),
            starts={**sides.starts, **self.starts},
        )


@dataclass(frozen=True)
class Sides:
    """Who canary and control are at one moment, and how they are.

    :param canary: names of the instances on the new release.
    :param control: names of those on the running release, none of which is a canary too.
    :param starts: as of :class:`Instances`.
    :param conditions: by the name of an instance, what the target says of it.
    :param notes: what a reader of the verdict should know of them, one sentence each, all that were told so far.
    """

    canary: tuple[str, ...]
    control: tuple[str, ...]
    starts: Mapping[str, datetime] = field(default_factory=dict)
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Patience:
    """For how long a verdict waits for what may come late.

    :param most: the longest lag that it waits for.
    :param unseen: how late errors are taken to come while nothing is known of their lag; not at all by default.
    :param released: when the release began to run; the beginning of the watched time by default.
    """

    most: timedelta
    unseen: timedelta = timedelta(0)
    released: datetime | None = None


class Reader(abc.ABC):
    """One source, read up to :attr:`cursor`, and again where more may have come since.

    :param source: the source.
    :param instances: whose data is read.
    :param since: when the verification's own time begins.
    :param patience: for how long a verdict waits for what may come late.
    :ivar cursor: up to when it has been read.
    :ivar lag: how late its data came so far.
    :ivar behind: why not everything can have come although no look follows; None while that is not so.
    :ivar query: the query of the last read.
    :ivar warnings: what the source warned of, each once.
    :ivar failures: consecutive failed reads.
    :ivar refused: True while its last answer was one that reading again cannot change: wrong credentials, a rejected
        query. A person who lets the canary go on may have mended that.
    :ivar hangs: True once it did not answer in time: whatever comes of that read is not waited for, and it is never
        read again, whoever lets the canary go on.
    :ivar throttling: what it said of its rate limit.
    :ivar errors: what the source answered instead of data, the newest last; bounded.
    """

    kind: ClassVar[SourceKind]
    columns: ClassVar[tuple[str, ...]]

    def __init__(
        self, source: MetricSource | LogSource, instances: Instances, since: datetime, patience: Patience
    ) -> None:
        self.name = source.name
        self.lag = Lag(source.delay, patience.most)
        self.patience = patience
        self.instances = instances
        self.since = since
        self.cursor = since
        self.behind: Reason | None = None
        self.failures = 0
        self.refused = False
        self.hangs = False
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self.query = ""
        self.throttling = Throttling()
        self._past_is_read = instances.before is None
        self._pace = Pace()
        self._memory = Memory()
        self._complete_for: datetime | None = None
        self._again_at = since

    def advance(self, now: datetime, end: datetime) -> None:
        """Read what may be new by now. Never raises what the source raised: that is kept in :attr:`errors`.

        :param now: the present time.
        :param end: when the verification's time ends.
        """
        try:
            with noted() as notes, remembering(self._memory):
                try:
                    if not self._past_is_read:
                        self.read_past()
                        self._past_is_read = True
                    self._read_on(now, end)
                finally:
                    self.throttling += notes.all
        except Exception as error:  # noqa: BLE001 - a source is anybody's code, and none of its errors is the release's
            self.failures += 1
            self.refused = isinstance(error, Refused)
            self.errors = [*self.errors, f"{self.name}: {str(error) or type(error).__name__}"][-_ERRORS_KEPT:]
        else:
            self.failures = 0

    def give_up(self, why: str) -> None:
        """Read no more.

        :param why: as it follows the source's name.
        """
        self.hangs = True
        self.errors = [*self.errors, f"{self.name}: {why}"][-_ERRORS_KEPT:]

    @property
    def hopeless(self) -> bool:
        """Whether reading again cannot help."""
        return self.refused or self.hangs

    def _read_on(self, now: datetime, end: datetime) -> None:
        until = self.reachable(max(self.cursor, min(now - self.lag.behind, self.over(end))), end)
        whole = until >= end and now >= self.due(end)
        if until == self.cursor < end and not self.lag.late:
            return
        begin = self.earliest if whole else self._pace.begin(now, self.cursor, until, self.lag, self.cheap)
        begin = max(self.aligned(begin), self.earliest)
        if begin < until:
            self.read(Window(begin, until), now, whole=whole)
            self._pace.note(Window(begin, until), now, until - self.cursor)
            self.cursor = until
        if whole:
            self._conclude(now, end)

    def _conclude(self, now: datetime, end: datetime) -> None:
        """After everything was read once more: whether that was all."""
        newest = self.stalled_since(end)
        if newest is None and now >= self.complete_at(end):
            self._complete_for, self.behind = end, self._too_late()
        elif now >= self.over(end) + self._bound:
            self._complete_for = end
            self.behind = self._stalled(newest, now) if newest is not None else self._too_late()
        else:
            # The whole is not read at every look: as late as by half of what has been waited already.
            self._again_at = min(now + (now - end) / 2, self.over(end) + self._bound)

    def _stalled(self, newest: datetime, now: datetime) -> Reason:
        silent = max(now - newest, timedelta(0))
        text = (
            f"{self.name} has returned nothing of any instance that is newer than {iso_time(newest)}, "
            f"{format_duration(timedelta(seconds=round(silent.total_seconds())))} ago, and was never silent that long "
            "before: it is behind, or all instances are silent."
        )
        return Reason("source_behind", text, {"seconds": silent.total_seconds()})

    def _too_late(self) -> Reason | None:
        """Why a record may still come that would count: the longest lag seen is more than a verdict waits for."""
        if self.lag.longest <= self._bound or not self.lag.late:
            return None
        text = (
            f"Records of {self.name} came up to {self.lag.longest.total_seconds():.0f} s after they were written; a "
            f"verdict waits {format_duration(self.lag.most)} at most (longest_lag), so others may still come."
        )
        return Reason("source_behind", text, {"seconds": self.lag.longest.total_seconds()})

    @property
    def _bound(self) -> timedelta:
        return max(self.lag.most, self.lag.guess)

    def complete(self, end: datetime) -> bool:
        """Whether everything was read to the end, and again when nothing more was to come.

        :param end: when the verification's time ends.
        """
        return self._complete_for == end

    def complete_at(self, end: datetime) -> datetime:
        """When everything should have come, a lag that nobody has seen yet included.

        :param end: when the verification's time ends.
        """
        at, unseen = self.over(end) + self.lag.wait, self.patience.unseen
        if unseen and not self.lag_of_errors_is_known:
            # What the release logged first has had time enough; so have later phases of the same release.
            at = max(at, min(end, (self.patience.released or self.since) + unseen) + unseen)
        return at

    @property
    @abc.abstractmethod
    def lag_of_errors_is_known(self) -> bool:
        """Whether errors of the canary were seen to come, so that their lag is no other than is known."""

    def due(self, end: datetime) -> datetime:
        """When everything is to be read once more, to conclude.

        :param end: when the verification's time ends.
        """
        return max(self.complete_at(end), min(self._again_at, self.over(end) + self._bound))

    def forgive(self) -> None:
        """Start its budget of errors again."""
        self.failures, self.refused = 0, False

    @property
    def cheap(self) -> timedelta:
        """How much can be read again at every look without asking for more than a page of records."""
        rows, read = self.rows, self.cursor - self.since
        return read * min(1.0, CHEAP_ROWS / rows) if rows else read

    @property
    @abc.abstractmethod
    def rows(self) -> int:
        """How many rows were read of the watched time, each once."""

    @property
    def earliest(self) -> datetime:
        """The earliest time that can be read again."""
        return self.since

    def aligned(self, moment: datetime) -> datetime:
        """The last moment, not after this one, at which a read can begin.

        :param moment: from where to read.
        """
        return moment

    def over(self, end: datetime) -> datetime:
        """When everything that is read of the watched time is over.

        :param end: when the verification's time ends.
        """
        return end

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
    def read(self, window: Window, now: datetime, *, whole: bool) -> None:
        """Read a window of the verification's own time, parts of which may have been read before.

        :param window: what to read.
        :param now: the present time.
        :param whole: whether it is the whole time, because everything should have come.
        """

    @abc.abstractmethod
    def stalled_since(self, end: datetime) -> datetime | None:
        """The time of the newest data when the source seems to have stopped there; None while it goes on.

        :param end: when the verification's time ends.
        """

    def note(self, sample: MetricSample | LogSample, window: Window) -> None:
        """Keep the sample's query and warnings.

        :param sample: that was just read.
        :param window: of which it was read.
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
            self.warn(warning, past=window.until <= self.since)

    @property
    def notes(self) -> list[str]:
        """What a reader of the report should know of how this source was read, as it stands now."""
        seen = self.lag.seen
        return [f"{self.name}: {seen.words}"] if seen.late or seen.longest > self.lag.guess.total_seconds() else []

    def warn(self, text: str, *, past: bool = False) -> None:
        """Keep a warning, once: of the time before where it is of that alone.

        :param text: of the warning, without the name of the source.
        :param past: whether it is of the time before the deployment; False by default.
        """
        warning, of_the_past = f"{self.name}: {text}", f"{self.name}, of the time before: {text}"
        if warning in self.warnings:
            return
        if of_the_past not in self.warnings:
            self.warnings.append(of_the_past if past else warning)
        elif not past:
            self.warnings[self.warnings.index(of_the_past)] = warning


def advance_all(readers: Sequence[Reader], now: datetime, end: datetime, *, longest: float = LONGEST_READ) -> None:
    """Read every source of which not everything has come, all at once.

    One that does not answer in time is given up: nothing may keep a canary from its verdict.

    :param readers: of all sources.
    :param now: the present time.
    :param end: when the verification's time ends.
    :param longest: seconds after which a read that has not ended never will.
    """
    waiting = [reader for reader in readers if not reader.complete(end) and not reader.hangs]
    raised: list[BaseException] = []

    def advance(reader: Reader) -> None:
        try:
            reader.advance(now, end)
        except BaseException as error:  # noqa: BLE001 - an end of the process is the caller's
            raised.append(error)

    # A pool would wait for a read that hangs, at the latest when this process is to end.
    threads = [threading.Thread(target=advance, args=(reader,), name="source", daemon=True) for reader in waiting]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + longest
    for reader, thread in zip(waiting, threads, strict=True):
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            reader.give_up(f"it has not answered for {longest:.0f} s")
    if raised:
        raise raised[0]
