"""One Docker host as an environment uses it: its containers, its router, and what it remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.docker_connection import DockerConnection
from airflow_cd.hooks.docker_naming import Role, Selection, Slot, slots
from airflow_cd.targets.docker.engine import Engine, Gone
from airflow_cd.targets.docker.register import Register
from airflow_cd.targets.haproxy import HaproxyRouter, HaproxySettings

Box = dict[str, Any]
"""A container as the daemon says it."""


@dataclass(frozen=True)
class Addresses:
    """Where a container is reached by its own address.

    :param own: its addresses, each with the length of its network's prefix.
    :param taken: addresses of its networks that belong to gateways and other containers.
    """

    own: Mapping[str, int]
    taken: frozenset[str]


class Host:
    """The part of an environment that is on one host.

    :param settings: how the host is reached.
    :param environment: name of the environment.
    :param containers: which containers are the environment, as a target was told; None for the connection's own word.
    :param prefix: what its containers' names begin with as instances, ``""`` where there is one host only.
    """

    def __init__(
        self, settings: DockerConnection, environment: str, containers: str | tuple[str, ...] | None, prefix: str
    ) -> None:
        self.settings = settings
        self.prefix = prefix
        self.engine = Engine(settings)
        self.register = Register(self.engine, environment)
        given = containers if containers is not None else settings.options.get("containers")
        try:
            self.selection = Selection.read(given, environment)
        except ValueError as error:
            raise settings.wrong(str(error), "Correct containers") from None

    @cached_property
    def router(self) -> HaproxyRouter | None:
        """What divides the traffic; None where nothing does.

        :raises TargetRejected: its settings cannot be used.
        """
        given = self.settings.options.get("haproxy")
        if given is None:
            return None
        try:
            return HaproxyRouter(HaproxySettings.read(given))
        except ValueError as error:
            raise self.settings.wrong(str(error), "Correct it") from None

    def name_of(self, slot: str) -> str:
        """The name of an instance in its environment.

        :param slot: its name on this host.
        """
        return f"{self.prefix}{slot}"

    def slots(self) -> dict[str, Slot]:
        """The instances that are here, by their names on this host.

        :raises TargetUnavailable: the host does not answer.
        """
        return slots(self.engine.containers(), self.selection)

    def boxes(self, slot: Slot) -> dict[Role, Box]:
        """An instance's containers by role, as they are now; one that has just gone is left out.

        :param slot: the instance.
        :raises TargetUnavailable: the host does not answer.
        """
        found = {}
        for role, container in slot.ids.items():
            try:
                found[role] = self.engine.inspect(container)
            except Gone:
                continue
        return found

    def addresses(self, box: Box) -> Addresses:
        """Where a container is reached by its own address.

        :param box: the container.
        :raises TargetUnavailable: the host does not answer.
        """
        networks = (box.get("NetworkSettings") or {}).get("Networks") or {}
        own = {
            str(network["IPAddress"]): int(network.get("IPPrefixLen") or 32)
            for network in networks.values()
            if network.get("IPAddress")
        }
        taken = {str(network.get("Gateway")) for network in networks.values() if network.get("Gateway")}
        for other in self.engine.containers():
            if other["Id"] != box["Id"]:
                joined = ((other.get("NetworkSettings") or {}).get("Networks") or {}).values()
                taken |= {str(network["IPAddress"]) for network in joined if network.get("IPAddress")}
        return Addresses(own, frozenset(taken))

    def require_instances(self) -> dict[str, Slot]:
        """As :meth:`slots`, where there has to be one.

        :raises TargetRejected: there is none.
        """
        found = self.slots()
        if not found:
            raise TargetRejected(
                f"{self.settings.title} has no container with {self.selection}.",
                state="nothing was changed.",
                next_step="Start the containers of the environment with that label, or say which they are: "
                'DockerTarget(..., containers="label=com.docker.compose.service=web").',
            )
        return found
