"""A release in an environment where nothing ran: noticed at once, not verified, and the baseline from then on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_cd.delivery.verifying import PhaseVerification
from airflow_cd.operators import CanaryDeployOperator, DeployOperator, PromoteOperator, SettleOperator, VerifyOperator
from airflow_cd.release import Release
from airflow_cd.verification import watch
from airflow_cd.verification.settings import Verification
from tests.memory_target import MemoryTarget, wholly_on
from tests.operators.world import NAMES, NEW, World

FIRST = Release("shop", "1.2", "shop:1.2")
ASKED: dict[str, Any] = {"version": "1.2", "overrides": "{}", "reason": "", "rollback": "automatic", "learn": "false"}


@pytest.fixture
def empty(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Production without anything on it; no watch may begin."""

    def watches(*given: Any, **more: Any) -> Any:
        raise AssertionError("it is watched")

    monkeypatch.setattr(watch, "Watch", watches)
    monkeypatch.setattr(VerifyOperator, "do_branch", lambda self, context, task: None)
    world.target = MemoryTarget(NAMES)
    return world


def _canary(world: World, share: int) -> None:
    world.execute(world.task(CanaryDeployOperator, **ASKED, phase=f"phase_{share}", share=share))


def _verify(world: World, share: int, **more: Any) -> tuple[VerifyOperator, str]:
    given = {"verification": Verification(), "follow": "next", "rollback": "back", "phase": f"phase_{share}", **more}
    task = world.task(VerifyOperator, task_id="verify", **given)
    return task, world.execute(task)


def test_it_goes_through_every_phase_at_once_and_becomes_the_baseline(empty: World) -> None:
    for share in (20, 100):
        _canary(empty, share)
        task, went = _verify(empty, share)
        assert went == "next"
        assert isinstance(task.result, dict)
        assert task.result["verdict"] == "not verified"
        assert "Nothing to compare with" in task.result["decision"]
    empty.execute(empty.task(PromoteOperator))
    deployment = empty.delivery().require_deployment()
    assert deployment.first
    assert "the first release here: nothing to compare with" in deployment.outcome
    assert empty.ledger.verdicts.of(deployment.id) == []
    assert wholly_on(empty.target, FIRST)
    assert empty.execute(empty.task(SettleOperator))["state"] == "promoted"


def test_it_is_noticed_before_anything_is_touched(empty: World) -> None:
    empty.delivery().deploy(FIRST, phase="phase_20", share=20)
    assert empty.lines[0].startswith("Nothing to compare with: deploying shop 1.2")
    assert empty.lines[0].endswith("as the first release of production.")
    empty.delivery().deploy(FIRST, phase="phase_100", share=100)
    assert sum("Nothing to compare with" in line for line in empty.lines) == 1


def test_a_plain_environment_says_so_too(empty: World) -> None:
    empty.execute(empty.task(DeployOperator, **ASKED))
    assert empty.delivery().require_deployment().outcome == "deployed and healthy, the first release here"


def test_one_that_falls_ill_is_not_promoted(empty: World) -> None:
    _canary(empty, 100)
    _verify(empty, 100)
    empty.target.broken.add(FIRST.artifact)
    empty.target.state["shop-03"] = empty.target._instance("shop-03", FIRST)
    with pytest.raises(Exception, match="cannot be promoted"):
        empty.execute(empty.task(PromoteOperator))
    with pytest.raises(Exception, match="nothing runs, read back"):
        empty.execute(empty.task(SettleOperator))
    assert empty.ledger.vetoes.of("shop", "production") == []


def test_the_next_one_is_compared_with_what_the_first_has_shown_since_its_promotion(empty: World) -> None:
    empty.delivery().deploy(FIRST, phase="all")
    first = empty.delivery().promote("healthy")
    empty.delivery().settle()
    newer = empty.delivery("run-2")
    newer.deploy(Release("shop", "1.3", "shop:1.3"), phase="phase_20", share=20)
    assert not newer.require_deployment().first
    looks: list[Any] = []
    verifying = PhaseVerification(newer, Verification(duration="10m"), "phase_20", on_look=looks.append)
    assert verifying.control == NAMES[1:]
    window = verifying._before()
    assert window is not None
    assert window.since == first.settled_at


def test_an_environment_that_somebody_else_filled_is_none(world: World) -> None:
    world.deployed()
    assert not world.delivery().require_deployment().first


def test_one_that_was_emptied_is_compared_with_what_earlier_ones_taught(empty: World) -> None:
    empty.delivery().deploy(FIRST, phase="all")
    empty.delivery().promote("healthy")
    empty.delivery().settle()
    empty.target = MemoryTarget(NAMES)
    again = empty.delivery("run-2")
    again.deploy(NEW, phase="phase_20", share=20)
    assert not again.require_deployment().first
    verifying = PhaseVerification(again, Verification(duration=timedelta(minutes=1)), "phase_20", on_look=print)
    # Nothing runs on the others: they are no control.
    assert verifying.control == []
