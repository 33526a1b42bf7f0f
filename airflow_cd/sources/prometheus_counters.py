"""What is asked of a counter in PromQL: by how much it has grown, and what is known of series that have appeared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from airflow_cd.durations import format_duration

PART = "airflow_cd_part"
"""The label that says which part of an answer a series belongs to."""
GROWN, NEW = "grown", "new"
BACK, FRESH, OLD, LIVING, AGED = "back", "fresh", "old", "living", "aged"
HEARD, HEARD_NEW = "heard", "heard new"

_LOOKBACK, _MISSED = timedelta(minutes=5), timedelta(hours=1)
_ENDED = 4  # buckets within which a series that another one continues was heard of last


@dataclass(frozen=True)
class Counter:
    """A counter of some instances.

    :param selected: the selector of its series.
    :param label: that holds the instances.
    :param by: labels that it is summed by, the first of them among them.
    :param width: of a bucket.
    :param part: function that takes it out of a native histogram; ``""`` for a counter of its own.
    :param ends: whether it is the buckets of a classic histogram.
    """

    selected: str
    label: str
    by: str
    width: timedelta
    part: str = ""
    ends: bool = False

    @property
    def growth(self) -> str:
        """The growth of series that were there before, and what those hold that have appeared."""
        now, before = self._now, self._before
        fell = f"(({now} < {before}) or resets({self.selected}[{_text(self.width)}]) > 0)"
        # Not `>= 0`: what is no number stays none, and is not taken for a counter that began again.
        same = f"((({now} - {before}) unless {fell}) or ({now} and {before}))"
        return self._parts(((GROWN, f"sum by ({self.by}) ({same})"), (NEW, f"sum by ({self.by}) ({self._recent})")))

    @property
    def appearance(self) -> str:
        """Of series that have appeared, what they have counted since they were there last, and what they hold else.

        And what series hold that were there just before, which of them go on, when both were heard of last, and whose
        there were at all by then.
        """
        missed = max(_MISSED, 2 * self._looked)
        recent, earlier = self._recent, self._over(missed, self.width)
        back = f"((({recent} - {earlier}) unless ({recent} < {earlier})) or ({recent} and {earlier}))"
        old = f"({self._over(_ENDED * self.width)} and {self._before})"
        # Whether it is there, whatever an old version makes of a native histogram over a range.
        there = f"last_over_time({self.selected}[{_text(self.width)}])"
        living = f"({there} and last_over_time({self.selected}[{_text(self._looked)}]{self._ago(2)}))"
        aged = f"last_over_time({self.selected}[{_text(self._looked)}] offset {_text(missed)})"
        return self._parts(
            (
                (BACK, f"sum by ({self.by}) ({back})"),
                (FRESH, f"sum by ({self.by}) ({recent} unless {earlier})"),
                (OLD, f"sum by ({self.by}) ({old})"),
                (LIVING, f"count by ({self.by}) ({living})"),
                (AGED, f"count by ({self.by}) ({aged})"),
                (HEARD, f"max by ({self.by}) (timestamp({self.selected}) and {self._before})"),
                (HEARD_NEW, f"max by ({self.by}) (timestamp({self.selected}) and {recent})"),
            )
        )

    @property
    def _looked(self) -> timedelta:
        return max(_LOOKBACK, 2 * self.width)

    @property
    def _now(self) -> str:
        if self.part:
            # Over a range, old versions take a native histogram for the number 0.
            return f"{self.part}({self.selected})"
        # Ends of buckets that a process before has had, and no process has any more, are none of what it measures.
        return self.selected if self.ends else f"last_over_time({self.selected}[{_text(self._looked)}])"

    @property
    def _before(self) -> str:
        if self.part:
            return f"{self.part}({self.selected}{self._ago(1)})"
        return f"last_over_time({self.selected}[{_text(self._looked)}]{self._ago(1)})"

    @property
    def _recent(self) -> str:
        return f"({self._now} unless {self._before})"

    def _over(self, length: timedelta, ago: timedelta = timedelta(0)) -> str:
        """What it held last within a time."""
        offset = f" offset {_text(ago)}" if ago else ""
        if self.part:
            return f"last_over_time({self.part}({self.selected})[{_text(length)}:{_text(self.width)}]{offset})"
        return f"last_over_time({self.selected}[{_text(length)}]{offset})"

    def _ago(self, buckets: int) -> str:
        return f" offset {_text(buckets * self.width)}"

    def _parts(self, parts: Iterable[tuple[str, str]]) -> str:
        return " or ".join(f'label_replace({query}, "{PART}", "{kind}", "{self.label}", ".*")' for kind, query in parts)


def _text(length: timedelta) -> str:
    """A duration as PromQL writes it."""
    return format_duration(length)
