"""Crashes of PHP, Ruby and Crystal, Nim, Perl, Lua, Julia, Elixir and Erlang, Dart, Haskell."""

from __future__ import annotations

import re

from airflow_cd.verification.logs.headers.failures import exception_in
from airflow_cd.verification.logs.traces.trace import StackTrace, nearest, reason

PHP = re.compile(r"(?:PHP )?(?:Fatal|Parse|Recoverable fatal) error: ")
PHP_MORE = re.compile(r"Stack trace:|PHP Stack trace:|#\d+ |\s+thrown in |PHP +\d+\. |Next [\w\\]+: |\s*$")
RUBY = re.compile(r"\S+\.(?:rb|erb|rake):\d+:in ")
RUBY_MORE = re.compile(
    r"$|\s{4}\S|\s*\^+$|\s+from |\s+\d+: from |\s*\S+\.(?:rb|erb|rake|ru):\d+:in |\s*bin/\S+:\d+:in "
)
LUA = re.compile(r"(?:\S*lua\S*: )?\S+\.lua:\d+: \S")
LUA_MORE = re.compile(r"stack traceback:|\s+(?:\[C\]|\[string |\S+\.lua:\d+): |\s+\.\.\.|coroutine \d+:")
_LUA_REASON = re.compile(r"\S+\.lua:\d+: (.*)")
_LUA_FRAME = re.compile(r"\s+(\S+\.lua):\d+: in (?:(?:\w+ )?'([^']+)'|(.+))")
NIM_FRAME = re.compile(r"\S+\.nims?\(\d+\) +(\S+)")
BEAM = re.compile(r"\*\* \(|=[A-Z ]+REPORT====|.* terminating$|.*Process #PID<\S+> .*raised an exception")
REPORT = re.compile(r"=[A-Z ]+REPORT==== ")
BEAM_MORE = re.compile(r"\*\* \(|\s+\S|Last message|State: |Function: |Initial Call: |Ancestors: |\s*$")
PERL = re.compile(r".* at \S+ line \d+(?:, <\S+> (?:line|chunk) \d+)?\.?$")
PERL_MORE = re.compile(r"\s+(?:\S+\(.*\)|eval \{\.\.\.\}|require \S+) called at \S+ line \d+")
DART = re.compile(r"Unhandled exception:$")
DART_MORE = re.compile(r"#\d+ +\S|<asynchronous suspension>|\s*$")
HASKELL = re.compile(r"(?:CallStack \(from HasCallStack\)|HasCallStack backtrace):$")

_JULIA = re.compile(r"ERROR: (?:LoadError: |InitError: )*(?:TaskFailedException|([A-Z]\w+)(?=[:(]|$)|(.*))")
_DART_FRAME = re.compile(r"#\d+ +(\S+) \((\S+?)(?::\d+)*\)")
_HASKELL_FRAME = re.compile(r"\s+(\S+), called at (\S+?):\d")
_JULIA_FRAME = re.compile(r"\s*\[\d+\] ((?:top-level scope|[\w!.#]+))")
_PHP_CLASS = re.compile(r"Uncaught (?:exception ')?([\w\\]+)")
_PHP_KIND = re.compile(r"((?:Fatal|Parse|Recoverable fatal) error): +(.*?)(?: in \S+(?::\d+| on line \d+))?$")
_PHP_FRAME = re.compile(r"^#\d+ (\S+?)\(\d+\): ([\w\\:>{}-]+)\(|^PHP +\d+\. ([\w\\:>{}-]+)\(")
_RUBY_HEAD = re.compile(r"(?:in [`'][^`']*['`]: )?(.*?) ?\(([A-Z][\w:]*)\)\s*$")
_RUBY_FRAME = re.compile(r"(\S+\.(?:rb|erb|rake|ru|cr)):\d+(?::\d+)?:? ?in [`']([^`']+)")
_NIM_CLASS = re.compile(r"\[(\w+(?:Defect|Error|Exception))\]$")
_BEAM_CLASS = re.compile(r"\*\* \(([\w.]+)\)")
_BEAM_FRAME = re.compile(r"^\s+(\([^)]*\) )?(?:\S+:\d+: )([\w.:!?/<>&\"-]+)")
_PERL_FRAME = re.compile(r"^\s+(\S+?)\(.*called at (\S+) line")


