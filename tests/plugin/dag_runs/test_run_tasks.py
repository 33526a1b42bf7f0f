from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from airflow_cd import Approval, Environment, Pipeline
from airflow_cd.plugin.dag_runs import tasks as run_tasks
from airflow_cd.plugin.dag_runs.order import environment_depths
from airflow_cd.plugin.dag_runs.tasks import run_of, shape_of
from airflow_cd.states import Role

BEGAN = datetime(2026, 11, 23, 8, 0, tzinfo=timezone.utc)
DAG_ID, RUN_ID = "ordered", "run-1"
VETOED = "shop 1.2 was rolled back here"


@pytest.fixture
def written(metadata: None) -> Iterator[None]:
    """A run of a pipeline in Airflow's own tables."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType
    from sqlalchemy import delete

    dag = Pipeline(DAG_ID, service="shop", stages=[Environment("dev"), Approval(), Environment("production")]).dag()
    with create_session() as session:
        session.add(DagBundleModel(name="here"))
        session.flush()
        session.add(DagModel(dag_id=dag.dag_id, bundle_name="here", fileloc="", is_paused=False))
        session.flush()
        SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(dag), bundle_name="here", session=session)
        session.flush()
        serialized = SerializedDagModel.get(dag.dag_id, session=session)
        assert serialized is not None
        run = DagRun(
            dag_id=dag.dag_id,
            run_id=RUN_ID,
            run_type=DagRunType.MANUAL,
            state="running",
            conf={"version": "1.2"},
            triggering_user_name="ada",
        )
        run.dag = serialized.dag
        session.add(run)
        session.flush()
        run.verify_integrity(dag_version_id=serialized.dag_version_id, session=session)
        (deploy,) = [found for found in run.task_instances if found.task_id == "dev.deploy"]
        deploy.state, deploy.start_date = "running", BEGAN
        session.flush()
        for task_id, result in (("dev.deploy", {"failed": VETOED}), ("dev.lease", "Truncated. You can ...")):
            (ti,) = [found for found in run.task_instances if found.task_id == task_id]
            ti.task = serialized.dag.task_dict[task_id]
            session.add(RenderedTaskInstanceFields(ti, render_templates=False, rendered_fields={"result": result}))
    run_tasks._shape.cache_clear()
    yield
    with create_session() as session:
        for model in (DagRun, DagModel, DagBundleModel):
            session.execute(delete(model))


def test_a_run_comes_with_its_tasks_their_states_and_their_order(written: None) -> None:
    run = run_of(DAG_ID, RUN_ID)
    assert run is not None
    assert (run.state, run.over, run.by, run.asked) == ("running", False, "ada", {"version": "1.2"})
    tasks = {task.task_id: task for task in run.tasks}
    assert (tasks["dev.deploy"].state, tasks["dev.deploy"].started) == ("running", BEGAN)
    assert (tasks["approve"].state, tasks["approve"].place.upstream) == ("", ("dev.deploy",))
    assert tasks["production.lease"].place.upstream == ("approve",)
    assert {task.stage for task in run.tasks} == {"dev", "approve", "production"}
    assert all(task.place.role for task in run.tasks)


def test_a_task_says_what_it_is_where_and_what_it_noted(written: None) -> None:
    run = run_of(DAG_ID, RUN_ID)
    assert run is not None
    tasks = {task.task_id: task for task in run.tasks}
    place = tasks["dev.deploy"].place
    assert (place.role, place.service, place.environment) == (Role.DEPLOY, "shop", "dev")
    assert tasks["approve"].place.environment == ""
    assert tasks["dev.deploy"].result == {"failed": VETOED}
    assert tasks["dev.lease"].result == {}


def test_the_dag_is_read_once_for_all_looks_at_it(written: None) -> None:
    run_of(DAG_ID, RUN_ID)
    run_of(DAG_ID, RUN_ID)
    assert (run_tasks._shape.cache_info().misses, run_tasks._shape.cache_info().hits) == (1, 1)


def test_a_run_that_airflow_does_not_know_is_none(metadata: None) -> None:
    assert run_of(DAG_ID, "never") is None


def test_a_pipeline_says_how_deep_its_environments_are(written: None) -> None:
    assert environment_depths(shape_of(DAG_ID)) == {"dev": 0, "production": 2}
    assert shape_of("no such pipeline") == {}
