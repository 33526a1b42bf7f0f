"""The verification report: a tab of its verify task, and a link to share."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from airflow_cd.ledger import open_ledger
from airflow_cd.plugin.access import MAY_READ_RUN
from airflow_cd.plugin.rendering import HEADERS
from airflow_cd.plugin.report import report_of
from airflow_cd.verification.report import render_report

router = APIRouter(prefix="/report", dependencies=MAY_READ_RUN)


@router.get("/{dag_id}/{run_id}/{task_id}")
def report_page(dag_id: str, run_id: str, task_id: str) -> HTMLResponse:
    """The report of a verification as one self-contained page."""
    report = report_of(open_ledger(), dag_id, run_id, task_id)
    if report is None:
        return HTMLResponse(
            "<!doctype html><meta charset=utf-8><title>No verification</title><body style='font:1rem system-ui;"
            "color-scheme:light dark;margin:2rem'>This task has judged nothing yet: only verify tasks have a report, "
            "from their first look on.",
            headers=HEADERS,
        )
    return HTMLResponse(render_report(report), headers=HEADERS)


@router.get("/{dag_id}/{run_id}/{task_id}/json")
def report_json(dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
    """The same report for machines; 404 while the task has judged nothing."""
    report = report_of(open_ledger(), dag_id, run_id, task_id)
    if report is None:
        raise HTTPException(404, f"{dag_id} {run_id} {task_id} has judged nothing (yet)")
    return report
