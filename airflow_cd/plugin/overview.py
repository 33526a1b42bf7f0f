"""Which release stands where, as the Deployments page shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from airflow_cd.ledger import Ledger
from airflow_cd.ledger.overview import DeploymentSummary, OpenQuestion, Standing, VetoInForce
from airflow_cd.ledger.records import RUNNING

WAITING, CANARY, FAILED, VETOED = "waiting", "canary", "failed", "vetoed"
STATES = (WAITING, CANARY, FAILED, VETOED)
"""What a reader may ask for; a service may be in several at once."""

PER_PAGE = 50


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

    @property
    def states(self) -> set[str]:
        """Those of :data:`STATES` that it is in."""
        found = set()
        if self.questions:
            found.add(WAITING)
        if self.state:
            found.add(CANARY if self.state == RUNNING else FAILED)
        if self.vetoes:
            found.add(VETOED)
        return found


@dataclass(frozen=True)
class Cell:
    """One environment of a service as it is shown.

    :param running: the last promoted deployment: its release is the good one.
    :param latest: what came after it: under way, rolling back, or rolled back.
    :param vetoes: in force, newest first, without the one that ``latest`` speaks of.
    :param latest_vetoed: whether the release of ``latest`` is one of them.
    """

    environment: str
    running: DeploymentSummary | None
    latest: DeploymentSummary | None
    latest_vetoed: bool
    questions: Sequence[OpenQuestion]
    vetoes: Sequence[VetoInForce]
    hidden: bool


@dataclass(frozen=True)
class Row:
    """A service: a cell for each column, None where nothing of it ever was; and what it waits for as a whole."""

    service: str
    cells: Sequence[Cell | None]
    questions: Sequence[OpenQuestion]


@dataclass(frozen=True)
class Overview:
    """Everything on the page.

    :param environments: the columns; ``choices`` are all that can be asked for.
    :param counts: how many services match text and environment, in each of :data:`STATES` and, under ``""``, in all.
    :param found: how many match the state, too; ``first`` to ``last`` of them are shown.
    """

    wanted: Wanted
    environments: Sequence[str]
    choices: Sequence[str]
    rows: Sequence[Row]
    counts: Mapping[str, int]
    found: int
    pages: int

    @property
    def first(self) -> int:
        """Number of the first shown service, from 1."""
        return (self.wanted.page - 1) * PER_PAGE + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """Number of the last shown service."""
        return self.first + len(self.rows) - 1 if self.rows else 0

    @property
    def says(self) -> str:
        """The counts in one sentence."""
        counts = self.counts
        return (
            f"{counts['']} services: {counts[WAITING]} waiting for an answer, {counts[CANARY]} under way, "
            f"{counts[FAILED]} failed, {counts[VETOED]} with a vetoed release."
        )


Places = Mapping[str, Mapping[str, Place]]
"""By service, then environment; under ``""`` what belongs to a service but to none of its environments."""


def overview_of(
    ledger: Ledger,
    wanted: Wanted,
    *,
    readable: Callable[[Iterable[str]], Collection[str]],
    over: Callable[[Sequence[OpenQuestion]], Collection[tuple[str, str]]],
) -> Overview:
    """Gather what the page shows.

    :param readable: those of some pipelines that the reader may see.
    :param over: pipeline and run of those questions whose run has ended: they wait for nobody.
    """
    standings, vetoes, questions = ledger.standings(), ledger.vetoes_in_force(), ledger.open_questions()
    may_see = readable(
        {pipeline for standing in standings for pipeline in (standing.promoted_by, standing.latest_by) if pipeline}
        | {veto.pipeline for veto in vetoes}
        | {question.pipeline for question in questions}
    )
    questions = [question for question in questions if question.pipeline in may_see]
    ended = over(questions)
    places = places_of(
        standings,
        [veto for veto in vetoes if veto.pipeline in may_see],
        [question for question in questions if (question.pipeline, question.run_id) not in ended],
        may_see,
    )
    order = delivery_order(ledger.recent_ways())
    chosen, counts = choose(places, wanted)
    pages = max(1, -(-len(chosen) // PER_PAGE))
    page = min(max(wanted.page, 1), pages)
    shown = {service: places[service] for service in chosen[(page - 1) * PER_PAGE : page * PER_PAGE]}
    numbers = {number for row in shown.values() for place in row.values() for number in (place.promoted, place.latest)}
    summaries = ledger.summaries(numbers - {0})
    columns = in_order({name for row in shown.values() for name in row if name}, order)
    if wanted.environment:
        columns = [name for name in columns if name == wanted.environment]
    return Overview(
        wanted=Wanted(wanted.text, wanted.environment, wanted.state, page),
        environments=columns,
        choices=in_order({name for row in places.values() for name in row if name}, order),
        rows=[_row(service, row, columns, summaries) for service, row in shown.items()],
        counts=counts,
        found=len(chosen),
        pages=pages,
    )


def places_of(
    standings: Iterable[Standing],
    vetoes: Iterable[VetoInForce],
    questions: Iterable[OpenQuestion],
    may_see: Collection[str],
) -> dict[str, dict[str, Place]]:
    """Put together what belongs to one place.

    :param may_see: pipelines; deployments of others are left out, and so are services that only others deploy.
    """
    places: dict[str, dict[str, Place]] = {}
    services: dict[str, str] = {}
    hidden: list[tuple[str, str]] = []
    for standing in standings:
        place = Place()
        if standing.promoted_by in may_see:
            place.promoted = standing.promoted
        if standing.latest_by in may_see:
            place.latest, place.state = standing.latest, standing.latest_state
        place.hidden = (place.promoted, place.latest) != (standing.promoted, standing.latest)
        if place.promoted or place.latest:
            places.setdefault(standing.service, {})[standing.environment] = place
            services[standing.latest_by if place.latest else standing.promoted_by] = standing.service
        else:
            hidden.append((standing.service, standing.environment))
    for service, environment in hidden:
        if service in places:
            places[service][environment] = Place(hidden=True)
    for question in questions:
        service = question.service or services.get(question.pipeline, question.pipeline)
        for environment in question.environments or ("",):
            places.setdefault(service, {}).setdefault(environment, Place()).questions += (question,)
    for veto in vetoes:
        if veto.service in places:
            places[veto.service].setdefault(veto.environment, Place()).vetoes += (veto,)
    return places


def choose(places: Places, wanted: Wanted) -> tuple[list[str], dict[str, int]]:
    """The services that match, by name; and how many match, but for the state: under ``""`` all, then by state."""
    text = wanted.text.strip().casefold()
    counts = dict.fromkeys(("", *STATES), 0)
    chosen = []
    for service in sorted(places, key=lambda name: (name.casefold(), name)):
        if text and text not in service.casefold():
            continue
        looked_at = places[service]
        if wanted.environment:
            looked_at = {name: place for name, place in looked_at.items() if name == wanted.environment}
        if not looked_at:
            continue
        states = set[str]().union(*(place.states for place in looked_at.values()))
        for state in ("", *states):
            counts[state] += 1
        if not wanted.state or wanted.state in states:
            chosen.append(service)
    return chosen, counts


def delivery_order(ways: Iterable[Sequence[str]]) -> list[str]:
    """The environments in the order that most runs reach them.

    :param ways: the environments that each run reached, in its order.
    """
    before: Counter[tuple[str, str]] = Counter()
    names: set[str] = set()
    for way, times in Counter(tuple(way) for way in ways).items():
        names.update(way)
        for number, earlier in enumerate(way):
            for later in way[number + 1 :]:
                before[earlier, later] += times
    order: list[str] = []
    left = sorted(names)
    while left:
        # Stages in parallel precede each other about as often: of those, the name decides.
        first = min(left, key=lambda name: (sum(before[other, name] > before[name, other] for other in left), name))
        order.append(first)
        left.remove(first)
    return order


def in_order(names: Collection[str], order: Sequence[str]) -> list[str]:
    """The names in that order, those that are not in it last."""
    places = {name: number for number, name in enumerate(order)}
    return sorted(names, key=lambda name: (places.get(name, len(places)), name))


def _row(
    service: str, places: Mapping[str, Place], columns: Sequence[str], summaries: Mapping[int, DeploymentSummary]
) -> Row:
    cells = [_cell(name, places[name], summaries) if name in places else None for name in columns]
    return Row(service, cells, places[""].questions if "" in places else ())


def _cell(environment: str, place: Place, summaries: Mapping[int, DeploymentSummary]) -> Cell:
    latest = summaries.get(place.latest)
    here = [veto for veto in place.vetoes if latest is not None and veto.digest == latest.digest]
    return Cell(
        environment=environment,
        running=summaries.get(place.promoted),
        latest=latest,
        latest_vetoed=bool(here),
        questions=place.questions,
        vetoes=[veto for veto in place.vetoes if veto not in here],
        hidden=place.hidden,
    )
