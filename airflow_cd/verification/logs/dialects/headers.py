"""What a log line says before its message: when it was written and how severe it is."""

from __future__ import annotations

import re

LEVELS = {
    "TRACE": "debug",
    "DEBUG": "debug",
    "FINE": "debug",
    "INFO": "info",
    "NOTICE": "info",
    "WARN": "warning",
    "WARNING": "warning",
    "ERR": "error",
    "ERROR": "error",
    "SEVERE": "error",
    "CRITICAL": "fatal",
    "CRIT": "fatal",
    "FATAL": "fatal",
    "ALERT": "fatal",
    "EMERG": "fatal",
    "PANIC": "fatal",
}
"""The severity that each name of a level stands for."""

_NAMES = "|".join(sorted(LEVELS, key=len, reverse=True))
_LEVEL = re.compile(
    rf"(?<![\w.])({_NAMES})(?![\w.])"
    rf"|\b(?:level|lvl|severity)[\"']?\s*[=:]\s*[\"']?(\w+)|[\[<]((?i:{_NAMES}))[\]>]"
)
_HEAD = 160  # characters in which a level is looked for: further on it is part of the message


DAYS = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
MONTHS = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_DATE = rf"(?:(?:{DAYS} )?{MONTHS} {{1,2}}<\*> |<\*>(?:/<\*>){{0,2}}[T ,:_-]{{1,2}})"
_TIME = re.compile(
    rf"^[\[(<]?{_DATE}?<\*>:<\*>:<\*>(?:,<\*>)?(?: ?(?:Z|UTC|GMT)\b|:<\*>)?[\])>]?[ \t:|]*",
)


def severity_of(text: str, *, exception: bool = False) -> str:
    """The severity of a record, one of :data:`~airflow_cd.verification.verdict.SEVERITIES`.

    :param text: the record; the level is looked for in the first 160 characters of its first line.
    :param exception: whether the record holds a stack trace: without a level it is an ``error`` then, else ``info``.
    """
    for match in _LEVEL.finditer(text[:_HEAD].split("\n", 1)[0]):
        level = LEVELS.get((match[1] or match[2] or match[3]).upper())
        if level:
            return level
    return "error" if exception else "info"


def without_time(template: str) -> str:
    """A masked line without the time in front of it; unchanged where there is none, or nothing else.

    :param template: the line, each variable part of it replaced by ``<*>``.
    """
    return _TIME.sub("", template, count=1) or template
