"""A run goes on by the plan that it was begun with, or not at all."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, Param
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from airflow_cd.ledger.records import Intent
from airflow_cd.operators import (
    CanaryDeployOperator,
    DeployOperator,
    PromoteOperator,
    RollbackOperator,
    SettleOperator,
    VerifyOperator,
    question,
)
from airflow_cd.plan import Plan
from airflow_cd.sensors import ApprovalSensor, LeaseSensor
from airflow_cd.sensors.approval import APPROVE, REJECT
from airflow_cd.sources import SumoLogicLogs
from airflow_cd.states import HumanAction
from airflow_cd.verification.settings import Verification
from tests.operators.world import NEW, OLD, World

MONDAY = Plan({"production": {"phases": [20, 100]}})
THURSDAY = Plan({"production": {"phases": [50, 100]}})
CHANGED = "shop has changed since this run began: production / phases: 20, 100 → 50, 100"
RELEASE: dict[str, Any] = {
    "version": "1.2",
    "configuration": {"limit": 7},
    "overrides": "{}",
    "reason": "",
    "rollback": "automatic",
    "learn": False,
}


def _work(task: Any, context: Any) -> Any:
    return task.poke(context) if isinstance(task, LeaseSensor) else task.execute(context)


@pytest.fixture
def begun(world: World) -> World:
    """A canary at 20 % by Monday's plan."""
    world.execute(world.task(CanaryDeployOperator, phase="phase_20", share=20, plan=MONDAY, **RELEASE))
    return world


WATCHED = Verification(logs=[SumoLogicLogs(query="a")])
FORWARD: dict[str, tuple[type[BaseOperator], dict[str, Any]]] = {
    "lease": (LeaseSensor, {}),
    "deploy": (DeployOperator, RELEASE),
    "next phase": (CanaryDeployOperator, {"phase": "phase_100", "share": 100, **RELEASE}),
    "verify": (
        VerifyOperator,
        {
            "verification": Verification(logs=[SumoLogicLogs(query="a")]),
            "phase": "phase_20",
            "follow": "a",
            "rollback": "b",
        },
    ),
}


@pytest.mark.parametrize("case", FORWARD)
def test_no_task_goes_further_by_another_plan(begun: World, case: str) -> None:
    kind, more = FORWARD[case]
    before = [instance.artifact for instance in begun.target.instances()]
    task = begun.task(kind, plan=THURSDAY, **more)
    with pytest.raises(AirflowFailException, match=CHANGED):
        _work(task, begun.context(task))
    assert [instance.artifact for instance in begun.target.instances()] == before


def test_what_goes_back_goes_back_whatever_the_plan_is_now(begun: World) -> None:
    begun.execute(begun.task(RollbackOperator, plan=THURSDAY))
    assert {instance.artifact for instance in begun.target.instances()} == {OLD.artifact}
    with pytest.raises(AirflowFailException, match="was rolled back"):
        begun.execute(begun.task(SettleOperator, plan=THURSDAY))


def test_the_end_of_the_run_says_that_the_plan_has_changed(begun: World) -> None:
    task = begun.task(CanaryDeployOperator, phase="phase_100", share=100, plan=THURSDAY, **RELEASE)
    with pytest.raises(AirflowFailException, match=CHANGED):
        begun.execute(task)
    with pytest.raises(AirflowFailException, match=f"was rolled back: {CHANGED}"):
        begun.execute(begun.task(SettleOperator, plan=THURSDAY))
    assert begun.ledger.vetoes.of("shop", "production") == []


def test_a_release_that_is_verified_in_every_phase_is_promoted(begun: World) -> None:
    begun.execute(begun.task(CanaryDeployOperator, phase="phase_100", share=100, plan=MONDAY, **RELEASE))
    assert begun.execute(begun.task(PromoteOperator, plan=THURSDAY))["promoted"].startswith("shop 1.2")


def _approval(plan: Plan) -> ApprovalSensor:
    given = {"service": "shop", "version": "1.2", "reason": "", "overrides": "{}", "environments": ["production"]}
    return ApprovalSensor(task_id="approve", plan=plan, **given)


