"""Opening the files to judge, whatever they are compressed with; what cannot be read is refused with a reason."""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, BinaryIO, cast

from airflow_cd.errors import VerificationError

STANDARD_INPUT = "-"
HEAD = 65_536  # first bytes of a file, by which its kind is recognized
LONGEST_PIPE = 60.0  # seconds until somebody must have begun to write into a named pipe
_BUFFER = 1 << 20
_PACKED = 1 << 10  # bytes of zstandard at a time, of which 32 MiB can be unpacked
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstandard"}
_ARCHIVES = {b"PK\x03\x04": "a zip archive", b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a RAR archive"}
_PARQUET = b"PAR1"
_WIDE_TEXT = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_MOST_CONTROLS = 0.05  # share of bytes that are control characters; a coloured log stays below, a program does not
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\x0b\x0c\x1b\x08"))
_ZSTANDARD = ("compression.zstd", "backports.zstd", "zstandard")

Progress = Callable[[int], None]
Damage = Callable[[VerificationError], None]


@dataclass
class InputFile:
    """A file that is judged, and what was found in it.

    :param path: as it was given; ``-`` is standard input.
    :param side: ``canary``, ``control`` or ``baseline``.
    :param what: ``logs`` or ``metrics``.
    :param name: what reports call it.
    :param read: bytes read of it, as they lie on the disk.
    :param records: log records or rows of metrics in it.
    :param header: of a log, which header its lines begin with and what of it was read, in words.
    :param headless: of the records at its beginning, how many have no header that is recognised; ``looked_at`` is how
        many were looked at.
    :param unread: the beginning of the first of those.
    :param mute: whether they are JSON of which levels were read and no message.
    :param levels: of a log, its records by the severity that they state; ``none`` are those that state none.
    :param troubles: how many records were what; see :class:`~airflow_cd.verification.logs.profile.LogProfile`.
    """

    path: str
    side: str
    what: str
    name: str
    read: int = 0
    records: int = 0
    troubles: dict[str, int] | None = None
    header: str = ""
    headless: int = 0
    looked_at: int = 0
    unread: str = ""
    mute: bool = False
    levels: dict[str, int] | None = None


def names_of(paths: list[str]) -> list[str]:
    """What to call each file: its name without its folder, with as much of it as tells it from the others.

    >>> names_of(["a/new.log", "b/new.log", "c/old.log"])
    ['a/new.log', 'b/new.log', 'old.log']

    :param paths: as they were given.
    """
    parts = [["standard input"] if path == STANDARD_INPUT else path.replace("\\", "/").split("/") for path in paths]
    kept = [1] * len(parts)
    while True:
        named = ["/".join(part[-length:]) for part, length in zip(parts, kept, strict=True)]
        longer = [
            number
            for number, name in enumerate(named)
            if kept[number] < len(parts[number])
            and any(name == other for at, other in enumerate(named) if at != number)
        ]
        if not longer:
            return named
        for number in longer:
            kept[number] += 1


def size_of(path: str) -> int | None:
    """Bytes of a file on the disk; None where that cannot be known before it is read.

    :param path: of the file; ``-`` is standard input.
    """
    try:
        found = sys.stdin.buffer.fileno() if path == STANDARD_INPUT else path
        status = os.stat(found)  # noqa: PTH116 - a descriptor is no path
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@contextmanager
def opened(path: str, progress: Progress | None = None, damage: Damage | None = None) -> Iterator[BinaryIO]:
    """The content of a file, decompressed, without a byte order mark; UTF-16 with its mark becomes UTF-8.

    What it is compressed with is recognized by its first bytes, whatever its name is.

    :param path: of the file; ``-`` is standard input.
    :param progress: called with the number of bytes of each read, as they lie on the disk.
    :param damage: called once, with what is wrong, where what is compressed ends in the middle; then what there is of
        it is all that is read. With it, a file that is empty is no error either. None by default.
    :raises airflow_cd.errors.VerificationError: it cannot be read, is empty, or ends in the middle; also while it is
        being read.
    """
    try:
        with _raw(path) as file:
            counted = io.BufferedReader(_Counted(file, progress or (lambda more: None)), _BUFFER)
            with _decompressed(path, counted, damage) as stream:
                yield _as_utf8(stream)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    except Exception as error:
        if _is_damage(error):
            raise _damaged(path, error) from error
        raise


def peeked(stream: BinaryIO) -> bytes:
    """The first bytes of a stream that :func:`opened` gave, without taking them from it.

    :param stream: that :func:`opened` gave.
    """
    return cast("io.BufferedReader", stream).peek(HEAD)[:HEAD]


def refuse_binary(path: str, head: bytes) -> None:
    """Raise unless these may be the first bytes of a text.

    :param path: of the file, for the error.
    :param head: its first bytes.
    :raises airflow_cd.errors.VerificationError: they are not.
    """
    kind = next((kind for magic, kind in _ARCHIVES.items() if head.startswith(magic)), None)
    if kind is None and head[257:262] == b"ustar":
        kind = "a tar archive"
    if kind:
        raise VerificationError(f"{named(path)} is {kind}.", next_step="Unpack it and name the files in it.")
    if head.startswith(_PARQUET):
        raise VerificationError(
            f"{named(path)} is a Parquet file, not a log.",
            next_step="Give metrics with --metrics-baseline and --metrics-canary.",
        )
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls > _MOST_CONTROLS * len(head):
        raise VerificationError(
            f"{named(path)} is not a text file: {controls:,} of its first {len(head):,} bytes are control characters.",
            next_step="Name a log file, plain or compressed with gzip, bzip2, xz or zstandard.",
        )


def named(path: str) -> str:
    """The file as an error names it.

    :param path: of the file.
    """
    return "standard input" if path == STANDARD_INPUT else path


@contextmanager
def _raw(path: str) -> Iterator[Any]:
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer
    else:
        _refuse_endless(path)
        with open(path, "rb", buffering=0, opener=_without_waiting) as file:
            _await_writer(path, file.fileno())
            yield file


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes into would otherwise never be open."""
    return os.open(path, flags | os.O_NONBLOCK)


def _await_writer(path: str, descriptor: int) -> None:
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.set_blocking(descriptor, True)
        return
    # Open without a writer a pipe is neither ready nor closed.
    if not select.select([descriptor], [], [], LONGEST_PIPE)[0]:
        raise VerificationError(
            f"{named(path)} is a pipe into which nobody has written anything for {LONGEST_PIPE:g} s.",
            next_step="Start what writes into it first, or name a file.",
        )
    os.set_blocking(descriptor, True)


def _refuse_endless(path: str) -> None:
    """Raise for a device: it never ends, or is the terminal."""
    mode = os.stat(path).st_mode  # noqa: PTH116 - /dev/fd/63 and the like too
    terminal = path in ("/dev/stdin", "/dev/fd/0") and not sys.stdin.isatty()
    if (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) and os.path.realpath(path) != os.devnull and not terminal:
        raise VerificationError(
            f"{named(path)} is a device, not a file.", next_step="Name a file, or pipe it in with -"
        )
    if stat.S_ISSOCK(mode):
        raise VerificationError(f"{named(path)} is a socket, not a file.", next_step="Name a file, or pipe it in: -")


class _Counted(io.RawIOBase):
    """A file that reports every read."""

    def __init__(self, file: Any, progress: Progress) -> None:
        self._file, self._progress = file, progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count: int = self._file.readinto(buffer) or 0
        if count:
            self._progress(count)
        return count


@contextmanager
def _decompressed(path: str, stream: Any, damage: Damage | None) -> Iterator[Any]:
    head = stream.peek(HEAD)
    if not head and damage is None:
        raise VerificationError(
            f"{named(path)} is empty.",
            next_step="Check how it was written; leave it out if there really was nothing to write.",
        )
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if kind is None:
        yield stream
        return
    with _decompressor(kind, path, stream) as unpacked:
        buffered = io.BufferedReader(unpacked if damage is None else _Remains(path, unpacked, damage), _BUFFER)
        if not buffered.peek(1) and damage is None:
            raise VerificationError(f"{named(path)} is empty once decompressed.", next_step="Check how it was written.")
        yield buffered


class _Remains(io.RawIOBase):
    """What there is of a stream that may end in the middle."""

    def __init__(self, path: str, stream: Any, damage: Damage) -> None:
        self._path, self._stream, self._damage = path, stream, damage
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            # What asks for more than one read would lose all of them to an error of the last.
            found = b"" if self._ended else self._stream.read1(len(buffer))
        except Exception as error:
            if not _is_damage(error):
                raise
            self._ended = True
            self._damage(_damaged(self._path, error))
            return 0
        buffer[: len(found)] = found
        return len(found)


def _decompressor(kind: str, path: str, stream: BinaryIO) -> Any:
    if kind == "gzip":
        return import_module("gzip").GzipFile(fileobj=stream)
    if kind == "bzip2":
        return import_module("bz2").BZ2File(stream)
    if kind == "xz":
        return import_module("lzma").LZMAFile(stream)
    for name in _ZSTANDARD:
        try:
            module = import_module(name)
        except ImportError:
            continue
        if name == "zstandard":
            return io.BufferedReader(_Frames(stream, module.ZstdDecompressor().decompressobj), _BUFFER)
        return module.ZstdFile(stream)
    raise VerificationError(
        f"{named(path)} is compressed with zstandard, which this Python cannot read.",
        next_step="Install it (pip install zstandard), or pipe it in: zstd -dc FILE | airflow-cd verify ... -",
    )


class _Frames(io.RawIOBase):
    """Frames of zstandard; the reader of the module of that name ends without a word where one is cut off."""

    def __init__(self, stream: BinaryIO, begin: Callable[[], Any]) -> None:
        self._stream, self._begin = stream, begin
        self._frame: Any = None
        self._packed = b""
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            packed = self._packed or self._stream.read(_PACKED)
            if not packed and self._frame is not None:
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            if not packed:
                return 0
            self._frame = self._frame or self._begin()
            self._left, self._packed = memoryview(self._frame.decompress(packed)), b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def _as_utf8(stream: Any) -> BinaryIO:
    encoding = next((name for mark, name in _WIDE_TEXT.items() if stream.peek(2).startswith(mark)), None)
    if encoding is None:
        if stream.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
            stream.read(len(codecs.BOM_UTF8))  # some editors and Windows' tools put it before the first line
        return cast("BinaryIO", stream)
    stream.read(2)
    return cast("BinaryIO", io.BufferedReader(_Recoded(stream, encoding), _BUFFER))


class _Recoded(io.RawIOBase):
    """A stream of another encoding, as UTF-8."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._left = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left and not self._ended:
            chunk = self._stream.read(_BUFFER)
            self._ended = not chunk
            self._left = self._decoder.decode(chunk, final=self._ended).encode("utf-8", "replace")
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def _unreadable(path: str, error: BaseException) -> VerificationError:
    if isinstance(error, FileNotFoundError):
        return VerificationError(
            f"{named(path)} does not exist.", next_step="Check the path; it is looked for from the current folder."
        )
    if isinstance(error, IsADirectoryError):
        return VerificationError(f"{named(path)} is a folder.", next_step=f"Name the files in it: {path.rstrip('/')}/*")
    if isinstance(error, PermissionError):
        return VerificationError(
            f"{named(path)} may not be read by this user.", next_step="Change its permissions, or pipe it in with -"
        )
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return VerificationError(
            f"{named(path)} is a link that leads back to itself.",
            next_step="Name the file that it should lead to.",
        )
    if _is_damage(error):
        return _damaged(path, error)
    return VerificationError(f"{named(path)} cannot be read: {error}.", next_step="Check the file and try again.")


def _is_damage(error: BaseException) -> bool:
    """Whether something is wrong with what a file holds, by the errors of modules that may not be there, too."""
    if isinstance(error, (EOFError, zlib.error)) or type(error).__name__ in ("BadGzipFile", "LZMAError", "ZstdError"):
        return True
    return isinstance(error, OSError) and error.strerror is None  # bz2 says "Invalid data stream" so


def _damaged(path: str, error: BaseException) -> VerificationError:
    text = str(error).rstrip(".") or type(error).__name__
    return VerificationError(
        f"{named(path)} is damaged or was cut off: {text}.", next_step="Copy it again completely, and compare its size."
    )
