"""Reading the answers of an HTTP deployment API: what the contract promises, checked before it is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow_cd.targets.base import HEALTH_STATES, Instance

MAX_EXCERPT = 200
MAX_MESSAGE = 2_000


class BrokenAnswer(ValueError):
    """An answer that is JSON and yet not what the contract promises; says what is wrong with it."""


@dataclass(frozen=True)
class Traffic:
    """What reaches an instance.

    :param last_request: when its last request ended, UTC; None when it has served none.
    :param in_flight: requests it is serving now.
    """

    last_request: datetime | None
    in_flight: int


def excerpt(content: bytes, limit: int = MAX_EXCERPT) -> str:
    """The first bytes of a body on one printable line, for an error message."""
    text = content[: limit * 4].decode("utf-8", errors="replace")
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def read_error(content: bytes) -> tuple[str, str] | None:
    """Code and message of ``{"error": {"code", "message"}}``, or None when the body is something else."""
    try:
        answer = json.loads(content)
    except ValueError:
        return None
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), str):
        return None
    message = error.get("message")
    return error["code"], message[:MAX_MESSAGE] if isinstance(message, str) else ""


def read_instances(answer: Mapping[str, Any], environment: str) -> list[Instance]:
    """Instances of ``GET /v1/environments/{environment}/instances``, sorted by name.

    :raises BrokenAnswer: when a field is missing or of the wrong type, or a name appears twice.
    """
    if answer.get("environment", environment) != environment:
        raise BrokenAnswer(f"it speaks of environment {answer['environment']!r}")
    listed = answer.get("instances")
    if not isinstance(listed, list):
        raise BrokenAnswer('"instances" is not a list')
    instances = [_read_instance(number, entry) for number, entry in enumerate(listed)]
    names = [instance.name for instance in instances]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BrokenAnswer(f"instance {twice[0]!r} is listed twice")
    return sorted(instances, key=lambda instance: instance.name)


def _read_instance(number: int, entry: object) -> Instance:
    if not isinstance(entry, dict):
        raise BrokenAnswer(f'"instances"[{number}] is not an object')

    def field(name: str, kinds: tuple[type, ...], *fallback: Any) -> Any:
        value = entry.get(name, *fallback) if fallback else entry.get(name, ...)
        if value is ...:
            raise BrokenAnswer(f'"instances"[{number}] has no "{name}"')
        if not isinstance(value, kinds):
            raise BrokenAnswer(f'"{name}" of "instances"[{number}] is a {type(value).__name__}')
        return value

    text_or_null = (str, type(None))
    health = field("health", (str,))
    if health not in HEALTH_STATES:
        raise BrokenAnswer(f'"health" of "instances"[{number}] is {health!r}, not one of {", ".join(HEALTH_STATES)}')
    return Instance(
        name=field("name", (str,)),
        version=field("version", text_or_null),
        artifact=field("artifact", text_or_null),
        configuration=field("configuration", (dict, type(None))) or {},
        health=health,
        drained=field("drained", (bool,)),
        message=(field("message", text_or_null, "") or "")[:MAX_MESSAGE],
    )


def require_names(answer: Mapping[str, Any], field: str, asked: Sequence[str]) -> None:
    """Raise :class:`BrokenAnswer` unless the field lists every instance that was asked for."""
    names = answer.get(field)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BrokenAnswer(f'"{field}" is not a list of instance names')
    if missing := sorted(set(asked) - set(names)):
        raise BrokenAnswer(f'"{field}" leaves out {", ".join(missing)}')


def read_traffic(answer: Mapping[str, Any]) -> dict[str, Traffic]:
    """Traffic of each instance, of ``GET /v1/environments/{environment}/traffic``."""
    listed = answer.get("instances")
    if not isinstance(listed, list):
        raise BrokenAnswer('"instances" is not a list')
    traffic = {}
    for number, entry in enumerate(listed):
        try:
            last = entry["last_request"]
            when = None if last is None else datetime.fromtimestamp(float(last), tz=timezone.utc)
            traffic[str(entry["name"])] = Traffic(when, int(entry["in_flight"]))
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise BrokenAnswer(f'"instances"[{number}] is not what traffic looks like') from error
    return traffic
