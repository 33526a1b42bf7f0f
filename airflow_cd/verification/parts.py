"""Reading a window whole that holds more log records than its source hands out at once: in parts, the oldest first."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_cd.verification.samples import LogSample, LogSource, Window
from airflow_cd.verification.throttled_reading import read_sample

if TYPE_CHECKING:
    import pandas as pd

MOST_PARTS = 32
"""Of one window. What still holds too much is taken as it is."""

_SHORTEST = 1.0  # seconds of a part
_FILLED = 0.8  # how full a part is made, by what was read of the whole


def samples_of(source: LogSource, window: Window, names: Sequence[str]) -> Iterator[tuple[Window, LogSample]]:
    """The parts of a window with what was read of each, the oldest first.

    :param source: of the records.
    :param window: to be read.
    :param names: of the instances.
    """
    waiting, number = [window], 1
    while waiting:
        part = waiting.pop()
        sample = read_sample(source.read, part, names)
        cut = getattr(sample, "cut", False)  # what is no sample of logs is found out by who asked
        until = sample.whole_until if cut else None
        if until is not None and _reaches(part, until, MOST_PARTS - number):
            number += 1
            waiting.append(Window(until, part.until))
            # It is whole as far as it goes.
            yield Window(part.since, until), replace(sample, cut=False, truncated=False)
        elif cut and number < MOST_PARTS and part.length >= timedelta(seconds=2 * _SHORTEST):
            # Half of the parts that are left are kept for where records are denser than in what was read.
            smaller = _divided(part, sample.frame, max(2, (MOST_PARTS - number + 1) // 2))
            number += len(smaller) - 1
            waiting += smaller[::-1]
        else:
            yield part, sample


def _reaches(part: Window, until: datetime, left: int) -> bool:
    """Whether reading on from here would read the part whole; else some of all of it says more than all of some.

    :param part: that was read to be cut.
    :param until: up to when it was read.
    :param left: how many further reads there may be.
    """
    step = until - part.since
    return step >= timedelta(seconds=_SHORTEST) and part.length <= step * (1 + left * _FILLED)


def _divided(window: Window, read: pd.DataFrame, most: int) -> list[Window]:
    """Parts of a second or more, each of which one read may hold.

    :param window: of two seconds or more.
    :param read: what one read has handed out of it: how long a time that is of says how many parts it takes.
    :param most: parts, two or more.
    """
    seconds = window.length.total_seconds()
    span = (read["time"].max() - read["time"].min()).total_seconds() if len(read) else 0.0
    number = math.ceil(seconds / (_FILLED * span)) if span > 0 else most
    number = max(2, min(number, most, int(seconds / _SHORTEST)))
    ends = [window.since + window.length * place / number for place in range(number)] + [window.until]
    return [Window(since, until) for since, until in itertools.pairwise(ends)]
