"""What a run asks a person: the evidence, and the answer, which goes to Airflow's own API like every other."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response

from airflow_cd.ledger import Ledger, Question, open_ledger
from airflow_cd.plugin.access import MAY_CHANGE_RUN, MAY_READ_RUN, User
from airflow_cd.plugin.airflow_api import ask_airflow
from airflow_cd.plugin.approval.view import view_of
from airflow_cd.plugin.rendering import LONGEST_REASON, page, taken

router = APIRouter(prefix="/approval")

LIVE = 5  # seconds between looks while nobody has answered


@router.get("/{dag_id}/{run_id}/{task_id}", dependencies=MAY_READ_RUN)
def approval_page(request: Request, user: User, dag_id: str, run_id: str, task_id: str) -> HTMLResponse:
    """The question of a task with its evidence."""
    ledger = open_ledger()
    question = ledger.questions.get(dag_id, run_id, task_id)
    if question is None:
        return page(request, "no_question.html.j2", task_id=task_id, live=LIVE)
    return _render(request, ledger, question, user.get_name())


@router.post("/{dag_id}/{run_id}/{task_id}", dependencies=MAY_CHANGE_RUN)
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
        raise HTTPException(404, f"{dag_id} {run_id} {task_id} asks nothing. Nothing was changed.")
    refused = await ask_airflow(
        request,
        "PATCH",
        [dag_id, "dagRuns", run_id, "taskInstances", task_id, "-1", "hitlDetails"],
        {"chosen_options": [option], "params_input": {"reason": reason}},
    )
    if refused is None:
        return taken(request, request.url.path)
    status, words = refused
    question = await run_in_threadpool(ledger.questions.get, dag_id, run_id, task_id) or question
    return await run_in_threadpool(
        _render, request, ledger, question, user.get_name(), refused=words, written=reason, status=status
    )


def _render(
    request: Request,
    ledger: Ledger,
    question: Question,
    user: str,
    *,
    refused: str = "",
    written: str = "",
    status: int = 200,
) -> HTMLResponse:
    view = view_of(ledger, question, user)
    live = 0 if refused or question.option is not None else LIVE
    return page(request, "approval.html.j2", status=status, view=view, refused=refused, written=written, live=live)
