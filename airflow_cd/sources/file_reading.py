"""Lines of logs that are written to files: by time, each once, whatever rotation calls the files now."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from airflow_cd.sources.log_files import DISORDER, Portion, hours_off, portions_of
from airflow_cd.sources.log_listing import files_of
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
    :param missing_until: where the oldest were left out, the time up to which lines may be missing; None by default.
    :param damaged: files that are damaged or were cut off, of which what there is was read.
    :param off: by log, hours by which stamps differ from when a file was written, as they do in another time zone;
        only where they do. Those that are behind may also be of a log that is quiet.
    """

    rows: list[tuple[datetime, str, str]] = field(default_factory=list)
    unread: Counter[str] = field(default_factory=Counter)
    cut: bool = False
    whole_until: datetime | None = None
    missing_until: datetime | None = None
    damaged: list[Path] = field(default_factory=list)
    off: dict[str, float] = field(default_factory=dict)

    @property
    def damage(self) -> list[str]:
        """What is said of files that are damaged, a sentence each."""
        return [f"{path} is damaged or was cut off: only what there is of it was read." for path in self.damaged]


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
    rows: deque[tuple[datetime, str, str]] = deque()
    taken = 0
    with closing(_Merged([portions_of(file, window, clock, now) for _, file in files])) as merged:
        for number, (_, file) in enumerate(files):
            merged.add(number, file.begins or window.since, before=window.until + DISORDER)
        for number, portion in merged:
            name = files[number][0]
            rows.extend((moment, name, text) for moment, text in portion.rows)
            taken += portion.size
            fruitful |= {number} if portion.rows else set()
            found.damaged += [files[number][1].path] if portion.is_cut else []
            found.unread.update({name: portion.unread} if portion.unread else {})
            while newest and taken > most and rows:
                moment, _, text = rows.popleft()
                taken, found.cut = taken - len(text) - 1, True
                found.missing_until = max(found.missing_until or moment, moment)
            if taken > most and (ahead := merged.ahead) is not None and ahead - DISORDER < window.until:
                found.cut, found.whole_until = True, _after(window, ahead - DISORDER)
                break
    until = found.whole_until or window.until
    # What is of one moment stays in the order of the files.
    after = found.missing_until
    found.rows = sorted(
        (row for row in rows if row[0] < until and (after is None or row[0] > after)), key=lambda row: row[0]
    )
    if not found.cut:
        for number, (name, file) in enumerate(files):
            if off := hours_off(file, window, clock, is_fruitful=number in fruitful):
                found.off[name] = max(off, found.off.get(name, off))
    return found


class _Merged:
    """Portions of files by the times at which they begin, the earliest first.

    :param files: of each file its portions.
    """

    def __init__(self, files: Sequence[Generator[Portion]]) -> None:
        self._files = files
        self._heap: list[tuple[datetime, int, Portion | None]] = []

    def add(self, number: int, begins: datetime, *, before: datetime) -> None:
        """Take part in it; the file is opened when its turn comes, as there may be many.

        :param number: of the file.
        :param begins: the time of its first line.
        :param before: a file that does not begin before this is left out.
        """
        if begins < before:
            heapq.heappush(self._heap, (begins, number, None))

    def __iter__(self) -> Iterator[tuple[int, Portion]]:
        while self._heap:
            _, number, portion = heapq.heappop(self._heap)
            if (following := next(self._files[number], None)) is not None:
                heapq.heappush(self._heap, (following.at, number, following))
            if portion is not None:
                yield number, portion

    @property
    def ahead(self) -> datetime | None:
        """The time at which what follows begins; None at the end."""
        return self._heap[0][0] if self._heap else None

    def close(self) -> None:
        """Close every file."""
        for file in self._files:
            file.close()


def _after(window: Window, moment: datetime) -> datetime | None:
    return moment if moment > window.since else None
