"""A run of a pipeline at a glance: a tab of the DAG run."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_cd.delivery.delivery import now
from airflow_cd.ledger import open_ledger
from airflow_cd.plugin.access import MAY_READ_RUN
from airflow_cd.plugin.dag_runs import tasks as run_tasks
from airflow_cd.plugin.dag_runs.identity import PRESENT_RUN
from airflow_cd.plugin.dag_runs.tasks import Run
from airflow_cd.plugin.rendering import page
from airflow_cd.plugin.run.facts import facts_of
from airflow_cd.plugin.run.view import view_of

router = APIRouter(prefix="/run", dependencies=[*MAY_READ_RUN, *PRESENT_RUN])

LIVE = 3  # seconds between looks while the run goes on


@router.get("/{dag_id}/{run_id}")
def run_page(request: Request, dag_id: str, run_id: str) -> HTMLResponse:
    """Stages, verdicts, clocks, changes and manual actions of a run."""
    known = run_tasks.run_of(dag_id, run_id)
    run = known or Run(dag_id, run_id)
    view = view_of(run, facts_of(open_ledger(), run), now())
    return page(
        request,
        "run.html.j2",
        status=200 if known or view.ours else 404,
        known=known is not None,
        dag_id=dag_id,
        run_id=run_id,
        view=view,
        live=0 if view.over else LIVE,
    )
