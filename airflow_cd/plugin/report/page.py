"""The served report: the same as in the file, and what only a server can do with it."""

from __future__ import annotations

import re
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import Request
from fastapi.responses import HTMLResponse

from airflow_cd.errors import VerificationError
from airflow_cd.ledger import Ledger, Question
from airflow_cd.operators.verify import FIRST_RELEASE
from airflow_cd.plugin.access import Right, may, may_read_logs
from airflow_cd.plugin.rendering import page
from airflow_cd.plugin.report.baseline import baseline_section
from airflow_cd.plugin.report.events import arranged
from airflow_cd.plugin.report.feedback import CHOICES, NO_FEEDBACK, RejectedForm, feedback_by_event
from airflow_cd.report.gathering import report_of
from airflow_cd.report.page import report_context
from airflow_cd.report.report import Report
from airflow_cd.states import DeploymentState
from airflow_cd.task_ids import stage_of

LOOK, SETTLE = 5, 15  # seconds between looks of the page while something may change, soon or later
EVENTS_A_SECOND = 200  # a page with much on it looks more seldom, by a second for so many events
MOST_FORMS = 150
"""Events up to which each has its form; of more, those that are open and the one that is asked for."""


def show_report(
    request: Request,
    ledger: Ledger,
    task: tuple[str, str, str],
    *,
    user: BaseUser,
    refused: RejectedForm | None = None,
    status: int = 200,
) -> HTMLResponse:
    """The page of a task's report.

    :param request: the request that it answers.
    :param ledger: where the report is.
    :param task: pipeline, run id and task id.
    :param user: who looks; they get the forms that they may send, and records of logs if they may read those.
    :param refused: a form that they sent and that was refused.
    :param status: HTTP status of the answer.
    """
    report = readable_report(ledger, task, user)
    if report is None:
        status = 404 if refused else 200
        first = FIRST_RELEASE if _is_first(ledger, task) else ""
        live = 0 if first else LOOK
        return page(request, "no_report.html.j2", status=status, live=live, message="", task=task, first=first)
    try:
        context = report_context(report)
    except VerificationError as error:
        return page(request, "no_report.html.j2", status=500, live=0, message=str(error), task=task, first="")
    events, asked = context["events"], request.query_params
    service, environment = report.service, report.environment
    feedback = feedback_by_event(ledger, service, environment, [view.event for view in events])
    notes = {event_id: about.note for event_id, about in feedback.items() if about.note}
    table = arranged(events, context["columns"], notes, asked.get("sort", ""), asked.get("find", ""))
    rows = table.rows if table.sort != "number" else events
    return page(
        request,
        "report_page.html.j2",
        question=_open_question(ledger, task),
        status=status,
        **{**context, "rows": rows, "unfound": table.unfound, "notes": notes},
        frame="page.html.j2",
        live=0 if refused else _pace(report, len(events)),
        here=address(request, *task),
        task=task,
        table=table,
        feedback_by_event=feedback,
        no_feedback=NO_FEEDBACK,
        choices=CHOICES,
        baseline=baseline_section(ledger, service, environment),
        reader=user.get_name(),
        may=may(Right.FEEDBACK, task[0], user),
        may_choose=may(Right.BASELINE, task[0], user),
        forms=len(events) <= MOST_FORMS,
        asked_for=asked.get("event", ""),
        refused=refused,
        refused_at=next((view for view in events if refused and view.event.id == refused.place), None),
    )


def readable_report(ledger: Ledger, task: tuple[str, str, str], user: BaseUser) -> Report | None:
    """The report of a task as a user may see it: without records of logs for those who may not read task logs.

    :param ledger: where the report is.
    :param task: pipeline, run id and task id.
    :param user: who looks.
    """
    report = report_of(ledger, *task)
    return report if report is None or may_read_logs(task[0], user) else report.without_records()


def address(request: Request, *task: str) -> str:
    """Where the report of a task is, without a slash at the end.

    :param request: any request to these pages.
    :param task: pipeline, run id and task id.
    """
    base = request.scope.get("root_path", "").rstrip("/")
    return f"{base}/report/" + "/".join(quote(part, safe="") for part in task)


def file_name(report: Report, ending: str) -> str:
    """A name for a report's file that says what is in it wherever it ends up.

    :param report: the report.
    :param ending: of the name, without the dot.
    """
    judgement = report.stored_judgement
    version = report.release.version if report.release is not None else ""
    verdict = str(judgement.get("verdict", "")) if judgement.get("final", True) else "watching"
    parts = ["verification", report.service, version, report.environment, report.phase, verdict]
    parts.append(re.sub(r"\D", "", str(judgement.get("decided") or judgement.get("started") or "")[:16]))
    plain = (re.sub(r"[^A-Za-z0-9.]+", "-", str(part))[:60].strip("-.") for part in parts)
    return "_".join(part for part in plain if part) + f".{ending}"


def _pace(report: Report, events: int) -> int:
    """Seconds between looks; 0 when nothing will change any more."""
    if not report.judgement.final or report.state is DeploymentState.ROLLING_BACK:
        return LOOK + events // EVENTS_A_SECOND
    return SETTLE if report.state is DeploymentState.RUNNING else 0


def _is_first(ledger: Ledger, task: tuple[str, str, str]) -> bool:
    """Whether the task's deployment is one that there was nothing to compare with."""
    pipeline, run_id, task_id = task
    deployments = ledger.deployments.matching(pipeline=pipeline, run_id=run_id)
    named = [found for found in deployments if found.environment == stage_of(task_id)] or deployments
    return any(found.first for found in named)


def _open_question(ledger: Ledger, task: tuple[str, str, str]) -> Question | None:
    question = ledger.questions.get(*task)
    return question if question is not None and question.option is None else None
