"""Times of a database's column that say no zone, as instants: a clock that is set back shows an hour of them twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from airflow_cd.verification.samples import Window

_AHEAD = timedelta(minutes=1)  # by which the database's clock may be


@dataclass
class Placed:
    """Rows by whether their times say when they are of.

    :param rows: of which that is known.
    :param twice: how many others there are that may be of the window: the clock shows their time twice.
    :param example: the time of one of those as the column has it; None without any.
    """

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    twice: int = 0
    example: Any = None


@dataclass(frozen=True)
class LocalTimes:
    """Times as a column has them that says no zone.

    :param zone: that they are of.
    """

    zone: tzinfo

    def bounds(self, window: Window) -> tuple[datetime, datetime]:
        """Between which times the column holds all of a window, whichever of two such times is meant.

        :param window: half-open, aware.
        """
        offsets = [
            moment.astimezone(self.zone).replace(fold=fold).utcoffset() or timedelta(0)
            for moment in (window.since, window.until)
            for fold in (0, 1)
        ]
        since, until = (moment.astimezone(timezone.utc).replace(tzinfo=None) for moment in (window.since, window.until))
        return since + min(offsets), until + max(offsets)

    def is_set_back(self, window: Window) -> bool:
        """Whether a clock is set back in or about a window, so that its bounds hold more than it does.

        :param window: half-open, aware.
        """
        since, until = self.bounds(window)
        return until - since > window.length

    def instant(self, value: Any) -> datetime | None:
        """When something was, the first time where the clock shows it twice; None where it is no time.

        :param value: of the column.
        """
        return next(iter(self._readings(value)), None)

    def placed(self, rows: Sequence[Mapping[str, Any]], window: Window, now: datetime) -> Placed:
        """Rows of a query that was asked for the bounds of a window.

        :param rows: with the column ``time``.
        :param window: half-open, aware.
        :param now: the present time; what is to come is not meant.
        """
        found = Placed()
        holds_more = self.is_set_back(window)
        for row in rows:
            readings = self._readings(row["time"])
            meant = readings if len(readings) < 2 or readings[1] <= now + _AHEAD else readings[:1]
            is_inside = any(window.since <= moment < window.until for moment in meant)
            if len(meant) > 1:
                found.twice += is_inside
                found.example = row["time"] if is_inside else found.example
            elif is_inside or not meant or not holds_more:
                found.rows.append(row)
        return found

    def _readings(self, value: Any) -> list[datetime]:
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value.replace("Z", "+00:00"))
            except ValueError:
                return []
        if not isinstance(value, datetime):
            return []
        if value.tzinfo is not None:
            return [value.astimezone(timezone.utc)]
        first, second = (value.replace(tzinfo=self.zone, fold=fold).astimezone(timezone.utc) for fold in (0, 1))
        return [first, second] if first < second else [first]  # what is skipped is shown by none, and read as before
