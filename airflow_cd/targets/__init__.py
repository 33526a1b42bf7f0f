"""Targets: how an environment is reached and changed, and the registry that finds one by its name.

A target *kind* is a class with a class method ``from_connection(conn_id, environment)``, which makes a
:class:`~airflow_cd.targets.base.Target` without reaching anything. The built-in kinds are in :data:`BUILT_IN`; other
packages add theirs through the entry point group ``airflow_cd.targets``::

    [project.entry-points."airflow_cd.targets"]
    nomad = "my_package.targets:NomadTarget"
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from airflow_cd.targets.aws_lambda import LambdaTarget
from airflow_cd.targets.base import Instance, Target
from airflow_cd.targets.docker import DockerTarget
from airflow_cd.targets.http import HttpTarget
from airflow_cd.targets.kubernetes import KubernetesTarget
from airflow_cd.targets.label import TargetLabel

__all__ = [
    "BUILT_IN",
    "GROUP",
    "DockerTarget",
    "HttpTarget",
    "Instance",
    "KubernetesTarget",
    "LambdaTarget",
    "Target",
    "TargetLabel",
    "describe_target",
    "described_target",
    "label_of",
    "label_of_target",
    "resolve_target",
    "target_kinds",
]

GROUP = "airflow_cd.targets"
BUILT_IN: dict[str, type[Any]] = {
    "http": HttpTarget,
    "docker": DockerTarget,
    "kubernetes": KubernetesTarget,
    "lambda": LambdaTarget,
}


@functools.cache
def _plugged_in() -> dict[str, tuple[EntryPoint, ...]]:
    """Entry points of other packages by kind; a thousand pipelines in one file ask, the disk is read once."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=GROUP):
        if point.name not in BUILT_IN and point not in found.get(point.name, ()):
            found[point.name] = (*found.get(point.name, ()), point)
    return found


def _load(kind: str) -> type[Any]:
    if kind in BUILT_IN:
        return BUILT_IN[kind]
    points = _plugged_in()[kind]
    if len(points) > 1:
        places = " and ".join(sorted(point.value for point in points))
        raise ValueError(f"target kind {kind!r} is provided twice, by {places}: uninstall one of them")
    try:
        loaded = points[0].load()
    except Exception as error:
        raise ValueError(
            f"target kind {kind!r} cannot be loaded from {points[0].value}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(loaded, type) or not callable(getattr(loaded, "from_connection", None)):
        raise ValueError(
            f"target kind {kind!r} ({points[0].value}) is not a class with a class method from_connection(conn_id, "
            "environment)"
        )
    return loaded


def target_kinds() -> dict[str, type[Any]]:
    """Return every target kind by name, built-in ones first.

    :raises ValueError: a kind of another package cannot be loaded; the message names it.
    """
    return {kind: _load(kind) for kind in (*BUILT_IN, *sorted(_plugged_in()))}


def resolve_target(spec: str | Target, environment: str) -> Target:
    """Make the target a pipeline names.

    :param spec: a target, which is returned as it is, or the id of a connection, whose part before the first
        underscore is the kind: ``http_production`` is an :class:`HttpTarget` over the connection of that name.
    :param environment: what the target calls the environment.
    :raises ValueError: there is no such kind, or what it makes is not a target; in one sentence.
    """
    if not isinstance(spec, str):
        if isinstance(spec, type) or not isinstance(spec, Target):
            raise ValueError(
                f"target {spec!r} of environment {environment!r} is neither a connection id nor a target "
                "(an object with instances, check, deploy, drain and restore)"
            )
        return spec
    kind = spec.partition("_")[0]
    if kind not in BUILT_IN and kind not in _plugged_in():
        known = ", ".join((*BUILT_IN, *sorted(_plugged_in())))
        raise ValueError(
            f"target {spec!r} of environment {environment!r} is of unknown kind {kind!r} (the part before the first "
            f"underscore of the connection id); known kinds: {known}"
        )
    target = _load(kind).from_connection(spec, environment)
    if not isinstance(target, Target):
        raise ValueError(f"target kind {kind!r} made {target!r}, which is not a target")
    return target


def describe_target(spec: str | Target, environment: str) -> dict[str, Any] | None:
    """The target as JSON, for a process that cannot read the DAG file; holds no secret, only the id of a connection.

    :param spec: as of :func:`resolve_target`.
    :param environment: what the target calls the environment.
    :returns: None for an object that is no dataclass of a registered kind, or whose fields are not JSON.
    """
    if isinstance(spec, str):
        return {"connection": spec, "environment": environment}
    kind = next((name for name in (*BUILT_IN, *_plugged_in()) if _is_of(spec, name)), None)
    if kind is None or not dataclasses.is_dataclass(spec):
        return None
    fields = {field.name: getattr(spec, field.name) for field in dataclasses.fields(spec) if field.init}
    try:
        written = json.loads(json.dumps(fields))
    except (TypeError, ValueError):
        return None
    # A tuple comes back as a list, which a target takes as well.
    listed = {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
    return {"kind": kind, "fields": written, "environment": environment} if written == listed else None


def described_target(description: Mapping[str, Any]) -> Target:
    """The target that was described by :func:`describe_target`.

    :param description: only kinds that are registered here are made from it.
    :raises ValueError: there is no such kind (any more), or it takes no such fields.
    """
    environment = str(description.get("environment"))
    if "connection" in description:
        return resolve_target(str(description["connection"]), environment)
    kind = str(description.get("kind"))
    if kind not in BUILT_IN and kind not in _plugged_in():
        raise ValueError(f"environment {environment!r} has a target of kind {kind!r}, which is not installed here")
    try:
        made = _load(kind)(**dict(description.get("fields") or {}))
    except TypeError as error:
        raise ValueError(f"target kind {kind!r} cannot be made as it was described: {error}") from error
    return resolve_target(made, environment)


def label_of(described: Mapping[str, Any] | None) -> TargetLabel | None:
    """What people call a target that was described.

    :param described: by :func:`describe_target`, or as a plan describes it: ``type`` and settings.
    :returns: None where nothing is known of it.
    """
    if not described:
        return None
    path = str(described.get("type") or "")
    settings = {name: value for name, value in described.items() if name != "type"}
    kind = next((kind for kind in (*BUILT_IN, *_plugged_in()) if path and path in _paths(kind)), "")
    if path and not kind:
        connection = settings.get("conn_id")
        name = str(settings.get("environment") or "")
        return TargetLabel(path.rpartition(".")[2], name, connection if isinstance(connection, str) else "")
    try:
        return label_of_target(described_target({"kind": kind, "fields": settings} if kind else described))
    except (ValueError, TypeError, AttributeError, KeyError):  # of settings that another version wrote
        return TargetLabel(kind or str(described.get("kind") or described.get("connection")))


def label_of_target(target: Target) -> TargetLabel:
    """What people call a target, as it says it; a kind that says nothing is called by its class.

    :param target: the target.
    """
    label = getattr(target, "label", None)
    if isinstance(label, TargetLabel):
        return label
    connection, environment = getattr(target, "conn_id", ""), getattr(target, "environment", "")
    return TargetLabel(type(target).__name__, str(environment or ""), str(connection or ""))


def _paths(kind: str) -> set[str]:
    """Names by which a plan calls the class of a kind."""
    if kind in BUILT_IN:
        return {f"{BUILT_IN[kind].__module__}.{BUILT_IN[kind].__qualname__}"}
    return {point.value.replace(":", ".") for point in _plugged_in()[kind]}


def _is_of(target: Target, kind: str) -> bool:
    try:
        return type(target) is _load(kind)
    except ValueError:
        return False
