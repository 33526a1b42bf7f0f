"""The files of a log that can hold lines of a window: links, copies and what is half compressed count once."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from airflow_cd.errors import VerificationError
from airflow_cd.sources.file_paths import identity_of
from airflow_cd.sources.stamps import Stamps, times
from airflow_cd.verification.files.opening import opened
from airflow_cd.verification.samples import Window

AGREEING = 3
"""Stamps that say where a part of a file stands."""

_BEHIND = timedelta(minutes=5)  # by which a file server's clock may be, and what it says of a file that is open
_HEAD = 4096
_BLOCK = 1 << 20
_DECODED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b"\xfe\xff")
_Identity = tuple[Path, int, datetime]


@dataclass(frozen=True)
class Listed:
    """A file as its folder shows it.

    :param path: of it.
    :param size: in bytes, as it lies on the disk.
    :param modified: when it was written last.
    """

    path: Path
    size: int
    modified: datetime


@dataclass(frozen=True)
class LogFile:
    """A file that can hold lines of a log.

    :param path: of it.
    :param head: its first bytes, decompressed.
    :param size: in bytes, as it lies on the disk.
    :param modified: when it was written last.
    :param decoded: whether it is compressed or in a wide encoding, so that no place in it can be looked up.
    :param first: the place of its first byte; what was truncated while it was written may have zeros before it.
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
    first: int = 0
    begins: datetime | None = None
    usual: datetime | None = None
    before: Listed | None = None


