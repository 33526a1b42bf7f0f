"""An environment of containers on one or more Docker hosts."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cached_property
from math import ceil
from typing import Any

from airflow_cd.errors import TargetError, TargetRejected, TargetUnavailable
from airflow_cd.hooks.docker_connection import DockerConnection, installed, prefix_of
from airflow_cd.hooks.docker_naming import Selection, Slot
from airflow_cd.instances import Instance
from airflow_cd.release import Release
from airflow_cd.targets.docker.host import Host
from airflow_cd.targets.docker.preparing import check_host, notes, prepare_host, require_representable
from airflow_cd.targets.docker.reading import Traffic, read_instance
from airflow_cd.targets.docker.register import State
from airflow_cd.targets.docker.work import Place, Work, in_parallel
from airflow_cd.targets.label import TargetLabel
from airflow_cd.wording import with_article

log = logging.getLogger(__name__)

_SHARE = re.compile(r"([1-9][0-9]?|100)%")


@dataclass(frozen=True)
class DockerTarget:
    """The containers of one environment; each container's name is the name of an instance.

    Containers that are there are taken over as they are. Deploying replaces one under its own name and keeps its
    settings; the old one is kept, stopped, until the deployment is over.

    Cheap to import and to build: nothing is looked up before the first question, and the connections are read once.

    :param conn_id: Airflow connection of type ``docker``.
    :param environment: name of the environment.
    :param containers: which containers it has: ``label=KEY=VALUE``, ``label=KEY``, ``name=PATTERN``, or several of
        these. By default what ``containers`` in the connection's extra says, else the label ``airflow-cd.environment``
        with the environment's name.
    :param hosts: ids of the connections of further hosts. With several, instances are named
        ``<connection without docker_>/<container>``.
    :param at_once: how many instances that serve requests may be replaced at a time: a number, or a share such as
        ``"25%"`` of all instances, rounded up.
    :param settle: seconds for which a container without a health check has to stay up to be healthy.
    :param patience: seconds that one may take to come up before the others are left as they are.
    """

    conn_id: str
    environment: str
    containers: str | Sequence[str] | None = None
    hosts: Sequence[str] = ()
    at_once: int | str = "25%"
    settle: float = 3.0
    patience: float = 300.0

    def __post_init__(self) -> None:
        for name in ("containers", "hosts"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))

    @classmethod
    def from_connection(cls, conn_id: str, environment: str) -> DockerTarget:
        """Make the target; what the registry of kinds calls.

        :param conn_id: Airflow connection of type ``docker``.
        :param environment: name of the environment.
        """
        return cls(conn_id, environment)

    def mistakes(self) -> list[str]:
        """Return what is wrong with this specification, one sentence each; called when the DAG file is parsed."""
        found = [] if installed() else ["a Docker target needs the Docker SDK: pip install 'airflow-cd[docker]'"]
        for name in ("conn_id", "environment"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip() or not value.isprintable():
                found.append(f"a Docker target needs {with_article(name)}, got {value!r}")
        if isinstance(self.hosts, str) or not all(isinstance(host, str) and host.strip() for host in self.hosts):
            found.append(f"hosts of a Docker target is a list of connections, got {self.hosts!r}")
        elif len({self.conn_id, *self.hosts}) <= len(self.hosts):
            found.append(f"hosts of a Docker target names a connection twice: {', '.join([self.conn_id, *self.hosts])}")
        try:
            Selection.read(self.containers, str(self.environment))
        except (ValueError, TypeError) as error:
            found.append(f"containers of a Docker target: {error}")
        if not self._share_is_valid():
            found.append(
                f"at_once of a Docker target is {self.at_once!r}; give a number of instances or a share like 25%"
            )
        for name in ("settle", "patience"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 86400:
                found.append(f"{name} of a Docker target is {value!r}, not a number of seconds")
        return found

    def notes(self) -> list[str]:
        """What works otherwise in this environment than a person may expect, one sentence each; asks the hosts.

        :raises TargetError: they cannot be asked.
        """
        return [sentence for host in self._hosts for sentence in notes(host, self.settle)]

    @property
    def label(self) -> TargetLabel:
        """Kind and name, as pages show them."""
        named = [self.containers] if isinstance(self.containers, str) else list(self.containers or ())
        what = f"containers {', '.join(named)}" if named else self.environment
        return TargetLabel("Docker", what, ", ".join([self.conn_id, *self.hosts]))

    # -- what a target answers and does ----------------------------------------------------------------------------

    def instances(self) -> list[Instance]:
        """Read what runs where, now; see :meth:`~airflow_cd.targets.base.Target.instances`.

        :raises TargetError: they cannot be read: a host that does not answer is not left out.
        """
        with self._here():
            return sorted((place.seen for place in self._places()), key=lambda instance: instance.name)

    def check(self, release: Release) -> None:
        """Check that a release can be deployed, and gone back from: image, containers, router and rights.

        :param release: the release.
        :raises ArtifactNotFound: its image is neither on the hosts nor in its registry.
        :raises TargetError: something else stands in the way, which the message names.
        """
        with self._here(release):
            require_representable(release)
            for host in self._hosts:
                check_host(host, release)

    def deploy(self, release: Release | None, instances: Sequence[str], *, key: str, token: int) -> None:
        """Bring some instances to a release, a few at a time where they serve requests.

        Returns when the last of them were started; where there is a router, when they have come up and have their
        traffic back, or will not come up.

        :param release: what to run; None for nothing.
        :param instances: their names.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a host has seen a higher token.
        :raises TargetError: it was not done.
        """
        with self._here(release, instances):
            concerned = self._concerned(instances)
            states = self._claim(token, concerned)
            if concerned and all(states[host].knows(key) for host in concerned):
                return
            everything = [place for host in concerned for place in self._places_on(host)]
            places = self._named(instances, everything)
            images = {} if release is None else self._prepare(release, places, states, token)
            self._work(token).roll(places, release, images, at_once=self._count(len(everything)))
            filled = self._no_longer_drained(places)
            for host in concerned:
                host.register.note(token, key=key, restore=filled.get(host, frozenset()))

    def drain(self, instances: Sequence[str], *, key: str, token: int) -> None:
        """Keep some instances out of the traffic; returns when no request reaches them any more.

        Without a router their containers are stopped: nothing else keeps requests from them.

        :param instances: their names.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a host has seen a higher token.
        :raises TargetError: it was not done.
        """
        with self._here(None, instances):
            for host, (state, places) in self._asked(instances, token).items():
                if not state.knows(key):
                    names = frozenset(place.slot for place in places)
                    if host.router is None:
                        # Said first: one that is found stopped afterwards was stopped for this.
                        host.register.note(token, drain=names)
                    self._work(token).drain(host, places)
                    host.register.note(token, key=key, drain=names)

    def restore(self, instances: Sequence[str], *, key: str, token: int) -> None:
        """Give some instances their traffic back, each once it is healthy.

        :param instances: their names.
        :param key: idempotency key.
        :param token: fencing token of the lease.
        :raises TargetConflict: a host has seen a higher token.
        :raises TargetError: it was not done.
        """
        with self._here(None, instances):
            for host, (state, places) in self._asked(instances, token).items():
                if not state.knows(key):
                    self._work(token).restore(places)
                    host.register.note(token, key=key, restore=frozenset(place.slot for place in places))

    def settled(self, *, token: int) -> None:
        """Remove what was kept for the way back: the deployment is over.

        :param token: fencing token of the lease.
        :raises TargetConflict: a host has seen a higher token.
        :raises TargetError: it was not done.
        """
        with self._here():
            self._claim(token, self._hosts)
            in_parallel(self._places(), self._work(token).forget)

    # -- inside ----------------------------------------------------------------------------------------------------

    @cached_property
    def _hosts(self) -> tuple[Host, ...]:
        conn_ids = (self.conn_id, *self.hosts)
        containers = self.containers if isinstance(self.containers, str | None) else tuple(self.containers)
        return tuple(
            Host(
                DockerConnection.read(conn_id),
                self.environment,
                containers,
                prefix_of(conn_id, len(conn_ids)),
            )
            for conn_id in conn_ids
        )

    def _places(self) -> list[Place]:
        return [place for host in self._hosts for place in self._places_on(host)]

    def _places_on(self, host: Host) -> list[Place]:
        state, traffic = host.register.read(), Traffic.read(host)
        settle = timedelta(seconds=self.settle)

        def read(slot: Slot) -> Place | None:
            seen = read_instance(host, slot, host.boxes(slot), state, traffic, settle)
            return Place(host, slot.name, seen) if seen is not None else None

        return [place for place in in_parallel(host.require_instances().values(), read) if place is not None]

    def _named(self, instances: Sequence[str], places: Sequence[Place]) -> list[Place]:
        known = {place.seen.name: place for place in places}
        if unknown := sorted(set(instances) - set(known)):
            raise TargetRejected(
                f"environment {self.environment!r} has no container {', '.join(unknown)}; it has {', '.join(known)}.",
                instances=tuple(unknown),
                state="nothing was changed.",
                next_step="Somebody removed it or took its label away; make it again, or start a new run.",
            )
        return [known[name] for name in dict.fromkeys(instances)]

    def _concerned(self, instances: Sequence[str]) -> list[Host]:
        """The hosts that instances are on, by their names alone: one that is away is no matter of the others'."""
        hosts = [host for host in self._hosts if any(name.startswith(host.prefix) for name in instances)]
        strange = [name for name in instances if not any(name.startswith(host.prefix) for host in self._hosts)]
        return list(self._hosts) if strange else hosts

    def _claim(self, token: int, hosts: Sequence[Host]) -> dict[Host, State]:
        """Say on every host that this token acts now; only those that are concerned have to be there."""
        states = {host: host.register.claim(token) for host in hosts}
        for other in self._hosts:
            if other not in states:
                try:
                    other.register.claim(token)
                except TargetUnavailable as away:
                    log.warning("%s did not hear of token %d: %s", other.settings.title, token, away.what)
        return states

    def _prepare(
        self, release: Release, places: Sequence[Place], states: Mapping[Host, State], token: int
    ) -> dict[Host, str]:
        """Have everything that a deployment needs, before anything is touched; the image's id on each host."""
        require_representable(release)
        return {
            host: prepare_host(host, [place.slot for place in chosen], release, states[host], token)
            for host, chosen in self._by_host(places).items()
        }

    def _no_longer_drained(self, places: Sequence[Place]) -> dict[Host, frozenset[str]]:
        """Instances without a router that run again: they were drained by being stopped."""
        found: dict[Host, frozenset[str]] = {}
        for host, chosen in self._by_host(places).items():
            if host.router is None:
                running = {place.slot for place in self._places_on(host) if place.seen.started is not None}
                found[host] = frozenset(place.slot for place in chosen if place.slot in running)
        return found

    def _asked(self, instances: Sequence[str], token: int) -> dict[Host, tuple[State, list[Place]]]:
        """What each host concerned remembers, and the instances there; all of them are looked up first."""
        hosts = self._concerned(instances)
        states = self._claim(token, hosts)
        everything = [place for host in hosts for place in self._places_on(host)]
        chosen = self._by_host(self._named(instances, everything))
        return {host: (states[host], places) for host, places in chosen.items()}

    def _by_host(self, places: Iterable[Place]) -> dict[Host, list[Place]]:
        found: dict[Host, list[Place]] = {}
        for place in places:
            found.setdefault(place.host, []).append(place)
        return found

    def _work(self, token: int) -> Work:
        return Work(token, settle=timedelta(seconds=self.settle), patience=timedelta(seconds=self.patience))

    def _share_is_valid(self) -> bool:
        if isinstance(self.at_once, str):
            return _SHARE.fullmatch(self.at_once) is not None
        return isinstance(self.at_once, int) and not isinstance(self.at_once, bool) and self.at_once >= 1

    def _count(self, total: int) -> int:
        if isinstance(self.at_once, int):
            return max(1, self.at_once)
        return max(1, ceil(total * int(self.at_once.rstrip("%")) / 100))

    def _here(self, release: Release | None = None, instances: Sequence[str] = ()) -> _Located:
        return _Located(self.environment, release, instances)

    def __getstate__(self) -> dict[str, Any]:
        # Airflow copies operators; an open connection must not be copied with them.
        return {field.name: getattr(self, field.name) for field in fields(self)}


class _Located:
    """Errors inside get to know what they are about."""

    def __init__(self, environment: str, release: Release | None, instances: Sequence[str]) -> None:
        self._environment = environment
        self._release = release
        self._instances = tuple(instances)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, TargetError):
            if self._release is not None:
                error.service, error.release = self._release.service, str(self._release)
            error.instances = error.instances or self._instances
            error.at(environment=self._environment)
