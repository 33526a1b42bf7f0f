"""Profiles of log files and streams of any length, read block by block within bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from airflow_cd.verification.profile import LogProfile
from airflow_cd.verification.records import LONGEST_RECORD, RecordJoiner

BLOCK = 4_000_000  # bytes read at a time
_LONGEST_LINE = 4 * LONGEST_RECORD + 4  # bytes kept of one line: as many as the characters kept can take


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
    block of it. Empty lines are no records and are not counted.

    :param stream: read to its end and left open. A decompressing file object is fine.
    :param instance: which instance logged it.
    :param watched: seconds the log covers, summed over instances; 0 when unknown.
    :param progress: told how many bytes of the stream have been read so far, after every block.
    :param block: bytes read at a time.
    """
    profiles = LogProfile(watched_ms=round(watched * 1000))
    joiner = RecordJoiner()
    for lines in _blocks_of_lines(stream, block, progress):
        records = joiner.feed(lines)
        profiles = LogProfile.merge(profiles, LogProfile.of(records, instance=instance))
    return LogProfile.merge(profiles, LogProfile.of(joiner.finish(), instance=instance))


def _blocks_of_lines(stream: BinaryIO, block: int, progress: Callable[[int], None] | None) -> Iterator[list[str]]:
    """Whole lines, of endless ones the beginning."""
    rest, read = b"", 0
    while chunk := stream.read(block):
        read += len(chunk)
        head, newline, tail = chunk.rpartition(b"\n")
        if newline:
            yield _lines(rest + head)
            rest = tail[:_LONGEST_LINE]
        else:
            rest = (rest + tail)[:_LONGEST_LINE]
        if progress is not None:
            progress(read)
    if rest:
        yield _lines(rest)


def _lines(content: bytes) -> list[str]:
    return [line.rstrip("\r") for line in content.decode("utf-8", "replace").split("\n")]
