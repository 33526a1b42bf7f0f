"""What an error means to Airflow: refused is final, unavailable is retried, everything else passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

import airflow_cd.ledger
from airflow_cd import errors
from airflow_cd.errors import AirflowCdError, LedgerRefused, LedgerUnavailable, PipelineError, Refused, Unavailable
from airflow_cd.operators import (
    CanaryDeployOperator,
    DeploymentMarkerOperator,
    DeployOperator,
    PromoteOperator,
    RollbackOperator,
    RollbackToOperator,
    SettleOperator,
    VerifyOperator,
)
from airflow_cd.operators.failure import failing_as_airflow_expects
from airflow_cd.sensors import ApprovalSensor, LeaseSensor
from airflow_cd.verification.settings import Verification
from tests.operators.conftest import Rests
from tests.operators.world import World


def _kinds(base: type[AirflowCdError]) -> list[type[AirflowCdError]]:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, base)]
    return [kind for kind in found if kind is not PipelineError]


def _raised(kind: type[AirflowCdError]) -> AirflowCdError:
    more = {"owner": "run 9 of shop", "position": 1} if kind is errors.LeaseHeld else {}
    return kind("it did not work.", **more)


def _fail(world: World, error: BaseException) -> PromoteOperator:
    task = world.task(PromoteOperator)
    with failing_as_airflow_expects(task, pipeline="shop", service="shop", environment="production"):
        raise error
    return task


@pytest.mark.parametrize("kind", _kinds(Refused))
def test_what_is_refused_fails_for_good(world: World, kind: type[AirflowCdError]) -> None:
    with pytest.raises(AirflowFailException, match=r"\[shop / production\] it did not work\."):
        _fail(world, _raised(kind))


@pytest.mark.parametrize("kind", _kinds(Unavailable))
def test_what_is_unavailable_is_an_ordinary_failure(world: World, kind: type[AirflowCdError]) -> None:
    with pytest.raises(kind) as caught:
        _fail(world, _raised(kind))
    error = caught.value
    assert (error.pipeline, error.service, error.environment) == ("shop", "shop", "production")


def test_a_users_target_that_says_neither_is_retried(world: World) -> None:
    with pytest.raises(errors.TargetError):
        _fail(world, errors.TargetError("the rack is on fire."))


@pytest.mark.parametrize("passing", [AirflowSkipException("no"), TaskAwaitingInput(method_name="x"), KeyError("bug")])
def test_everything_else_passes_through(world: World, passing: BaseException) -> None:
    with pytest.raises(type(passing)) as caught:
        _fail(world, passing)
    assert caught.value is passing


def _poke(sensor: Any, context: Any) -> Any:
    return sensor.poke(context)


def _execute(task: Any, context: Any) -> Any:
    return task.execute(context)


def _resume(method: str) -> Callable[[Any, Any], Any]:
    return lambda task, context: getattr(task, method)(context, {"chosen_options": ["Approve"]})


VERIFY: dict[str, Any] = {"verification": Verification(), "follow": "on", "rollback": "back"}
TASKS: dict[str, tuple[type[Any], dict[str, Any], Callable[[Any, Any], Any]]] = {
    "deploy": (DeployOperator, {"version": "1.2"}, _execute),
    "canary": (CanaryDeployOperator, {"version": "1.2", "phase": "phase_20", "share": 20}, _execute),
    "mark": (DeploymentMarkerOperator, {}, _execute),
    "verify": (VerifyOperator, VERIFY, _execute),
    "verify, answered": (VerifyOperator, VERIFY, _resume("execute_answered")),
    "promote": (PromoteOperator, {}, _execute),
    "rollback": (RollbackOperator, {}, _execute),
    "rollback to": (RollbackToOperator, {"release": "", "reason": "slow"}, _execute),
    "settle": (SettleOperator, {}, _execute),
    "lease": (LeaseSensor, {}, _poke),
    "approval": (ApprovalSensor, {}, _execute),
    "approval, answered": (ApprovalSensor, {}, _resume("execute_complete")),
}


def _task(world: World, name: str) -> tuple[Any, Callable[[Any, Any], Any]]:
    kind, arguments, run = TASKS[name]
    return (kind(task_id="task", service="shop") if kind is ApprovalSensor else world.task(kind, **arguments)), run


FORWARD = ("deploy", "canary", "mark")


@pytest.mark.parametrize("name", TASKS)
def test_every_task_fails_when_the_ledger_refuses(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    task, run = _task(world, name)
    monkeypatch.setattr(airflow_cd.ledger, "open_ledger", _raising(LedgerRefused("the ledger is of a newer version.")))
    with pytest.raises(AirflowFailException, match=r"\[shop.*\] the ledger is") as caught:
        run(task, world.context(task))
    assert task.result == {"failed": str(caught.value)}
    assert world.target.calls == []


@pytest.mark.parametrize("name", FORWARD)
def test_what_goes_forward_is_left_to_airflows_retries_when_the_ledger_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    task, run = _task(world, name)
    monkeypatch.setattr(airflow_cd.ledger, "open_ledger", _raising(LedgerUnavailable("the ledger is locked.")))
    with pytest.raises(LedgerUnavailable, match=r"\[shop.*\] the ledger is locked"):
        run(task, world.context(task))
    assert world.target.calls == []


@pytest.mark.parametrize("name", [name for name in TASKS if name not in (*FORWARD, "lease")])
def test_every_other_task_waits_for_a_ledger_that_is_away_for_as_long_as_it_takes(
    world: World, monkeypatch: pytest.MonkeyPatch, rests: Rests, name: str
) -> None:
    task, run = _task(world, name)
    away = LedgerUnavailable("the ledger is locked.")
    monkeypatch.setattr(airflow_cd.ledger, "open_ledger", _raising(away))

    def back_at_last() -> None:
        if len(rests.seconds) == 20:
            # What it answers then is the end of this test.
            monkeypatch.setattr(airflow_cd.ledger, "open_ledger", _raising(LedgerRefused("it is back.")))

    rests.then = back_at_last
    with pytest.raises(AirflowFailException, match="it is back"):
        run(task, world.context(task))
    assert len(rests.seconds) == 20
    assert max(rests.seconds) == 30


def test_the_lease_is_waited_for_without_a_ledger_as_it_is_with_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, _ = _task(world, "lease")
    with monkeypatch.context() as patched:
        patched.setattr(airflow_cd.ledger, "open_ledger", _raising(LedgerUnavailable("the ledger is locked.")))
        assert task.poke(world.context(task)) is False
        assert "the ledger is locked" in task.result["waiting"]
    assert task.poke(world.context(task)) is True


def _raising(error: AirflowCdError) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize("name", [name for name in TASKS if name not in ("deploy", "canary")])
def test_every_task_but_a_deploy_has_retries_to_try_again_with(world: World, name: str) -> None:
    task, _ = _task(world, name)
    assert task.retries >= 3


@pytest.mark.parametrize(
    ("target", "reason"),
    [({"staging": "http_staging"}, "has no target here; those that have: staging"), ("pigeon_post", "unknown kind")],
)
def test_a_target_that_cannot_be_resolved_is_refused(world: World, target: Any, reason: str) -> None:
    task = world.task(PromoteOperator, target=target)
    with pytest.raises(AirflowFailException, match=reason):
        world.execute(task)
