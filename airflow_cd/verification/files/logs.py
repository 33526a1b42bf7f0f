"""Profiles of log files and streams of any length, read block by block within bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from airflow_cd.verification.logs.block_masking import MaskedLines
from airflow_cd.verification.logs.cleaning import ESCAPED, clean_line, clean_record
from airflow_cd.verification.logs.counting import Counts, count_slowly
from airflow_cd.verification.logs.headers import prefixes
from airflow_cd.verification.logs.headers.ansi import block_without_colours
from airflow_cd.verification.logs.headers.json_blocks import JsonBlocks
from airflow_cd.verification.logs.headers.prefixes import block_without_prefixes
from airflow_cd.verification.logs.lines import Lines
from airflow_cd.verification.logs.masking import GOES_ON, MARKS, has_polars
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.traces.joining import LONGEST_RECORD, MAY_JOIN, RecordJoiner

if TYPE_CHECKING:
    import polars as pl

BLOCK = 8_000_000  # bytes read at a time
_TO_SPACES = bytes(ord(" ") if byte in MARKS.encode() else byte for byte in range(256))
_LONGEST_LINE = 4 * LONGEST_RECORD + 4  # bytes kept of one line: more than the characters that are judged can take
_REPLACED = "\ufffd".encode()
# What may need joining, unfolding or cleaning begins with none of the printable characters of ASCII, or with a brace;
# the rest is found in masked lines.
_IS_PRINTABLE = np.array([ord("!") <= byte <= ord("~") for byte in range(256)])
_HOLDS_JSON = r"^[^{].*\{\".*\}\s*$"
_UNUSUAL = f"{MAY_JOIN}|{_HOLDS_JSON}"
_ATTENTION = f"{_UNUSUAL}|{prefixes.MASKED}"
_GOES_ON = GOES_ON.encode()


class Readable(Protocol):
    """A stream of bytes, as far as it is needed."""

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; none at its end."""


