"""Profiles of log files and streams of any length, read block by block within bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from airflow_cd.verification.logs.counting import Counts, clean_line, clean_record, count_slowly
from airflow_cd.verification.logs.dialects.joining import LONGEST_RECORD, RecordJoiner
from airflow_cd.verification.logs.lines import Lines
from airflow_cd.verification.logs.masking import MARKS, has_polars
from airflow_cd.verification.logs.profile import LogProfile

BLOCK = 8_000_000  # bytes read at a time
_TO_SPACES = bytes(ord(" ") if byte in MARKS.encode() else byte for byte in range(256))
_LONGEST_LINE = 4 * LONGEST_RECORD + 4  # bytes kept of one line: more than the characters that are judged can take
_REPLACED = "\ufffd".encode()
# What may need joining, unfolding or cleaning begins with none of the printable characters of ASCII, or like this;
# `records.MAY_CONTINUE` is part of it.
_IS_PRINTABLE = np.array([ord("!") <= byte <= ord("~") for byte in range(256)])
_UNUSUAL = (b"{", b"Caus", b"Trac", b"goro", b"... ", b"---", b"pani")


def profile_stream(
    stream: BinaryIO,
    *,
    instance: str = "",
    watched: float = 0.0,
    progress: Callable[[int], None] | None = None,
    block: int = BLOCK,
) -> LogProfile:
    """Profile what a stream holds, one record a line, stack traces joined.

    The same as :meth:`LogProfile.of` of all its lines, whatever the size of the blocks, but never holds more than a
    few blocks of it in memory.

    :param stream: of bytes, UTF-8; read to its end and left open. A decompressing file object is fine.
    :param instance: which instance logged it; ``""`` for unknown.
    :param watched: seconds the log covers, summed over instances; 0 when unknown.
    :param progress: called after every block with the number of bytes of the stream that have been read so far.
    :param block: bytes read at a time; 8 MB by default.
    :raises OSError: the stream cannot be read.
    """
    reader = _Fast(instance) if has_polars() else _Slow(instance)
    for lines in _blocks_of_lines(stream, block, progress):
        reader.add(lines)
    profile = reader.finish()
    profile.watched_ms = round(watched * 1000)
    return profile


def _blocks_of_lines(stream: BinaryIO, block: int, progress: Callable[[int], None] | None) -> Iterator[bytes]:
    """Whole lines without the last one's end; of a line longer than what is judged only the beginning."""
    read, rest, endless = 0, b"", False
    while chunk := stream.read(block):
        read += len(chunk)
        if endless:
            _, newline, after = chunk.partition(b"\n")
            endless = not newline
            chunk = b"\n" + after if newline else b""
        head, newline, tail = (rest + chunk).rpartition(b"\n")
        if newline:
            yield head
        rest = tail
        if len(rest) > _LONGEST_LINE:
            rest, endless = _whole_characters(rest[:_LONGEST_LINE]), True
        if progress is not None:
            progress(read)
    if rest:
        yield rest


def _whole_characters(content: bytes) -> bytes:
    """Without a character of UTF-8 that was cut at the end."""
    for length in range(1, min(4, len(content)) + 1):
        byte = content[-length]
        if byte & 0xC0 != 0x80:
            return content[:-length] if byte >= 0xC0 else content
    return content


