"""Stack traces whose frames begin with ``at``: JVM, JavaScript, .NET, also in other languages."""

from __future__ import annotations

import re

from airflow_cd.verification.logs.headers.failures import exception_in
from airflow_cd.verification.logs.traces.trace import StackTrace, nearest, reason

_AT = r"(?:at|bei|à|en|em|в|в|w|a|vid|ved|场所|場所|在|于|위치:|konum:|in)"  # .NET says it in the server's language
_PLAIN = re.compile(
    r"^\s*at (?:async )?(?:new )?(?:[\w.@-]+//?)*([\w.$<>`\[\], #*]+?)(?:\s+\[as \w+\])?\s*(?:\(([^)]*)\)?.*| in .*)?$"
)
_PLACE_ONLY = re.compile(r"^\s+at (?:async )?((?:file://|node:|/|[A-Z]:\\|https?://)[^\s()]+?)(?::\d+){0,2}$")
FOREIGN = re.compile(rf"^\s{{2,}}{_AT} ([\w.<>`+$]+(?:\[[^\]]*\])?)\(([^)]*)\)(?: \S+ .+)?$")
CAUSED = re.compile(
    r"^\s*(?:Caused by:|---> (?:\(Inner Exception #\d+\) )?|\[cause\]:(?!\s*(?:undefined|null)\b)"
    r"|Suppressed:|Wrapped by:|Cause:|Verursacht durch:"
    r"|Causé par\s?:|Causado por:|Causato da:)\s*([\w.$]+)"
)
_HEAD = re.compile(
    r"(?:Exception in thread \"[^\"]*\" |Unhandled exception\. |Uncaught |Unhandled Exception: )([A-Za-z_][\w.$]*)"
)
NAMELESS = "exception"
"""What an exception is called whose class is not in the record."""


def begins_within(lines: list[str]) -> bool:
    """Whether the record is the rest of a stack trace whose beginning is missing, with nothing but frames.

    :param lines: of the record.
    """
    return _frame(lines[0]) is not None and not any(CAUSED.match(line) for line in lines)


def read(lines: list[str]) -> StackTrace | None:
    """Classes outermost first, and the functions of the root cause.

    :param lines: of the record.
    """
    classes: list[str] = []
    frames: list[tuple[str, str]] = []
    header = ""
    aside = False  # within what was suppressed, which is no cause
    for line in lines:
        caused = CAUSED.match(line)
        frame = None if caused else _frame(line)
        if caused:
            if not classes and header:
                classes.append(_named(header))
            aside = line.lstrip().startswith("Suppressed:")
            classes.append(caused[1])
            if not aside:
                frames = []
        elif frame:
            if not classes:
                classes.append(_named(header))
            if not aside:
                frames.append(frame)
        elif not classes and (not header or exception_in(line)) and not (header and exception_in(header)):
            header = line
    if not classes or not (frames or len(classes) > 1):
        return None
    return StackTrace(tuple(classes), nearest(frames))


def _frame(line: str) -> tuple[str, str] | None:
    found = _PLAIN.match(line)
    if found is not None:
        name = re.sub(r"\$\$\w+|\$+\d+|<.*?>", "", found[1]).strip()
        return (found[2] or "", name) if name else None
    foreign = FOREIGN.match(line)
    if foreign is not None:
        return "", re.sub(r"<.*?>|`\d+", "", foreign[1]).strip(".")
    place = _PLACE_ONLY.match(line)
    return (place[1], re.split(r"[\\/]", place[1])[-1]) if place is not None else None


def _named(header: str) -> str:
    head = _HEAD.search(header)
    if head is not None and "." in head[1]:
        return head[1]
    return exception_in(header) or (head[1] if head else NAMELESS)


def alone(lines: list[str]) -> StackTrace | None:
    """An exception without frames on a line of its own, as a JVM prints it that saves itself the trace.

    :param lines: of the record.
    """
    for line in lines[1:]:
        found = re.match(r"\s*(?:Caused by: )?((?:[a-z_]\w*\.)+[A-Z$][\w$]*)(?::|$)", line)
        if found is not None and exception_in(line):
            return StackTrace((found[1], reason(line.partition(": ")[2]) or "without frames"), ())
    return None
