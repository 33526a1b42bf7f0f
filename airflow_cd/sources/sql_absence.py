"""Why a query of a database returns nothing of some instances: unknown ones, a column in local time, or no row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from airflow_cd.sources.absence import unknown_instances
from airflow_cd.verification.samples import Window

Look: TypeAlias = "Callable[[datetime, datetime, Sequence[str] | None, int | None], Iterable[tuple[str, Any]]]"
"""Reads instance and time of the rows between two times: of all instances, or of some (None for all), and so many of
them at the most (None for all)."""

_HOUR = timedelta(hours=1)
_STEP = timedelta(minutes=30)  # some zones lie half an hour off
_FARTHEST = 28  # steps
_MOST_LISTED = 10_000


def explained(look: Look, window: Window, silent: Sequence[str]) -> Iterator[str]:
    """What is said of instances without a row.

    :param look: at the rows.
    :param window: that was read.
    :param silent: names of those instances.
    """
    since = window.since - _HOUR
    there = {instance for instance, _ in look(since, window.until, silent, None)}
    unknown = [name for name in silent if name not in there]
    if not unknown:
        # Who is asked in a zone further east than the column's has rows in the hour before, and none since.
        if not any(True for _ in look(window.since, window.until, None, 1)):
            yield from _in_another_zone(look, window)
        return
    known = there | {instance for instance, _ in look(since, window.until, None, _MOST_LISTED)}
    if known:
        yield from unknown_instances(unknown, sorted(known), "the column instance, in the hour before,")
    else:
        yield next(
            _in_another_zone(look, window), "There is no row in the window and in the hour before, of any instance."
        )


def _in_another_zone(look: Look, window: Window) -> Iterator[str]:
    if off := _offset(look, window):
        hours = "an hour" if abs(off) == _HOUR else f"{abs(off) / _HOUR:g} hours"
        direction = "later" if off > timedelta(0) else "earlier"
        yield (
            f"There is no row in the window, and there are some {hours} {direction}: "
            "where the column time holds local time, name its zone as zone."
        )


def _offset(look: Look, window: Window) -> timedelta | None:
    """By how much the newest rows lie off the window, where that is what a time zone is off."""

    def any_row(since: datetime, until: datetime) -> bool:
        # A time with a zone cannot be taken for another one.
        return any(_is_naive(time) for _, time in look(since, until, None, 1)) if since < until else False

    reach = _FARTHEST * _STEP
    if any_row(window.until, window.until + reach):
        for steps in range(_FARTHEST, 0, -1):
            if any_row(window.since + steps * _STEP, window.until + steps * _STEP):
                return steps * _STEP
        return None
    if not any_row(window.since - reach, window.since):
        return None
    for steps in range(1, _FARTHEST + 1):
        off = -steps * _STEP
        if any_row(window.since + off, window.until + off):
            # What has been quiet for some time has rows anywhere before.
            return None if any_row(window.until + off, window.since) else off
    return None


def _is_naive(time: Any) -> bool:
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time.replace("Z", "+00:00"))
        except ValueError:
            return False
    return isinstance(time, datetime) and time.tzinfo is None
