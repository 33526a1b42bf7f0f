"""Pages of ours in Airflow's API server; :mod:`~airflow_cd.plugin.access` decides who may see and do what."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from airflow_cd.plugin import assets, task_tab
from airflow_cd.plugin.approval import routes as approval
from airflow_cd.plugin.deployments import routes as deployments
from airflow_cd.plugin.environment import routes as environment
from airflow_cd.plugin.error_pages import handle_errors
from airflow_cd.plugin.insights import routes as insights
from airflow_cd.plugin.report import feedback_routes as feedback
from airflow_cd.plugin.report import routes as report
from airflow_cd.plugin.run import routes as run
from airflow_cd.plugin.same_ledger import same_ledger

app = FastAPI(title="Airflow CD", docs_url=None, redoc_url=None, openapi_url=None)
app.include_router(assets.router)
for pages in (approval, deployments, environment, report, run, task_tab, feedback, insights):
    app.include_router(pages.router, dependencies=[Depends(same_ledger)])
handle_errors(app)
