"""Which services the reader asked for, of all that they may see: little is kept of each, for there may be thousands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_cd.ledger.overview import EnvironmentSummary, OpenQuestion, VetoInForce
from airflow_cd.states import DeploymentState

WAITING, CANARY, FAILED, VETOED = "waiting", "canary", "failed", "vetoed"
STATES = (WAITING, CANARY, FAILED, VETOED)
"""What a reader may ask for; a service may be in several at once."""

_BITS = {state: 1 << number for number, state in enumerate(STATES)}


@dataclass(frozen=True)
class Wanted:
    """What the reader asked for; empty means everything.

    :param text: part of a service's name.
    :param state: one of :data:`STATES`.
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


@dataclass(frozen=True)
class Survey:
    """What is needed of every service to choose those that are shown.

    :param states: by service that the reader may see, those of :data:`STATES` that it is in as bits, in the
        environment that was asked for; without the services that are not there.
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
) -> Survey:
    """Look at everything once and keep little of it.

    :param may_see: pipelines; deployments of others are left out, and so are services that only others deploy.
    :param environment: where the states count; ``""`` means everywhere.
    """
    visible: set[str] = set()
    states: dict[str, int] = {}
    environments: set[str] = set()
    services: dict[str, str] = {}
    hidden: list[tuple[str, str]] = []

    def there(service: str, name: str, bits: int) -> None:
        visible.add(service)
        environments.add(name)
        if not environment or name == environment:
            states[service] = states.get(service, 0) | bits

    for standing in standings:
        place = place_of(standing, may_see)
        if place.promoted or place.latest:
            there(standing.service, standing.environment, _bits_of(place.state))
            services[standing.latest_by if place.latest else standing.promoted_by] = standing.service
        else:
            hidden.append((standing.service, standing.environment))
    named = [
        question if question.service else replace(question, service=services.get(question.pipeline, question.pipeline))
        for question in questions
    ]
    for service, name in hidden:
        if service in visible:
            there(service, name, 0)
    for question in named:
        for name in question.environments or ("",):
            there(question.service, name, _BITS[WAITING])
    for veto in vetoes:
        if veto.service in visible:
            there(veto.service, veto.environment, _BITS[VETOED])
    return Survey(states, environments - {""}, named)


def place_of(standing: EnvironmentSummary, may_see: Collection[str]) -> Place:
    """What the reader may see of it."""
    place = Place()
    if standing.promoted_by in may_see:
        place.promoted = standing.promoted
    if standing.latest_by in may_see:
        place.latest, place.state = standing.latest, standing.latest_state
    place.hidden = (place.promoted, place.latest) != (standing.promoted, standing.latest)
    return place


def _bits_of(state: str) -> int:
    return _BITS[CANARY if state == DeploymentState.RUNNING else FAILED] if state else 0


def choose(seen: Survey, wanted: Wanted) -> tuple[list[str], dict[str, int]]:
    """The services that match, by name; and how many match, but for the state: under ``""`` all, then by state."""
    text = wanted.text.strip().casefold()
    counts = dict.fromkeys(("", *STATES), 0)
    chosen = []
    for service, bits in seen.states.items():
        if text and text not in service.casefold():
            continue
        counts[""] += 1
        for state in STATES if bits else ():
            counts[state] += bool(bits & _BITS[state])
        if not wanted.state or bits & _BITS[wanted.state]:
            chosen.append(service)
    return sorted(chosen, key=lambda name: (name.casefold(), name)), counts
