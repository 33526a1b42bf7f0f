"""Fields of a JSON record that tell what happened beside its message: statuses, codes, reasons, outcomes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_cd.verification.logs.headers.grpc_codes import name_of_code
from airflow_cd.verification.logs.headers.json_fields import named, within

# What a field is called in a template, by its name in small letters without dots and underscores.
_NEWS = {
    **dict.fromkeys(
        ("status", "statuscode", "httpstatus", "httpstatuscode", "responsecode", "responsestatus"), "status"
    ),
    **dict.fromkeys(
        ("code", "errorcode", "errcode", "errno", "sqlstate", "grpccode", "grpcstatus", "exitcode"), "code"
    ),
    **dict.fromkeys(("rc", "returncode", "exitstatus"), "code"),
    **dict.fromkeys(("errorclass", "exceptionclass", "errortype", "exceptiontype"), "class"),
    **{
        name: name
        for name in ("reason", "cause", "outcome", "result", "event", "type", "class", "signal", "conclusion")
    },
    "httpresponsestatuscode": "status",
    **dict.fromkeys(("grpcstatuscode", "rpcgrpcstatuscode", "processexitcode"), "code"),
    "eventoutcome": "outcome",
    "eventreason": "reason",
    "responsestatuscode": "status",
    **dict.fromkeys(("resulttype", "operationresult"), "result"),
    **dict.fromkeys(("jobstatus", "runstatus", "healthstatus"), "status"),
    "resultcode": "code",
    "eventtype": "event",
}
_OUTCOMES = ("reason", "outcome", "result")
_HOLDS_NEWS = "res resp response httprequest http req error err event grpc rpc process result".split()  # noqa: SIM905
SUCCESSES = ("success", "ok", "succeeded", "successful", "passed")
"""Fields that say by true and false whether something succeeded."""
_NAMES_OF_STATUSES = ("httpcode", "st", "sc")  # where the number looks like one
_STATUS_OF_ANSWER = {"code": "status"}
WORD = re.compile(r"[A-Za-z]+(?:[._-][A-Za-z]+)*")
"""A word, or several in one: what events and errors are called."""
_LONGEST_VALUE = 60


def news(fields: Mapping[str, Any], message: str) -> list[str]:
    """Fields that tell what happened, as ``key=value``, in the order of their names.

    :param fields: of the record, as of :func:`~.json_fields.named`.
    :param message: of the record, which is not told twice.
    """
    found: dict[str, str] = {}
    for name, value in (*fields.items(), *(item for inner in _told_apart(fields) for item in inner.items())):
        kept = news_of(name, value)
        if kept is None or isinstance(value, (dict, list)) or value is None or kept in found:
            continue
        text = str(value).lower() if isinstance(value, bool) else name_of_code(name, value) or str(value).strip()
        if text and text != message and len(text) <= _LONGEST_VALUE and not any(char in text for char in "\n\r\t"):
            found[kept] = text
    code = next((code for code in map(_code_of_error, _items(fields.get("errors"))) if code), "")
    if code:
        found.setdefault("error", code)
    return [f"{name}={found[name]}" for name in sorted(found)]


def _items(value: Any) -> Iterable[dict[str, Any]]:
    return (named(item) for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _code_of_error(error: Mapping[str, Any]) -> str:
    """What an error among those of an answer is called by its code: GraphQL, JSON:API; ``""`` without one."""
    extensions = error.get("extensions")
    code = (named(extensions) if isinstance(extensions, dict) else error).get("code")
    return code if isinstance(code, str) and WORD.fullmatch(code) else ""


def news_of(name: str, value: Any) -> str | None:
    """What a field is called in a template; None if it tells no news.

    :param name: of the field, in small letters.
    :param value: that it has.
    """
    plain = name.replace(".", "_").replace("_", "")
    if isinstance(value, bool):
        return name if name in SUCCESSES else None
    if plain in _NEWS:
        return _NEWS[plain]
    if plain in _NAMES_OF_STATUSES:
        return "status" if _is_status(value) else None
    if plain.endswith(("status", "statuscode")) and (_is_status(value) or "." in name):
        return "status"
    # `payment.result`, `job_outcome`: what follows a part of the name tells what became of that.
    last = re.split(r"[._]", name)[-1]
    return last if last in _OUTCOMES and last != name else None


def _is_status(value: Any) -> bool:
    """Whether it looks like the status of an answer, so that any name that ends in "status" is of one."""
    return len(text := str(value)) == 3 and text.isdigit() and text[0] in "12345"


def _told_apart(fields: Mapping[str, Any], *, inside: bool = True) -> Iterable[dict[str, Any]]:
    """Objects in which something tells what happened: a response's status, an event's outcome, an error's code.

    Pino, Google Cloud, ECS; with ``inside`` also those of OpenTelemetry's attributes and of tracing's fields.
    """
    for name in _HOLDS_NEWS:
        inner = fields.get(name)
        if isinstance(inner, dict):
            fields_of_it = named(inner)
            yield {key: value for key, value in fields_of_it.items() if key not in ("type", "class", "event")}
            for answer in (fields_of_it.get("response"), fields_of_it.get("resp")):
                if isinstance(answer, dict):
                    yield {_STATUS_OF_ANSWER.get(key, key): value for key, value in named(answer).items()}
    for inner in within(fields) if inside else ():
        yield {key: value for key, value in inner.items() if key not in ("type", "class", "event")}
        yield from _told_apart(inner, inside=False)
