"""What Airflow CD adds to Airflow's UI and API server.

A page has a package of its own (``deployments``, ``environment``, ``run``, ``approval``, ``report``, ``insights``):
its routes, what they show, and its templates; :mod:`~airflow_cd.plugin.app` lists them. A manual action in Airflow's UI
is read by :mod:`~airflow_cd.plugin.audit.manual_actions` and named in :class:`~airflow_cd.states.HumanAction`.
``dag_runs`` reads Airflow's own database; what stands beside the packages is shared by all of them.
"""

from __future__ import annotations

import functools
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_cd.guard import starting
from airflow_cd.operators.report_link import VerificationReportLink
from airflow_cd.plugin import listener, preloading
from airflow_cd.plugin.audit import kept_runs

kept_runs.watch()


@functools.cache
def _app() -> Any:
    from airflow_cd.plugin.app import app

    return app


class _LazyApp:
    """The web app, built when the API server first calls it: every task start loads plugins too."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Below us, `app` is ours; what is answered on our pages is sent through Airflow's.
        await _app()({**scope, "airflow_cd.server": scope.get("app")}, receive, send)


class _LazyAudit:
    """The middleware that records manual actions, imported when the API server builds its stack."""

    def __new__(cls, app: Any, **options: Any) -> Any:
        from airflow_cd.plugin.audit.middleware import AuditMiddleware

        return AuditMiddleware(app, **options)


class _LazyBodies:
    """The middleware that refuses what no run may be triggered with, imported likewise."""

    def __new__(cls, app: Any, **options: Any) -> Any:
        from airflow_cd.plugin.audit.bodies import BodyMiddleware

        return BodyMiddleware(app, **options)


class _LazyTaskApi:
    """The middleware that has the API of the tasks built at the server's start, imported likewise."""

    def __new__(cls, app: Any, **options: Any) -> Any:
        from airflow_cd.plugin.task_api import TaskApiMiddleware

        return TaskApiMiddleware(app, **options)


class AirflowCdPlugin(AirflowPlugin):
    """Pages below ``/airflow-cd``, tabs of runs and tasks, and the audit log of manual actions."""

    name = "airflow_cd"
    fastapi_apps = [{"app": _LazyApp(), "url_prefix": "/airflow-cd", "name": "Airflow CD"}]
    fastapi_root_middlewares = [
        {"middleware": _LazyAudit, "name": "Airflow CD audit log"},
        {"middleware": _LazyBodies, "name": "Airflow CD request bodies"},
        {"middleware": _LazyTaskApi, "name": "Airflow CD API of the tasks"},
    ]
    listeners = [starting, listener, preloading]
    operator_extra_links = [VerificationReportLink()]
    external_views = [
        {
            "name": "Deployments",
            "href": "/airflow-cd/deployments",
            "destination": "nav",
            "url_route": "airflow-cd-deployments",
            "category": "airflow-cd",
            "nav_top_level": True,
        },
        {
            "name": "Delivery",
            "href": "/airflow-cd/run/{DAG_ID}/{RUN_ID}",
            "destination": "dag_run",
            "url_route": "airflow-cd-run",
            "category": "airflow-cd",
        },
        # One for all kinds of tasks: Airflow shows it on each, and a row of tabs that is too long hides its pages.
        {
            "name": "Delivery",
            "href": "/airflow-cd/task/{DAG_ID}/{RUN_ID}/{TASK_ID}",
            "destination": "task_instance",
            "url_route": "airflow-cd-task",
            "category": "airflow-cd",
        },
    ]
