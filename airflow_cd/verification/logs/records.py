"""Log records: the severity of a message, and the exception that it names."""

from __future__ import annotations

import re

from airflow_cd.verification.logs.headers.levels import ANYWHERE, LETTERS, LEVELS, severity_of_word

LONGEST_RECORD = 16_384  # characters; of a longer record only the beginning is judged
SEVERITIES = ("debug", "info", "warning", "error", "fatal")

_NAMES = "|".join(sorted(ANYWHERE, key=len, reverse=True))
_LEVEL = re.compile(
    rf"(?<![\w.])({_NAMES})(?![\w.])"
    rf"|\b(?:level|lvl|severity)[\"']?\s*[=:]\s*[\"']?(\w+)|[\[<]((?i:{_NAMES}))[\]>]"
)
_HEAD = 160  # characters in which a level is looked for: further on it is part of the message

_CLASS = re.compile(
    r"\b((?:[A-Za-z_]\w*[.$])*[A-Za-z_]\w*(?:Exception|Error|Throwable|Fault|Interrupt|Exit|Panic))\b(?=\s*(?::|\(|$|\s|,|;|\]))"
)


def level_in(text: str) -> str | None:
    """The severity of the level that a message states near its beginning; None if it states none."""
    for match in _LEVEL.finditer(text[:_HEAD].split("\n", 1)[0]):
        word = match[1] or match[2] or match[3]
        level = severity_of_word(word) or (LETTERS.get(word) if match[2] else None)
        if level:
            return level
    return None


def severity_of(text: str, *, exception: bool = False) -> str:
    """One of :data:`SEVERITIES`; without a level, ``error`` for an exception and ``info`` for the rest."""
    return level_in(text) or ("error" if exception else "info")


def exception_in(line: str) -> str | None:
    """The class of the exception that a single line names, None if it names none."""
    match = _CLASS.search(line)
    return match[1] if match and match[1].upper() not in LEVELS else None
