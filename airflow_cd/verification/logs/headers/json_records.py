"""Structured records: level, message and exception out of JSON, whatever a logger calls its fields.

Names are compared in small letters, without ``@`` and ``_`` in front, and found in nested objects too: GELF, ECS,
OpenTelemetry, CLEF and Serilog, .NET, journald, Google Cloud, Lambda, Monolog, logback, log4j 2, pino, bunyan, winston,
zap, zerolog, slog, MongoDB. What Docker's ``json-file`` writes is the line of the application inside it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_cd.verification.logs.headers.failures import exception_in
from airflow_cd.verification.logs.headers.json_fields import named, within
from airflow_cd.verification.logs.headers.json_messages import DEEPEST, event_in, sentence_in
from airflow_cd.verification.logs.headers.json_news import WORD, news, news_of
from airflow_cd.verification.logs.headers.levels import LETTERS, NAMES, PLAIN, SYSLOG, of_number, severity_of_word
from airflow_cd.verification.logs.masking import GOES_ON

_MESSAGES = [
    "message",
    "msg",
    "short_message",
    "renderedmessage",
    "rendered_message",
    "body",
    "event",
    "log",
    "text",
    "m",
    "messagetemplate",
    "mt",
    "textpayload",
    "errormessage",
    "title",
    "eventname",
    "operationname",
    "description",
    "full_message",
    "methodname",
    "signature",
    *("detail", "details", "summary", "content", "line", "txt", "note"),
]
_ENDS_OF_MESSAGES = ("message", "msg", "text", "txt")  # of longer names: `logMessage`, `event_msg`, `eventMessage`
_NO_MESSAGES = ("errormessage", "errormsg", "errortext", "subtext", "context", "plaintext", "ciphertext")
_LEVELS = [
    "level_name",
    "levelname",
    "severitytext",
    "severity_text",
    "log.level",
    "loglevel",
    "log_level",
    "level",
    "severity",
    "lvl",
    "l",
    "sev",
    "severitynumber",
    "severity_number",
    "levelno",
    "level_value",
    "priority",
    "severity_level",
    "log.severity",
    "error_severity",
    "severity_label",
    "messagetype",  # of macOS: `Default`, `Error`, `Fault`
]
_KINDS_OF_RECORDS = ("type", "kind")
_STACKS = [
    "stack_trace",
    "stacktrace",
    "exc_info",
    "exc_text",
    "traceback",
    "exception",
    "stack",
    "error.stack_trace",
    "exception.stacktrace",
    "thrown",
    "throwable",
    "error",
    "err",
    "exc",
    "x",
    "exceptions",
]
_CLASSES = "exc_type classname class name type kind".split()  # noqa: SIM905
_TEXTS = "message msg value exc_value".split()  # noqa: SIM905
_TRACES = "stack_trace stacktrace stack traceback extendedstacktrace steparray frames trace".split()  # noqa: SIM905
_SHORT_STACK = ("errortype", "error.type", "exception.type", "error_class", "exception_class", "exceptionclass")


_OF_ERRORS = "error errorcode error_code errormessage error_message errortype error_type error_class exception".split()  # noqa: SIM905
_NO_ERROR = frozenset(("", "0", "-", "none", "null", "nil", "no", "ok", "false", "success", "no error", "{}", "[]"))
_NAMES_AN_ERROR = "(error)"
_HASH_KEY = re.compile(r"(?<=[{,\s])(?::(\w+)|\"([\w.-]+)\")\s*=>")  # of a hash as Ruby prints it
_MOST_FIELDS_BESIDE = 4
_NAMES_OF_EVENTS = ("event_name", "eventname", "evt")
_NAMES_OF_OPERATIONS = ("operationname", "methodname", "eventname")  # of what a service does: often one for all records


def unfold_json(line: str) -> str:
    """A JSON record as ``LEVEL message`` and its exception, on lines of their own; anything else unchanged.

    :param line: a record on one line.
    """
    content = _loaded(line) or (_loaded(_HASH_KEY.sub(r'"\1\2":', line)) if "=>" in line else None)
    if content is None:
        return line
    content = _of_event_collector(_of_collector(content))
    wrapped = _of_docker(content)
    if wrapped is not None:
        return unfold_json(wrapped) if wrapped[:1] == "{" else wrapped
    return unfold_fields(content, line) or line


def unfold_fields(content: dict[str, Any], line: str) -> str | None:
    """A record as ``LEVEL message`` and its exception, on lines of their own; None if it says neither.

    :param content: its fields.
    :param line: the record as it stands in the log; it is the message where no field is.
    """
    fields = named(content)
    message = _message(fields)
    stack = _exception(fields)
    level = _level(fields)
    if level is None and not message and not stack:
        stating = _stating(content)
        if stating is not None:
            fields = named(stating)
            level, message, stack = _level(fields), _message(fields), _exception(fields)
    if level is None and not message:
        level, message = _level_as_key(fields)
        stack = "" if message == stack else stack
    if level is not None and not stack and " " not in message:
        message = _told_elsewhere(content, fields, message)
    told = news(fields, message)
    if not message and level is None and WORD.fullmatch(stack) and exception_in(stack) is None:
        told, stack = sorted((*told, f"error={stack}")), ""
    if not message and not stack:
        return " ".join((*([NAMES[level]] if level else ()), line, *told)) if level or told else None
    if level is None and not stack and _tells_of_error(fields):
        told = [*told, _NAMES_AN_ERROR]
    first = " ".join(part for part in (NAMES[level] if level else "", message, *told) if part)
    return "\n".join(part for part in (first, stack) if part)


def _loaded(line: str) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _level_as_key(fields: Mapping[str, Any]) -> tuple[str | None, str]:
    """Level and message of a record whose message stands in a field that is called like its level; else nothing."""
    found = [(name, value) for name, value in fields.items() if name.upper() in PLAIN and isinstance(value, str)]
    few = len(fields) <= _MOST_FIELDS_BESIDE and not any(news_of(name, value) for name, value in fields.items())
    if len(found) == 1 and few and " " in found[0][1].strip():
        return severity_of_word(found[0][0]), found[0][1]
    return None, ""


def _told_elsewhere(content: dict[str, Any], fields: Mapping[str, Any], message: str) -> str:
    """The message where a field with no name of a message has it, or says more than one word that is always the same.

    :param message: one word, or ``""``.
    """
    stating = content if _stated(named(content)) is not None else _stating(content) or content
    if not message:
        return sentence_in(content, stating) or event_in(content, stating)
    if any(fields.get(name) == message for name in _NAMES_OF_OPERATIONS):
        return " ".join(part for part in (message, sentence_in(content, stating)) if part)
    event = next((value for name, value in fields.items() if name in _NAMES_OF_EVENTS and isinstance(value, str)), "")
    return f"{message} event={event}" if WORD.fullmatch(event) and event != message else message


def _stating(content: Mapping[str, Any], depth: int = 1) -> dict[str, Any] | None:
    """The object within the record that states a level in a word, whatever it is called; None without."""
    inner = [value for value in content.values() if isinstance(value, dict)] if depth < DEEPEST else []
    found = next((value for value in inner if _stated(named(value), words=True) is not None), None)
    return found or next((found for value in inner if (found := _stating(value, depth + 1)) is not None), None)


def _tells_of_error(fields: Mapping[str, Any]) -> bool:
    """Whether a field that is there for errors alone has something in it."""
    values = (fields.get(name) for name in _OF_ERRORS)
    return any(value.strip().lower() not in _NO_ERROR if isinstance(value, str) else bool(value) for value in values)


def _of_docker(content: Mapping[str, Any]) -> str | None:
    """The line that Docker's ``json-file`` wraps; None if it is something else."""
    log = content.get("log")
    if not isinstance(log, str) or content.get("stream") not in ("stdout", "stderr") or len(content) > 4:
        return None
    return log[:-1] if log[-1:] == "\n" else log + GOES_ON


