"""Names of containers: which instance one belongs to, and which part it has there.

An instance is called as its container is. While it is replaced, and for the way back, it has more than one; what each
of them is stands in its name, because a container's labels can never be changed, and one that was there before us has
none of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from airflow_cd.hooks.docker_connection import KEPT
from airflow_cd.states import TextEnum

MARK = KEPT.removesuffix("kept")
ENVIRONMENT = "airflow-cd.environment"
"""Label of the containers of an environment, unless its target is told otherwise."""
ONE_OFF = "com.docker.compose.oneoff"


class Role(TextEnum):
    """The part that a container has for its instance."""

    CURRENT = "current"
    """It is the instance, and has its name."""
    NEXT = "next"
    """Made to become the instance; was never started."""
    KEPT = "kept"
    """What the instance was before; stopped, for the way back."""
    SWAP = "swap"
    """On its way from current to kept, while the kept one takes its place."""
    EMPTY = "empty"
    """The settings of an instance on which nothing is to run."""


def name_as(instance: str, role: Role) -> str:
    """The name of an instance's container in a role.

    :param instance: name of the instance.
    :param role: the role.
    """
    return instance if role is Role.CURRENT else f"{instance}{MARK}{role}"


def read_name(name: str) -> tuple[str, Role]:
    """The instance that a container belongs to, and its role there.

    :param name: the container's name, without a slash.
    """
    instance, mark, role = name.rpartition(MARK)
    if mark and instance and role in set(Role) - {Role.CURRENT}:
        return instance, Role(role)
    return name, Role.CURRENT


@dataclass(frozen=True)
class Selection:
    """Which containers of a host are an environment.

    :param labels: label and value that all of them have; None for any value.
    :param names: patterns as of a shell, of which a name matches one; empty for any name.
    """

    labels: tuple[tuple[str, str | None], ...] = ()
    names: tuple[str, ...] = ()

    @classmethod
    def read(cls, containers: str | Sequence[str] | None, environment: str) -> Selection:
        """What a target was told: ``label=KEY``, ``label=KEY=VALUE`` or ``name=PATTERN``, one or several of them.

        :param containers: as it was told; None for the label :data:`ENVIRONMENT` with the environment's name.
        :param environment: name of the environment.
        :raises ValueError: it is none of these; the message says which.
        """
        if containers is None:
            return cls(labels=((ENVIRONMENT, environment),))
        labels: list[tuple[str, str | None]] = []
        names: list[str] = []
        for text in [containers] if isinstance(containers, str) else containers:
            kind, _, rest = str(text).partition("=")
            if kind == "label" and rest.partition("=")[0].strip():
                key, given, value = rest.partition("=")
                labels.append((key.strip(), value if given else None))
            elif kind == "name" and rest.strip():
                names.append(rest.strip())
            else:
                raise ValueError(f"{text!r} selects no containers; write label=KEY=VALUE, label=KEY or name=PATTERN")
        if not labels and not names:
            raise ValueError("an empty selection of containers; write label=KEY=VALUE, label=KEY or name=PATTERN")
        return cls(tuple(labels), tuple(names))

    def __str__(self) -> str:
        labels = (f"label {key}" + ("" if value is None else f"={value}") for key, value in self.labels)
        return " and ".join([*labels, *(f"name {pattern}" for pattern in self.names)])

    def selects(self, instance: str, labels: Mapping[str, str]) -> bool:
        """Whether a container belongs to the environment.

        :param instance: name of the instance that it belongs to.
        :param labels: its labels.
        """
        if labels.get(ONE_OFF, "").lower() == "true":
            return False
        if any(key not in labels or value not in (None, labels[key]) for key, value in self.labels):
            return False
        return not self.names or any(fnmatchcase(instance, pattern) for pattern in self.names)


@dataclass(frozen=True)
class Slot:
    """An instance's containers by role, as ids.

    :param name: name of the instance.
    :param ids: id of the container in each role that is taken.
    """

    name: str
    ids: Mapping[Role, str] = field(default_factory=dict)


def slots(listed: Iterable[Mapping[str, Any]], selection: Selection) -> dict[str, Slot]:
    """The instances of an environment on one host, by name.

    :param listed: every container of the host, running or not, as the daemon lists them.
    :param selection: which of them are the environment.
    """
    found: dict[str, dict[Role, str]] = {}
    selected: set[str] = set()
    for container in listed:
        # A container that others link to has further names, with a slash inside.
        names = [name[1:] for name in container.get("Names") or () if name.count("/") == 1]
        if not names:
            continue
        instance, role = read_name(names[0])
        found.setdefault(instance, {})[role] = str(container["Id"])
        if selection.selects(instance, container.get("Labels") or {}):
            selected.add(instance)
    return {name: Slot(name, found[name]) for name in sorted(selected)}
