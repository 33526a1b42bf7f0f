"""Profiles of log files and streams of any length, read block by block within bounded memory."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from airflow_cd.verification.logs.block_masking import Keys, MaskedLines
from airflow_cd.verification.logs.cleaning import ESCAPED, clean_line, clean_record
from airflow_cd.verification.logs.counting import Counts, count_slowly
from airflow_cd.verification.logs.headers import prefixes
from airflow_cd.verification.logs.headers.ansi import block_without_colours
from airflow_cd.verification.logs.headers.json_blocks import JsonBlocks
from airflow_cd.verification.logs.headers.prefixes import block_without_prefixes
from airflow_cd.verification.logs.headers.windows_events import BEGINS
from airflow_cd.verification.logs.headers.xml_records import IS_ELEMENT
from airflow_cd.verification.logs.lines import Lines
from airflow_cd.verification.logs.masking import GOES_ON, MARKS, has_polars
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.traces.joining import LONGEST_RECORD, MAY_BEGIN, MAY_GO_ON, MAY_JOIN, RecordJoiner

BLOCK = 8_000_000  # bytes read at a time
_LAST_MARK = max(MARKS.encode())
_TO_SPACES = bytes(ord(" ") if byte in MARKS.encode() else byte for byte in range(256))
_LONGEST_LINE = 4 * LONGEST_RECORD + 4  # bytes kept of one line: more than the characters that are judged can take
_REPLACED = "\ufffd".encode()
# What may need joining, unfolding or cleaning begins with none of the printable characters of ASCII, or with a brace;
# the rest is found in masked lines.
_IS_PRINTABLE = np.array([ord("!") <= byte <= ord("~") for byte in range(256)])
_HOLDS_JSON = r"^[^{].*\{\".*\}\s*$"
_UNUSUAL = f"{MAY_JOIN}|{_HOLDS_JSON}|{IS_ELEMENT}"
_ATTENTION = f"{_UNUSUAL}|{MAY_BEGIN}|{prefixes.MASKED}"
_GOES_ON = GOES_ON.encode()
_LONGEST_FRAME, _MOST_FRAMES = 300, 2_000  # characters of a frame of a stack trace, and how many are remembered


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
    :param json: JSON records that are unfolded and masked already.
    """

    lines: Lines
    unusual: np.ndarray
    masked: MaskedLines | None = None
    json: Keys | None = None


class _Fast:
    """Whole columns at once; what is more than a plain line is taken out of them and handled by itself."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._counts = Counts()
        self._troubles: dict[str, int] = {}
        self._joiner = RecordJoiner()
        self._json_blocks = JsonBlocks(re.compile(rf"{_UNUSUAL}|{MAY_BEGIN}"))
        self._usable: set[str] = set()  # indented lines that are as they should be: frames, which repeat
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
            distinct, numbers, rows = block.json
            left = plain[rows]
            self._counts.add_masked(Keys(distinct, numbers[left], rows[left]), lines)
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
        if content and np.frombuffer(content, np.uint8).min() <= _LAST_MARK:
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
            unusual[ordinary[masked.rows_like(_UNUSUAL)] if few else masked.rows_like(_UNUSUAL)] = True
            self._note_beginnings(masked, ordinary if few else None, unusual)
        whole, unfolded = None if few else masked, None
        json = None if json is None else json & ~unusual
        if json is not None and json.any():
            unfolded, left = self._json_blocks.unfolded(lines, json, whole)
            unusual[left] = True
        return _Block(lines, np.flatnonzero(unusual), whole, unfolded)

    @staticmethod
    def _note_beginnings(masked: MaskedLines, rows: np.ndarray | None, unusual: np.ndarray) -> None:
        """Add the lines to the unusual ones that begin a record only with what follows, where such a line does.

        :param rows: which lines of the block were masked; all without it.
        """
        begins = masked.rows_like(MAY_BEGIN)
        if begins.any():
            goes_on = unusual.copy()
            goes_on[slice(None) if rows is None else rows] |= masked.rows_like(MAY_GO_ON)
            begins = np.flatnonzero(begins) if rows is None else rows[begins]
            followed = np.append(goes_on[1:], True)
            unusual[begins[followed[begins]]] = True

    @staticmethod
    def _unusual(lines: Lines, letters: np.ndarray, returns: bool) -> np.ndarray:
        """Lines that are more than a plain one by their first letter or their length, as flags."""
        unusual: np.ndarray = (lines.lengths() > 0) & ~_IS_PRINTABLE[letters]
        unusual |= lines.lengths() > LONGEST_RECORD
        if BEGINS in lines.content:
            unusual |= lines.rows_with(BEGINS, letters == ord("<"))
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
            escaped = lines.rows_with(b"\\", found)
            unusual |= escaped
            found &= ~escaped
        return found if found.any() else None

    def _records(self, lines: Lines, unusual: np.ndarray, plain: np.ndarray) -> Iterator[str]:
        """Records of more than a plain line, complete by now; takes their lines out of ``plain``.

        The last line is always among them: the next block may go on with it.
        """
        rows, end, joiner = unusual.tolist(), len(lines), self._joiner
        marked = {*rows}
        taken = []
        position = 0 if joiner.pending else _next(rows, 0, end)
        while position < end:
            text = lines[position]
            begins = joiner.pending and position not in marked and position + 1 not in marked and position + 1 < end
            if begins and not joiner.continues(clean_line(text, {})):
                for _, record in joiner.finish():
                    yield record
                position = _next(rows, position + 1, end)
                continue
            taken.append(position)
            for _, record in joiner.push(self._cleaned_line(text)):
                yield record
            position += 1
        plain[taken] = False

    def _cleaned_line(self, text: str) -> str:
        """:func:`clean_line` for a line of a cleaned block."""
        if text in self._usable:
            return text
        if text[-1:] == GOES_ON:
            return clean_line(text[:-1], self._troubles) + GOES_ON
        cleaned = clean_line(text, self._troubles)
        if cleaned == text and text[:1].isspace() and text.isascii() and len(text) <= _LONGEST_FRAME:
            if len(self._usable) > _MOST_FRAMES:
                self._usable.clear()
            self._usable.add(text)
        return cleaned

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


def _next(unusual: list[int], position: int, end: int) -> int:
    """The line before the next unusual one, which may be the first of its record; the last line without one."""
    found = bisect_left(unusual, position)
    return max(position, unusual[found] - 1) if found < len(unusual) else max(position, end - 1)


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
