"""Lines of a log that is written to files: by time, each once, whatever rotation calls the files now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import BinaryIO

from airflow_cd.sources.stamps import Stamps
from airflow_cd.verification.files.opening import opened
from airflow_cd.verification.samples import Window

MOST_BYTES = 64 * 1024 * 1024
"""Of one instance in one read."""

_HEAD = 4096
_BLOCK = 1 << 20
_DECODED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b"\xfe\xff")
_SETTLED = timedelta(seconds=1)  # after which a last line without its end is taken to be whole
_HALF_HOUR, _NEAR = 1800.0, 120.0


@dataclass
class Lines:
    """What was found of one instance.

    :param rows: time and text of each line in the window.
    :param unread: lines of which nobody knows when they were written.
    :param cut: whether there was more than is read at a time.
    :param off: hours by which stamps without a zone differ from when the file was written; 0 where they do not.
    """

    rows: list[tuple[datetime, str]] = field(default_factory=list)
    unread: int = 0
    cut: bool = False
    off: float = 0.0


@dataclass(frozen=True)
class _File:
    path: Path
    head: bytes
    size: int
    modified: datetime
    decoded: bool


def lines_of(paths: Iterable[Path], window: Window, clock: Stamps, now: datetime) -> Lines:
    """The lines of one log in a window.

    :param paths: of its files, rotated ones among them.
    :param window: half-open.
    :param clock: reads their times.
    :param now: the present time.
    :raises OSError: one cannot be read.
    """
    found, left = Lines(), MOST_BYTES
    moment: datetime | None = None
    for file in _once(paths, window):
        begins = found.rows[-1:]
        with _content(file) as stream:
            skipped = 0 if file.decoded else _start(stream, file.size, window.since, clock)
            if not file.decoded and file.size - skipped > left:
                skipped, found.cut = file.size - left, True
            if not file.decoded:
                stream.seek(skipped)
            newest = None
            for line in _whole_lines(stream, settled=now - file.modified >= _SETTLED):
                left -= len(line) + 1
                if left < 0:
                    found.cut = True
                    break
                text = line.decode("utf-8", "replace")
                stamp = clock.of(text)
                moment, newest = stamp or moment, stamp or newest
                if moment is None:
                    found.unread += bool(text.strip())
                elif window.since <= moment < window.until:
                    found.rows.append((moment, text))
        if newest is not None and found.rows[-1:] == begins and not file.decoded:
            found.off = found.off or _hours_off(newest, file.modified)
    # Rotated files are older than what is written now; what is of one moment stays in the order of the files.
    found.rows.sort(key=lambda row: row[0])
    return found


def _once(paths: Iterable[Path], window: Window) -> Sequence[_File]:
    """Files that can hold lines of the window, the oldest first; of one that is being copied the longer one."""
    files = [file for path in paths if (file := _looked_at(path)) is not None and file.modified >= window.since]
    files.sort(key=lambda file: file.modified)
    kept: list[_File] = []
    for file in files:
        twin = next((other for other in kept if _same(file, other)), None)
        if twin is None:
            kept.append(file)
        elif (not file.decoded, file.size) > (not twin.decoded, twin.size):
            kept[kept.index(twin)] = file
    return kept


def _looked_at(path: Path) -> _File | None:
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
    return _File(path, head, status.st_size, modified, raw.startswith(_DECODED))


def _content(file: _File) -> AbstractContextManager[BinaryIO]:
    """What it holds; of a file that is not decoded any place can be looked up."""
    return opened(str(file.path)) if file.decoded else file.path.open("rb")


def _same(one: _File, other: _File) -> bool:
    """Whether two files hold the same lines: one is being compressed, or copied and then truncated."""
    short, long = sorted((one.head, other.head), key=len)
    return long.startswith(short) and b"\n" in short


def _start(stream: BinaryIO, size: int, since: datetime, clock: Stamps) -> int:
    """Where to begin: at a line that was written before the window, not far from its beginning."""
    at = size
    while at > 0:
        at = max(0, at - _BLOCK)
        stream.seek(at)
        block = stream.read(_BLOCK)
        place = at
        if at:
            place += block.find(b"\n") + 1
        for line in block[place - at :].split(b"\n")[:50]:
            stamp = clock.of(line.decode("utf-8", "replace"))
            if stamp is not None:
                if stamp < since:
                    return place
                break
            place += len(line) + 1
    return 0


def _whole_lines(stream: BinaryIO, *, settled: bool) -> Iterator[bytes]:
    """Lines without their ends; a last one that is being written is left for the next read."""
    rest = b""
    while chunk := stream.read(_BLOCK):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r")
    if rest and settled:
        yield rest


def _hours_off(stamp: datetime, modified: datetime) -> float:
    """By how many half hours a stamp is off; 0 where it is not by half hours."""
    seconds = (stamp - modified).total_seconds()
    halves = round(seconds / _HALF_HOUR)
    near = abs(seconds - halves * _HALF_HOUR) <= _NEAR
    return halves / 2 if halves and near and abs(halves) <= 28 else 0.0
