"""Which lines belong to one record: stack traces and their like arrive as several lines.

A record that arrives as several lines is whole already.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from airflow_cd.verification.logs.dialects.stack_traces import GO_FRAME

LONGEST_RECORD = 16_384  # characters; of a longer record only the beginning is judged

_PYTHON_BETWEEN = re.compile(r"^(The above exception was the direct cause|During handling of the above exception)")
_GO_MORE = re.compile(r"^(?:\s|$|created by |exit status |goroutine |\[signal )")
_CONTINUES = re.compile(
    r"""^(?:\s+(?:at |File "|\.\.\. \d+ (?:more|common)|--- |\| |\+-|Suppressed: |Caused by: )"""
    r"|Caused by: |\.\.\. \d+ more|Traceback \(most recent call last\)|\s*---> |goroutine \d+ \[|--- End of )"
)
_TRACEBACK = "Traceback (most recent call last)"
_STARTS = re.compile(r"^\[?\d{2,4}[-/.]\d{2}[-/.]\d{2}")  # a date: a record of its own, whatever came before
# Whatever may make a record of several lines begins with one of these; the rest needs no joining.
MAY_CONTINUE = r"^(?:\s|Caused by: |Traceback \(most recent|goroutine [0-9]|\.\.\. [0-9]|---|panic: )"


class RecordJoiner:
    """Joins the lines of records that arrive apart, however they are divided into portions."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._traced = False  # the record holds a Python traceback
        self._unfinished = False  # and the line with the exception's class is still to come
        self._panicked = False  # the record holds a Go panic
        self._whole = False  # the record arrived as several lines

    @property
    def pending(self) -> bool:
        """Whether there is a record that may go on."""
        return bool(self._parts)

    def feed(self, lines: Iterable[str]) -> list[str]:
        """The records that are complete by now.

        :param lines: the next lines, in their order.
        """
        complete = []
        for line in lines:
            record = self.push(line)
            if record is not None:
                complete.append(record)
        return complete

    def push(self, line: str) -> str | None:
        """Add one line.

        :param line: the next line.
        :returns: the record before it, if the line begins another one; else None.
        """
        done = None
        if self.continues(line):
            if self._length <= LONGEST_RECORD:  # a record without an end must not fill the memory
                self._parts.append(line)
                self._length += len(line) + 1
        else:
            if self._parts:
                done = "\n".join(self._parts)
            self._parts, self._length = [line], len(line)
            self._traced, self._unfinished = False, False
            self._panicked, self._whole = line.startswith("panic: "), "\n" in line
        if line.startswith(_TRACEBACK):
            self._traced, self._unfinished = True, True
        elif self._unfinished and line[:1].strip():
            self._unfinished = False
        return done

    def finish(self) -> list[str]:
        """The last record; there may be none."""
        parts, self._parts = self._parts, []
        return ["\n".join(parts)] if parts else []

    def continues(self, line: str) -> bool:
        """Whether the line belongs to the record before it.

        :param line: the next line.
        """
        if not self._parts or self._whole or "\n" in line:
            return False
        return _continues(line, traced=self._traced, unfinished=self._unfinished, panicked=self._panicked)


def join_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Join the lines of records that arrive apart; yields each record with the position of its first line.

    :param lines: all lines, in their order.
    """
    joiner, start = RecordJoiner(), 0
    for position, line in enumerate(lines):
        done = joiner.push(line)
        if done is not None:
            yield start, done
            start = position
    for record in joiner.finish():
        yield start, record


def _continues(line: str, *, traced: bool, unfinished: bool, panicked: bool) -> bool:
    if _CONTINUES.match(line) or (panicked and (_GO_MORE.match(line) or GO_FRAME.match(line))):
        return True
    if unfinished:
        return not _STARTS.match(line)
    return traced and (not line.strip() or bool(_PYTHON_BETWEEN.match(line)))
