from __future__ import annotations

from datetime import datetime, timezone

from airflow_cd import Approval, Environment, Pipeline
from airflow_cd.plugin.run_tasks import tasks_of

BEGAN = datetime(2026, 11, 23, 8, 0, tzinfo=timezone.utc)


def test_tasks_come_with_their_states_and_their_order(metadata: None) -> None:
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    dag = Pipeline("ordered", stages=[Environment("dev"), Approval(), Environment("production")]).dag()
    with create_session() as session:
        session.add(DagBundleModel(name="here"))
        session.flush()
        session.add(DagModel(dag_id=dag.dag_id, bundle_name="here", fileloc="", is_paused=False))
        session.flush()
        SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(dag), bundle_name="here", session=session)
        session.flush()
        serialized = SerializedDagModel.get(dag.dag_id, session=session)
        assert serialized is not None
        run = DagRun(dag_id=dag.dag_id, run_id="run-1", run_type=DagRunType.MANUAL, state="running")
        run.dag = serialized.dag
        session.add(run)
        session.flush()
        run.verify_integrity(dag_version_id=serialized.dag_version_id, session=session)
        (deploy,) = [found for found in run.task_instances if found.task_id == "dev.deploy"]
        deploy.state, deploy.start_date = "running", BEGAN

    tasks = {task.task_id: task for task in tasks_of("ordered", "run-1")}
    assert (tasks["dev.deploy"].state, tasks["dev.deploy"].started) == ("running", BEGAN)
    assert (tasks["approve"].state, tasks["approve"].upstream) == ("", ("dev.deploy",))
    assert tasks["production.lease"].upstream == ("approve",)
    assert tasks["production.lease"].stage == "production"


def test_a_run_that_airflow_does_not_know_has_no_tasks(metadata: None) -> None:
    assert tasks_of("ordered", "never") == []
