"""Buckets of metrics: the same ones whatever window asks for them, so that no seam between windows is seen in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from airflow_cd.verification.samples import Window

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Buckets:
    """The buckets that begin in a window and are over.

    They begin at multiples of their width since 1970, wherever the window begins.

    :param first: when the first one begins.
    :param width: of each.
    :param number: how many there are, perhaps none.
    """

    first: datetime
    width: timedelta
    number: int

    @classmethod
    def of(cls, window: Window, width: timedelta, newest: datetime) -> Buckets:
        """The buckets of a window.

        :param window: half-open.
        :param width: of a bucket.
        :param newest: none that ends later than this; it is not over yet.
        """
        first = _EPOCH - (_EPOCH - window.since) // width * width
        number = -((first - window.until) // width) if first < window.until else 0
        over = max(0, (newest - first) // width)
        return cls(first, width, min(number, over))

    @property
    def seconds(self) -> float:
        """The width in seconds."""
        return self.width.total_seconds()

    @property
    def until(self) -> datetime:
        """The end of the last one."""
        return self.first + self.number * self.width

    def start(self, number: int) -> datetime:
        """When one begins.

        :param number: which, from 0.
        """
        return self.first + number * self.width

    def number_of(self, end: float) -> int:
        """Which bucket ends at a time.

        :param end: in seconds since 1970.
        """
        return round((end - self.first.timestamp()) / self.seconds) - 1


def utc_now() -> datetime:
    """The present time."""
    return datetime.now(timezone.utc)
