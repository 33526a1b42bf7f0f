"""The files of a log: which of them hold lines of a window, and their lines with the times that they are of."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from airflow_cd.errors import VerificationError
from airflow_cd.sources.stamps import Stamps
from airflow_cd.verification.files.opening import opened
from airflow_cd.verification.samples import Window

DISORDER = timedelta(seconds=10)
"""How much earlier than those before it a line may be stamped: access logs state when a request began."""

_HEAD = 4096
_BLOCK = 1 << 20  # bytes between the places at which a window is looked for
_PORTION = 1 << 16  # bytes of the lines that are read at a time
_DECODED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b"\xfe\xff")
_LATER_HOUR, _FARTHEST_ZONE = timedelta(hours=1), timedelta(hours=14)  # by which a file's stamps may differ
_SETTLED = timedelta(seconds=1)  # after which a last line without its end is taken to be whole
_HALF_HOUR, _NEAR = 1800.0, 120.0
_Identity = tuple[Path, int, datetime]
_LOOKED_AT, _AGREEING = 50, 3  # lines in which stamps are looked for, and stamps that say where a portion stands


@dataclass(frozen=True)
class LogFile:
    """A file that can hold lines of a log.

    :param path: of it.
    :param head: its first bytes, decompressed.
    :param size: in bytes, as it lies on the disk.
    :param modified: when it was written last.
    :param decoded: whether it is compressed or in a wide encoding, so that no place in it can be looked up.
    :param begins: the earliest time that its first lines state; None where no line at its beginning does.
    :param usual: the middle one of these times, which a text that tells of another time does not change.
    :param before: the file that was written before it, whose last record its first lines may go on with; None
        without any.
    """

    path: Path
    head: bytes
    size: int
    modified: datetime
    decoded: bool
    begins: datetime | None = None
    usual: datetime | None = None
    before: LogFile | None = None


@dataclass(frozen=True)
class Portion:
    """Some lines of a file, in their order.

    :param at: the time at which they begin; no line of this portion or a later one is :data:`DISORDER` older.
    :param rows: time and text of those in the window.
    :param size: bytes of these.
    :param unread: lines of which nobody knows when they were written.
    """

    at: datetime
    rows: Sequence[tuple[datetime, str]]
    size: int
    unread: int


def files_of(paths: Iterable[Path], window: Window, clock: Stamps) -> list[LogFile]:
    """Files that can hold lines of a window, the oldest first; of one and its copy the longer one.

    :param paths: of the files of one log, rotated ones among them.
    :param window: half-open.
    :param clock: reads the times of lines.
    :raises OSError: one cannot be read.
    """
    files = sorted(filter(None, (_looked_at(path) for path in paths)), key=lambda file: file.modified)
    kept: list[LogFile] = []
    for file in files:
        twin = next((other for other in kept if _same(file, other)), None)
        if twin is None:
            kept.append(file)
        elif (_longer(file, twin), not file.decoded) > (0, not twin.decoded):
            kept[kept.index(twin)] = file
    linked: list[LogFile] = []
    for file in kept:
        first = sorted(islice(_times(file.head.split(b"\n"), clock), _AGREEING))
        begins, usual = (first[0], first[len(first) // 2]) if first else (None, None)
        linked.append(replace(file, begins=begins, usual=usual, before=linked[-1] if linked else None))
    return [file for file in linked if file.modified >= window.since]


def portions_of(file: LogFile, window: Window, clock: Stamps, now: datetime) -> Generator[Portion]:
    """The lines of a file from near a window's beginning to behind its end.

    :param file: to be read.
    :param window: half-open.
    :param clock: reads the times of lines.
    :param now: the present time.
    :raises OSError: it cannot be read.
    """
    early, late = window.since - DISORDER, window.until + DISORDER
    # What a text tells of another time is no stamp, wherever it stands in a trace.
    least = file.usual - _LATER_HOUR - DISORDER if file.usual is not None else None
    most = file.modified + _FARTHEST_ZONE
    moment: datetime | None = None
    with _content(file) as stream:
        start = 0
        if not file.decoded:
            start = _start(stream, file.size, early, clock)
            stream.seek(start)
        if not start and file.before is not None and _goes_on(file, clock):
            moment = _last_time(file.before, clock)
        for lines in _whole_lines(stream, settled=now - file.modified >= _SETTLED):
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
            if len(stamps) >= _AGREEING and min(stamps) >= late:
                return
            first = sorted(stamps[: 2 * _AGREEING - 1])
            yield Portion(first[len(first) // 2] if first else moment or window.since, rows, size, unread)


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


def _looked_at(path: Path) -> LogFile | None:
    try:
        status = path.stat()
        if not path.is_file() or not status.st_size:
            return None
        with path.open("rb") as plain:
            raw = plain.read(8)
        with opened(str(path)) as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError:  # rotated away since it was listed
        return None
    modified = datetime.fromtimestamp(status.st_mtime, timezone.utc)
    return LogFile(path, head, status.st_size, modified, raw.startswith(_DECODED))


def _content(file: LogFile) -> AbstractContextManager[BinaryIO]:
    """What it holds; of a file that is not decoded any place can be looked up."""
    return opened(str(file.path)) if file.decoded else file.path.open("rb")


def _same(one: LogFile, other: LogFile) -> bool:
    """Whether two files hold the same lines: one is being compressed, or copied and then truncated.

    The first of them do not tell: files may begin with the same header, and processes with the same line. All that the
    shorter one holds stands in the longer one; where that is little, its name says the same.
    """
    short, long = sorted((one.head, other.head), key=len)
    if not long.startswith(short) or b"\n" not in short:
        return False
    name, longer_name = sorted((one.path.name, other.path.name), key=len)
    is_named_so = longer_name.startswith(name) and name != longer_name
    return (is_named_so or len(short) == _HEAD) and _longer(one, other) is not None


def _longer(one: LogFile, other: LogFile) -> int | None:
    """1 where a file goes on behind what another holds, -1 where that one does, 0 for neither; None: they differ."""
    return _compared(*((file.path, file.size, file.modified) for file in (one, other)))


@lru_cache(maxsize=1024)  # of files that stay as they are once, not at each look
def _compared(one: _Identity, other: _Identity) -> int | None:
    with closing(_chunks(one[0])) as first, closing(_chunks(other[0])) as second:
        while True:
            ours, theirs = next(first, b""), next(second, b"")
            common = min(len(ours), len(theirs))
            if ours[:common] != theirs[:common]:
                return None
            if len(ours) != len(theirs) or not ours:
                return (len(ours) > len(theirs)) - (len(ours) < len(theirs))


def _chunks(path: Path) -> Generator[bytes]:
    """What a file holds; of one that is being compressed what is there by now."""
    with suppress(VerificationError, FileNotFoundError), opened(str(path)) as stream:
        while chunk := stream.read(_BLOCK):
            yield chunk


def _start(stream: BinaryIO, size: int, early: datetime, clock: Stamps) -> int:
    """Where to begin: at a line that was written before this time, not far from it."""
    known, low, high = 0, 1, (size - 1) // _BLOCK
    while low <= high:
        middle = (low + high) // 2
        stream.seek(middle * _BLOCK)
        place = middle * _BLOCK + len(stream.readline(_BLOCK))
        found: list[tuple[int, datetime]] = []
        for line in (stream.readline(_BLOCK) for _ in range(_LOOKED_AT)):
            if (stamp := clock.of(line.decode("utf-8", "replace"))) is not None:
                found.append((place, stamp))
            place += len(line)
            if not line or len(found) == _AGREEING:
                break
        # A single odd date in a text must not hide what was written before.
        if found and all(stamp < early for _, stamp in found):
            known, low = found[0][0], middle + 1
        else:
            high = middle - 1
    return known


def _goes_on(file: LogFile, clock: Stamps) -> bool:
    """Whether its first line states no time, and so belongs to what was written before."""
    return next(_times(file.head.split(b"\n")[:1], clock), None) is None


def _last_time(file: LogFile, clock: Stamps) -> datetime | None:
    """The time of its last line that states one."""
    with _content(file) as stream:
        if not file.decoded:
            stream.seek(max(0, file.size - _PORTION))
        newest = None
        for lines in _whole_lines(stream, settled=True):
            newest = next(_times(lines[::-1], clock), newest)
    return newest


def _all_before(lines: Sequence[bytes], early: datetime, clock: Stamps) -> datetime | None:
    """The time of the last line that states one, where all lines are of before a time; None where they may not be."""
    ends = [stamp for part in (lines, lines[::-1]) for stamp in islice(_times(part, clock), _AGREEING)]
    if not ends or max(ends) >= early:
        return None
    return next(_times(lines[::-1], clock))


def _times(lines: Iterable[bytes], clock: Stamps) -> Iterator[datetime]:
    return filter(None, (clock.of(line.decode("utf-8", "replace")) for line in lines))


def _whole_lines(stream: BinaryIO, *, settled: bool) -> Iterator[list[bytes]]:
    """Lines without their ends, some at a time; a last one that is being written is left for the next read."""
    pieces: list[bytes] = []  # of a line that is longer than what is read at a time
    while chunk := stream.read(_PORTION):
        *lines, rest = chunk.split(b"\n")
        if lines:
            lines[0], pieces = b"".join((*pieces, lines[0])), []
            yield [line.removesuffix(b"\r") for line in lines]
        pieces.append(rest)
    if settled and (rest := b"".join(pieces)):
        yield [rest]
