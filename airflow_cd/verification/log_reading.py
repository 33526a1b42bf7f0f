"""Reading a log source: every record once, however late it comes and however often its window is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.counted import Counted, identities_of
from airflow_cd.verification.coverage import Coverage, Unread
from airflow_cd.verification.late_records import beyond, completed
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.pace import Rhythm, is_stalled
from airflow_cd.verification.parts import samples_of
from airflow_cd.verification.per_instance import SEVERE, Activity
from airflow_cd.verification.reading import Instances, Patience, Reader
from airflow_cd.verification.samples import LogSource, Window
from airflow_cd.verification.seams import still_open
from airflow_cd.verification.times import iso_time, milliseconds_of
from airflow_cd.verification.verdict import SEVERITIES

if TYPE_CHECKING:
    import pandas as pd

_GOES_ON_WITHIN = timedelta(seconds=1)
"""The lines of a record are written within it: what is older is whole, and a crash is not waited with."""
_LONGEST_RECORD = timedelta(seconds=10)
"""What is written for longer is no record of several lines, and is counted as it stands."""
_INDEXED_WITHIN = 1.0  # seconds that a record may need to be found once its source has it


@dataclass(frozen=True)
class Earlier:
    """An earlier phase of the same deployment, whose late records still count.

    :param name: of the phase.
    :param window: the time that it was watched for.
    :param canary: names of its canary instances.
    :param counted: by the name of a log source, what it has counted of them.
    :param starts: as of :class:`~airflow_cd.verification.reading.Instances`.
    """

    name: str
    window: Window
    canary: tuple[str, ...]
    counted: Mapping[str, LogProfile] = field(default_factory=dict)
    starts: Mapping[str, datetime] = field(default_factory=dict)


class LogReader(Reader):
    """A log source, kept as profiles.

    :ivar control: what the control logged so far.
    :ivar past: what all instances logged before the deployment.
    :ivar left_out: how many records under the name of a canary instance are of the release before.
    :ivar unassigned: the most records of one read that belong to none of the instances.
    :ivar times: for each instance the times of its first and last record so far, in milliseconds since 1970.

    :param source: the source; ``instances``, ``since`` and ``patience`` are as for
        :class:`~airflow_cd.verification.reading.Reader`.
    :param earlier: earlier phases of the same deployment, the first one first.
    """

    kind = "logs"
    columns = ("message",)

    def __init__(
        self,
        source: LogSource,
        instances: Instances,
        since: datetime,
        patience: Patience,
        *,
        earlier: Sequence[Earlier] = (),
    ) -> None:
        super().__init__(source, instances, since, patience)
        self.source = source
        self.control, self.past = LogProfile(), LogProfile()
        self.times: dict[str, tuple[int, int]] = {}
        self.left_out = 0
        self.unassigned = 0
        self._canary = LogProfile()
        self._earlier = [phase for phase in earlier if source.name in phase.counted]
        self._late = [LogProfile() for _ in self._earlier]
        self._looks = 0
        self._counted = Counted()
        self._coverage, self._rows = Coverage(), 0
        self._partly = False
        self._rhythm: Rhythm | None = None
        self._past_rhythm: Rhythm | None = None
        self._held: pd.DataFrame | None = None  # the last lines of a look, whose records may go on
        self._waited = self._waiting = np.empty(0, dtype=np.uint64)  # which they are, after this look and before it

    @property
    def canary(self) -> LogProfile:
        """What the canary logged so far, with what came late of the phases before this one."""
        return LogProfile.merge(self._canary, *self._late) if self._late else self._canary

    @property
    def own(self) -> LogProfile:
        """What the canary logged so far in the watched time alone."""
        return self._canary

    @property
    def completed(self) -> dict[str, LogProfile]:
        """By the name of an earlier phase, what its canary logged with what came late of it, where something did."""
        pairs = zip(self._earlier, self._late, strict=True)
        return {phase.name: completed(phase.counted[self.name], late) for phase, late in pairs if late.records}

    @property
    def sampled(self) -> bool:
        """Whether the source keeps a share of the records alone."""
        return float(getattr(self.source, "share", 1.0)) < 1.0

    @property
    def rows(self) -> int:
        """How many records were counted."""
        return len(self._counted)

    @property
    def earliest(self) -> datetime:
        """What is forgotten cannot be told apart, and is not read again."""
        forgotten = self._counted.forgotten_until(self.since)
        if forgotten is None:
            return self.since
        moment = datetime.fromtimestamp(forgotten, timezone.utc)
        self.warn("has more records than are told apart at a time: the oldest are not read again")
        return min(moment, self.cursor)

    @property
    def lag_of_errors_is_known(self) -> bool:
        """Whether the source says when it received an error of the canary's own hosts: what collects logs is there.

        Of a source that does not say it, nothing is known of a lag that is longer than the watch.
        """
        if not self.lag.reported:
            return False
        names = set(self.instances.canary)
        return any(
            (signature.severity in SEVERE or signature.traced) and not names.isdisjoint(tally.instances)
            for profile in (self._canary, self.past)
            for signature, tally in profile.tallies.items()
        )

    @property
    def notes(self) -> list[str]:
        """Also how many records are the release before's."""
        notes = super().notes
        if self.left_out:
            records = (
                "1 record of canary instances is"
                if self.left_out == 1
                else (f"{self.left_out} records of canary instances are")
            )
            notes.append(
                f"{self.name}: {records} left to the release before, whose process was still shutting down there."
            )
        if self.sampled:
            notes.append(f"{self.name}: it keeps a share of the records alone; nothing is said to have gone silent.")
        if self.unassigned:
            notes.append(f"{self.name}: {self.unassigned} records or more belong to none of the instances.")
        return notes

    def read_past(self) -> None:
        """Read all instances' records from before the deployment: rare but known events are in them."""
        window = self.instances.before
        if window is None:
            return
        names = self.instances.past
        profiles, times = [], []
        for frame in self._frames(window, names):
            self._learn_reported_lag(frame)
            profiles.append(self._profile(frame, 0.0))
            times.append(frame[["time"]].drop_duplicates())
        self.lag.forgive_longest()
        self._past_rhythm = Rhythm.of(_concatenated(times), window)
        self.past = LogProfile.merge(*profiles, _nothing_in(window.length.total_seconds() * len(names)))

    def read(self, window: Window, now: datetime, *, whole: bool) -> None:
        """Count what the window holds and was not counted before."""
        self._looks += 1
        if self._earlier and (whole or self._looks & (self._looks - 1) == 0):
            self._read_earlier()  # which may fail: then nothing of this read is counted, and all of it is read again
        # Of what is not whole yet more may come: only what is read later counts as read.
        settled = None if whole else now - self.lag.wait
        times, lost = [], self._coverage.lost
        self._waiting = self._waited
        if whole:
            self._partly = False  # what was left out at a look before may have been read by now
        for frame in self._frames(window, self.instances.all, settled=settled, watched=True):
            if whole:
                times.append(frame[["time"]].drop_duplicates())
            self._count(frame, now, lost)
        if whole:
            self._rhythm = Rhythm.of(_concatenated(times), window)
        fresh = Window(self.cursor, max(window.until, self.cursor))
        self._canary = LogProfile.merge(self._canary, _nothing_in(self._watched(fresh)))
        seconds = fresh.length.total_seconds() * len(self.instances.control)
        self.control = LogProfile.merge(self.control, _nothing_in(seconds))

    def _count(self, frame: pd.DataFrame, now: datetime, lost: Sequence[tuple[float, float]]) -> None:
        """Count what was not counted before: all of it, or nothing where that fails."""
        found = frame[self._counted.new(frame)]
        if len(found):
            self._learn_lag(found, now, lost, np.isin(self._counted.fresh, self._waiting))
        new = self._of_this_release(found, self.instances.starts)
        canary, control = (
            self._profile(new[new["instance"].isin(list(names))], 0.0)
            for names in (self.instances.canary, self.instances.control)
        )
        # Nothing may fail from here on: what is remembered and not counted would be lost.
        self._note_times(new)
        self.left_out += len(found) - len(new)
        self._rows += len(found)
        self._canary = LogProfile.merge(self._canary, canary)
        self.control = LogProfile.merge(self.control, control)
        self._counted.keep()

    @property
    def unread(self) -> Unread | None:
        """What no read of the watched time has held; None where everything was read."""
        found = self._coverage.unread(self.name, self.since.timestamp(), self.cursor.timestamp(), self._rows)
        return found or (Unread(self.name, 0, 0.0, known=False) if self._partly else None)

    def activity(self, names: Sequence[str]) -> dict[str, Activity]:
        """What each of these instances logged in the watched time.

        :param names: of canary or control instances.
        """
        counts, past = _by_instance([self._canary, self.control]), _by_instance([self.past])
        errors = _by_instance([self.past], SEVERE)
        length = self.instances.before.length.total_seconds() if self.instances.before is not None else 0.0
        found = {}
        for name in names:
            begin = max(self.since, self.instances.starts.get(name, self.since))
            seconds = max(0.0, (self.cursor - begin).total_seconds())
            last = self.times[name][1] if name in self.times else None
            before, failed = (
                (past.get(name, 0) / length, errors.get(name, 0) / length) if past and length else (None,) * 2
            )
            found[name] = Activity(counts.get(name, 0), seconds, last, before, failed)
        return found

    def _read_earlier(self) -> None:
        """Read the earlier phases again: what they have not counted came late."""
        for place, phase in enumerate(self._earlier):
            counted, profiles = Counted(), []
            for read in self._frames(phase.window, phase.canary):
                frame = self._of_this_release(read[counted.new(read)], phase.starts)
                counted.keep()
                profiles.append(self._profile(frame, 0.0))
            self._late[place] = beyond(LogProfile.merge(*profiles), phase.counted[self.name])

    def _watched(self, window: Window) -> float:
        """Seconds of a window that the canary's instances ran the new release, summed."""
        seconds = 0.0
        for name in self.instances.canary:
            begin = max(window.since, self.instances.starts.get(name, window.since))
            seconds += max(0.0, (window.until - begin).total_seconds())
        return seconds

    def _of_this_release(self, frame: pd.DataFrame, starts: Mapping[str, datetime]) -> pd.DataFrame:
        """Without what a canary instance logged before it ran the new release alone."""
        if not starts or not len(frame):
            return frame
        begins = frame["instance"].map({name: start.timestamp() * 1000 for name, start in starts.items()})
        kept = milliseconds_of(frame["time"]) >= begins.fillna(-np.inf).to_numpy(dtype=float)
        chosen: pd.DataFrame = frame[kept]
        return chosen

    def _note_times(self, frame: pd.DataFrame) -> None:
        if not len(frame):
            return
        found = frame.assign(ms=milliseconds_of(frame["time"])).groupby("instance")["ms"].agg(["min", "max"])
        for name, first, last in found.itertuples():
            known = self.times.get(name, (first, last))
            self.times[name] = (min(known[0], int(first)), max(known[1], int(last)))

    def _learn_reported_lag(self, frame: pd.DataFrame) -> None:
        lags, reported = _reported_lags(frame)
        names = frame["instance"].to_numpy(dtype=object)
        self.lag.add(list(names[reported]), lags[reported], reported=int(reported.sum()))

    def _learn_lag(
        self, new: pd.DataFrame, now: datetime, lost: Sequence[tuple[float, float]], waited: np.ndarray
    ) -> None:
        """Lags of records that were not counted before: the source's word, or what their coming late says.

        Which of them have ``waited`` for this look were there at the one before.
        """
        lags, reported = _reported_lags(new)
        times = milliseconds_of(new["time"]) / 1000
        read = self._pace.last_reads(times)
        for begin, end in lost:  # the read before has left them out: they may have been there
            read[(times >= begin) & (times < end)] = np.nan
        read[waited] = np.nan
        late = ~np.isnan(read)
        # What the source had by then and did not return needed longer than it says.
        missed = late & (~reported | (times + lags < read - _INDEXED_WITHIN))
        least = np.where(missed, np.maximum(lags, read - times), lags)
        most = np.where(missed, np.maximum(lags, now.timestamp() - times), lags)
        self.lag.add(list(new["instance"]), least, most, reported=int(reported.sum()), late=int(late.sum()))

    def stalled_since(self, end: datetime) -> datetime | None:
        """The time of the newest record when the records of all instances stopped there, as they never did before."""
        if self._rhythm is None:
            return None
        return is_stalled(self._rhythm, self._past_rhythm)

    def _frames(
        self,
        window: Window,
        names: Sequence[str],
        *,
        settled: datetime | None = None,
        watched: bool = False,
    ) -> Iterator[pd.DataFrame]:
        """What a window holds, part by part, the oldest first; no more than one part is in memory.

        :param window: to be read.
        :param names: of the instances.
        :param settled: until when nothing more comes; None, the default, for all of the window. Else the time behind it
            is read next, and a record that may go on there waits for that.
        :param watched: whether it is of the watched time; False by default.
        """
        held = self._held[self._held["time"] < window.since] if watched and self._held is not None else None
        for part, sample in samples_of(self.source, window, names):
            self.note(sample, part)
            self.unassigned = max(self.unassigned, sample.unassigned)
            if sample.truncated:
                self.warn(f"returned less than there is between {iso_time(part.since)} and {iso_time(part.until)}")
            self._partly |= watched and sample.truncated and not sample.cut
            if watched:
                self._coverage.note(part, sample, names, settled=settled)
            frame = sample.frame[sample.frame["instance"].isin(list(names))] if len(sample.frame) else sample.frame
            if held is not None and len(held):
                frame = _concatenated([held, frame])
            held = None
            if part.until < window.until or settled is not None:
                may = _still_written(frame, part.until) if part.until >= window.until else np.ones(len(frame), bool)
                waits = np.zeros(len(frame), dtype=bool)
                waits[may] = still_open(frame[may])
                held, frame = frame[waits], frame[~waits]
            yield frame
        if watched:
            self._held = held
            self._waited = identities_of(held) if held is not None and len(held) else self._waited[:0]

    def _profile(self, frame: pd.DataFrame, watched: float) -> LogProfile:
        profile = LogProfile.of(frame, watched=watched)
        for trouble, count in profile.troubles.items():
            if trouble != "empty":
                self.warn(f"{count} records were {trouble.replace('_', ' ')}")
        return profile


