"""Which part of the watched time to read again at a look, and whether a source has stopped.

Reading everything at every look would cost the square of its length, where it is more than a page of records. So every
second look reaches back twice as far as
the one before, every fourth four times, and so on, as on a ruler: what comes late is found before its age has tripled,
and each record is read as often as the length of the watch has binary digits, at most. Once records were seen to come
late, every look reaches back over that lag.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_cd.verification.lag import Lag
from airflow_cd.verification.samples import Window

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_READS_KEPT = 1000
_LONGER = 3.0  # times the longest silence seen before is a silence that needs a reason
_LEAST_SILENCE = timedelta(seconds=5)
_LEAST_KNOWN, _KNOWN_SHARE = timedelta(seconds=10), 0.2  # how long, and what share of the silence, must be known


class Pace:
    """The reads of one source so far, and how far back the next one reaches."""

    def __init__(self) -> None:
        self._number = 0
        self._step = timedelta(0)
        self._reads: list[tuple[Window, datetime]] = []

    def begin(self, now: datetime, cursor: datetime, until: datetime, lag: Lag, cheap: timedelta) -> datetime:
        """Where the next read begins.

        :param now: the present time.
        :param cursor: up to when was read.
        :param until: up to when will be read.
        :param lag: the source's lag, as far as it is known.
        :param cheap: how much can be read again without another page of records.
        """
        step = until - cursor or self._step
        number = self._number + 1
        begin = min(until - step * (number & -number), cursor - cheap)
        if lag.reach > lag.behind:
            # Whatever was not older than that at the look before may have come since.
            begin = min(begin, now - min(lag.reach, lag.most) - step)
        return min(cursor, begin)

    def note(self, window: Window, at: datetime, step: timedelta) -> None:
        """Keep that a window was read.

        :param window: what was read.
        :param at: when.
        :param step: how much of it was read for the first time.
        """
        self._number += 1
        self._step = step or self._step
        self._reads = [*self._reads, (window, at)][-_READS_KEPT:]

    def last_reads(self, seconds: np.ndarray) -> np.ndarray:
        """When each moment was last read, NaN where it never was; in seconds since 1970.

        :param seconds: moments of the watched time, in seconds since 1970.
        """
        import numpy as np

        last = np.full(len(seconds), np.nan)
        for window, at in self._reads:
            inside = (seconds >= window.since.timestamp()) & (seconds < window.until.timestamp())
            last[inside] = at.timestamp()
        return last


@dataclass(frozen=True)
class Rhythm:
    """How regularly a source had something over a window.

    :param window: the window.
    :param newest: when it last had something; the start of the window when never.
    :param longest_silence: the longest time without anything, up to ``newest``; the whole window when it had nothing.
    """

    window: Window
    newest: datetime
    longest_silence: timedelta

    @classmethod
    def of(cls, rows: pd.DataFrame | None, window: Window, bucket: timedelta | None = None) -> Rhythm:
        """The rhythm of rows.

        :param rows: with a column ``time``; None for none.
        :param window: what was read.
        :param bucket: how long a row lasts; a moment by default.
        """
        import pandas as pd

        if rows is None or not len(rows):
            return cls(window, window.since, window.length)
        times = pd.to_datetime(rows["time"], utc=True).drop_duplicates().sort_values()
        width = bucket or timedelta(0)
        first, last = times.iloc[0].to_pydatetime(warn=False), times.iloc[-1].to_pydatetime(warn=False)
        gaps = times.diff().max()
        between = timedelta(0) if pd.isna(gaps) else gaps.to_pytimedelta() - width
        return cls(window, min(last + width, window.until), max(between, first - window.since, timedelta(0)))


def is_stalled(rhythm: Rhythm, past: Rhythm | None) -> datetime | None:
    """Since when a source has had nothing, where that silence is longer than any before; None where it is not.

    :param rhythm: of the watched time.
    :param past: of the time before; None when it was not read.
    """
    silence = rhythm.window.until - rhythm.newest
    if silence < _LEAST_SILENCE:
        return None
    known, usual = rhythm.newest - rhythm.window.since, rhythm.longest_silence
    if rhythm.newest == rhythm.window.since:
        known, usual = timedelta(0), timedelta(0)
    if past is not None:
        known += past.window.length
        usual = max(usual, past.longest_silence, past.window.until - past.newest)
    if known < max(_LEAST_KNOWN, silence * _KNOWN_SHARE) or silence < usual * _LONGER:
        return None
    return rhythm.newest
