"""Lines of logs that are written to files: by time, each once, whatever rotation calls the files now."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from airflow_cd.sources.log_files import DISORDER, LogFile, Portion, files_of, hours_off, portions_of
from airflow_cd.sources.stamps import Stamps
from airflow_cd.verification.samples import Window

MOST_BYTES = 64 * 1024 * 1024
"""Of the lines of one read, of all logs together."""


@dataclass
class Lines:
    """What was found of some logs.

    :param rows: time, log and text of each line in the window, the oldest first.
    :param unread: by log, lines of which nobody knows when they were written; only where there are some.
    :param cut: whether there was more than is read at a time.
    :param whole_until: where it is cut, up to when all lines are there; None where that is not known.
    :param off: by log, hours by which stamps without a zone differ from when a file was written; only where they do.
    """

    rows: list[tuple[datetime, str, str]] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)
    cut: bool = False
    whole_until: datetime | None = None
    off: dict[str, float] = field(default_factory=dict)


def lines_of(
    logs: Mapping[str, Iterable[Path]],
    window: Window,
    clock: Stamps,
    now: datetime,
    *,
    most: int = MOST_BYTES,
    newest: bool = False,
) -> Lines:
    """The lines of some logs in a window, the oldest first until there are too many.

    The files are merged by their times, portion by portion, so that no more is in memory than is returned, and a cut
    is at one moment for all logs.

    :param logs: by the name of a log, the paths of its files, rotated ones among them.
    :param window: half-open.
    :param clock: reads the times of lines.
    :param now: the present time.
    :param most: bytes of lines that are returned, about.
    :param newest: whether the newest lines are kept where there are too many; the oldest by default.
    :raises OSError: a file cannot be read.
    """
    found, fruitful = Lines(), set[int]()
    files = [(name, file) for name, paths in logs.items() for file in files_of(paths, window, clock)]
    rows: deque[tuple[datetime, str, str, int]] = deque()
    taken = 0
    with ExitStack() as open_files:
        heap: list[tuple[datetime, int, Portion | None, Iterator[Portion]]] = []
        for number, (_, file) in enumerate(files):
            portions = open_files.enter_context(closing(portions_of(file, window, clock, now)))
            begins = file.begins or window.since
            # A file is opened when its turn comes: there may be many.
            if begins < window.until + DISORDER:
                heap.append((begins, number, None, portions))
        heapq.heapify(heap)
        while heap:
            _, number, portion, portions = heapq.heappop(heap)
            if portion is not None:
                name = files[number][0]
                rows.extend((moment, name, text, len(text)) for moment, text in portion.rows)
                taken += portion.size
                if portion.rows:
                    fruitful.add(number)
                if portion.unread:
                    found.unread[name] += portion.unread
            if (following := next(portions, None)) is not None:
                heapq.heappush(heap, (following.at, number, following, portions))
            while newest and taken > most and rows:
                taken, found.cut = taken - rows.popleft()[3] - 1, True
            if taken > most and heap and heap[0][0] - DISORDER < window.until:
                found.cut, found.whole_until = True, _after(window, heap[0][0] - DISORDER)
                break
    until = found.whole_until or window.until
    # What is of one moment stays in the order of the files.
    found.rows = sorted((row[:3] for row in rows if row[0] < until), key=lambda row: row[0])
    if not found.cut:
        found.off = dict(_off(itertools.compress(files, (n not in fruitful for n in range(len(files)))), clock))
    return found


def _after(window: Window, moment: datetime) -> datetime | None:
    return moment if moment > window.since else None


def _off(files: Iterable[tuple[str, LogFile]], clock: Stamps) -> Iterator[tuple[str, float]]:
    for name, file in files:
        if off := hours_off(file, clock):
            yield name, off
