"""Stack traces: the exception classes and functions that make a fault the same one wherever it shows up.

A record with a stack trace is known by its exception classes (outermost first, causes after it) and the functions
that the root cause came through, the ones of the application rather than of its frameworks. Neither line numbers
nor messages are part of that: the same fault stays the same event when its order number or the file changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from airflow_cd.verification.logs.dialects.headers import LEVELS

FRAMES_KEPT = 3

_CLASS = re.compile(
    r"\b((?:[A-Za-z_]\w*[.$])*[A-Za-z_]\w*(?:Exception|Error|Throwable|Fault|Interrupt|Exit|Panic))\b(?=\s*(?::|\(|$|\s|,|;|\]))"
)
_PYTHON_FILE = re.compile(r'^\s*(?:\|\s*)*File "([^"]+)", line [^,]+, in (.+)$')
_PYTHON_CLASS = re.compile(r"^(?:[|\s+]*)([A-Za-z_][\w.]*)(?::\s.*|:)?$")
_AT = re.compile(
    r"^\s*at (?:async )?(?:new )?(?:[\w.@-]+/)*([\w.$<>`\[\], ]+?)(?:\s+\[as \w+\])?\s*(?:\(([^)]*)\)?.*| in .*)?$"
)
_CAUSED = re.compile(r"^\s*(?:Caused by:|---> |\[cause\]:)\s*([\w.$]+)")
GO_FRAME = re.compile(r"^([\w./*()-]+\.[\w.*()-]+)\(.*\)$")
_FRAMEWORK = re.compile(
    r"(?:site-packages|dist-packages|/lib/python|[\\/]lib[\\/]python|<frozen |node_modules|node:|\binternal/)"
    r"|^(?:java|javax|jakarta|jdk|sun|com\.sun|kotlin|scala|org\.springframework|org\.apache|org\.hibernate|org\.eclipse"
    r"|io\.netty|reactor|io\.undertow|System|Microsoft|runtime|net/http)[./]"
)


@dataclass(frozen=True)
class StackTrace:
    """What is remembered of a stack trace.

    :param classes: exception classes, the one that was reported first, its root cause last.
    :param frames: functions of the root cause, nearest to the fault first, at most :data:`FRAMES_KEPT`.
    """

    classes: tuple[str, ...]
    frames: tuple[str, ...]


def exception_in(line: str) -> str | None:
    """The class of the exception that a single line names, None if it names none.

    :param line: the line, or its masked form.
    """
    match = _CLASS.search(line)
    return match[1] if match and match[1].upper() not in LEVELS else None


def stack_trace(text: str) -> StackTrace | None:
    """The stack trace in a record, None if there is none.

    :param text: the record, its lines joined by newlines.
    """
    lines = text.split("\n")
    for reader in _READERS:
        found = reader(lines)
        if found is not None:
            return found
    return None


def _top(frames: list[tuple[str, str]]) -> tuple[str, ...]:
    """Names of the nearest application functions out of (place, name), nearest first; any if none is."""
    own = [name for place, name in frames if not _FRAMEWORK.search(place) and not _FRAMEWORK.search(name)]
    return tuple((own or [name for _, name in frames])[:FRAMES_KEPT])


def _python_trace(lines: list[str]) -> StackTrace | None:
    sections: list[tuple[str | None, list[tuple[str, str]]]] = []
    frames: list[tuple[str, str]] = []
    for line in lines:
        frame = _PYTHON_FILE.match(line)
        if frame:
            module = re.split(r"[\\/]", frame[1])[-1].removesuffix(".py")
            frames.append((frame[1], f"{module}.{frame[2].strip()}"))
        elif frames and not line[:1].isspace():
            match = _PYTHON_CLASS.match(line)
            if match:
                sections.append((match[1], frames[::-1]))
                frames = []
    if frames:  # cut off before its last line
        sections.append((None, frames[::-1]))
    if not sections:
        return None
    classes = [name for name, _ in reversed(sections) if name]
    return StackTrace(tuple(classes) or ("unfinished traceback",), _top(sections[0][1]))


def _at_trace(lines: list[str]) -> StackTrace | None:
    """Java, Kotlin, JavaScript and .NET: lines that begin with ``at``."""
    classes: list[str] = []
    frames: list[tuple[str, str]] = []
    header = ""
    for line in lines:
        caused = _CAUSED.match(line)
        frame = None if caused else _AT.match(line)
        if not classes and (frame or (caused and header)):
            classes.append(exception_in(header) or "exception")
        if caused:
            classes.append(caused[1])
            frames = []
        elif frame:
            frames.append((frame[2] or "", re.sub(r"\$\$\w+|\$+\d+|<.*?>", "", frame[1]).strip()))
        elif not classes and _is_header(line, header):
            header = line
    return StackTrace(tuple(classes), _top(frames)) if frames or len(classes) > 1 else None


def _is_header(line: str, before: str) -> bool:
    """Whether the line may be what a trace reports, rather than the line before it."""
    return not before or (exception_in(line) is not None and exception_in(before) is None)


def _go_trace(lines: list[str]) -> StackTrace | None:
    if not any(line.startswith("goroutine ") for line in lines):
        return None
    reason = next((line for line in lines if "panic:" in line), "panic")
    kind = "runtime error" if "runtime error" in reason else ""
    frames = [(match[1], match[1]) for line in lines if (match := GO_FRAME.match(line)) and match[1] != "panic"]
    return StackTrace((f"panic: {kind}" if kind else "panic",), _top(frames))


_READERS: tuple[Callable[[list[str]], StackTrace | None], ...] = (_python_trace, _go_trace, _at_trace)
"""One for each family of formats; the first that finds a trace in the lines of a record wins."""
