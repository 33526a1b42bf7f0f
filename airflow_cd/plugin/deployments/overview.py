"""Which release stands where, as the Deployments page shows it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_cd.ledger import Finding, Freeze, Ledger
from airflow_cd.ledger.overview import DeploymentSummary, EnvironmentSummary, OpenQuestion, VetoInForce
from airflow_cd.plugin.deployments.order import delivery_order, in_order
from airflow_cd.plugin.deployments.survey import Place, Wanted, choose, place_of, survey
from airflow_cd.plugin.states import ServiceState

PER_PAGE = 50


@dataclass(frozen=True)
class Cell:
    """One environment of a service as it is shown.

    :param running: the last promoted deployment: its release is the good one.
    :param latest: what came after it: under way, rolling back, or rolled back.
    :param vetoes: in force, newest first, without the one that ``latest`` speaks of.
    :param latest_vetoed: whether the release of ``latest`` is one of them.
    :param told: what the guard has told of somebody else who runs there what is not to run; None without it.
    """

    environment: str
    running: DeploymentSummary | None
    latest: DeploymentSummary | None
    latest_vetoed: bool
    questions: Sequence[OpenQuestion]
    vetoes: Sequence[VetoInForce]
    freeze: Freeze | None
    hidden: bool
    told: Finding | None = None


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
    :param counts: how many services match text and environment, in each
        :class:`~airflow_cd.plugin.states.ServiceState` and, under ``""``, in all.
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
    def summary(self) -> str:
        """The counts in one sentence."""
        counts = self.counts
        return (
            f"{counts['']} services: {counts[ServiceState.WAITING]} waiting for an answer, "
            f"{counts[ServiceState.IN_PROGRESS]} in progress, {counts[ServiceState.FAILED]} failed, "
            f"{counts[ServiceState.VETOED]} with a vetoed release, {counts[ServiceState.FROZEN]} frozen."
        )


def overview_of(
    ledger: Ledger,
    wanted: Wanted,
    *,
    readable: Callable[[Iterable[str]], Collection[str]],
    over: Callable[[Sequence[OpenQuestion]], Collection[tuple[str, str]]],
    depths: Callable[[str], Mapping[str, int]],
) -> Overview:
    """Gather what the page shows.

    :param ledger: where it is.
    :param wanted: what the reader asked for.
    :param readable: those of some pipelines that the reader may see.
    :param over: pipeline and run id of those questions whose run has ended: nobody has to answer them any more.
    :param depths: how deep in a pipeline its environments are; empty when that is not known.
    """
    vetoes, questions, may_see = _visible(ledger, readable, over)
    freezes = ledger.freezes.all_in_force()
    seen = survey(ledger.overview.environments(), vetoes, questions, may_see, wanted.environment, freezes)
    order = delivery_order(ledger.overview.recent_runs(), depths)
    chosen, counts = choose(seen, wanted)
    pages = max(1, -(-len(chosen) // PER_PAGE))
    page = min(max(wanted.page, 1), pages)
    names = chosen[(page - 1) * PER_PAGE : page * PER_PAGE]
    columns, rows = _table(ledger, names, vetoes, seen.questions, may_see, order, freezes)
    if wanted.environment:
        columns = [name for name in columns if name == wanted.environment]
    summaries = ledger.overview.summaries(_numbers(rows))
    told = {(one.service, one.environment): one for one in ledger.guarding.put_back() if one.pipeline in may_see}
    return Overview(
        wanted=replace(wanted, page=page),
        environments=columns,
        choices=in_order(seen.environments, order),
        rows=[_row(service, places, columns, summaries, told) for service, places in rows.items()],
        counts=counts,
        found=len(chosen),
        pages=pages,
    )


def _visible(
    ledger: Ledger,
    readable: Callable[[Iterable[str]], Collection[str]],
    over: Callable[[Sequence[OpenQuestion]], Collection[tuple[str, str]]],
) -> tuple[list[VetoInForce], list[OpenQuestion], Collection[str]]:
    """The vetoes and open questions that the reader may see, and the pipelines."""
    vetoes, questions = ledger.overview.vetoes_in_force(), ledger.overview.open_questions()
    may_see = readable(ledger.overview.pipelines() | {question.pipeline for question in questions})
    questions = [question for question in questions if question.pipeline in may_see]
    ended = over(questions)
    return (
        [veto for veto in vetoes if veto.pipeline in may_see],
        [question for question in questions if (question.pipeline, question.run_id) not in ended],
        may_see,
    )


def _table(
    ledger: Ledger,
    services: Sequence[str],
    vetoes: Sequence[VetoInForce],
    questions: Sequence[OpenQuestion],
    may_see: Collection[str],
    order: Sequence[str],
    freezes: Sequence[Freeze],
) -> tuple[list[str], dict[str, dict[str, Place]]]:
    """The columns, and the places of these services by service and environment."""
    places = places_of(
        ledger.overview.environments(services),
        [veto for veto in vetoes if veto.service in services],
        [question for question in questions if question.service in services],
        may_see,
        freezes,
    )
    rows = {service: places[service] for service in services if service in places}
    return in_order({name for row in rows.values() for name in row if name}, order), rows


def _numbers(rows: Mapping[str, Mapping[str, Place]]) -> set[int]:
    """The deployments that the rows show."""
    places = [place for row in rows.values() for place in row.values()]
    return ({place.promoted for place in places} | {place.latest for place in places}) - {0}


def places_of(
    standings: Iterable[EnvironmentSummary],
    vetoes: Iterable[VetoInForce],
    questions: Iterable[OpenQuestion],
    may_see: Collection[str],
    freezes: Iterable[Freeze] = (),
) -> dict[str, dict[str, Place]]:
    """Put together what belongs to one place, of the services that are shown.

    :param standings: how each environment stands.
    :param vetoes: in force.
    :param questions: each with its service.
    :param may_see: pipelines; deployments of others are left out, and so are services that only others deploy.
    :param freezes: in force; left out where only pipelines deploy that the reader may not see.
    """
    places: dict[str, dict[str, Place]] = {}
    hidden: list[tuple[str, str]] = []
    for standing in standings:
        place = place_of(standing, may_see)
        if place.promoted or place.latest:
            places.setdefault(standing.service, {})[standing.environment] = place
        else:
            hidden.append((standing.service, standing.environment))
    for service, environment in hidden:
        if service in places:
            places[service][environment] = Place(hidden=True)
    for question in questions:
        for environment in question.environments or ("",):
            places.setdefault(question.service, {}).setdefault(environment, Place()).questions += (question,)
    for veto in vetoes:
        if veto.service in places:
            places[veto.service].setdefault(veto.environment, Place()).vetoes += (veto,)
    _freeze(places, freezes)
    return places


def _freeze(places: Mapping[str, dict[str, Place]], freezes: Iterable[Freeze]) -> None:
    for freeze in freezes:
        if freeze.service in places:
            place = places[freeze.service].setdefault(freeze.environment, Place())
            place.freeze = freeze if place.shown else None


def _row(
    service: str,
    places: Mapping[str, Place],
    columns: Sequence[str],
    summaries: Mapping[int, DeploymentSummary],
    told: Mapping[tuple[str, str], Finding],
) -> Row:
    cells = [
        _cell(name, places[name], summaries, told.get((service, name))) if name in places else None for name in columns
    ]
    return Row(service, cells, places[""].questions if "" in places else ())


def _cell(
    environment: str, place: Place, summaries: Mapping[int, DeploymentSummary], told: Finding | None = None
) -> Cell:
    latest = summaries.get(place.latest)
    here = [veto for veto in place.vetoes if latest is not None and veto.digest == latest.digest]
    return Cell(
        environment=environment,
        running=summaries.get(place.promoted),
        latest=latest,
        latest_vetoed=bool(here),
        questions=place.questions,
        vetoes=[veto for veto in place.vetoes if veto not in here],
        freeze=place.freeze,
        hidden=place.hidden,
        told=told,
    )
