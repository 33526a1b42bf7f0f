"""Log records: joining their lines, their severity, and the exception a stack trace tells of.

A record with a stack trace is known by its exception classes (outermost first, causes after it) and the functions
that the root cause came through, the ones of the application rather than of its frameworks. Neither line numbers
nor messages are part of that: the same fault stays the same event when its order number or the file changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

FRAMES_KEPT = 3
LONGEST_RECORD = 16_384  # characters; of a longer record only the beginning is judged
SEVERITIES = ("debug", "info", "warning", "error", "fatal")

_LEVELS = {
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
_NAMES = "|".join(sorted(_LEVELS, key=len, reverse=True))
_LEVEL = re.compile(
    rf"(?<![\w.])({_NAMES})(?![\w.])"
    rf"|\b(?:level|lvl|severity)[\"']?\s*[=:]\s*[\"']?(\w+)|[\[<]((?i:{_NAMES}))[\]>]"
)
_HEAD = 160  # characters in which a level is looked for: further on it is part of the message

_CLASS = re.compile(
    r"\b((?:[A-Za-z_]\w*[.$])*[A-Za-z_]\w*(?:Exception|Error|Throwable|Fault|Interrupt|Exit|Panic))\b(?=\s*(?::|\(|$|\s|,|;|\]))"
)
_PYTHON_FILE = re.compile(r'^\s*(?:\|\s*)*File "([^"]+)", line [^,]+, in (.+)$')
_PYTHON_CLASS = re.compile(r"^(?:[|\s+]*)([A-Za-z_][\w.]*)(?::\s.*|:)?$")
_PYTHON_BETWEEN = re.compile(r"^(The above exception was the direct cause|During handling of the above exception)")
_AT = re.compile(
    r"^\s*at (?:async )?(?:new )?(?:[\w.@-]+/)*([\w.$<>`\[\], ]+?)(?:\s+\[as \w+\])?\s*(?:\(([^)]*)\)?.*| in .*)?$"
)
_CAUSED = re.compile(r"^\s*(?:Caused by:|---> |\[cause\]:)\s*([\w.$]+)")
_GO_FRAME = re.compile(r"^([\w./*()-]+\.[\w.*()-]+)\(.*\)$")
_GO_MORE = re.compile(r"^(?:\s|$|created by |exit status |goroutine |\[signal )")
_CONTINUES = re.compile(
    r"""^(?:\s+(?:at |File "|\.\.\. \d+ (?:more|common)|--- |\| |\+-|Suppressed: |Caused by: )"""
    r"|Caused by: |\.\.\. \d+ more|Traceback \(most recent call last\)|\s*---> |goroutine \d+ \[|--- End of )"
)
_TRACEBACK = "Traceback (most recent call last)"
_STARTS = re.compile(r"^\[?\d{2,4}[-/.]\d{2}[-/.]\d{2}")  # a date: a record of its own, whatever came before
# Whatever may make a record of several lines begins with one of these; the rest needs no joining.
MAY_CONTINUE = r"^(?:\s|Caused by: |Traceback \(most recent|goroutine [0-9]|\.\.\. [0-9]|---|panic: )"

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


def severity_of(text: str, *, exception: bool = False) -> str:
    """One of :data:`SEVERITIES`; without a level, ``error`` for an exception and ``info`` for the rest."""
    for match in _LEVEL.finditer(text[:_HEAD].split("\n", 1)[0]):
        level = _LEVELS.get((match[1] or match[2] or match[3]).upper())
        if level:
            return level
    return "error" if exception else "info"


def exception_in(line: str) -> str | None:
    """The class of the exception that a single line names, None if it names none."""
    match = _CLASS.search(line)
    return match[1] if match and match[1].upper() not in _LEVELS else None


def stack_trace(text: str) -> StackTrace | None:
    """The stack trace in a record of several lines; None if there is none."""
    lines = text.split("\n")
    for reader in (_python_trace, _go_trace, _at_trace):
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
        if caused:
            if not classes and header:
                classes.append(exception_in(header) or "exception")
            classes.append(caused[1])
            frames = []
        elif frame:
            if not classes:
                classes.append(exception_in(header) or "exception")
            frames.append((frame[2] or "", re.sub(r"\$\$\w+|\$+\d+|<.*?>", "", frame[1]).strip()))
        elif not classes and (not header or exception_in(line)) and not (header and exception_in(header)):
            header = line
    if not classes or not (frames or len(classes) > 1):
        return None
    return StackTrace(tuple(classes), _top(frames))


def _go_trace(lines: list[str]) -> StackTrace | None:
    if not any(line.startswith("goroutine ") for line in lines):
        return None
    reason = next((line for line in lines if "panic:" in line), "panic")
    kind = "runtime error" if "runtime error" in reason else ""
    frames = [(match[1], match[1]) for line in lines if (match := _GO_FRAME.match(line)) and match[1] != "panic"]
    return StackTrace((f"panic: {kind}" if kind else "panic",), _top(frames))


class RecordJoiner:
    """Joins the lines of records that arrive apart, however they are divided into portions.

    What arrives as several lines is whole already.
    """

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
        """The records that are complete by now."""
        complete = []
        for line in lines:
            record = self.push(line)
            if record is not None:
                complete.append(record)
        return complete

    def push(self, line: str) -> str | None:
        """Take one line in; the record before it, if the line begins another."""
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
        """Whether the line belongs to the record before it."""
        if not self._parts or self._whole or "\n" in line:
            return False
        return _continues(line, traced=self._traced, unfinished=self._unfinished, panicked=self._panicked)


def join_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Join the lines of records that arrive apart; yields each record with the position of its first line."""
    joiner, start = RecordJoiner(), 0
    for position, line in enumerate(lines):
        done = joiner.push(line)
        if done is not None:
            yield start, done
            start = position
    for record in joiner.finish():
        yield start, record


def _continues(line: str, *, traced: bool, unfinished: bool, panicked: bool) -> bool:
    if _CONTINUES.match(line) or (panicked and (_GO_MORE.match(line) or _GO_FRAME.match(line))):
        return True
    if unfinished:
        return not _STARTS.match(line)
    return traced and (not line.strip() or bool(_PYTHON_BETWEEN.match(line)))


_MESSAGE_FIELDS = ("message", "msg", "event", "log", "text", "@m", "@mt")
_LEVEL_FIELDS = ("level", "severity", "levelname", "log.level", "lvl", "@l")
_STACK_FIELDS = (
    "stack_trace",
    "stacktrace",
    "exc_info",
    "traceback",
    "exception",
    "stack",
    "error.stack_trace",
    "error",
    "err",
    "exc",
    "@x",
)
_TYPE_FIELDS = ("type", "class", "name", "kind")
_NUMBERED_LEVELS = ((60, "FATAL"), (50, "ERROR"), (40, "WARN"), (30, "INFO"), (0, "DEBUG"))  # as pino and bunyan count


def unfold_json(line: str) -> str:
    """A JSON record as ``LEVEL message`` and its exception, on lines of their own; anything else unchanged."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(content, dict):
        return line
    message = _first_text(content, _MESSAGE_FIELDS)
    stack = next((text for name in _STACK_FIELDS if (text := _exception_text(content.get(name)))), "")
    if not message and not stack:
        return line
    first = " ".join(part for part in (_level_of(content), message) if part)
    return "\n".join(part for part in (first, stack) if part)


def _first_text(content: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((content[name] for name in names if isinstance(content.get(name), str) and content[name]), "")


def _level_of(content: Mapping[str, Any]) -> str:
    for name in _LEVEL_FIELDS:
        value = content.get(name)
        if isinstance(value, str) and value:
            return value.upper()
        if isinstance(value, int) and not isinstance(value, bool):
            return next((level for least, level in _NUMBERED_LEVELS if value >= least), "")
    nested = content.get("log")
    return _level_of(nested) if isinstance(nested, dict) else ""


def _exception_text(value: Any) -> str:
    """The text of an exception that is a text, or an object of its class, message and stack; ``""`` if it is none."""
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return ""
    stack = _first_text(value, ("stack_trace", "stacktrace", "stack", "traceback"))
    header = ": ".join(
        part for part in (_first_text(value, _TYPE_FIELDS), _first_text(value, ("message", "msg"))) if part
    )
    # Most stacks begin with the class and the message themselves.
    return (
        stack
        if stack and (not header or exception_in(stack.split("\n", 1)[0]))
        else "\n".join(part for part in (header, stack) if part)
    )
