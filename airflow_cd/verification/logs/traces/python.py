"""Tracebacks of Python: chained, with notes, and of exception groups."""

from __future__ import annotations

import re

from airflow_cd.verification.logs.traces.trace import StackTrace, nearest

BEGINS = re.compile(r"[\s|+]*(?:Exception Group )?Traceback \(most recent call last\)|Fatal Python error: ")
BETWEEN = re.compile(
    r"[\s|]*(?:The above exception was the direct cause|During handling of the above exception"
    r"|Thread 0x|Current thread 0x|Extension modules: )"
)
_FILE = re.compile(r'^[\s|+]*File "([^"]+)", line [^,]+,? in (.+)$')
_CLASS = re.compile(r"^([\s|+]*)([A-Za-z_][\w.]*)(?::\s.*|:)?$")
_DEPTH = re.compile(r"[\s|+]*")


def read(lines: list[str]) -> StackTrace | None:
    """The innermost exception's functions; of a group the ones of its first member, its classes all named.

    :param lines: of the record.
    """
    sections: list[tuple[str | None, list[tuple[str, str]], int]] = []
    frames: list[tuple[str, str]] = []
    depth = 0
    for line in lines:
        frame = _FILE.match(line)
        indent = _DEPTH.match(line).end()  # type: ignore[union-attr]
        if frame:
            if not frames:
                depth = line.count("|", 0, indent)
            module = re.split(r"[\\/]", frame[1])[-1].removesuffix(".py")
            frames.append((frame[1], f"{module}.{frame[2].strip()}"))
        elif frames and ("|" in line[:indent] or not line[:1].isspace()):
            inner = line[:indent].rpartition("|")[2]
            match = _CLASS.match(line)
            if match and len(inner) <= 1:
                sections.append((match[2], frames[::-1], depth * 100 + line.find("|") if depth else 0))
                frames = []
    if frames:  # cut off before its last line
        sections.append((None, frames[::-1], 0))
    if not sections:
        return None
    if any(depth for _, _, depth in sections):  # the group first, what it holds after it
        names = list(dict.fromkeys(name for name, _, _ in sections if name))
        return StackTrace(tuple(names) or ("unfinished traceback",), nearest(sections[-1][1]))
    classes = [name for name, _, _ in reversed(sections) if name]
    return StackTrace(tuple(classes) or ("unfinished traceback",), nearest(sections[0][1]))
