"""DeployOperator, CanaryDeployOperator and PromoteOperator: what they bring where, and what they fail with."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.errors import LeaseHeld, TargetUnavailable
from airflow_cd.operators import CanaryDeployOperator, DeployOperator, PromoteOperator
from airflow_cd.states import DeploymentState
from tests.memory_target import wholly_on
from tests.operators.world import NAMES, NEW, OLD, World


def _deploy(world: World, kind: type[DeployOperator] = DeployOperator, **more: Any) -> DeployOperator:
    given = {"configuration": {"limit": 5, "debug": True}, "overrides": '{"limit": 7, "debug": null}', "learn": "false"}
    return world.task(kind, **{"version": "1.2", "reason": "new prices", "rollback": "", **given, **more})


def test_it_deploys_promotes_and_says_what(world: World) -> None:
    task = _deploy(world)
    result = world.execute(task)
    assert result == task.result
    assert result == {
        "release": str(NEW),
        "configuration": {"limit": 7},
        "instances": NAMES,
        "of": 5,
        "before": [str(OLD)],
    }
    assert wholly_on(world.target, NEW)
    deployment = world.delivery().require_deployment()
    assert deployment.state == DeploymentState.PROMOTED
    assert (deployment.reason, deployment.triggered_by, deployment.rollback) == ("new prices", "ada", "automatic")
    assert deployment.learn is False


@pytest.mark.parametrize(("learn", "expected"), [(True, True), ("True", True), ("no", False), (False, False)])
def test_without_promotion_it_leaves_the_rest_to_a_verification(world: World, learn: Any, expected: bool) -> None:
    world.execute(_deploy(world, promote=False, learn=learn, rollback="human"), user=None)
    deployment = world.delivery().require_deployment()
    assert (deployment.state, deployment.rollback, deployment.learn) == (DeploymentState.RUNNING, "human", expected)
    assert deployment.triggered_by == ""


def test_a_phase_takes_its_share_and_a_first_deployment_was_nothing_before(world: World) -> None:
    world.target.state = {name: world.target._instance(name, None) for name in NAMES}
    result = world.execute(_deploy(world, CanaryDeployOperator, phase="phase_40", share=40))
    assert (result["instances"], result["before"]) == (NAMES[:2], ["nothing"])
    assert world.delivery().require_deployment().state == DeploymentState.RUNNING


def test_what_does_not_start_fails_for_good_and_names_the_instances(world: World) -> None:
    world.target.broken.add(NEW.artifact)
    task = _deploy(world)
    with pytest.raises(AirflowFailException, match="no module named tax") as caught:
        world.execute(task)
    assert task.result == {"failed": str(caught.value)}
    cause: Any = caught.value.__cause__
    assert (cause.service, cause.release, cause.instances) == ("shop", str(NEW), tuple(NAMES))


def test_a_wrong_configuration_changes_nothing(world: World) -> None:
    with pytest.raises(AirflowFailException, match="overrides are not an object"):
        world.execute(_deploy(world, overrides="7"))
    assert world.target.calls == []


def test_a_target_that_is_away_is_tried_again_if_the_author_gave_retries(world: World) -> None:
    world.target.away = True
    task = _deploy(world, retries=2)
    with pytest.raises(TargetUnavailable):
        world.execute(task)
    world.target.away = False
    world.execute(task, try_number=2)
    assert wholly_on(world.target, NEW)


def test_without_a_lease_it_waits_for_who_owns_the_environment(world: World) -> None:
    world.delivery("run-2").acquire()
    with pytest.raises(LeaseHeld, match="run-2") as caught:
        world.execute(_deploy(world))
    assert (caught.value.owner, caught.value.position) == ("run run-2 of shop", 1)


def test_promoting_reads_back_that_every_instance_runs_the_release(world: World) -> None:
    world.deployed(share=100)
    task = world.task(PromoteOperator)
    assert world.execute(task) == {"promoted": str(NEW), "instances": NAMES}
    assert world.execute(task) == task.result


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda world: None, r"shop-01 runs shop:1\.1"),
        (lambda world: world.delivery().roll_back("bad"), "over: rolled back"),
    ],
)
def test_what_is_not_wholly_there_or_over_is_not_promoted(world: World, spoil: Any, reason: str) -> None:
    world.deployed(share=20)
    spoil(world)
    task = world.task(PromoteOperator)
    with pytest.raises(AirflowFailException, match=reason):
        world.execute(task)
    assert isinstance(task.result, dict)
    assert list(task.result) == ["failed"]


def test_a_drained_instance_keeps_a_release_from_being_promoted(world: World) -> None:
    world.deployed(share=100)
    world.target.drain(NAMES[:1], key="by hand", token=world.target.token)
    with pytest.raises(AirflowFailException, match="shop-00 is drained"):
        world.execute(world.task(PromoteOperator))


def test_a_target_that_is_away_for_a_moment_does_not_end_a_verified_release(world: World) -> None:
    world.deployed(share=100)
    task = world.task(PromoteOperator)
    world.target.away = True
    with pytest.raises(TargetUnavailable):
        world.execute(task)
    world.target.away = False
    assert world.execute(task, try_number=2)["promoted"] == str(NEW)
