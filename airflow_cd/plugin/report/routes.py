"""The verification report: a tab of its verify task, a link to share, a file to keep."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from airflow_cd.ledger import open_ledger
from airflow_cd.plugin.access import MAY_READ_RUN, User
from airflow_cd.plugin.dag_runs.identity import PRESENT_RUN
from airflow_cd.plugin.rendering import HEADERS
from airflow_cd.plugin.report.page import file_name, readable_report, show_report
from airflow_cd.report.page import render_report
from airflow_cd.report.report import Report

router = APIRouter(prefix="/report", dependencies=[*MAY_READ_RUN, *PRESENT_RUN])


@router.get("/{dag_id}/{run_id}/{task_id}")
def report_page(request: Request, user: User, dag_id: str, run_id: str, task_id: str) -> HTMLResponse:
    """The report of a verification as it stands; ``?sort=`` and ``?find=`` arrange its table of events."""
    return show_report(request, open_ledger(), (dag_id, run_id, task_id), user=user)


@router.get("/{dag_id}/{run_id}/{task_id}/html")
def report_file(user: User, dag_id: str, run_id: str, task_id: str) -> Response:
    """The report as one file that needs nothing else; 404 while the task has judged nothing."""
    report = _report(user, dag_id, run_id, task_id)
    return HTMLResponse(render_report(report), headers={**HEADERS, **_attached(file_name(report, "html"))})


@router.get("/{dag_id}/{run_id}/{task_id}/json")
def report_json(user: User, dag_id: str, run_id: str, task_id: str, download: str | None = None) -> Response:
    """The same report for machines, with ``?download`` as a file; 404 while the task has judged nothing."""
    report = _report(user, dag_id, run_id, task_id)
    attached = _attached(file_name(report, "json")) if download is not None else {}
    return JSONResponse(report.as_dict(), headers={**HEADERS, **attached})


def _report(user: User, dag_id: str, run_id: str, task_id: str) -> Report:
    report = readable_report(open_ledger(), (dag_id, run_id, task_id), user)
    if report is None:
        raise HTTPException(404, f"{dag_id} {run_id} {task_id} has judged nothing (yet)")
    return report


def _attached(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
