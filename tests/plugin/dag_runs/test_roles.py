"""A pipeline with operators of an author's own: a subclass, whatever it is called, stays on every page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.sdk import DAG, TaskGroup

from airflow_cd import Verification
from airflow_cd.ledger import Ledger
from airflow_cd.operators import CanaryDeployOperator, PromoteOperator, VerifyOperator
from airflow_cd.plugin.audit.enforcement import refusal
from airflow_cd.plugin.audit.manual_actions import RequestedAction
from airflow_cd.plugin.dag_runs import tasks as run_tasks
from airflow_cd.plugin.dag_runs.tasks import Run, RunTask, shape_of
from airflow_cd.plugin.environment.stopping import failing
from airflow_cd.plugin.run.facts import facts_of
from airflow_cd.plugin.run.view import view_of
from airflow_cd.plugin.states import StepState
from airflow_cd.sensors import ApprovalSensor
from airflow_cd.states import HumanAction, Role
from tests.plugin.build_com_run import NOW
from tests.plugin.conftest import ClientAs
from tests.plugin.deployed import Delivery

DAG_ID, RUN_ID = "own_operators", "run-1"


class SmokeTest(VerifyOperator):
    """Named for what it does in its author's eyes."""


class ChangeBoard(ApprovalSensor):
    """The same."""


def _dag() -> DAG:
    common = {"service": "shop", "environment": "production", "target": "http_production"}
    with DAG(DAG_ID, schedule=None) as dag:
        board = ChangeBoard(task_id="board", approvers=["boss"], service="shop")
        with TaskGroup("production"):
            deploy = CanaryDeployOperator(task_id="deploy", phase="half", share=50, **common)
            test = SmokeTest(
                task_id="test",
                verification=Verification(duration="1m", logs=[]),
                phase="half",
                follow="production.promote",
                rollback="production.promote",
                **common,
            )
            board >> deploy >> test >> PromoteOperator(task_id="promote", **common)
    return dag


@pytest.fixture
def serialized(metadata: None) -> Iterator[None]:
    """The DAG in Airflow's own tables, as the pages read it."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.add(DagBundleModel(name="own"))
        session.flush()
        session.add(DagModel(dag_id=DAG_ID, bundle_name="own", fileloc="", is_paused=False))
        session.flush()
        SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(_dag()), bundle_name="own", session=session)
    run_tasks._shape.cache_clear()
    yield
    with create_session() as session:
        session.execute(delete(DagModel).where(DagModel.dag_id == DAG_ID))
        session.execute(delete(DagBundleModel).where(DagBundleModel.name == "own"))


def _run(**states: str) -> Run:
    tasks = [
        RunTask(task_id, states.get(task_id.rpartition(".")[2], ""), place=place)
        for task_id, place in sorted(shape_of(DAG_ID).items())
    ]
    return Run(DAG_ID, RUN_ID, "running", tasks=tasks)


def test_the_serialized_dag_says_what_each_task_does(serialized: None) -> None:
    shape = shape_of(DAG_ID)
    assert {task_id: place.role for task_id, place in shape.items()} == {
        "board": Role.APPROVAL,
        "production.deploy": Role.DEPLOY,
        "production.test": Role.VERIFY,
        "production.promote": Role.PROMOTE,
    }
    assert shape["board"].approvers == ("boss",)
    assert shape["production.test"].environment == "production"


def test_its_verification_and_its_question_are_on_the_runs_page(serialized: None, ledger: Ledger) -> None:
    delivery = Delivery(ledger, "shop", "1.0", pipeline=DAG_ID, run_id=RUN_ID)
    delivery.asks(task_id="board", approvers=("boss",))
    waiting = _run(board="awaiting_input")
    view = view_of(waiting, facts_of(ledger, waiting), NOW)
    assert view.ours
    assert view.headline.word == "WAITING"
    ledger.questions.answer(DAG_ID, RUN_ID, "board", option="Approve", who="boss", why="")
    verifying = _run(board="success", deploy="success", test="running")
    stages = {
        stage.name: stage.state
        for column in view_of(verifying, facts_of(ledger, verifying), NOW).columns
        for stage in column
    }
    assert stages == {"board": StepState.APPROVED, "production": StepState.VERIFYING}


def test_a_rollback_from_the_environments_page_fails_it(serialized: None) -> None:
    assert failing(_run(board="success", deploy="success", test="running"), "production") == ["production.test"]


def test_its_tab_leads_to_its_report(serialized: None, client_as: ClientAs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_tasks, "run_of", lambda dag_id, run_id: _run())
    for task_id, kind in (("production.test", "report"), ("board", "approval"), ("production.deploy", "run")):
        answer = client_as("viewer").get(f"/airflow-cd/task/{DAG_ID}/{RUN_ID}/{task_id}", follow_redirects=False)
        assert answer.headers["location"].startswith(f"/airflow-cd/{kind}/")


def test_its_approvers_count_before_it_has_asked(serialized: None, ledger: Ledger) -> None:
    past_it = RequestedAction(DAG_ID, RUN_ID, "production.deploy", HumanAction.MARKED_SUCCESS)
    refused = refusal([past_it], "mallory")
    assert refused is not None
    assert "mallory is not an approver of board" in refused.message
    assert refusal([past_it], "boss") is None
