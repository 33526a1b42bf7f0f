"""Pages of ours in Airflow's API server. Every route asks Airflow's auth manager."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse

from airflow_cd.ledger import open_ledger
from airflow_cd.plugin.report import report_of
from airflow_cd.verification.report import render_report

app = FastAPI(title="Airflow CD", docs_url=None, redoc_url=None, openapi_url=None)

MAY_READ_RUN = [Depends(requires_access_dag("GET", DagAccessEntity.RUN))]
HEADERS = {
    # Everything on the page comes with it; whatever a log line smuggles in may load and run nothing.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@app.get("/report/{dag_id}/{run_id}/{task_id}", dependencies=MAY_READ_RUN)
def report_page(dag_id: str, run_id: str, task_id: str) -> HTMLResponse:
    """The report of a verification as one self-contained page."""
    report = _report(dag_id, run_id, task_id)
    if report is None:
        return HTMLResponse(
            "<!doctype html><meta charset=utf-8><title>No verification</title><body style='font:1rem system-ui;"
            "color-scheme:light dark;margin:2rem'>This task has judged nothing yet: only verify tasks have a report, "
            "from their first look on.",
            headers=HEADERS,
        )
    return HTMLResponse(render_report(report), headers=HEADERS)


@app.get("/report/{dag_id}/{run_id}/{task_id}/json", dependencies=MAY_READ_RUN)
def report_json(dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
    """The same report for machines; 404 while the task has judged nothing."""
    report = _report(dag_id, run_id, task_id)
    if report is None:
        raise HTTPException(404, f"{dag_id} {run_id} {task_id} has judged nothing (yet)")
    return report


def _report(dag_id: str, run_id: str, task_id: str) -> dict[str, Any] | None:
    return report_of(open_ledger(), dag_id, run_id, task_id)
