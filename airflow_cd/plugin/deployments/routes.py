"""Which release runs in which environment of which service, and who is asked to approve what."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from airflow_cd.ledger import Ledger, open_ledger
from airflow_cd.plugin.access import SIGNED_IN, User, readable
from airflow_cd.plugin.dag_runs.ended import ended_runs
from airflow_cd.plugin.dag_runs.order import environment_depths
from airflow_cd.plugin.dag_runs.stuck import stopped_pipelines
from airflow_cd.plugin.dag_runs.tasks import shape_of
from airflow_cd.plugin.deployments.badge import badge_of
from airflow_cd.plugin.deployments.first_steps import FILE, PIPELINE, WAYS, not_run_yet
from airflow_cd.plugin.deployments.overview import Overview, overview_of
from airflow_cd.plugin.deployments.survey import Wanted
from airflow_cd.plugin.rendering import page
from airflow_cd.plugin.states import ServiceState
from airflow_cd.plugin.words import SERVICE_STATES
from airflow_cd.targets import TargetLabel, label_of

router = APIRouter(prefix="/deployments", dependencies=SIGNED_IN)

LIVE = 5  # seconds between looks

_LONGEST = 250  # no name in the ledger is longer


@router.get("")
def deployments_page(
    request: Request,
    user: User,
    service: Annotated[str, Query(max_length=_LONGEST)] = "",
    environment: Annotated[str, Query(max_length=_LONGEST)] = "",
    state: str = "",
    number: Annotated[int, Query(alias="page")] = 1,
) -> HTMLResponse:
    """Services as rows, environments as columns; of the pipelines that the reader may see."""
    wanted = Wanted(service.strip(), environment, state if state in list(ServiceState) else "", number)
    ledger = open_ledger()
    view = overview_of(
        ledger,
        wanted,
        readable=partial(readable, user=user),
        over=lambda questions: ended_runs((question.pipeline, question.run_id) for question in questions),
        depths=lambda pipeline: environment_depths(shape_of(pipeline)),
    )

    def address(**changed: str | int) -> str:
        asked = {
            "service": view.wanted.text,
            "environment": view.wanted.environment,
            "state": view.wanted.state,
            "page": view.wanted.page if view.wanted.page > 1 else "",
            **changed,
        }
        given = {name: value for name, value in asked.items() if value}
        return "?" + urlencode(given) if given else request.url.path

    return page(
        request,
        "deployments.html.j2",
        view=view,
        stopped=stopped_pipelines(partial(readable, user=user), ledger.overview.pipelines()),
        address=address,
        targets=_targets(ledger, view),
        badge_of=badge_of,
        service_states=SERVICE_STATES,
        not_run_yet=[] if view.counts[""] else not_run_yet(partial(readable, user=user)),
        ways=WAYS,
        pipeline=PIPELINE,
        file=FILE,
        live=LIVE,
    )


def _targets(ledger: Ledger, view: Overview) -> Mapping[int, TargetLabel | None]:
    """How the environments on the page are reached, by number of the deployment that each cell is about."""
    cells = [cell for row in view.rows for cell in row.cells if cell is not None]
    about = [one for cell in cells if (one := cell.latest or cell.running) is not None]
    claims = {one.number: (one.service, one.environment, one.pipeline, one.run_id) for one in about}
    found = ledger.work.targets_of(claims.values())
    return {number: label_of(found.get(claim)) for number, claim in claims.items()}