class _Slow:
    """Line after line, where polars is not installed."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._profile = LogProfile()
        self._joiner = RecordJoiner()

    def add(self, content: bytes) -> None:
        lines = [clean_line(line, self._profile.troubles) for line in content.split(b"\n")]
        self._count(self._joiner.feed(lines))

    def finish(self) -> LogProfile:
        self._count(self._joiner.finish())
        return self._profile

    def _count(self, records: list[str]) -> None:
        cleaned = [clean_record(record, self._profile.troubles) for record in records]
        tallies = count_slowly(cleaned, None, [self._instance] * len(cleaned))
        self._profile = LogProfile.merge(self._profile, LogProfile(tallies))


class _Fast:
    """Whole columns at once; what is more than a plain line is taken out of them and handled by itself."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._counts = Counts()
        self._troubles: dict[str, int] = {}
        self._joiner = RecordJoiner()

    def add(self, content: bytes) -> None:
        """Count a block of whole lines."""
        lines, unusual = self._lines(content)
        plain = np.ones(len(lines), dtype=bool)
        records = list(self._records(lines, unusual, plain))
        self._count_records(records)
        if _REPLACED in lines.content:
            self._trouble("undecodable", int((plain & lines.rows_with(_REPLACED)).sum()))
        filled = lines.lengths() > 0
        self._trouble("empty", int((plain & ~filled).sum()))
        self._counts.add_lines(lines, plain & filled)

    def finish(self) -> LogProfile:
        """The profile of everything added."""
        self._count_records(self._joiner.finish())
        tallies = self._counts.tallies()
        if self._instance:
            for tally in tallies.values():
                tally.instances = {self._instance: tally.count}
        return LogProfile(tallies, 0, self._troubles)

    def _lines(self, content: bytes) -> tuple[Lines, np.ndarray]:
        """The lines of a block as valid UTF-8, and which of them are more than a plain line."""
        # The whole block is looked at first: that is cheap, and most blocks hold nothing odd.
        returns = b"\r" in content
        if returns:
            content = content.replace(b"\r\n", b"\n")
        if any(mark in content for mark in MARKS.encode()):
            content = content.translate(_TO_SPACES)
        if not _is_utf8(content):
            content = content.decode("utf-8", "replace").encode()
        lines = Lines(content)
        beginnings = lines.beginnings()
        filled = lines.lengths() > 0
        unusual = filled & ~_IS_PRINTABLE[beginnings & 0xFF]
        for beginning in _UNUSUAL:
            unusual |= beginnings & 256 ** len(beginning) - 1 == int.from_bytes(beginning, "little")
        unusual |= lines.lengths() > LONGEST_RECORD
        if returns:
            unusual |= lines.rows_with(b"\r")
        return lines, np.flatnonzero(unusual)

    def _records(self, lines: Lines, unusual: np.ndarray, plain: np.ndarray) -> Iterator[str]:
        """Records of more than a plain line, complete by now; takes their lines out of ``plain``.

        The last line is always among them: the next block may go on with it.
        """
        marked = np.zeros(len(lines) + 1, dtype=bool)
        marked[unusual] = True
        position = 0 if self._joiner.pending else self._next(unusual, 0, len(lines))
        while position < len(lines):
            text = lines[position]
            begins = not marked[position] and not marked[position + 1] and position + 1 < len(lines)
            if begins and self._joiner.pending and not self._joiner.continues(text):
                yield from self._joiner.finish()
                position = self._next(unusual, position + 1, len(lines))
                continue
            plain[position] = False
            done = self._joiner.push(clean_line(text, self._troubles))
            if done is not None:
                yield done
            position += 1

    @staticmethod
    def _next(unusual: np.ndarray, position: int, end: int) -> int:
        """The line before the next unusual one, which may be the first of its record; the last line without one."""
        found = int(np.searchsorted(unusual, position))
        return max(position, int(unusual[found]) - 1) if found < len(unusual) else max(position, end - 1)

    def _count_records(self, records: list[str]) -> None:
        texts = [text for text in (clean_record(record, self._troubles) for record in records) if text]
        several, single = [text for text in texts if "\n" in text], [text for text in texts if "\n" not in text]
        if several:
            self._counts.add_records(several)
        if single:
            self._counts.add_lines(Lines.of(single))

    def _trouble(self, trouble: str, count: int) -> None:
        if count:
            self._troubles[trouble] = self._troubles.get(trouble, 0) + count


def _is_utf8(content: bytes) -> bool:
    """What ``content.decode()`` would say, in a tenth of the time."""
    import polars as pl

    try:
        pl.Series([content], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        return False
    return True
