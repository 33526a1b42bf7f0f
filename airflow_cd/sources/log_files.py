"""The lines of a file of a log, from near a window's beginning to behind its end, with the times that they are of."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import BinaryIO

from airflow_cd.errors import VerificationError
from airflow_cd.sources.log_listing import AGREEING, LogFile, content, looked_at
from airflow_cd.sources.stamps import Stamps, times
from airflow_cd.verification.samples import Window

DISORDER = timedelta(seconds=10)
"""How much earlier than those before it a line may be stamped: access logs state when a request began."""

_BLOCK = 1 << 20  # bytes between the places at which a window is looked for
_PORTION = 1 << 16  # bytes of the lines that are read at a time
_LATER_HOUR, _FARTHEST_ZONE = timedelta(hours=1), timedelta(hours=14)  # by which a file's stamps may differ
_SETTLED = timedelta(seconds=1)  # after which a last line without its end is taken to be whole
_HALF_HOUR, _FARTHEST = timedelta(minutes=30), 28
_NEAR, _AT_ONCE = timedelta(minutes=2), timedelta(seconds=10)  # how long after its stamp a line may be written
_LOOKED_AT = 50  # lines in which stamps are looked for


@dataclass(frozen=True)
class Portion:
    """Some lines of a file, in their order.

    :param at: the time at which they begin; no line of this portion or a later one is :data:`DISORDER` older.
    :param rows: time and text of those in the window.
    :param size: bytes of these.
    :param unread: lines of which nobody knows when they were written.
    :param is_cut: whether the file is damaged or was cut off behind this portion, so that nobody knows what follows.
    """

    at: datetime
    rows: Sequence[tuple[datetime, str]]
    size: int
    unread: int
    is_cut: bool = False


def portions_of(file: LogFile, window: Window, clock: Stamps, now: datetime) -> Generator[Portion]:
    """The lines of a file from near a window's beginning to behind its end.

    :param file: to be read.
    :param window: half-open.
    :param clock: reads the times of lines.
    :param now: the present time.
    :raises OSError: it cannot be read.
    """
    damage: list[VerificationError] = []
    with content(file, damage.append) as stream:
        is_past = yield from _portions(stream, file, window, clock, settled=now - file.modified >= _SETTLED)
    if damage and not is_past:
        yield Portion(window.until + DISORDER, (), 0, 0, is_cut=True)


def _portions(
    stream: BinaryIO, file: LogFile, window: Window, clock: Stamps, *, settled: bool
) -> Generator[Portion, None, bool]:
    """As of :func:`portions_of`; whether what follows is of a later time."""
    early, late = clock.certain(window.since - DISORDER), window.until + DISORDER
    # What a text tells of another time is no stamp, wherever it stands in a trace.
    least = file.usual - _LATER_HOUR - DISORDER if file.usual is not None else None
    most = file.modified + _FARTHEST_ZONE
    moment: datetime | None = None
    start = file.first
    if not file.decoded:
        start = _start(stream, file, early, clock)
        stream.seek(start)
    if start == file.first and _goes_on(file, clock):
        moment = _end_before(file, clock)
    ordered = clock.in_order(second=start == file.first and _begins_second(file, clock))
    for lines in _whole_lines(stream, settled=settled):
        if file.decoded and (newest := _all_before(lines, early, clock)) is not None:
            moment = newest
            continue
        rows: list[tuple[datetime, str]] = []
        stamps: list[datetime] = []
        size = unread = 0
        for line in lines:
            text = line.decode("utf-8", "replace")
            stamp = ordered.of(text)
            if stamp is not None and (least is None or least <= stamp) and stamp <= most:
                stamps.append(stamp)
                moment = stamp
            if moment is None:
                unread += bool(text.strip())
            elif window.since <= moment < window.until:
                rows.append((moment, text))
                size += len(line) + 1
        if len(stamps) >= AGREEING and min(stamps) >= late:
            return True
        first = sorted(stamps[: 2 * AGREEING - 1])
        yield Portion(first[len(first) // 2] if first else moment or window.since, rows, size, unread)
    return False


def hours_off(file: LogFile, window: Window, clock: Stamps, *, is_fruitful: bool) -> float:
    """By how many half hours the newest stamp of a file differs from when it was written; 0 where nothing shows it.

    :param file: that was read.
    :param window: for which.
    :param clock: reads the times of lines.
    :param is_fruitful: whether lines of the window were found in it, which may be those of another hour.
    :raises OSError: it cannot be read.
    """
    if file.decoded or file.modified < window.since:
        return 0.0
    newest = _last_times(file, clock)
    if len(newest) < (AGREEING if is_fruitful else 1):
        return 0.0
    off = newest[0] - file.modified
    halves = round(off / _HALF_HOUR)
    remaining = abs(off - halves * _HALF_HOUR)
    if not halves or abs(halves) > _FARTHEST:
        return 0.0
    if halves > 0:
        # A text may tell of a time to come.
        agree = all(stamp > file.modified + _HALF_HOUR / 2 for stamp in newest)
        return halves / 2 if remaining <= _NEAR and agree else 0.0
    # What is behind may be quiet, and written to by a line without a time.
    return halves / 2 if remaining <= _AT_ONCE and not is_fruitful else 0.0


def _start(stream: BinaryIO, file: LogFile, early: datetime, clock: Stamps) -> int:
    """Where to begin: at a line that was written before this time, not far from it."""
    known, low, high = file.first, file.first // _BLOCK + 1, (file.size - 1) // _BLOCK
    while low <= high:
        middle = (low + high) // 2
        stream.seek(middle * _BLOCK)
        place = middle * _BLOCK + len(stream.readline(_BLOCK))
        found: list[tuple[int, datetime]] = []
        for line in (stream.readline(_BLOCK) for _ in range(_LOOKED_AT)):
            if (stamp := clock.of(line.decode("utf-8", "replace"))) is not None:
                found.append((place, stamp))
            place += len(line)
            if not line or len(found) == AGREEING:
                break
        # A single odd date in a text must not hide what was written before.
        if found and all(stamp < early for _, stamp in found):
            known, low = found[0][0], middle + 1
        else:
            high = middle - 1
    return known


def _goes_on(file: LogFile, clock: Stamps) -> bool:
    """Whether its first line states no time, and so belongs to what was written before."""
    return next(times(file.head.split(b"\n")[:1], clock), None) is None


def _end_before(file: LogFile, clock: Stamps) -> datetime | None:
    """The time of the last line of the file before it that states one."""
    with suppress(OSError, VerificationError):  # what is too old to be read may be damaged, too
        before = looked_at(file.before) if file.before is not None else None
        return _last_time(before, clock) if before is not None else None
    return None


def _last_time(file: LogFile, clock: Stamps) -> datetime | None:
    """The time of its last line that states one."""
    return next(iter(_last_times(file, clock)), None)


def _last_times(file: LogFile, clock: Stamps) -> list[datetime]:
    """The times of its last lines that state one, the last one first: of two that a clock shows as one the likely."""
    ends: list[bytes] = []
    with content(file, lambda _: None) as stream:
        if not file.decoded:
            stream.seek(max(file.first, file.size - _PORTION))
        for lines in _whole_lines(stream, settled=True):
            if next(times(lines[::-1], clock), None) is not None:
                ends = lines[::-1]
    readings = [[*islice(times(ends, one), AGREEING)] for one in (clock, clock.in_order(second=True))]
    return min(readings, key=lambda found: abs(found[0] - file.modified) if found else timedelta(0))


def _begins_second(file: LogFile, clock: Stamps) -> bool:
    """Whether its first line is of an hour that a clock shows twice, and of the second time."""
    head = file.head.split(b"\n")
    first, second = (next(times(head, one), None) for one in (clock, clock.in_order(second=True)))
    if first is None or second is None or first == second:
        return False
    set_back, last = second - first, first
    in_order, later = clock.in_order(second=False), clock.in_order(second=True)
    with content(file, lambda _: None) as stream:
        if not file.decoded:
            stream.seek(file.first)
        for line in chain.from_iterable(_whole_lines(stream, settled=True)):
            text = line.decode("utf-8", "replace")
            shown = clock.of(text)
            if in_order.of(text) != shown:
                return False  # the clock is set back in this file
            if shown is None:
                continue
            if later.of(text) != shown:
                last = shown
            elif timedelta(0) <= shown - last - set_back <= _LATER_HOUR:
                return True  # with no hour between them
    return abs(last + set_back - file.modified) < abs(last - file.modified)


def _all_before(lines: Sequence[bytes], early: datetime, clock: Stamps) -> datetime | None:
    """The time of the last line that states one, where all lines are of before a time; None where they may not be."""
    ends = [stamp for part in (lines, lines[::-1]) for stamp in islice(times(part, clock), AGREEING)]
    if not ends or max(ends) >= early:
        return None
    return next(times(lines[::-1], clock))


def _whole_lines(stream: BinaryIO, *, settled: bool) -> Iterator[list[bytes]]:
    """Lines without their ends, some at a time; a last one that is being written is left for the next read."""
    pieces: list[bytes] = []  # of a line that is longer than what is read at a time
    while chunk := stream.read(_PORTION):
        if not pieces:
            chunk = chunk.lstrip(b"\0")  # there may be more of them than there is memory
        *lines, rest = chunk.split(b"\n")
        if lines:
            lines[0], pieces = b"".join((*pieces, lines[0])), []
            yield [line.lstrip(b"\0").removesuffix(b"\r") for line in lines]
        pieces += [rest] if rest else []
    if settled and (rest := b"".join(pieces)):
        yield [rest]
