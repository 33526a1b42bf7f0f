"""The time of a line of a log file, as an instant: stamps without a year or a zone get those that are meant."""

from __future__ import annotations

import functools
import re
from datetime import datetime, timedelta, timezone, tzinfo

from airflow_cd.verification.logs.headers.moments import stated, time_in

_LONGEST = 600  # characters in which a stamp is looked for
_YEARLESS = datetime(2001, 1, 1, tzinfo=timezone.utc).timestamp()  # what has no year gets 2000
_ZONED = re.compile(r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})? ?(?:Z|[+-]\d\d:?\d\d)(?!\d)")
_LEADING = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(Z|[+-]\d\d:?\d\d)(?!\d)"
)  # what most lines begin with
_EPOCH = re.compile(r"(?<!\d)1\d{9}(?:\d{3}|\d{6}|\d{9})?(?:\.\d+)?(?!\d)")


class Clock:
    """Reads the times of lines.

    :param zone: of stamps that say none.
    :param now: the present time, which gives stamps their year that have none.
    """

    def __init__(self, zone: tzinfo, now: datetime) -> None:
        self._zone = zone
        self._now = now

    def of(self, line: str) -> datetime | None:
        """When a line was written; None where it does not say.

        :param line: as it stands in the file.
        """
        if (leading := _LEADING.match(line)) is not None:
            second = _second(leading[1] + leading[3])
            return None if second is None else _instant(second + float(f"0.{leading[2] or 0}"))
        head = stated(line) or line[:_LONGEST]
        seconds = time_in(head)
        if seconds is None:
            return None
        if self._is_epoch(head, seconds) or _ZONED.search(head):
            return _instant(seconds)
        local = datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)
        if seconds < _YEARLESS:
            local = self._with_year(local)
        try:
            return local.replace(tzinfo=self._zone).astimezone(timezone.utc)
        except (OverflowError, ValueError):
            return None

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


@functools.lru_cache(maxsize=4096)
def _second(stamp: str) -> float | None:
    """The second of a stamp with its zone: many lines are of the same."""
    return time_in(stamp)


def _instant(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return None
