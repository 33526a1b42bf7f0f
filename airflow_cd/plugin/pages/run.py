"""A run of a pipeline at a glance: a tab of the DAG run."""

from __future__ import annotations

from datetime import datetime, timezone

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_cd.ledger import Ledger, open_ledger
from airflow_cd.plugin import run_tasks
from airflow_cd.plugin.access import MAY_READ_RUN
from airflow_cd.plugin.rendering import page
from airflow_cd.plugin.run_view import RunFacts, view_of

router = APIRouter(prefix="/run", dependencies=MAY_READ_RUN)

LIVE = 3  # seconds between looks while the run goes on


@router.get("/{dag_id}/{run_id}")
def run_page(request: Request, dag_id: str, run_id: str) -> HTMLResponse:
    """Stages, verdicts, clocks, changes and hands of a run."""
    ledger = open_ledger()
    tasks = run_tasks.tasks_of(dag_id, run_id)
    facts = _facts(ledger, dag_id, run_id, [task.task_id for task in tasks])
    ours = bool(tasks) and bool(facts.deployments or facts.questions)
    view = view_of(tasks, facts, datetime.now(timezone.utc))
    live = 0 if tasks and view.over else LIVE
    return page(request, "run.html.j2", dag_id=dag_id, run_id=run_id, view=view, ours=ours, live=live)


def _facts(ledger: Ledger, dag_id: str, run_id: str, task_ids: list[str]) -> RunFacts:
    deployments = ledger.deployments(pipeline=dag_id, run_id=run_id)
    asking = [name for name in task_ids if "." not in name or name.endswith(".verify")]
    questions = {name: ledger.question(dag_id, run_id, name) for name in asking}
    return RunFacts(
        deployments=deployments,
        phases={found.id: ledger.phases(found.id) for found in deployments},
        verdicts={found.id: ledger.verdicts(found.id) for found in deployments},
        questions={name: question for name, question in questions.items() if question is not None},
        hands=ledger.human_actions(pipeline=dag_id, run_id=run_id),
    )
