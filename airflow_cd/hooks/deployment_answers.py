"""Reading the answers of the HTTP deployment API: checked against the contract before they are used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow_cd.instances import HEALTH_STATES, Instance

MAX_MESSAGE = 2_000


class BrokenAnswer(ValueError):
    """An answer that is JSON and yet not what the contract promises.

    :param reason: what is wrong with it.
    :param instances: the instances it is about, where known.
    """

    def __init__(self, reason: str, instances: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.instances = tuple(instances)


@dataclass(frozen=True)
class Traffic:
    """What reaches an instance.

    :param last_request: when its last request ended, UTC; None when it has served none.
    :param in_flight: requests it is serving now.
    """

    last_request: datetime | None
    in_flight: int


def error_code(content: Any) -> str | None:
    """Return the code of ``{"error": {"code", "message"}}``; None when the body is something else.

    :param content: the parsed body.
    """
    error = content.get("error") if isinstance(content, Mapping) else None
    code = error.get("code") if isinstance(error, Mapping) else None
    return code if isinstance(code, str) else None


def read_instances(answer: Mapping[str, Any], environment: str) -> list[Instance]:
    """Read the answer of ``GET /v1/environments/{environment}/instances``.

    :param answer: the parsed body.
    :param environment: the environment that was asked for.
    :returns: its instances, sorted by name.
    :raises BrokenAnswer: when a field is missing or of the wrong type, or a name appears twice.
    """
    listed = _listed(answer)
    if answer.get("environment", environment) != environment:
        raise BrokenAnswer(f"it is about environment {answer['environment']!r}")
    instances = [_read_instance(number, entry) for number, entry in enumerate(listed)]
    counts = Counter(instance.name for instance in instances)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise BrokenAnswer(f"instance {twice[0]!r} is listed twice", twice)
    return sorted(instances, key=lambda instance: instance.name)


def _listed(answer: Any) -> list[Any]:
    listed = answer.get("instances") if isinstance(answer, Mapping) else None
    if not isinstance(listed, list):
        raise BrokenAnswer('"instances" is not a list')
    return listed


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
        started=_read_time(field("started", text_or_null, None), f'"started" of "instances"[{number}]'),
    )


def _read_time(text: str | None, what: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise BrokenAnswer(f"{what} is {text!r}, not a time in ISO 8601") from None
    if moment.tzinfo is None:
        raise BrokenAnswer(f"{what} is {text!r}, a time without its zone")
    return moment


def require_names(answer: Mapping[str, Any], field: str, asked: Sequence[str]) -> None:
    """Check that an answer lists every instance that was asked for.

    :param answer: the parsed body.
    :param field: the list in it.
    :param asked: names of the instances.
    :raises BrokenAnswer: one is missing, or it is not a list.
    """
    names = answer.get(field) if isinstance(answer, Mapping) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BrokenAnswer(f'"{field}" is not a list of instance names')
    if missing := sorted(set(asked) - set(names)):
        raise BrokenAnswer(f'"{field}" leaves out {", ".join(missing)}', missing)


def read_traffic(answer: Mapping[str, Any]) -> dict[str, Traffic]:
    """Read the answer of ``GET /v1/environments/{environment}/traffic``.

    :param answer: the parsed body.
    :returns: the traffic of each instance by name.
    :raises BrokenAnswer: when a field is missing or of the wrong type.
    """
    traffic = {}
    for number, entry in enumerate(_listed(answer)):
        try:
            last = entry["last_request"]
            when = None if last is None else datetime.fromtimestamp(float(last), tz=timezone.utc)
            traffic[str(entry["name"])] = Traffic(when, int(entry["in_flight"]))
        except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
            raise BrokenAnswer(f'"instances"[{number}] is not the traffic of an instance') from error
    return traffic
