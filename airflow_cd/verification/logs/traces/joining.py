"""Joining the lines of records that arrive apart: stack traces, and records whose loggers write several lines.

What belongs to the record before it shows in the line itself (an indented frame, ``Caused by:``) or by what the
record is: after ``panic:`` come goroutines, after ``thread 'main' panicked at`` comes the reason. A time stamp or a
syslog header in front of every line is looked behind, and left out of lines that are joined.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

from airflow_cd.verification.logs.headers.json_records import unfold_json
from airflow_cd.verification.logs.headers.levels import LEVELS
from airflow_cd.verification.logs.headers.reader import read_header
from airflow_cd.verification.logs.headers.requests import read_request
from airflow_cd.verification.logs.headers.stamps import RAW, without_stamp
from airflow_cd.verification.logs.headers.two_lines import JAVA_HEADER, JAVA_LEVEL
from airflow_cd.verification.logs.masking import GOES_ON, VARIABLE, mask_line
from airflow_cd.verification.logs.traces import elements, frames, native, python, scripts
from airflow_cd.verification.logs.traces.elements import Element
from airflow_cd.verification.logs.traces.kinds import KINDS, WITHIN, Kind
from airflow_cd.verification.logs.traces.prefixed import crash_within

LONGEST_RECORD = 16_384  # characters; of a longer record only the beginning is judged

_MOST_LOOSE = 12  # lines of an exception's message before its first frame
_MOST_BETWEEN = 8  # lines of another stream between an exception and a frame of it

_CONTINUES = re.compile(
    r"\s+(?:at |File \"|from \S+:\d+|\.\.\. \d+ (?:more|common)|--- |\| |\+-|Suppressed: |Caused by: )"
    r"|Caused by: |Caused by:$|\.\.\. \d+ more|(?:\s+\+ Exception Group )?Traceback \(most recent call last\)"
    r"|\s*---> |goroutine \d+ \[|--- End of |Wrapped by: |Verursacht durch: |Caus[éa][a-z]* (?:par|por|da) ?: "
    r"|Stacktrace:$|(?:CallStack \(from HasCallStack\)|HasCallStack backtrace):$"
    r"|\s+\[\d+\] \S|\s+@ \S|Stack trace:$|stack backtrace:$|\s*at (?:\S+\.)+\S+\(|\s+what\(\): "
)
_CONTINUES_STAMPED = re.compile(
    r"\s*(?:at \S+\(|(?<=\s)at (?:async )?[\w.$<>]+ \("
    r"|Caused by: |\.\.\. \d+ (?:more|common)|Traceback \(most recent call last\)|goroutine \d+ \["
    r"|--- End of )"
)
_EXCEPTION = re.compile(r"(?:[a-z_]\w*\.)+[\w$]*(?:Exception|Error|Throwable|Failure)(?::|$)")
_NAMES_EXCEPTION = re.compile(
    r"(?<![\w.$@#%&*+~\\-])(?:[A-Za-z_]+\.)+[A-Za-z_$]*(?:Exception|Error|Throwable)(?=:|$| )"
)
_BARE = re.compile(r"(?:[\w$]+\.)*[A-Z]?[\w$]*(?:Error|Exception)(?: \[\w+\])?(?:: |$)")
_TELLS_OF_FAULTS = re.compile(r"error|exception|fail|fatal|panic|thrown?|trace", re.IGNORECASE)
_FRAME = re.compile(r"\s+at |Caused by: |\s*\.\.\. \d+ (?:more|common)")
_DATED = re.compile(r"\[?\d{2,4}[-/.]\d{2}[-/.]\d{2}")  # a date: a record of its own, whatever came before
_LEVELED = re.compile(r"[\[<(]?([A-Za-z]{3,11})\b")
_OPENS = re.compile(r"\s+at .*\{$")
_MESSAGE_FOLLOWS, _ENDS_MESSAGE = "[[", "]]"  # of GlassFish and Payara
_NAME_ALONE = re.compile(r"[\w.$/-]+ *[:-]?")
_PRINTED = re.compile(r"\}$|  +(?:['\[\]}]|[\w$]+: )")

# What may make a record of several lines, besides lines that are indented, as it looks in a line or in one whose
# numbers are masked; it may find more than there is.
_N = rf"(?:\d+|{VARIABLE})"
# Up to the message of a line: nothing, or a stamp with its zone and year, host and program.
_BEHIND_STAMP = rf"^(?:[^:]{{0,40}}{_N}:{_N}:{_N}[^ ]*(?: [^ ]+){{0,3}}(?: [^ ]+:)?[ \t]?)?"
_LEVELS = "TRACE|DEBUG|INFO|WARN|WARNING|ERROR|SEVERE|CRITICAL|FATAL"
_ENDS_WITH_LEVEL = re.compile(rf"(?:{_LEVELS})\]?:? *$")
MAY_JOIN = (
    r"HasCallStack|nhandled exception:$|Traceback \(most recent call|Exception Group |Fatal Python error: "
    r"|Caused by:|Wrapped by: |Verursacht durch: "
    r"|Caus[éa][a-z]* (?:par|por|da) ?: |panic: |panicked at |panic serving |[Ff]atal error: |goroutine |SIG[A-Z]+: "
    rf"|\.\.\. {_N} (?:more|common)|---> |--- End of |Stack ?trace:|stack backtrace:|Parse error: "
    rf"|At line {_N} of file |panicked \(crashed\)|thread {_N} panic: |\.lua:{_N}: "
    rf"|terminate called|libc\+\+abi: |\*\* \(| REPORT====|raised an exception|{_N}:in "
    rf"|(?:\.(?:rb|erb|rake)):{_N}:in | at [^ ]+ line {_N}|what\(\): |(?:trce|dbug|info|warn|fail|crit): [^ ]+\[{_N}\]$"
    r"|(?:^|[ \t:\]])at [^ ]+\(|[A-Za-z_$](?:Exception|Error|Throwable|Failure)(?:: |:?$)"
    r"|\.[A-Za-z_$.]*(?:Exception|Error|Throwable) "
    rf"|^[A-Z][a-z]+\.? {_N}, {_N} [^ ]+:[^ ]+:[^ ]+ |{_BEHIND_STAMP}(?:file://|node:|/|[A-Z]:\\)[^ ()]*:{_N}$"
    rf"|{elements.BEGINS}|\] \[\[$|^[^a-z]*{_N}:{_N}:{_N}[^ ]* +(?:\[[^\]]*\] +)?\[?(?:{_LEVELS})\]?:? *$"
    rf"|^{_N}(?:: |:?$)|^(?:[^ ]*\.)?(?:Error|Exception)(?:: |:?$)|(?:Error|Exception) \[[^ ]+\](?:: |:?$)"
)
MAY_BEGIN = r"terminating$"
"""The same for lines that are common otherwise: these make such a record only if the next line goes on with it, as"""
MAY_GO_ON = (
    r"\*\* \(|Last message|State: |Function: |Initial Call: |Ancestors: |^$|^\s|[ \t]{2}|:[ \t]*$"
    rf"|{_N}:{_N}:{_N}[^ ]*(?: [^ ]+){{0,4}}$"
)
"""says; like :data:`MAY_JOIN` it may find more than there is."""


@functools.lru_cache(maxsize=2_000)
def _begun_within(rest: str) -> Kind | None:
    """What begins on a line within a record; remembered, as the frames of stack traces repeat."""
    return next((KINDS[name] for name in WITHIN if KINDS[name].begun_by(rest)), None)


def _is_request(line: str) -> bool:
    """Whether the line is an access log's."""
    masked = mask_line(line)
    return read_request(read_header(masked).message) is not None or read_request(masked) is not None