def _of_collector(content: dict[str, Any]) -> dict[str, Any]:
    """The record that OpenTelemetry's collector wraps, where there is one alone; else the object as it is."""
    inner: Any = content
    for name in ("resourceLogs", "scopeLogs", "logRecords"):
        items = inner.get(name) if isinstance(inner, dict) else None
        if not isinstance(items, list) or len(items) != 1:
            return content
        inner = items[0]
    return inner if isinstance(inner, dict) else content


def _of_event_collector(content: dict[str, Any]) -> dict[str, Any]:
    """The event that Splunk's HTTP Event Collector is sent; else the object as it is."""
    event = content.get("event")
    if isinstance(event, dict) and content.keys() <= {
        "time",
        "host",
        "source",
        "sourcetype",
        "index",
        "fields",
        "event",
    }:
        return event
    return content


def _message(fields: Mapping[str, Any]) -> str:
    for name in _MESSAGES:
        text = _text(fields.get(name))
        if text:
            return text
    longer = (value for name, value in fields.items() if _may_name_a_message(name.replace("_", "")))
    inner = (_message(inner) for inner in within(fields))
    return next((text for text in (*map(_text, longer), *inner) if text), "")


def _may_name_a_message(name: str) -> bool:
    return name.endswith(_ENDS_OF_MESSAGES) and not name.endswith(_NO_MESSAGES)


def _text(value: Any) -> str:
    if isinstance(value, dict):  # OpenTelemetry's values
        value = value.get("stringValue") or value.get("string_value")
    if isinstance(value, list) and value and all(isinstance(item, int) and 0 <= item < 256 for item in value):
        value = bytes(value).decode("utf-8", "replace")  # journald's binary messages
    return value if isinstance(value, str) else ""


# Scales of their own, told by the fields beside the level: Nextcloud and ownCloud, Cloud Foundry's lager.
_OWN_SCALES = (
    ("level", frozenset(("reqid", "app", "remoteaddr")), ("debug", "info", "warning", "error", "fatal")),
    ("log_level", frozenset(("source", "timestamp", "data")), ("debug", "info", "error", "fatal")),
)


def _level_of_own_scale(fields: Mapping[str, Any]) -> str | None:
    for name, beside, scale in _OWN_SCALES:
        value = fields.get(name)
        if isinstance(value, int) and 0 <= value < len(scale) and beside <= fields.keys():
            return scale[value]
    return None


