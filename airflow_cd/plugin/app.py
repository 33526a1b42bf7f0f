"""Pages of ours in Airflow's API server; :mod:`~airflow_cd.plugin.access` says who may see and do what."""

from __future__ import annotations

from fastapi import FastAPI

from airflow_cd.plugin.pages import approval, deployments, environment, feedback, insights, report, run, static, task
from airflow_cd.plugin.refused import answers_refusals

app = FastAPI(title="Airflow CD", docs_url=None, redoc_url=None, openapi_url=None)
for pages in (approval, deployments, environment, static, report, run, task, feedback, insights):
    app.include_router(pages.router)
answers_refusals(app)
