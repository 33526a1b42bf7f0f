"""The approval of a run: the evidence, and the answer, which goes to Airflow's own API like every other."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from airflow_cd.errors import AirflowCdError
from airflow_cd.ledger import Ledger, Question, open_ledger
from airflow_cd.plugin.access import MAY_CHANGE_RUN, MAY_READ_RUN, User
from airflow_cd.plugin.airflow_api import ask_airflow
from airflow_cd.plugin.approval.view import view_of
from airflow_cd.plugin.dag_runs import tasks as run_tasks
from airflow_cd.plugin.dag_runs.identity import PRESENT_RUN
from airflow_cd.plugin.error_pages import headers_of, status_of
from airflow_cd.plugin.rendering import LONGEST_REASON, accepted, page
from airflow_cd.sensors.approval import FIRST_RELEASE

router = APIRouter(prefix="/approval")

LIVE = 5  # seconds between looks while nobody has answered


@router.get("/{dag_id}/{run_id}/{task_id}", dependencies=[*MAY_READ_RUN, *PRESENT_RUN])
def approval_page(request: Request, user: User, dag_id: str, run_id: str, task_id: str) -> HTMLResponse:
    """The question of a task with its evidence."""
    ledger = open_ledger()
    question = ledger.questions.get(dag_id, run_id, task_id)
    if question is None:
        return page(request, "no_question.html.j2", task_id=task_id, live=LIVE)
    return _render(request, ledger, question, user.get_name())


@router.post("/{dag_id}/{run_id}/{task_id}", dependencies=[*MAY_CHANGE_RUN, *PRESENT_RUN])
async def answer(
    request: Request,
    user: User,
    dag_id: str,
    run_id: str,
    task_id: str,
    option: Annotated[str, Form()],
    reason: Annotated[str, Form(max_length=LONGEST_REASON)] = "",
) -> Response:
    """Answer it, and show what became of that."""
    ledger = await run_in_threadpool(open_ledger)
    question = await run_in_threadpool(ledger.questions.get, dag_id, run_id, task_id)
    if question is None:
        raise HTTPException(404, f"{task_id} of run {run_id} of {dag_id} has no question. Nothing was changed.")
    place = [dag_id, "dagRuns", run_id, "taskInstances", task_id, "-1", "hitlDetails"]
    try:
        await ask_airflow(request, "PATCH", place, {"chosen_options": [option], "params_input": {"reason": reason}})
    except AirflowCdError as error:
        question = await run_in_threadpool(ledger.questions.get, dag_id, run_id, task_id) or question
        return await run_in_threadpool(
            _render, request, ledger, question, user.get_name(), refused=error, written=reason
        )
    return accepted(request, request.url.path)


def _render(
    request: Request,
    ledger: Ledger,
    question: Question,
    user: str,
    *,
    refused: AirflowCdError | None = None,
    written: str = "",
) -> HTMLResponse:
    view = view_of(ledger, question, user, run_tasks.run_of(question.pipeline, question.run_id))
    live = 0 if refused or question.option is not None else LIVE
    return page(
        request,
        "approval.html.j2",
        status=status_of(refused) if refused is not None else 200,
        headers=headers_of(refused) if refused is not None else None,
        view=view,
        first_release=FIRST_RELEASE,
        refused=refused,
        written=written,
        live=live,
    )