def files_of(paths: Iterable[Path], window: Window, clock: Stamps) -> list[LogFile]:
    """Files that can hold lines of a window, the oldest first; of one and its copy the longer one.

    :param paths: of the files of one log, rotated ones among them.
    :param window: half-open.
    :param clock: reads the times of lines.
    :raises OSError: one cannot be read.
    """
    listed = _listed(paths)
    # The last one is always read: the clock that says when it was written may be another one.
    recent = [one for one in listed if one.modified >= window.since - _BEHIND] or listed[-1:]
    older = listed[: len(listed) - len(recent)]
    kept: list[LogFile] = []
    for file in filter(None, map(looked_at, recent)):
        if file.decoded and file.modified < window.since - _BEHIND:
            continue
        twin = next((other for other in kept if _same(file, other)), None)
        if twin is None:
            kept.append(file)
        elif (_longer(file, twin), not file.decoded) > (0, not twin.decoded):
            kept[kept.index(twin)] = file
    linked: list[LogFile] = []
    before = older[-1] if older else None
    for file in kept:
        if file.decoded and _is_copied(file, older):
            continue
        stated = sorted(islice(times(file.head.split(b"\n"), clock), AGREEING))
        begins, usual = (stated[0], stated[len(stated) // 2]) if stated else (None, None)
        linked.append(replace(file, begins=begins, usual=usual, before=before))
        before = Listed(file.path, file.size, file.modified)
    return linked


def looked_at(listed: Listed) -> LogFile | None:
    """A file and its first bytes; None where it is gone, or holds nothing.

    :param listed: of its folder.
    :raises OSError: it cannot be read.
    """
    is_damaged: list[VerificationError] = []
    try:
        with listed.path.open("rb", buffering=0) as plain:
            first = _first_place(plain)
            plain.seek(first)
            head = plain.read(_HEAD)
        if decoded := head.startswith(_DECODED):
            with opened(str(listed.path), damage=is_damaged.append) as stream:
                head = next(filter(None, (part.lstrip(b"\0") for part in iter(lambda: stream.read(_HEAD), b""))), b"")
    except FileNotFoundError:  # rotated away since it was listed
        return None
    if not head and not is_damaged:
        return None
    return LogFile(listed.path, head, listed.size, listed.modified, decoded, first)


@contextmanager
def content(file: LogFile, damage: Callable[[VerificationError], None]) -> Iterator[BinaryIO]:
    """What a file holds; of one that is not decoded any place can be looked up.

    :param file: to be read.
    :param damage: called with what is wrong where it ends in the middle; then what there is of it is read.
    :raises OSError: it cannot be read.
    """
    with opened(str(file.path), damage=damage) if file.decoded else file.path.open("rb") as stream:
        yield stream


def _listed(paths: Iterable[Path]) -> list[Listed]:
    """Files that are not empty, the oldest first; one that has several names by one of them."""
    found: dict[object, Listed] = {}
    # While files are rotated the name that is looked at last is the right one; a link may be set to another one.
    for path in sorted(paths, key=lambda path: (not path.is_symlink(), path)):
        with suppress(FileNotFoundError):
            status = path.stat()
            if path.is_file() and status.st_size:
                modified = datetime.fromtimestamp(status.st_mtime, timezone.utc)
                found[identity_of(path, status) or path] = Listed(path, status.st_size, modified)
    return sorted(found.values(), key=lambda one: one.modified)


def _first_place(stream: FileIO) -> int:
    """Where the first byte stands that is not zero.

    Who writes to a place, not to the end, goes on there after the file was truncated, and leaves a hole before it.
    """
    if stream.read(1) != b"\0":
        return 0
    place = 0
    with suppress(OSError, AttributeError):  # not every file system knows of holes
        place = os.lseek(stream.fileno(), 0, os.SEEK_DATA)
    stream.seek(place)
    while chunk := stream.read(_BLOCK):
        if rest := chunk.lstrip(b"\0"):
            return place + len(chunk) - len(rest)
        place += len(chunk)
    return place


def _is_copied(file: LogFile, older: Iterable[Listed]) -> bool:
    """Whether it is what was written of an older file by now, which is being compressed."""
    named = (one for one in older if one.path.parent == file.path.parent and _is_longer(file.path, one.path))
    for original in filter(None, map(looked_at, named)):
        if _same(file, original) and _longer(file, original) in (0, -1):
            return True
    return False


def _is_longer(path: Path, other: Path) -> bool:
    return path.name.startswith(other.name) and path.name != other.name


def _same(one: LogFile, other: LogFile) -> bool:
    """Whether two files hold the same lines: one is being compressed, or copied and then truncated.

    The first of them do not tell: files may begin with the same header, and processes with the same line. All that the
    shorter one holds stands in the longer one; where that is little, its name says the same.
    """
    is_named_so = _is_longer(one.path, other.path) or _is_longer(other.path, one.path)
    shorter, longer = sorted((one, other), key=lambda file: len(file.head))
    if not shorter.head:  # nothing of it was written by now
        return is_named_so
    if not longer.head.startswith(shorter.head) or not (shorter.decoded or b"\n" in shorter.head):
        return False
    return (is_named_so or len(shorter.head) == _HEAD) and _longer(one, other) is not None


def _longer(one: LogFile, other: LogFile) -> int | None:
    """1 where a file goes on behind what another holds, -1 where that one does, 0 for neither; None: they differ."""
    return _compared(*((file.path, file.size, file.modified) for file in (one, other)))


@lru_cache(maxsize=1024)  # of files that stay as they are once, not at each look
def _compared(one: _Identity, other: _Identity) -> int | None:
    with closing(_chunks(one[0])) as first, closing(_chunks(other[0])) as second:
        ours, theirs = b"", b""
        while True:
            ours, theirs = ours or next(first, b""), theirs or next(second, b"")
            common = min(len(ours), len(theirs))
            if ours[:common] != theirs[:common]:
                return None
            if not common:
                return (len(ours) > 0) - (len(theirs) > 0)
            ours, theirs = ours[common:], theirs[common:]


def _chunks(path: Path) -> Generator[bytes]:
    """What a file holds; of one that is being compressed what is there by now."""
    with suppress(FileNotFoundError), opened(str(path), damage=_ignored) as stream:
        while chunk := stream.read(_BLOCK):
            yield chunk


def _ignored(_: VerificationError) -> None:
    """What is being compressed ends somewhere."""
