"""Airflow's own API server, whole, with a run of a pipeline that waits for an approval."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient

from airflow_cd import Approval, Environment, Pipeline
from airflow_cd.ledger import Ledger

DAG_ID = "guarded"
RUN_ID = "manual__2026-01-01T00:00:00+00:00"
APPROVER = "boss"
BEFORE = ("dev.lease", "dev.deploy", "dev.settle")


@pytest.fixture(scope="session")
def airflow_app(metadata: None) -> Any:
    """The app with every plugin of this machine, this one included."""
    return _made()


@functools.cache
def _made() -> Any:
    """Once for all test modules: to pytest the fixture is another one in each that imports it."""
    from airflow.api_fastapi.app import create_app

    return create_app(apps="core")


@contextmanager
def running(dag: Any, *, run_id: str = RUN_ID, waits: str = "approve", before: Sequence[str] = BEFORE) -> Iterator[Any]:
    """A run in Airflow's own tables, one of whose tasks waits; gives the state of a task, or of the run for ``""``."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType
    from sqlalchemy import delete, select

    dag_id = dag.dag_id
    with create_session() as session:
        session.add(DagBundleModel(name=f"bundle-of-{dag_id}"))
        session.flush()
        session.add(
            DagModel(dag_id=dag_id, bundle_name=f"bundle-of-{dag_id}", fileloc="", is_paused=False, is_stale=False)
        )
        session.flush()
        SerializedDagModel.write_dag(
            LazyDeserializedDAG.from_dag(dag), bundle_name=f"bundle-of-{dag_id}", session=session
        )
        session.flush()
        serialized = SerializedDagModel.get(dag_id, session=session)
        assert serialized is not None
        run = DagRun(dag_id=dag_id, run_id=run_id, run_type=DagRunType.MANUAL, state="running", conf={"version": "2.0"})
        run.dag = serialized.dag
        session.add(run)
        session.flush()
        run.verify_integrity(dag_version_id=serialized.dag_version_id, session=session)
        for ti in run.task_instances:
            if ti.task_id in before:
                ti.state = "success"
            if ti.task_id == waits:
                ti.state = "awaiting_input"

    def state(task_id: str) -> str:
        with create_session() as session:
            if task_id:
                query = select(TaskInstance.state).where(TaskInstance.dag_id == dag_id, TaskInstance.task_id == task_id)
            else:
                query = select(DagRun.state).where(DagRun.dag_id == dag_id)
            return str(session.scalars(query).one_or_none() or "")

    try:
        yield state
    finally:
        with create_session() as session:
            for model in (DagRun, DagModel, DagBundleModel):
                session.execute(delete(model))


def changed(task_id: str = "approve", **values: Any) -> None:
    """Change a task of the run, or the run itself for ``""``, as Airflow would."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import update

    query = update(TaskInstance).where(TaskInstance.task_id == task_id) if task_id else update(DagRun)
    with create_session() as session:
        session.execute(query.values(**values))


@pytest.fixture
def states(metadata: None) -> Iterator[Any]:
    """A run of a pipeline whose approval waits."""
    stages = [Environment("dev"), Approval(approvers=[APPROVER]), Environment("production")]
    with running(Pipeline(DAG_ID, service="shop", stages=stages).dag()) as state:
        yield state


@pytest.fixture
def airflow_as(airflow_app: Any, states: Any, ledger: Ledger) -> Iterator[Any]:
    """A client of the whole server, signed in by that name with a role that may edit everything."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    opened: list[TestClient] = []

    def client(name: str | None) -> TestClient:
        made = TestClient(airflow_app, base_url="http://airflow.test", headers={"Origin": "http://airflow.test"})
        if name is not None:
            token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role="admin"))
            made.headers["Authorization"] = f"Bearer {token}"
        opened.append(made)
        return made

    yield client
    for made in opened:
        made.close()