def _still_written(frame: pd.DataFrame, until: datetime) -> np.ndarray:
    """Which rows may be of a record that is being written: recent ones of instances with a line of the last moment."""
    recent: np.ndarray = (frame["time"] >= until - _LONGEST_RECORD).to_numpy(dtype=bool)
    fresh = frame["instance"][(frame["time"] >= until - _GOES_ON_WITHIN).to_numpy(dtype=bool)].unique()
    of_them: np.ndarray = frame["instance"].isin(fresh).to_numpy(dtype=bool)
    both: np.ndarray = recent & of_them
    return both


def _nothing_in(seconds: float) -> LogProfile:
    """Nothing, watched for some seconds."""
    return LogProfile(watched_ms=round(seconds * 1000))


def _concatenated(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    filled = [frame for frame in frames if len(frame)] or list(frames[:1])
    return filled[0] if len(filled) == 1 else pd.concat(filled, ignore_index=True)


def _reported_lags(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Seconds from each record's time to when its source received it, and which records have that; 0 for the others."""
    import pandas as pd

    if "received" not in frame.columns or not len(frame):
        return np.zeros(len(frame)), np.zeros(len(frame), dtype=bool)
    received = pd.to_datetime(frame["received"], utc=True, errors="coerce")
    seconds = (received - pd.to_datetime(frame["time"], utc=True)).dt.total_seconds().to_numpy(dtype=float)
    known = ~np.isnan(seconds)
    return np.where(known, np.maximum(seconds, 0.0), 0.0), known


def _by_instance(profiles: Sequence[LogProfile], severities: Sequence[str] = SEVERITIES) -> dict[str, int]:
    counts: dict[str, int] = {}
    for profile in profiles:
        for signature, tally in profile.tallies.items():
            if signature.severity not in severities:
                continue
            for name, count in tally.instances.items():
                counts[name] = counts.get(name, 0) + count
    return counts