def profile_stream(
    stream: Readable,
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


def _blocks_of_lines(stream: Readable, block: int, progress: Callable[[int], None] | None) -> Iterator[bytes]:
    """Whole lines without the last one's end; of a line longer than what is judged only the beginning."""
    read, rest, endless = 0, b"", False
    while chunk := stream.read(block):
        read += len(chunk)
        if endless:
            _, newline, after = chunk.partition(b"\n")
            endless = not newline
            chunk = b"\n" + after if newline else b""
        end = chunk.rfind(b"\n")
        if end < 0:
            rest += chunk
        else:
            yield b"".join((rest, memoryview(chunk)[:end]))  # copied once
            rest = chunk[end + 1 :]
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
        self._count([record for _, record in self._joiner.finish()])
        return self._profile

    def _count(self, records: list[str]) -> None:
        cleaned = [clean_record(record, self._profile.troubles) for record in records]
        tallies = count_slowly(cleaned, None, [self._instance] * len(cleaned))
        self._profile = LogProfile.merge(self._profile, LogProfile(tallies))


@dataclass(frozen=True)
class _Block:
    """A block of lines.

    :param unusual: numbers of the lines that are more than a plain line.
    :param masked: all lines masked, unless most are unusual.
    :param json: JSON records that are unfolded and masked already, and their lines' numbers.
    """

    lines: Lines
    unusual: np.ndarray
    masked: MaskedLines | None = None
    json: tuple[pl.Series, np.ndarray] | None = None


class _Fast:
    """Whole columns at once; what is more than a plain line is taken out of them and handled by itself."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._counts = Counts()
        self._troubles: dict[str, int] = {}
        self._joiner = RecordJoiner()
        self._json_blocks = JsonBlocks(re.compile(_UNUSUAL))
        self._prefixed = False  # a runtime's prefixes were seen

    def add(self, content: bytes) -> None:
        """Count a block of whole lines."""
        block = self._block(*self._cleaned(content))
        lines, plain = block.lines, np.ones(len(block.lines), dtype=bool)
        self._count_records(list(self._records(lines, block.unusual, plain)))
        # Single bytes are found ten times as fast as three in a row.
        if all(byte in lines.content for byte in _REPLACED) and _REPLACED in lines.content:
            self._trouble("undecodable", int((plain & lines.rows_with(_REPLACED)).sum()))
        filled = lines.lengths() > 0
        self._trouble("empty", int((plain & ~filled).sum()))
        if block.json is not None:
            keys, rows = block.json
            left = plain[rows]
            self._counts.add_masked(keys.filter(left), rows[left], lines)
            plain[rows] = False
        self._counts.add_lines(lines, plain & filled, masked=block.masked)

    def finish(self) -> LogProfile:
        """The profile of everything added."""
        self._count_records([record for _, record in self._joiner.finish()])
        tallies = self._counts.tallies()
        if self._instance:
            for tally in tallies.values():
                tally.instances = {self._instance: tally.count}
        return LogProfile(tallies, 0, self._troubles)

    def _cleaned(self, content: bytes) -> tuple[bytes, bool]:
        """A block as valid UTF-8 without marks, colours and prefixes, and whether it holds carriage returns."""
        # The whole block is looked at first: that is cheap, and most blocks hold nothing odd.
        returns = b"\r" in content
        if returns:
            content = content.replace(b"\r\n", b"\n")
        if any(mark in content for mark in MARKS.encode()):
            content = content.translate(_TO_SPACES)
        if not _is_utf8(content):
            content = content.decode("utf-8", "replace").encode()
        content = block_without_colours(content)
        return (block_without_prefixes(content) if self._prefixed else content), returns

    def _block(self, content: bytes, returns: bool) -> _Block:
        """What there is to know of a cleaned block before its records are joined."""
        lines = Lines(content)
        letters = lines.first_letters()
        unusual = self._unusual(lines, letters, returns)
        json = self._json(lines, letters, unusual)
        ordinary = np.flatnonzero(~unusual)
        if not len(ordinary):
            return _Block(lines, np.flatnonzero(unusual))
        few = len(ordinary) < len(lines) / 2
        masked = MaskedLines.of(lines.chosen(ordinary) if few else lines)
        attention = masked.distinct.filter(masked.distinct.str.contains(_ATTENTION))
        if len(attention) and not self._prefixed and attention.str.contains(prefixes.MASKED).any():
            stripped = block_without_prefixes(content)
            if stripped != content:
                self._prefixed = True
                return self._block(stripped, returns)
        if len(attention):
            found = masked.rows_of(attention.filter(attention.str.contains(_UNUSUAL)))
            unusual[ordinary[found] if few else found] = True
        whole, unfolded = None if few else masked, None
        json = None if json is None else json & ~unusual
        if json is not None and json.any():
            keys, rows, left = self._json_blocks.unfolded(lines, json, whole)
            unusual[left] = True
            unfolded = keys, rows
        return _Block(lines, np.flatnonzero(unusual), whole, unfolded)

    @staticmethod
    def _unusual(lines: Lines, letters: np.ndarray, returns: bool) -> np.ndarray:
        """Lines that are more than a plain one by their first letter or their length, as flags."""
        unusual: np.ndarray = (lines.lengths() > 0) & ~_IS_PRINTABLE[letters]
        unusual |= lines.lengths() > LONGEST_RECORD
        if returns:
            unusual |= lines.rows_with(b"\r")
        # One letter is looked for in a fraction of the time of several.
        if _GOES_ON in lines.content:
            unusual |= lines.rows_with(_GOES_ON)
        for marks in ESCAPED:
            if marks[0][:1] in lines.content and len(places := lines.places_of(marks)):
                unusual |= lines.rows_of(places)
        return unusual

    @staticmethod
    def _json(lines: Lines, letters: np.ndarray, unusual: np.ndarray) -> np.ndarray | None:
        """Lines that are JSON records without escapes, as flags; those with escapes become unusual."""
        found = (letters == ord("{")) & ~unusual
        if not found.any():
            return None
        if b"\\" in lines.content:
            escaped = found & lines.rows_with(b"\\")
            unusual |= escaped
            found &= ~escaped
        return found if found.any() else None

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
            if begins and self._joiner.pending and not self._joiner.continues(clean_line(text, {})):
                for _, record in self._joiner.finish():
                    yield record
                position = self._next(unusual, position + 1, len(lines))
                continue
            plain[position] = False
            cleaned = clean_line(text.removesuffix(GOES_ON), self._troubles)
            for _, record in self._joiner.push(cleaned + GOES_ON if text[-1:] == GOES_ON else cleaned):
                yield record
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
    if content.isascii():
        return True
    import polars as pl

    try:
        pl.Series([content], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.PolarsError:
        return False
    return True