def _level(fields: Mapping[str, Any]) -> str | None:
    own = _level_of_own_scale(fields)
    if own is not None:
        return own
    stated = _stated(fields)
    if stated is not None:
        return stated
    if "s" in fields and "c" in fields and "msg" in fields:  # MongoDB
        letter = str(fields["s"])
        return LETTERS.get(letter[:1])
    if "ts" in fields and "msg" in fields and ("v" in fields) != ("err" in fields):
        return "error" if "err" in fields else "info"  # klog: all but errors have a verbosity
    if "mt" in fields or "messagetemplate" in fields or ("m" in fields and "t" in fields):
        return "info"  # Serilog leaves out what is usual
    nested = next((level for inner in within(fields) if (level := _level(inner)) is not None), None)
    return nested or _level_of_status(fields.get("status"))


def _stated(fields: Mapping[str, Any], *, words: bool = False) -> str | None:
    """The level of the first field that is called like one; with ``words`` only in a word."""
    values = ((name, fields.get(name)) for name in _LEVELS)
    levels = (_one_level(name, value) for name, value in values if isinstance(value, str) or not words)
    found = next((level for level in levels if level is not None), None)
    return found or next((level for name, value in fields.items() if (level := _likely_level(name, value))), None)


def _likely_level(name: str, value: Any) -> str | None:
    """The level that a field states whose name only sounds like one: `LevelDisplayName`, `EntryType`."""
    if not isinstance(value, str) or not (word := value.strip()).isalpha():
        return None
    if "level" in name or "severity" in name or (name.endswith(_KINDS_OF_RECORDS) and word.upper() in PLAIN):
        return severity_of_word(word)
    return None


def _level_of_status(value: Any) -> str | None:
    """The level that Datadog calls a status; a word that is an outcome as well is none."""
    return severity_of_word(value) if isinstance(value, str) and value.upper() in PLAIN else None


def _one_level(name: str, value: Any) -> str | None:
    if isinstance(value, dict):
        return _level(named(value)) or _one_level(name, value.get("name") or value.get("levelStr"))
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        word = value.strip()
        found = severity_of_word(word.rsplit(".", 1)[-1]) or LETTERS.get(word)
        if found is not None:
            return found
        try:
            value = float(word)
        except ValueError:
            return None
    return _numbered_level(name, value) if isinstance(value, (int, float)) else None


def _numbered_level(name: str, value: float) -> str | None:
    if not value >= 0:  # negative, or no number at all
        return None
    if name in ("priority", "syslog.severity") and value < 8:
        return SYSLOG[int(value)]
    return of_number(value, name)


def _exception(fields: Mapping[str, Any]) -> str:
    stack = next((text for name in _STACKS if (text := _exception_text(fields.get(name)))), "")
    name = next((fields[key] for key in _SHORT_STACK if isinstance(fields.get(key), str) and fields[key]), "")
    if name and name not in stack:
        message = next(
            (
                text
                for key in ("errormessage", "error.message", "exception.message")
                if (text := _text(fields.get(key)))
            ),
            "",
        )
        stack = "\n".join(part for part in (": ".join(part for part in (name, message) if part), stack) if part)
    if stack:
        return stack
    whole = _text(fields.get("full_message"))
    if "\n" in whole:
        return whole
    return next((text for inner in within(fields) if (text := _exception(inner))), "")


def _exception_text(value: Any) -> str:
    """The text of an exception that is a text, a list, or an object of its class, message and stack; ``""`` if none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(
            text for item in value if (text := item if isinstance(item, str) else _frame_or_exception(item))
        )
    if not isinstance(value, dict):
        return ""
    fields = named(value)
    stack = next((text for name in _TRACES if (text := _exception_text(fields.get(name)))), "")
    known = (
        next((fields[key] for key in keys if isinstance(fields.get(key), str) and fields[key]), "")
        for keys in (_CLASSES, _TEXTS)
    )
    header = ": ".join(part for part in known if part)
    cause = _exception_text(fields.get("cause"))
    # Most stacks begin with the class and the message themselves.
    begins = bool(stack) and (not header or exception_in(stack.split("\n", 1)[0]) is not None)
    parts = (stack,) if begins else (header, stack)
    return "\n".join(part for part in (*parts, cause and f"Caused by: {cause}") if part)


def _frame_or_exception(value: Any) -> str:
    """A frame of log4j 2, logback or structlog as its runtime would print it; else an exception."""
    if not isinstance(value, dict):
        return ""
    fields = named(value)
    owner, method = fields.get("class") or fields.get("classname"), fields.get("method") or fields.get("methodname")
    if isinstance(owner, str) and isinstance(method, str):
        return f"\tat {owner}.{method}({fields.get('file') or fields.get('filename') or 'Unknown'})"
    file, name = fields.get("filename") or fields.get("file"), fields.get("name") or fields.get("function")
    if isinstance(file, str) and isinstance(name, str):
        return f'  File "{file}", line {fields.get("lineno") or fields.get("line") or 0}, in {name}'
    return _exception_text(value)
