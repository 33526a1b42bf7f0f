"""Feedback on the events of a report, and the choice of its baseline. Recorded with who and why, undone the same way.

Service and environment are those of the report, never of the form: who may edit one pipeline's runs says nothing
about another's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from airflow_cd.errors import LedgerRefused, Refused
from airflow_cd.ledger import Ledger, open_ledger
from airflow_cd.plugin.access import Right, User, requires
from airflow_cd.plugin.error_pages import status_of
from airflow_cd.plugin.rendering import LONGEST_REASON, accepted
from airflow_cd.plugin.report.baseline import RESET
from airflow_cd.plugin.report.feedback import CHOICES, RejectedForm
from airflow_cd.plugin.report.page import address, show_report
from airflow_cd.report.gathering import report_of
from airflow_cd.report.report import Report
from airflow_cd.report.views import EventView, events_of

router = APIRouter(prefix="/report/{dag_id}/{run_id}/{task_id}")

Field = Annotated[str, Form()]


@router.post("/feedback", dependencies=requires(Right.FEEDBACK))
def give_feedback(
    request: Request,
    user: User,
    dag_id: str,
    run_id: str,
    task_id: str,
    event: Field = "",
    says: Field = "",
    where: Field = "",
    why: Field = "",
) -> Response:
    """Give feedback on an event of the report."""
    task, who = (dag_id, run_id, task_id), user.get_name()

    def record(ledger: Ledger, report: Report) -> str:
        view = _event(report, event)
        if says not in CHOICES or where not in ("here", "everywhere"):
            raise LedgerRefused(
                "The form was not complete: it does not say what the event is, or where that applies.",
                state="Nothing was recorded.",
            )
        environment = report.environment if where == "here" else None
        history = ledger.feedback.history(report.service, environment, view.event.id)
        last = next((entry for entry in history if entry.environment == environment and entry.undoes is None), None)
        # A form that is sent twice is meant once.
        if last is None or last.undone or (last.says, last.who, last.why) != (says, who, why):
            ledger.feedback.record(
                report.service,
                view.event.id,
                says,
                who=who,
                why=why,
                environment=environment,
                template=view.event.template,
                sample=view.event.samples[-1] if view.event.samples else "",
            )
        return view.anchor

    return _done(request, user, task, record, RejectedForm(event, "", says, where, why))


@router.post("/undo", dependencies=requires(Right.FEEDBACK))
def undo_feedback(
    request: Request,
    user: User,
    dag_id: str,
    run_id: str,
    task_id: str,
    event: Field = "",
    number: Field = "",
    why: Field = "",
) -> Response:
    """Undo feedback on an event of the report."""
    task, who = (dag_id, run_id, task_id), user.get_name()
    undoes = _number(number)

    def undo(ledger: Ledger, report: Report) -> str:
        anchor = _event(report, event).anchor
        history = ledger.feedback.history(report.service, report.environment)
        if not any(entry.id == undoes and entry.undoes is None for entry in history):
            raise LedgerRefused(
                f"There is no feedback number {number} on events of {report.service} in {report.environment}.",
                state="Nothing was changed.",
            )
        ledger.feedback.undo(undoes, who=who, why=why)
        return anchor

    return _done(request, user, task, undo, RejectedForm(event, "", why=why, undoes=undoes))


@router.post("/baseline", dependencies=requires(Right.BASELINE))
def choose_baseline(
    request: Request, user: User, dag_id: str, run_id: str, task_id: str, choice: Field = "", why: Field = ""
) -> Response:
    """Pin the baseline of the report's environment, or reset it."""
    task, who = (dag_id, run_id, task_id), user.get_name()

    def choose(ledger: Ledger, report: Report) -> str:
        place = (report.service, report.environment)
        if choice == RESET:
            ledger.baselines.reset(*place, who=who, why=why)
        else:
            ledger.baselines.pin(*place, choice, who=who, why=why)
        return "baseline"

    return _done(request, user, task, choose, RejectedForm("baseline", "", choice, why=why))


@router.post("/baseline/undo", dependencies=requires(Right.BASELINE))
def undo_baseline(
    request: Request, user: User, dag_id: str, run_id: str, task_id: str, number: Field = "", why: Field = ""
) -> Response:
    """Undo the newest pin or reset, if it is the one that was shown."""
    task, who = (dag_id, run_id, task_id), user.get_name()
    undoes = _number(number)

    def undo(ledger: Ledger, report: Report) -> str:
        place = (report.service, report.environment)
        standing = ledger.baselines.choice(*place)
        if standing is None or standing.id != undoes:
            raise LedgerRefused(
                "The baseline was changed since this page was shown.",
                state="Nothing was changed.",
                next_step="Check what is in force now.",
            )
        ledger.baselines.undo(*place, who=who, why=why)
        return "baseline"

    return _done(request, user, task, undo, RejectedForm("baseline", "", why=why, undoes=undoes))


def _done(
    request: Request,
    user: User,
    task: tuple[str, str, str],
    change: Callable[[Ledger, Report], str],
    written: RejectedForm,
) -> Response:
    """Make the change and show where it was made, or the report again with the form and why it was refused.

    :param change: answers with the anchor of what it changed.
    """
    ledger = open_ledger()
    try:
        report = report_of(ledger, *task)
        if report is None:
            raise LedgerRefused("This task has no report yet.", state="Nothing was recorded.")
        if not written.why.strip():
            raise LedgerRefused("A reason is missing.", state="Nothing was recorded.")
        if len(written.why) > LONGEST_REASON:
            raise LedgerRefused(
                f"The reason has {len(written.why)} characters; at most {LONGEST_REASON} are kept.",
                state="Nothing was recorded.",
                next_step="Shorten it.",
            )
        anchor = change(ledger, report)
    except Refused as error:
        refused = RejectedForm(written.place, str(error), written.says, written.where, written.why, written.undoes)
        return show_report(request, ledger, task, user=user, refused=refused, status=status_of(error))
    return accepted(request, f"{address(request, *task)}#{anchor}")


def _event(report: Report, event_id: str) -> EventView:
    for view in events_of(report.judgement):
        if view.event.id == event_id:
            return view
    raise LedgerRefused(
        "This report has no such event (any more).",
        state="Nothing was recorded.",
        next_step="Find the event among those that are shown now.",
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0
