"""The time of a line of a log file, as an instant: stamps without a year or a zone get those that are meant.

When summer time ends a clock shows an hour twice. Which of the two is meant is told by the order of lines: once they go
back by about that hour, it is the second.
"""

from __future__ import annotations

import functools
import re
from datetime import datetime, timedelta, timezone, tzinfo

from airflow_cd.sources.stamps import Stamps
from airflow_cd.verification.logs.headers.moments import stated, time_in

_LONGEST = 600  # characters in which a stamp is looked for
_YEARLESS = datetime(2001, 1, 1, tzinfo=timezone.utc).timestamp()  # what has no year gets 2000
_ZONED = re.compile(r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})? ?(?:Z|[+-]\d\d:?\d\d)(?!\d)")
_LEADING = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)(?!\d)"
)  # what most lines begin with
_EPOCH = re.compile(r"(?<!\d)1\d{9}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?(?!\d)")


_BACK = timedelta(
    minutes=10
)  # by more than this no line is earlier than the one before it, unless clocks were set back
_LATE = timedelta(minutes=1)  # by which a line may still be of the first time, once there were some of the second


class Clock(Stamps):
    """Reads the times of lines.

    :param zone: of stamps that say none.
    :param now: the present time, which gives stamps their year that have none.
    """

    def __init__(self, zone: tzinfo, now: datetime) -> None:
        self._zone = zone
        self._now = now

    def of(self, line: str) -> datetime | None:
        """When a line was written, the first time where the clock shows it twice; None where it does not say.

        :param line: as it stands in the file.
        """
        return self.both(line)[0]

    def in_order(self, *, second: bool) -> Stamps:
        """As of :class:`Stamps`.

        :param second: whether the first line is of the second time that the clock shows it.
        """
        return _InOrder(self, second=second)

    def certain(self, moment: datetime) -> datetime:
        """As of :class:`Stamps`.

        :param moment: that is not exceeded.
        """
        while _set_back(self._zone, _minute(moment.astimezone(self._zone))):
            moment -= timedelta(minutes=1)
        return moment

    def both(self, line: str) -> tuple[datetime | None, datetime | None]:
        """When a line was written: as the clock shows it the first time, and the second; most times it shows once.

        :param line: as it stands in the file.
        """
        moment, local = self._read(line)
        if moment is None or local is None:
            return moment, moment
        return moment, moment + _set_back(self._zone, _minute(local))

    def _read(self, line: str) -> tuple[datetime | None, datetime | None]:
        """When a line was written, and what the clock of the zone showed, where the line does not say the zone."""
        if (leading := _LEADING.match(line)) is not None:
            second = _second(leading[1] + leading[3])
            return None if second is None else _instant(second + float(f"0.{leading[2] or 0}")), None
        head = stated(line) or line[:_LONGEST]
        seconds = time_in(head)
        if seconds is None:
            return None, None
        if self._is_epoch(head, seconds) or _ZONED.search(head):
            return _instant(seconds), None
        local = datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)
        if seconds < _YEARLESS:
            local = self._with_year(local)
        try:
            return local.replace(tzinfo=self._zone).astimezone(timezone.utc), local
        except (OverflowError, ValueError):
            return None, None

    def _is_epoch(self, head: str, seconds: float) -> bool:
        return any(found[0].startswith(str(int(seconds))) for found in _EPOCH.finditer(head))

    def _with_year(self, local: datetime) -> datetime:
        """The last year in which it was not in the future."""
        latest = self._now.replace(tzinfo=None) + timedelta(days=1)
        for year in (latest.year, latest.year - 1):
            try:
                dated = local.replace(year=year)
            except ValueError:  # 29 February
                continue
            if dated <= latest:
                return dated
        return local


class _InOrder(Stamps):
    """Reads the times of lines in their order."""

    def __init__(self, clock: Clock, *, second: bool) -> None:
        self._clock = clock
        self._is_second = second
        self._last: datetime | None = None

    def of(self, line: str) -> datetime | None:
        """When the next line was written; None where it does not say.

        :param line: as it stands in the file.
        """
        first, second = self._clock.both(line)
        if first is None or second is None:
            return None
        found = first
        if first != second:
            if self._last is not None and first + _BACK < self._last <= second + _BACK:
                self._is_second = True
            if self._is_second and (self._last is None or first < self._last - _LATE):
                found = second
        self._last = found
        return found


def _minute(local: datetime) -> datetime:
    return local.replace(second=0, microsecond=0, tzinfo=None, fold=0)


@functools.lru_cache(maxsize=4096)
def _set_back(zone: tzinfo, minute: datetime) -> timedelta:
    """By how much later a clock shows the same again; zero for most minutes, which it shows once."""
    first, second = (minute.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0) for fold in (0, 1))
    return max(first - second, timedelta(0))


@functools.lru_cache(maxsize=4096)
def _second(stamp: str) -> float | None:
    """The second of a stamp with its zone: many lines are of the same."""
    return time_in(stamp)


def _instant(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return None
