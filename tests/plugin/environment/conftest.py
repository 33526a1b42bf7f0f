"""An environment with a history, and what Airflow is asked for about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException

from airflow_cd.ledger import Ledger
from airflow_cd.plugin.audit.middleware import AuditMiddleware
from tests.plugin.conftest import ClientAs
from tests.plugin.environment.scene import RELEASES, deploy


@pytest.fixture
def promoted(ledger: Ledger) -> Ledger:
    """Production after 1.0, 1.1 and 1.2, all of them good."""
    for version in RELEASES:
        deploy(ledger, version).promoted("production")
    return ledger


@pytest.fixture
def rollback_dag(metadata: None) -> Iterator[Any]:
    """The pipeline's rollback DAG as Airflow knows it; called with how it is."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    def known(**attributes: Any) -> None:
        with create_session() as session:
            session.merge(DagBundleModel(name="tests"))
            session.flush()
            session.merge(
                DagModel(
                    dag_id="shop-rollback",
                    bundle_name="tests",
                    fileloc="shop.py",
                    timetable_type="",
                    **{"is_paused": False, "is_stale": False, **attributes},
                )
            )

    yield known
    with create_session() as session:
        session.query(DagModel).filter(DagModel.dag_id == "shop-rollback").delete()


@pytest.fixture
def airflow(client_as: ClientAs) -> list[dict[str, Any]]:
    """What Airflow's API was asked for, behind the same middleware as in the API server."""
    root: FastAPI = client_as(None).app  # type: ignore[assignment]
    asked: list[dict[str, Any]] = []

    @root.post("/api/v2/dags/{dag}/dagRuns")
    def trigger(dag: str, body: dict[str, Any]) -> dict[str, Any]:
        if any(one.get("dag_run_id") == body["dag_run_id"] for one in asked):
            raise HTTPException(409, "There is such a run already")
        asked.append({"dag": dag, **body})
        return {}

    @root.patch("/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}")
    def mark(dag: str, run: str, task: str, body: dict[str, Any]) -> dict[str, Any]:
        asked.append({"task": (dag, run, task), **body})
        return {}

    root.add_middleware(AuditMiddleware)
    return asked
