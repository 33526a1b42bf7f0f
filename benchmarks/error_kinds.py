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
    r"(?:^|[\s\[\(|<:\"=])(?P<level>TRACE|DEBUG|VERBOSE|INFO|INFORMATION|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|FATAL"
    r"|CRITICAL|CRIT|ALERT|EMERG|EMERGENCY|PANIC)(?=$|[\s\]\)|>:\",])",
    re.IGNORECASE,
)
_HEADER = 120  # characters in which a line states its level
_CHANGING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|[\w.-]*\d[\w.:/-]*", re.IGNORECASE)


@dataclass(frozen=True)
class ErrorKind:
    """One kind of error.

    :param name: its template.
    :param lines: their positions in the log, in order.
    """

    name: str
    lines: tuple[int, ...]


def states_levels(log: PublicLog) -> bool:
    """Whether the log states a level for nearly every line."""
    labels = log.labels()
    if labels is not None:
        return any(label.level for label in labels)
    lines = [line for line in log.lines() if line.strip() and not line[0].isspace()]
    return sum(_STATED.search(line[:_HEADER]) is not None for line in lines) > 0.8 * len(lines)


def error_kinds(log: PublicLog) -> list[ErrorKind]:
    """The kinds of error that the log holds, in their order.

    A log that states levels has those of its lines at ERROR and above; any other those whose words say so.

    :param log: must be on this machine.
    """
    stated, labels = states_levels(log), log.labels()
    positions: dict[str, list[int]] = {}
    for position, line in enumerate(log.lines()):
        if labels is not None:
            name, level = labels[position].template, labels[position].level
        else:
            name, level = _CHANGING.sub("<*>", line), _level(line)
        if level.lower() in ERROR_LEVELS if stated else _sounds_bad(name):
            positions.setdefault(name, []).append(position)
    return [ErrorKind(name, tuple(lines)) for name, lines in positions.items()]


def _level(line: str) -> str:
    match = _STATED.search(line[:_HEADER])
    return match["level"] if match else ""


def _sounds_bad(name: str) -> bool:
    return _ERROR_WORDS.search(name) is not None and _ALL_IS_WELL.search(name.strip()) is None


def spread(block: Sequence[str], inserted: Sequence[str]) -> list[str]:
    """The block with lines put in at even distances, as they stand."""
    found, step = list(block), len(block) / (len(inserted) + 1)
    for number in range(len(inserted), 0, -1):
        found.insert(round(number * step), inserted[number - 1])
    return found