@functools.lru_cache(maxsize=2_000)
def _is_frame(line: str) -> bool:
    """Whether the line is an indented frame as any record goes on with, and nothing begins on it; remembered."""
    return (
        line[:1].isspace()
        and line[-1:] not in (":", "{", GOES_ON)
        and "\n" not in line
        and _FRAME.match(line) is not None
        and _CONTINUES.match(line) is not None
        and _begun_within(line) is None
        and python.BEGINS.match(line) is None
    )


@functools.lru_cache(maxsize=2_000)
def _is_lone_header(line: str) -> bool | None:
    """Whether a line is a header without its message, which the next one must have; None if it has a message.

    False is for a header with a word behind it, which may be the logger's name: the message is on the next line if that
    is indented.
    """
    masked = mask_line(line)
    header = read_header(masked)
    if not header.stamped or header.level is None:
        return None
    if header.message == masked or line.endswith(_MESSAGE_FOLLOWS):
        return True
    return False if _NAME_ALONE.fullmatch(header.message) else None


class RecordJoiner:
    """Joins the lines of records that arrive apart, however they are divided into portions.

    What arrives as several lines is whole already.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._start = 0  # number of the record's first line, and of the next one that comes
        self._next = 0
        self._length = 0
        self._cut = ""  # parts of a line that a runtime cut, and the number of the first
        self._cut_start = 0
        self._loose: list[tuple[str, int]] = []  # lines that are a message's if a frame follows
        self._whole = False  # the record arrived as several lines
        self._kind: Kind | None = None
        self._traced = False  # the record holds a Python traceback
        self._unfinished = False  # and the line with the exception's class is still to come
        self._stamped = False  # its first line has a stamp
        self._apart: bool | None = None  # whether its other lines have one too; None before there is one
        self._one_more = False  # the next line belongs to it whatever it is
        self._waits = False  # an exception is named and no frame was seen
        self._held: list[tuple[int, str]] = []  # an exception that frames may follow, and what came between
        self._before = ""  # what stands before the crash that begins on its first line, and what begins there
        self._behind = ""
        self._element: Element | None = None  # a JSON object or an element of XML whose end is still to come
        self._printed = False  # the last line is within the fields that Node.js prints behind an error's frames

    @property
    def pending(self) -> bool:
        """Whether there is a record that may go on."""
        return bool(self._parts or self._cut or self._element)

    @property
    def _takes_frames(self) -> bool:
        """Whether any frame of a stack trace belongs to the record that there is, and changes nothing else."""
        return bool(self._parts) and not (self._whole or self._apart or self._loose or self._cut)

    def feed(self, lines: Iterable[str]) -> list[str]:
        """The records that are complete by now.

        :param lines: the next lines, in their order.
        """
        return [record for line in lines for _, record in self.push(line)]

    def push(self, line: str) -> list[tuple[int, str]]:
        """Take one line in; the records before it that are complete, each with the number of its first line.

        :param line: the next line.
        """
        number = self._next
        self._next += 1
        return self._entered(line, number)

    def _entered(self, line: str, number: int) -> list[tuple[int, str]]:
        if self._element is not None:
            return self._within_element(self._element, line, number)
        self._element = None if self._cut or line[-1:] == GOES_ON else Element.begun_by(line, number)
        return [] if self._element is not None else self._pushed(line, number)

    def _within_element(self, element: Element, line: str, number: int) -> list[tuple[int, str]]:
        if not element.takes(line):
            return [*self._without_element(), *self._entered(line, number)]
        if not element.complete:
            return []
        if element.text is None:
            return self._without_element()
        self._element = None
        return self._take(element.text, element.number)

    def _without_element(self) -> list[tuple[int, str]]:
        """Give up that the lines are one object or element: each counts as it stands."""
        element, self._element = self._element, None
        if element is None:
            return []
        first, *others = element.lines
        done = self._pushed(first, element.number)
        return done + [
            record for at, line in enumerate(others, 1) for record in self._entered(line, element.number + at)
        ]

    def _pushed(self, line: str, number: int) -> list[tuple[int, str]]:
        if self._held and _is_frame(line):
            return [*self._resumed(), *self._take(line, number)]
        if self._takes_frames and _is_frame(line):
            if len(self._parts) == 1 and _is_request(self._parts[0]):
                # The rest of another stream's trace: who was answered threw nothing.
                return self._begin(line, number)
            self._apart, self._one_more, self._waits = False, False, False
            self._append(line)
            return []
        if line[-1:] == GOES_ON:
            if not self._cut:
                self._cut_start = number
            if len(self._cut) <= LONGEST_RECORD:
                self._cut += line[:-1]
            return []
        if self._cut:
            line, number, self._cut = self._cut + line, self._cut_start, ""
            if line[:1] == "{":
                line = unfold_json(line)
        return self._take(line, number)

    def finish(self) -> list[tuple[int, str]]:
        """The last records, like those of :meth:`push`; there may be none."""
        done: list[tuple[int, str]] = []
        while self._element is not None:
            done += self._without_element()
        cut, self._cut = self._cut, ""
        done += self._take(cut, self._cut_start) if cut else []
        while self._parts:
            done += self._settle()
            done += [*self._given_up(), self._record()]
            self._parts = []
        return done

    def continues(self, line: str) -> bool:
        """Whether the line belongs to the record before it, or may.

        :param line: the next line.
        """
        if self._cut or self._element is not None:
            return True
        if not self._parts or self._whole or "\n" in line:
            return False
        between = bool(self._held) or self._may_get_frames or bool(self._message_of_header(line))
        return between or bool(self._loose) or self._goes_on(line) is not None or self._may_be_loose(line)

    def _record(self) -> tuple[int, str]:
        return self._start, "\n".join(self._parts)

    def _take(self, line: str, number: int, *, loose: bool = True) -> list[tuple[int, str]]:
        message = self._message_of_header(line)
        if message:
            whole, start, self._parts = f"{self._parts[0].removesuffix(_MESSAGE_FOLLOWS)} {message}", self._start, []
            return self._begin(whole, start)
        rest = self._goes_on(line) if self._parts and not self._whole and "\n" not in line else None
        if rest is not None:
            for waiting, _ in self._loose:
                self._add(waiting)
            self._loose = []
            self._apart = rest != line
            self._add(rest)
            return []
        if loose and "\n" not in line and self._may_be_loose(line):
            self._loose.append((line, number))
            return []
        if self._loose:
            return self._settle() + self._take(line, number)
        return self._begin(line, number)

    def _message_of_header(self, line: str) -> str:
        """The line, if the record is a header up to now and this is what it is the header of; else ``""``."""
        if len(self._parts) != 1 or self._whole or self._one_more or "\n" in line or not line.strip():
            return ""
        header = self._parts[0]
        opens = header.endswith(_MESSAGE_FOLLOWS)
        if not (opens or line[:1].isspace() or _ENDS_WITH_LEVEL.search(header)):
            return ""
        lone = _is_lone_header(header)
        if lone is None or not (lone or line[:1].isspace()) or has_header(line) or self._goes_on(line) is not None:
            return ""
        return line.strip().removesuffix(_ENDS_MESSAGE) if opens else line.strip()

    def _settle(self) -> list[tuple[int, str]]:
        """Give up that the loose lines belong to the record: they are records of their own."""
        loose, self._loose = self._loose, []
        self._waits = False
        return [record for line, number in loose for record in self._take(line, number, loose=False)]

    def _begin(self, line: str, number: int) -> list[tuple[int, str]]:
        done = self._done() if self._parts else []
        self._start, self._parts, self._length, self._whole = number, [line], len(line), "\n" in line
        self._traced, self._unfinished, self._apart = False, False, None
        rest = line if self._whole else without_stamp(line)
        self._stamped = rest != line
        crash = None if self._whole else crash_within(rest)
        self._behind = rest[crash:] if crash else ""
        self._before = line[: len(line) - len(self._behind)] if crash else ""
        self._kind = next((kind for kind in KINDS.values() if kind.begun_by(rest)), None)
        self._note(rest)
        self._one_more = self._one_more or (self._stamped and JAVA_HEADER.match(line) is not None)
        self._waits = not self._whole and _names_exception(line)
        return done

    @property
    def _may_get_frames(self) -> bool:
        """Whether the record is an exception of which no frame has come, or one that ends with a frame, up to now."""
        if self._whole or not self._parts:
            return False
        if len(self._parts) == 1:
            return _BARE.match(self._parts[0]) is not None
        return not (self._apart or self._before) and _is_frame(self._parts[-1])

    @property
    def _may_be_between(self) -> bool:
        """Whether the record may be a line of another stream: one process writes to two, and they are read as one."""
        return len(self._parts) == 1 and not self._whole and _TELLS_OF_FAULTS.search(self._parts[0]) is None

    def _done(self) -> list[tuple[int, str]]:
        """The record, unless frames of it may still come, or of an exception just before it."""
        if self._may_get_frames or (self._held and len(self._held) <= _MOST_BETWEEN and self._may_be_between):
            given_up = self._given_up() if self._may_get_frames else []
            self._held.append(self._record())
            return given_up
        return [*self._given_up(), self._record()]

    def _given_up(self) -> list[tuple[int, str]]:
        """The exception that no frame follows, and what came after it: records as they stand."""
        held, self._held = self._held, []
        return held

    def _resumed(self) -> list[tuple[int, str]]:
        """Take the exception up again, as a frame has come; gives what came between, or else gives it up."""
        held = self._given_up()
        if not self._may_be_between:
            return held
        between = [*held[1:], self._record()]
        start, text = held[0]
        line, *more = text.split("\n")
        self._parts = []
        self._begin(line, start)
        for rest in more:
            self._add(rest)
        return between

    def _add(self, rest: str) -> None:
        if self._kind is None:
            self._kind = _begun_within(rest)
        self._note(rest)
        if _FRAME.match(rest):
            self._waits = False
        elif _EXCEPTION.match(rest):
            self._waits = True
        self._append(rest)

    def _append(self, rest: str) -> None:
        if self._length <= LONGEST_RECORD:  # a record without an end must not fill the memory
            self._parts.append(rest)
            self._length += len(rest) + 1

    def _note(self, rest: str) -> None:
        """What the record is known to be after this line."""
        self._printed = _OPENS.match(rest) is not None or (self._printed and rest[:1] != "}")
        told_next = rest[-1:] == ":" and (native.RUST.match(rest) is not None or scripts.DART.match(rest) is not None)
        self._one_more = told_next or scripts.REPORT.match(rest) is not None
        if python.BEGINS.match(rest):
            self._traced, self._unfinished = True, True
        elif self._unfinished and rest[:1].strip() and not scripts.NIM_FRAME.match(rest):
            self._unfinished = False

    def _goes_on(self, line: str) -> str | None:
        """What of the line belongs to the record before it; None if it does not."""
        if self._before and line.startswith(self._before):  # what some tool writes before every line
            if len(self._parts) == 1:
                self._kind = next((kind for kind in KINDS.values() if kind.begun_by(self._behind)), self._kind)
                self._note(self._behind)
            return self._goes_on_behind(line[len(self._before) :], apart=False)
        rest = without_stamp(line)
        apart = rest != line
        if apart and not (self._stamped and self._apart is not False):
            return None  # a line with a stamp is a record of its own, unless all of the record's lines have one
        if self._apart and not apart:
            return None
        return self._goes_on_behind(rest, apart)

    def _goes_on_behind(self, rest: str, apart: bool) -> str | None:
        """The same of a line whose stamp, if it has one, is taken off."""
        certain = bool(self._apart or self._kind or self._traced)
        if (_CONTINUES if certain or not apart else _CONTINUES_STAMPED).match(rest):
            return rest
        if (certain or not apart) and frames.FOREIGN.match(rest):
            return rest
        if self._kind is not None and self._kind.more(rest):
            return rest
        if self._printed and _PRINTED.match(rest):
            return rest
        if self._one_more and (self._kind is not None or (not apart and JAVA_LEVEL.match(rest))):
            return rest
        if self._unfinished:
            return None if _DATED.match(rest) or (apart and has_level(rest)) else rest
        if self._traced and (not rest.strip() or python.BETWEEN.match(rest)):
            return rest
        if not apart and len(self._parts) == 1 and _EXCEPTION.match(rest) and has_header(self._parts[0]):
            return rest
        return None

    def _may_be_loose(self, line: str) -> bool:
        return (
            self._waits
            and len(self._loose) < _MOST_LOOSE
            and bool(line.strip())
            and not has_header(line)
            and not _EXCEPTION.match(line)
        )


def _names_exception(line: str) -> bool:
    named = "Exception" in line or "Error" in line or "Throwable" in line
    return named and _NAMES_EXCEPTION.search(line) is not None


def has_level(line: str) -> bool:
    """Whether a raw line begins with a level.

    :param line: without prefixes and colours.
    """
    found = _LEVELED.match(line)
    return found is not None and found[1].upper() in LEVELS and (found[1].isupper() or line[found.end() :][:1] in ":]")


def has_header(line: str) -> bool:
    """Whether a raw line begins like a record of its own.

    :param line: without prefixes and colours.
    """
    return RAW.match(line) is not None or has_level(line) or line[:1] in ("{", "<") or _DATED.match(line) is not None


def join_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Join the lines of records that arrive apart; yields each record with the position of its first line.

    :param lines: all lines, in their order.
    """
    joiner = RecordJoiner()
    for line in lines:
        yield from joiner.push(line)
    yield from joiner.finish()