def read_php(lines: list[str]) -> StackTrace | None:
    """An uncaught exception by its class, another fatal error by its words.

    :param lines: of the record.
    """
    for at, line in enumerate(lines):
        if not re.search(r"(?:Fatal|Parse|Recoverable fatal) error: ", line):
            continue
        classes = [match[1] for more in lines[at:] if (match := _PHP_CLASS.search(more))]
        kind = _PHP_KIND.search(line)
        found = [match for more in lines[at + 1 :] if (match := _PHP_FRAME.match(more))]
        frames = [(match[1] or "", match[2] or match[3]) for match in found]
        if not frames and not any("{main}" in more for more in lines[at + 1 :]):
            return None
        name = classes[0] if classes else f"{kind[1]}: {reason(kind[2])}" if kind else "Fatal error"
        return StackTrace((name,), nearest(frames) or ("{main}",))
    return None


def read_ruby(lines: list[str]) -> StackTrace | None:
    """The class in parentheses, and the methods.

    :param lines: of the record.
    """
    frames = [(match[1], match[2]) for line in lines if (match := _RUBY_FRAME.search(line))]
    if not frames or len(lines) < 2:
        return None
    for line in lines:
        head = _RUBY_HEAD.search(line)
        if head is not None:
            return StackTrace((head[2],), nearest(frames))
    return None


def read_nim(lines: list[str]) -> StackTrace | None:
    """An unhandled exception of Nim by its class, which stands in brackets on the last line.

    :param lines: of the record.
    """
    frames = [(found[0], found[1]) for line in lines if (found := NIM_FRAME.match(line))]
    if not frames:
        return None
    classes = [found[1] for line in lines if (found := _NIM_CLASS.search(line))]
    return StackTrace((classes[-1] if classes else "unhandled exception",), nearest(frames[::-1]))


def read_beam(lines: list[str]) -> StackTrace | None:
    """An exception of Elixir or Erlang.

    :param lines: of the record.
    """
    for at, line in enumerate(lines):
        found = _BEAM_CLASS.search(line)
        if found is None:
            continue
        frames = [(match[1] or "", match[2]) for more in lines[at + 1 :] if (match := _BEAM_FRAME.match(more))]
        if frames:
            return StackTrace((found[1],), nearest(frames))
    return None


def read_dart(lines: list[str]) -> StackTrace | None:
    """An exception of Dart by its class or its words, with the functions that it came through.

    :param lines: of the record.
    """
    at = next((number for number, line in enumerate(lines) if DART.search(line)), None)
    frames = [(found[2], found[1]) for line in lines if (found := _DART_FRAME.match(line))]
    if at is None or not frames:
        return None
    said = lines[at + 1]
    return StackTrace((exception_in(said.split(":")[0]) or reason(said),), nearest(frames))


def read_haskell(lines: list[str]) -> StackTrace | None:
    """An error of Haskell by what it says, with the functions of its call stack.

    :param lines: of the record.
    """
    at = next((number for number, line in enumerate(lines) if HASKELL.search(line)), None)
    frames = [(found[2], found[1]) for line in lines if (found := _HASKELL_FRAME.match(line))]
    if not at or not frames:
        return None
    return StackTrace((f"error: {reason(lines[0].partition(': ')[2] or lines[0])}",), nearest(frames))


def read_lua(lines: list[str]) -> StackTrace | None:
    """An error of Lua by its reason, with the functions of its traceback.

    :param lines: of the record.
    """
    at = next((number for number, line in enumerate(lines) if line.strip() == "stack traceback:"), None)
    why = next((found for line in lines[:at] if (found := _LUA_REASON.search(line))), None)
    if at is None or why is None:
        return None
    frames = [(found[1], found[2] or found[3]) for line in lines[at:] if (found := _LUA_FRAME.match(line))]
    return StackTrace((f"lua: {reason(why[1])}",), nearest(frames) or ("main chunk",))


def read_julia(lines: list[str]) -> StackTrace | None:
    """An error of Julia by its type, or by what it says where it is of none.

    :param lines: of the record.
    """
    found = _JULIA.search(lines[0])
    frames = [(frame[1], frame[1]) for line in lines if (frame := _JULIA_FRAME.match(line))]
    if found is None or not frames or "Stacktrace:" not in lines:
        return None
    return StackTrace((found[1] or reason(found[2] or "TaskFailedException"),), nearest(frames))


def read_perl(lines: list[str]) -> StackTrace | None:
    """What died, with the subroutines of Carp's trace.

    :param lines: of the record.
    """
    frames = [(match[2], match[1]) for line in lines[1:] if (match := _PERL_FRAME.match(line))]
    if not frames:
        return None
    return StackTrace((f"died: {reason(re.sub(r' at [^ ]+ line .*', '', lines[0]))}",), nearest(frames))
