"""Kinds of error in a real log: by its labels where people labelled it, by its own words where nobody did."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.public_logs import ERROR_LEVELS, PublicLog

# Where a log states no level, a person takes a line for an error by its words. Written down before anything was
# measured, and used for nothing but this benchmark.
_ERROR_WORDS = re.compile(
    r"error|fail(?!over)|fatal|exception|panic|abort|refused|denied|unable|can(?:no|')t\b|could(?: not|n't)"
    r"|timed out|corrupt|crash|\bcritical\b|unreachable|unavailable|illegal|not responding|segfault|\blost\b",
    re.IGNORECASE,
)
_ALL_IS_WELL = re.compile(r"(?:succeeded|done\.?|\b(?:0|no) errors?)$", re.IGNORECASE)
_STATED = re.compile(
    r"(?:^|[\s\[\(|<:\"=.])(?P<level>TRACE|DEBUG|VERBOSE|INFO|INFORMATION|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|FATAL"
    r"|CRITICAL|CRIT|ALERT|EMERG|EMERGENCY|PANIC)(?=$|[\s\]\)|>:\",\\])",
    re.IGNORECASE,
)
_KEY = re.compile(r"(?:severity|level)\W+(?P<level>[a-z]+)", re.IGNORECASE)
_HEADER = 120  # characters in which a line states its level
_CHANGING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|[\w.-]*\d[\w.:/-]*", re.IGNORECASE)


@dataclass(frozen=True)
class ErrorKind:
    """One kind of error.

    :param name: its template.
    :param records: positions in the log of each record's first line and of what goes on with it, in order.
    """

    name: str
    records: tuple[range, ...]


def states_levels(log: PublicLog) -> bool:
    """Whether the log states a level, in most records at least."""
    labels = log.labels()
    if labels is not None:
        return any(label.level for label in labels)
    lines = log.lines()
    begun = [lines[record.start] for record in records_of(log)]
    return sum(bool(_level(line)) for line in begun) > 0.5 * len(begun)


def error_kinds(log: PublicLog) -> list[ErrorKind]:
    """The kinds of error that the log holds, in their order; none of a log of requests.

    A log that states levels has those of its lines at ERROR and above; any other those whose words say so.

    :param log: must be on this machine.
    """
    stated, labels, lines = states_levels(log), log.labels(), log.lines()
    found: dict[str, list[range]] = {}
    for record in records_of(log) if log.errors else ():
        line = lines[record.start]
        if labels is not None:
            name, level = labels[record.start].template, labels[record.start].level
        else:
            name, level = _CHANGING.sub("<*>", line), _level(line)
        if level.lower() in ERROR_LEVELS if stated else sounds_bad(name):
            found.setdefault(name, []).append(record)
    return [ErrorKind(name, tuple(records)) for name, records in found.items()]


def records_of(log: PublicLog) -> list[range]:
    """Where the log's records begin and end.

    One begins as the log's first line does where that is a bracket, else where a line does not begin with white space;
    in a log that people labelled every line is one.
    """
    lines = log.lines()
    if log.labels() is not None:
        return [range(position, position + 1) for position in range(len(lines))]
    first = lines[0][:1]
    starts = [
        position
        for position, line in enumerate(lines)
        if (line.startswith(first) if first in "[{" else line[:1].strip())
    ]
    return [range(start, end) for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]


def _level(line: str) -> str:
    match = _KEY.search(line) if line.startswith("{") else _STATED.search(line[:_HEADER])
    return match["level"] if match else ""


def sounds_bad(name: str) -> bool:
    """Whether a person would take a line for an error by its words alone."""
    return _ERROR_WORDS.search(name) is not None and _ALL_IS_WELL.search(name.strip()) is None


def spread(block: Sequence[str], inserted: Sequence[str]) -> list[str]:
    """The block with lines put in at even distances, as they stand."""
    found, step = list(block), len(block) / (len(inserted) + 1)
    for number in range(len(inserted), 0, -1):
        found.insert(round(number * step), inserted[number - 1])
    return found
