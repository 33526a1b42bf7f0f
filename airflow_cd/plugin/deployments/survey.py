"""Which services the reader asked for, of all that they may see: little is kept of each, for there may be thousands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_cd.ledger import Freeze
from airflow_cd.ledger.overview import EnvironmentSummary, OpenQuestion, VetoInForce
from airflow_cd.plugin.states import ServiceState
from airflow_cd.states import DeploymentState

_BITS = {state: 1 << number for number, state in enumerate(ServiceState)}


@dataclass(frozen=True)
class Wanted:
    """What the reader asked for; empty means everything.

    :param text: part of a service's name.
    :param environment: name of one environment.
    :param state: a :class:`~airflow_cd.plugin.states.ServiceState`.
    :param page: number of the page, from 1.
    """

    text: str = ""
    environment: str = ""
    state: str = ""
    page: int = 1


@dataclass(slots=True)
class Place:
    """One environment of a service, before anything is loaded that only the shown ones need.

    :param promoted: number of the last promoted deployment, 0 without one the reader may see; ``latest`` the same
        of what came after it.
    :param hidden: a pipeline that the reader may not see has deployed here: what is shown is not the whole truth.
    """

    promoted: int = 0
    latest: int = 0
    state: str = ""
    hidden: bool = False
    questions: tuple[OpenQuestion, ...] = ()
    vetoes: tuple[VetoInForce, ...] = ()
    freeze: Freeze | None = None

    @property
    def shown(self) -> bool:
        """Whether the reader may see something of it, or nothing was ever there."""
        return bool(self.promoted or self.latest or self.questions) or not self.hidden


@dataclass(frozen=True)
class Survey:
    """What is needed of every service to choose those that are shown.

    :param states: by service that the reader may see, the :class:`~airflow_cd.plugin.states.ServiceState` members that
        it is in as bits, in the environment that was asked for; without the services that are not there.
    :param environments: in which any of them is.
    :param questions: each with the service that it stands at.
    """

    states: Mapping[str, int]
    environments: Collection[str]
    questions: Sequence[OpenQuestion]


def survey(
    standings: Iterable[EnvironmentSummary],
    vetoes: Iterable[VetoInForce],
    questions: Iterable[OpenQuestion],
    may_see: Collection[str],
    environment: str = "",
    freezes: Iterable[Freeze] = (),
) -> Survey:
    """Look at everything once and keep little of it.

    :param standings: how each environment stands.
    :param vetoes: in force.
    :param questions: without an answer.
    :param may_see: pipelines; deployments of others are left out, and so are services that only others deploy.
    :param environment: where the states count; ``""`` means everywhere.
    :param freezes: in force; left out where only pipelines deploy that the reader may not see.
    """
    found = _Found(environment)
    hidden: list[tuple[str, str]] = []
    services: dict[str, str] = {}
    for standing in standings:
        place = place_of(standing, may_see)
        if place.promoted or place.latest:
            found.add(standing.service, standing.environment, _bits_of(place.state))
            services[standing.latest_by if place.latest else standing.promoted_by] = standing.service
        else:
            hidden.append((standing.service, standing.environment))
    for service, name in hidden:
        found.add_to_visible(service, name, 0)
    named = [
        question if question.service else replace(question, service=services.get(question.pipeline, question.pipeline))
        for question in questions
    ]
    for question in named:
        for name in question.environments or ("",):
            found.add(question.service, name, _BITS[ServiceState.WAITING])
    for veto in vetoes:
        found.add_to_visible(veto.service, veto.environment, _BITS[ServiceState.VETOED])
    concealed = set(hidden) - {(question.service, name) for question in named for name in question.environments}
    for freeze in freezes:
        if (freeze.service, freeze.environment) not in concealed:
            found.add_to_visible(freeze.service, freeze.environment, _BITS[ServiceState.FROZEN])
    return Survey(found.states, found.environments - {""}, named)


class _Found:
    """The services that the reader may see, while they are being gathered.

    :param wanted: the environment where states count, ``""`` for every one.
    """

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._visible: set[str] = set()
        self.states: dict[str, int] = {}
        self.environments: set[str] = set()

    def add(self, service: str, environment: str, bits: int) -> None:
        """Note what a service is in, in one of its environments."""
        self._visible.add(service)
        self.environments.add(environment)
        if not self._wanted or environment == self._wanted:
            self.states[service] = self.states.get(service, 0) | bits

    def add_to_visible(self, service: str, environment: str, bits: int) -> None:
        """The same, unless nothing else makes the service visible."""
        if service in self._visible:
            self.add(service, environment, bits)


def place_of(standing: EnvironmentSummary, may_see: Collection[str]) -> Place:
    """What the reader may see of an environment.

    :param standing: how it stands.
    :param may_see: pipelines that the reader may read.
    """
    place = Place()
    if standing.promoted_by in may_see:
        place.promoted = standing.promoted
    if standing.latest_by in may_see:
        place.latest, place.state = standing.latest, standing.latest_state
    place.hidden = (place.promoted, place.latest) != (standing.promoted, standing.latest)
    return place


def _bits_of(state: str) -> int:
    return _BITS[ServiceState.IN_PROGRESS if state == DeploymentState.RUNNING else ServiceState.FAILED] if state else 0


def choose(seen: Survey, wanted: Wanted) -> tuple[list[str], dict[str, int]]:
    """The services that match, by name; and how many match, but for the state: under ``""`` all, then by state."""
    text = wanted.text.strip().casefold()
    counts = dict.fromkeys(("", *ServiceState), 0)
    chosen = []
    for service, bits in seen.states.items():
        if text and text not in service.casefold():
            continue
        counts[""] += 1
        for state in ServiceState if bits else ():
            counts[state] += bool(bits & _BITS[state])
        if not wanted.state or bits & _BITS[ServiceState(wanted.state)]:
            chosen.append(service)
    return sorted(chosen, key=lambda name: (name.casefold(), name)), counts
