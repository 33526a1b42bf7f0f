"""Which release runs in which environment of which service, and who is asked to approve what."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from airflow_cd.ledger import open_ledger
from airflow_cd.plugin.access import SIGNED_IN, User, readable
from airflow_cd.plugin.dag_runs.ended import ended_runs
from airflow_cd.plugin.dag_runs.order import environment_depths
from airflow_cd.plugin.dag_runs.stuck import stopped_pipelines
from airflow_cd.plugin.dag_runs.tasks import shape_of
from airflow_cd.plugin.deployments.badge import badge_of
from airflow_cd.plugin.deployments.overview import overview_of
from airflow_cd.plugin.deployments.survey import Wanted
from airflow_cd.plugin.rendering import page
from airflow_cd.plugin.states import ServiceState
from airflow_cd.plugin.words import SERVICE_STATES

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
        badge_of=badge_of,
        service_states=SERVICE_STATES,
        live=LIVE,
    )
