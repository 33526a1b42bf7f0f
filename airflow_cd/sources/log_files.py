"""The lines of a file of a log, from near a window's beginning to behind its end, with the times that they are of."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
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
_HALF_HOUR, _NEAR = 1800.0, 120.0
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
    early, late = window.since - DISORDER, window.until + DISORDER
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
    for lines in _whole_lines(stream, settled=settled):
        if file.decoded and (newest := _all_before(lines, early, clock)) is not None:
            moment = newest
            continue
        rows: list[tuple[datetime, str]] = []
        stamps: list[datetime] = []
        size = unread = 0
        for line in lines:
            text = line.decode("utf-8", "replace")
            stamp = clock.of(text)
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


def hours_off(file: LogFile, clock: Stamps) -> float:
    """By how many half hours the newest stamp of a file differs from when it was written; 0 where it does not.

    :param file: in which no line of the window was found.
    :param clock: reads the times of lines.
    :raises OSError: it cannot be read.
    """
    newest = None if file.decoded else _last_time(file, clock)
    if newest is None:
        return 0.0
    seconds = (newest - file.modified).total_seconds()
    halves = round(seconds / _HALF_HOUR)
    near = abs(seconds - halves * _HALF_HOUR) <= _NEAR
    return halves / 2 if halves and near and abs(halves) <= 28 else 0.0


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
    with content(file, lambda _: None) as stream:
        if not file.decoded:
            stream.seek(max(0, file.size - _PORTION))
        newest = None
        for lines in _whole_lines(stream, settled=True):
            newest = next(times(lines[::-1], clock), newest)
    return newest


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
