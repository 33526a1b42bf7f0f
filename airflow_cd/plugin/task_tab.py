"""The tab of a task: what of a delivery belongs to it, a verification's report, a question, or else its run."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

from airflow_cd.ledger import open_ledger
from airflow_cd.plugin.access import MAY_READ_RUN
from airflow_cd.plugin.dag_runs import tasks as run_tasks
from airflow_cd.plugin.dag_runs.identity import PRESENT_RUN
from airflow_cd.report.gathering import report_of
from airflow_cd.states import Role

router = APIRouter(prefix="/task", dependencies=[*MAY_READ_RUN, *PRESENT_RUN])


@router.get("/{dag_id}/{run_id}/{task_id}")
def task_page(request: Request, dag_id: str, run_id: str, task_id: str) -> RedirectResponse:
    """Lead to the page about the task: a person's question first, while it waits for its answer."""
    parts = [dag_id, run_id]
    kind = _kind(dag_id, run_id, task_id)
    if kind != "run":
        parts.append(task_id)
    base = request.scope.get("root_path", "").rstrip("/")
    return RedirectResponse(f"{base}/{kind}/{'/'.join(quote(part, safe='') for part in parts)}", status_code=307)


def _kind(dag_id: str, run_id: str, task_id: str) -> str:
    ledger = open_ledger()
    run = run_tasks.run_of(dag_id, run_id)
    places = [task.place for task in run.tasks if task.task_id == task_id] if run else []
    role = places[0].role if places else None
    judges = role is Role.VERIFY or (not run and report_of(ledger, dag_id, run_id, task_id) is not None)
    question = ledger.questions.get(dag_id, run_id, task_id)
    if question is not None and (question.option is None or not judges):
        return "approval"
    if judges:
        return "report"
    return "approval" if role is Role.APPROVAL else "run"
