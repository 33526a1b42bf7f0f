"""The plan of a pipeline: everything that decides which steps a run takes, and how they are judged."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow_cd.pipeline.specification import Approval, Member, Pipeline, Strategy, environment_of
from airflow_cd.pipeline.strategies import BlueGreen, Canary, Phase
from airflow_cd.plan import Plan

DEEPEST = 6
DEEPEST_PLAIN = 2
"""Objects inside objects that are described; of what is no dataclass fewer, for it may hold a whole client."""
_SECRET = re.compile(r"passw|secret|token|api_?key|private|credential|authorization", re.IGNORECASE)


def plan_of(pipeline: Pipeline) -> Plan:
    """The plan that runs of a pipeline begin with.

    Values of configuration are in it as a hash only: what changed there is for who approves it, and for nobody else.

    :param pipeline: one without mistakes.
    """
    steps: dict[str, Any] = {
        "service": pipeline.deployed_service,
        "artifact": pipeline.artifact,
        "supersede": pipeline.supersede,
        "stages": [" + ".join(_name(member) for member in stage) for stage in pipeline.members()],
    }
    for stage in pipeline.members():
        for member in stage:
            steps[_name(member)] = _step(pipeline, member)
    return Plan(steps)


def _name(member: Member) -> str:
    environment = environment_of(member)
    if environment is not None:
        return environment.name
    for attribute in ("name", "task_id", "group_id", "__name__"):
        if isinstance(name := getattr(member, attribute, None), str):
            return name
    return type(member).__qualname__


def _step(pipeline: Pipeline, member: Member) -> dict[str, Any]:
    if isinstance(member, Approval):
        return {"kind": "approval", "approvers": list(member.approvers or ()), "timeout": described(member.timeout)}
    environment = environment_of(member)
    if environment is None:
        return {"kind": "own", "type": _type(member)}
    step: dict[str, Any] = {
        "kind": "environment",
        "target": described(pipeline.target_of(environment)),
        "timeout": described(environment.timeout),
        "configuration": _hash({**pipeline.configuration, **environment.configuration}),
    }
    if isinstance(member, Canary):
        phases = [one.words if isinstance(one, Phase) else one for one in member.phases]
        pauses = [described(one.pause) for one in member.phases if isinstance(one, Phase) and one.pause is not None]
        step |= {"kind": "canary", "phases": phases, "mark": list(member.mark)}
        # What an older package did not know is left out where it says nothing.
        step |= {"pause": described(member.pause)} if member.pause else {}
        step |= {"pauses": pauses} if pauses else {}
    elif isinstance(member, BlueGreen):
        step |= {"kind": "blue/green", "mark": list(member.mark)}
        step |= {"preview": described(member.preview)} if member.preview is not None else {}
        step |= {"tests": _type(member.tests)} if member.tests is not None else {}
    if isinstance(member, Strategy) and member.bake:
        step["bake"] = described(member.bake)
    verification = getattr(member, "verify", None)
    return {**step, "verification": described(verification)} if verification is not None else step


def described(value: Any, depth: int = 0) -> Any:
    """A setting as JSON values: equal settings are described equally, at every parse of the file.

    :param value: of an author's specification.
    :param depth: how many objects it is in.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, re.Pattern):
        return value.pattern
    if isinstance(value, Mapping):
        return {str(name): _setting(str(name), content, depth) for name, content in value.items()}
    if isinstance(value, list | tuple):
        return [described(item, depth) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((described(item, depth) for item in value), key=json.dumps)
    if isinstance(value, type) or callable(value) or depth >= DEEPEST:
        return _type(value)
    if not dataclasses.is_dataclass(value) and depth >= DEEPEST_PLAIN:
        return _type(value)
    if dataclasses.is_dataclass(value):
        # Without defaults: a setting that a newer package adds is no change of the author's.
        fields = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        content = {field.name: given for field, given in fields if not _is_default(field, given)}
    else:
        content = dict(vars(value)) if hasattr(value, "__dict__") else {}
    settings = {name: _setting(name, one, depth + 1) for name, one in content.items() if not name.startswith("_")}
    return {"type": _type(value), **settings}


def _is_default(field: dataclasses.Field[Any], given: Any) -> bool:
    default = field.default_factory() if callable(field.default_factory) else field.default
    return bool(type(default) is type(given) and default == given)


def _setting(name: str, value: Any, depth: int) -> Any:
    found = described(value, depth)
    return _hash(found) if _SECRET.search(name) and found not in (None, "") else found


def _type(value: Any) -> str:
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
