"""Reading a window whole that holds more log records than its source hands out at once: in parts, the oldest first."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_cd.verification.samples import LogSample, LogSource, Window

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
        sample = source.read(part, names)
        cut = getattr(sample, "cut", False)  # what is no sample of logs is found out by who asked
        if cut and number < MOST_PARTS and part.length >= timedelta(seconds=2 * _SHORTEST):
            smaller = _divided(part, sample.frame)
            number += len(smaller) - 1
            waiting += smaller[::-1]
        else:
            yield part, sample


def _divided(window: Window, read: pd.DataFrame) -> list[Window]:
    """Parts of a second or more, each of which one read may hold.

    :param window: of two seconds or more.
    :param read: what one read has handed out of it: how long a time that is of says how many parts it takes.
    """
    seconds = window.length.total_seconds()
    span = (read["time"].max() - read["time"].min()).total_seconds() if len(read) else 0.0
    number = math.ceil(seconds / (_FILLED * span)) if span > 0 else MOST_PARTS
    number = max(2, min(number, MOST_PARTS, int(seconds / _SHORTEST)))
    ends = [window.since + window.length * place / number for place in range(number)] + [window.until]
    return [Window(since, until) for since, until in itertools.pairwise(ends)]
