"""Capacity is kept for going back: what verifies runs in a pool of its own, what restores comes before everything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.models.pool import Pool
from airflow.sdk import DAG, BaseOperator
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import Session

from airflow_cd import Approval, Canary, Environment, Pipeline, Verification
from airflow_cd.capacity import URGENT, VERIFICATIONS, make_pool, verification_slots, worker_slots
from airflow_cd.operators import role_of
from airflow_cd.plugin import AirflowCdPlugin, listener
from airflow_cd.states import Role

GOES_BACK = (Role.ROLLBACK, Role.ROLLBACK_TO, Role.SETTLE)


def dags() -> list[DAG]:
    from airflow_cd.pipeline.rollback_dag import build_rollback

    canary = Canary(Environment("live"), phases=[50, 100], verify=Verification(advisory=True, logs=[_Logs()]))
    stages = [BaseOperator(task_id="smoke"), Environment("dev"), Approval(), canary]
    pipeline = Pipeline("basket", stages=stages)
    made, back = pipeline.dag(), build_rollback(pipeline)
    assert made is not None
    assert back is not None
    return [made, back]


class _Logs:
    name = "logs"
    delay = timedelta(0)

    def read(self, window: Any, instances: Any) -> Any:
        raise NotImplementedError


def test_whatever_goes_back_outweighs_everything_else_of_every_pipeline() -> None:
    tasks = [task for dag in dags() for task in dag.tasks]
    weights = {task: task.priority_weight for task in tasks}
    assert {str(getattr(task.weight_rule, "value", task.weight_rule)) for task in tasks} == {"absolute"}
    back = [task for task in tasks if role_of(task) in GOES_BACK]
    back.append(next(task for task in tasks if task.task_id == "rollback.lease"))
    assert {weights[task] for task in back} == {URGENT["priority_weight"]}
    assert max(weight for task, weight in weights.items() if task not in back) == 1


def test_verifications_and_nothing_else_run_in_the_pool_of_verifications() -> None:
    tasks = [task for dag in dags() for task in dag.tasks]
    in_it = {task.task_id for task in tasks if task.pool == VERIFICATIONS}
    assert in_it == {task.task_id for task in tasks if role_of(task) is Role.VERIFY}
    assert len(in_it) == 2


@pytest.mark.parametrize(("total", "slots"), [(32, 24), (8, 6), (4, 3), (2, 1), (1, 1), (0, 128)])
def test_some_worker_slots_are_never_taken_by_verifications(total: int, slots: int) -> None:
    assert verification_slots(total) == slots


def test_of_celery_one_worker_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "64")
    assert worker_slots() == 64
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__CELERY__WORKER_CONCURRENCY", "12")
    assert worker_slots() == 12


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    Pool.metadata.tables["team"].create(engine)
    Pool.__table__.create(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_the_pool_is_made_once_and_what_a_person_has_set_stays(session: Session) -> None:
    assert make_pool(session) is True
    pool = session.scalars(select(Pool)).one()
    assert (pool.pool, pool.include_deferred) == (VERIFICATIONS, False)
    pool.slots = 3
    assert make_pool(session) is False
    assert session.scalars(select(Pool.slots)).all() == [3]


def test_a_pool_that_was_deleted_is_made_again_when_a_run_begins(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqlalchemy.orm.object_session", lambda run: session)
    listener.on_dag_run_running(dag_run=SimpleNamespace(), msg="")
    assert session.scalar(select(func.count()).select_from(Pool)) == 1
    assert listener in AirflowCdPlugin.listeners


def test_only_what_has_airflows_database_makes_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr("airflow_cd.capacity.make_pool", lambda: made.append("made"))
    listener.on_starting(component=type("TaskRunnerMarker", (), {})())
    assert made == []
    listener.on_starting(component=type("Job", (), {})())
    assert made == ["made"]


def test_nothing_that_goes_wrong_there_keeps_airflow_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any) -> None:
        raise RuntimeError("no such table: slot_pool")

    monkeypatch.setattr("airflow_cd.capacity.make_pool", broken)
    listener.on_starting(component=type("Job", (), {})())
    monkeypatch.setattr("sqlalchemy.orm.object_session", lambda run: object())
    listener.on_dag_run_running(dag_run=SimpleNamespace(), msg="")