@pytest.mark.parametrize("option", [APPROVE, REJECT])
def test_an_approval_of_mondays_plan_does_not_start_thursdays(
    world: World, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(question, "upsert_hitl_detail", lambda **given: None)
    with pytest.raises(TaskAwaitingInput):
        world.execute(_approval(MONDAY))
    event = {"chosen_options": [option], "responded_by_user": {"id": "ada", "name": "ada"}, "params_input": {}}
    resumed = _approval(THURSDAY)
    why = CHANGED if option == APPROVE else "Rejected by ada"
    with pytest.raises(AirflowFailException, match=why):
        resumed.execute_complete(world.context(resumed), event)
    # Nor does one that Airflow lost, nor a mark on the grid, which resumes nothing.
    lease = world.task(LeaseSensor, plan=THURSDAY)
    with pytest.raises(AirflowFailException, match=CHANGED):
        lease.poke(world.context(lease))


def test_a_plan_may_change_until_something_was_done_under_it(world: World) -> None:
    lease = world.task(LeaseSensor, plan=MONDAY)
    assert lease.poke(world.context(lease))
    world.execute(world.task(DeployOperator, plan=THURSDAY, **RELEASE))


def test_a_task_of_a_dag_written_by_hand_is_bound_to_no_plan(begun: World) -> None:
    begun.execute(begun.task(CanaryDeployOperator, phase="phase_50", share=50, **RELEASE))


# -- parameters --------------------------------------------------------------------------------------------------


def _asked_for(world: World, task: BaseOperator, **conf: Any) -> Any:
    with DAG(
        "shop", schedule=None, params={"version": Param(type="string", default="1.2"), "configuration": {}}
    ) as dag:
        BaseOperator(task_id="own", params={"region": "eu"})
    dag.add_task(task)
    context = world.context(task)
    context["dag_run"].conf = conf
    return _work(task, context)


@pytest.mark.parametrize("kind", [LeaseSensor, DeployOperator])
def test_a_misspelt_parameter_is_refused_before_anything_is_touched(world: World, kind: type[BaseOperator]) -> None:
    task = world.task(kind, plan=Plan(), **(RELEASE if kind is DeployOperator else {}))
    with pytest.raises(AirflowFailException, match=r"no parameter 'overides'; did you mean 'configuration'\?"):
        _asked_for(world, task, version="1.2", overides={"limit": 9})
    assert world.ledger.leases.current("shop", "production") is None


def test_parameters_of_the_pipeline_and_of_an_authors_own_tasks_are_known(world: World) -> None:
    task = world.task(LeaseSensor, plan=Plan())
    assert _asked_for(world, task, version="1.2", configuration={}, region="us") is True


def test_a_dag_written_by_hand_may_be_asked_for_anything(world: World) -> None:
    assert _asked_for(world, world.task(LeaseSensor), anything="goes") is True


def test_a_mark_on_a_deleted_run_answers_nothing_in_the_next_one_with_its_id(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(question, "upsert_hitl_detail", lambda **given: None)
    monkeypatch.setattr(question, "LONGEST_MARK", 0.0)
    task = world.task(PromoteOperator)
    asked: dict[str, Any] = {
        "subject": "Deploy?",
        "body": "",
        "options": [APPROVE, REJECT],
        "default": REJECT,
        "timeout": timedelta(hours=1),
        "method": "execute_complete",
        "approvers": ["boss"],
    }
    world.ledger.runs.begin("shop", "run-1", world.requested_at("run-1"))
    with pytest.raises(TaskAwaitingInput):
        question.ask(world.ledger, world.context(task), **asked, proposed={"production": OLD})
    lives = {"task": task.retries or 0}
    mark = Intent(
        "boss",
        HumanAction.MARKED_SUCCESS,
        "",
        "shop",
        "run-1",
        "task",
        ["task"],
        {"task": APPROVE},
        lives,
        is_mark=True,
    )
    world.ledger.audit.intend([mark])
    world.ledger.questions.answer("shop", "run-1", "task", option=APPROVE, who="boss", why="", recorded=True)
    # Deleted, and triggered again with another release; then somebody marks the whole run failed.
    world.requested["run-1"] = datetime.now(timezone.utc)
    with pytest.raises((TaskAwaitingInput, AirflowFailException)):
        question.ask(
            world.ledger, world.context(task, states={"task": "failed"}), **asked, proposed={"production": NEW}
        )
    kept = world.ledger.questions.get("shop", "run-1", "task")
    assert kept is not None
    assert (kept.proposed, kept.option) == ({"production": NEW}, None)
