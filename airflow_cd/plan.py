"""The plan of a pipeline: what a run of it does, in JSON values, to be kept and compared."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_cd.spelling import nearest, suggestion

NOT_SET = "not set"
AIRFLOWS_OWN = "airflow/"
"""How names begin that Airflow itself takes from a run's configuration."""

_MEANT = {
    "overrides": "configuration",
    "config": "configuration",
    "settings": "configuration",
    "variables": "configuration",
    "release": "version",
    "tag": "version",
    "image": "version",
    "artifact": "version",
    "message": "reason",
    "why": "reason",
    "comment": "reason",
    "description": "reason",
    "mode": "rollback",
    "automatic_rollback": "rollback",
    "first_release": "learn",
    "baseline": "learn",
    "env": "environment",
    "stage": "environment",
}
"""What people call the parameters of a run otherwise."""


@dataclass(frozen=True)
class Plan:
    """What a run does: stages, order, targets, phases, verification settings.

    :param steps: all of it as JSON values; empty for a DAG whose runs are bound to nothing.
    """

    steps: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # As it will be read back.
        object.__setattr__(self, "steps", json.loads(json.dumps(self.steps, default=str)))

    def differences(self, before: Mapping[str, Any]) -> list[str]:
        """What differs from another plan, one line each: where, what it was, what it is.

        :param before: the steps of the other one.
        """
        old, new = dict(_lines(before)), dict(_lines(self.steps))
        return [
            f"{name}: {old.get(name, NOT_SET)} → {new.get(name, NOT_SET)}"
            for name in dict.fromkeys([*old, *new])
            if old.get(name) != new.get(name)
        ]


def _lines(value: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    for name, content in value.items():
        where = f"{place} / {name}" if place else str(name)
        if isinstance(content, Mapping) and content:
            yield from _lines(content, where)
        elif isinstance(content, list) and any(isinstance(item, Mapping) for item in content):
            yield from _lines({str(number): item for number, item in enumerate(content, 1)}, where)
        else:
            yield where, _text(content)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or NOT_SET
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def unknown_parameters(given: Collection[str], known: Collection[str]) -> list[str]:
    """What is wrong with the names of a run's parameters, one sentence each; empty when nothing is.

    :param given: their names.
    :param known: the names that the pipeline has.
    """
    unknown = sorted(name for name in given if name not in known and not name.startswith(AIRFLOWS_OWN))
    return [f"there is no parameter {name!r}; {_nearest(name, known)}" for name in unknown]


def _nearest(name: str, known: Collection[str]) -> str:
    meant = {**{other: right for other, right in _MEANT.items() if right in known}, **{one: one for one in known}}
    plain = name.lower().replace("-", "_").replace(" ", "_")
    parts = [part for part in plain.split("_") if part in meant]
    close = nearest(plain, meant) or next(iter(parts), "")
    return f"did you mean {meant[close]!r}?" if close else suggestion(name, known)
