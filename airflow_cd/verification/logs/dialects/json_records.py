"""Records that are JSON objects, as structured loggers write them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_cd.verification.logs.dialects.stack_traces import exception_in

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
    """A JSON record as ``LEVEL message`` and its exception, on lines of their own; anything else unchanged.

    :param line: a record on one line.
    """
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
