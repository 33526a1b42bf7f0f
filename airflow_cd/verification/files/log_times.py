"""When the records of a log file were written, by the stamps of some of its lines: enough to see a silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_cd.verification.files.logs import Readable
from airflow_cd.verification.logs.headers.moments import time_in

_SAMPLES = 120  # lines of the first block that are looked at; of what follows one in as many bytes
_MOST = 4_000  # lines of a file; beyond it every other one is forgotten
_LONGEST = 600  # bytes of a line in which its stamp is looked for
_TAIL = 8_000  # bytes of the end, of which the last stamp counts
_FEWEST = 5  # lines with a stamp that say something about a file
_STAMPED = 0.5  # of the lines looked at; the others may be frames of stack traces


@dataclass(frozen=True)
class Course:
    """When a log was written.

    :param name: what reports call it.
    :param records: how many it holds.
    :param times: of some of them, evenly chosen, in seconds since 1970, sorted; empty where no stamps are recognised.
    :param content: the same for files with the same lines at the same places.
    """

    name: str
    records: int
    times: Sequence[float] = ()
    content: int = 0


class Stamped:
    """A stream that remembers lines of what is read through it, evenly over all its bytes.

    :param stream: of bytes, decompressed.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._every = 0
        self._next = 0
        self._at = 0
        self._lines: list[bytes] = []
        self._tail = b""

    def read(self, size: int = -1) -> bytes:
        """Read on.

        :param size: bytes at most; -1 for all that is left.
        """
        chunk = self._stream.read(size)
        if not chunk:
            return chunk
        self._every = self._every or max(1, len(chunk) // _SAMPLES)
        while (start := self._next - self._at) < len(chunk):
            begin = chunk.find(b"\n", start) + 1 if self._next else 0
            if not 0 < begin < len(chunk) and self._next:
                break  # no other line begins here
            self._lines.append(chunk[begin : begin + _LONGEST].split(b"\n", 1)[0])
            self._next = self._at + begin + self._every
        self._at += len(chunk)
        self._next = max(self._next, self._at)
        self._tail = (self._tail + chunk[-_TAIL:])[-_TAIL:]
        if len(self._lines) > _MOST:
            self._lines, self._every = self._lines[::2], 2 * self._every
        return chunk

    def course(self, name: str, records: int) -> Course:
        """When what was read had been written.

        :param name: what reports call it.
        :param records: how many records it held.
        """
        lines = [line for line in self._lines if line]
        found = [time for line in lines if (time := time_in(line.decode("utf-8", "replace"))) is not None]
        content = hash((self._at, tuple(self._lines), self._tail))
        if len(found) < _FEWEST or len(found) < _STAMPED * len(lines):
            return Course(name, records, content=content)
        ends = (time_in(line) for line in self._tail.decode("utf-8", "replace").split("\n")[:0:-1])
        last = next((time for time in ends if time is not None), None)
        return Course(name, records, sorted([*found, last] if last is not None else found), content)
