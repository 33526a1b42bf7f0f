from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.delivery import Delivery, choose_instances, share_of
from airflow_cd.errors import (
    ArtifactNotFound,
    DeploymentFailed,
    DeploymentSettled,
    LeaseHeld,
    LeaseLost,
    PipelineError,
    ReleaseVetoed,
    RollbackIncomplete,
    TargetConflict,
    TargetError,
    TargetUnavailable,
)
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from tests.memory_target import MemoryTarget, wholly_on

OLD = Release("shop", "1.1", "shop:1.1", {"limit": 5})
NEW = Release("shop", "1.2", "shop:1.2", {"limit": 7})
NEWER = Release("shop", "1.3", "shop:1.3")
NAMES = [f"shop-{number:02d}" for number in range(10)]


@pytest.fixture
def ledger(new_ledger: Ledger) -> Ledger:
    return new_ledger


@pytest.fixture
def target() -> MemoryTarget:
    return MemoryTarget(NAMES, OLD)


def delivery(ledger: Ledger, target: MemoryTarget, run_id: str = "run-1") -> Delivery:
    return Delivery(
        ledger,
        target,
        pipeline="shop",
        run_id=run_id,
        service="shop",
        environment="production",
        log=lambda line: None,
        timeout=timedelta(seconds=2),
    )


@given(share=st.integers(1, 100), total=st.integers(1, 200))
def test_a_share_is_the_nearest_number_of_instances_and_never_none(share: int, total: int) -> None:
    exact = share * total / 100
    if exact < 0.5:
        with pytest.raises(PipelineError, match="no instance at all"):
            share_of(share, total)
    else:
        assert abs(share_of(share, total) - exact) <= 0.5


def test_later_phases_keep_the_instances_of_earlier_ones() -> None:
    first = choose_instances(NAMES, 20)
    assert first == ["shop-00", "shop-01"]
    assert set(first) <= set(choose_instances(NAMES, 50, first))
    assert choose_instances(NAMES, 20, ["shop-07", "shop-08"]) == ["shop-07", "shop-08"]


def test_a_canary_goes_from_a_share_to_all_and_is_promoted(ledger: Ledger, target: MemoryTarget) -> None:
    mine = delivery(ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    assert list(phase.instances) == ["shop-00", "shop-01"]
    assert [name for name, artifact in target.running().items() if artifact == "shop:1.2"] == ["shop-00", "shop-01"]
    mine.deploy(NEW, phase="phase_100", share=100)
    mine.promote("verified")
    assert wholly_on(target, NEW)
    promoted = ledger.deployments.last_promoted("shop", "production")
    assert promoted is not None
    assert promoted.release == NEW


def test_rolling_back_restores_artifact_and_configuration_and_vetoes_the_release(
    ledger: Ledger, target: MemoryTarget
) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    restored = mine.roll_back("four new exceptions")
    assert restored is not None
    assert restored.release == OLD
    assert wholly_on(target, OLD)
    with pytest.raises(ReleaseVetoed, match="four new exceptions"):
        delivery(ledger, target, "run-2").check(NEW)


def test_the_canary_is_drained_before_anything_is_restored(ledger: Ledger, target: MemoryTarget) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    target.calls.clear()
    mine.roll_back("bad")
    assert [kind for kind, _ in target.calls] == ["drain", "deploy", "restore"]


def test_after_a_rollback_the_ledger_knows_that_everybody_gets_requests(ledger: Ledger, target: MemoryTarget) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    mine.roll_back("bad")
    assert [
        seen.instance.name for seen in ledger.instances.running("shop", "production") if seen.instance.drained
    ] == []


def test_the_whole_environment_is_never_drained(ledger: Ledger, target: MemoryTarget) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_100", share=100)
    target.calls.clear()
    deployment = mine.require_deployment()
    assert mine.drain(mine.lease(), deployment, mine.touched(deployment)) is False
    mine.roll_back("bad")
    assert [kind for kind, _ in target.calls] == ["deploy"]
    assert wholly_on(target, OLD)


def test_a_first_deployment_is_rolled_back_to_an_empty_environment(ledger: Ledger) -> None:
    target = MemoryTarget(NAMES, None)
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    mine.roll_back("bad")
    assert set(target.running().values()) == {None}


def test_an_artifact_that_does_not_start_is_named_and_can_be_rolled_back(ledger: Ledger, target: MemoryTarget) -> None:
    target.broken.add(NEW.artifact)
    mine = delivery(ledger, target)
    with pytest.raises(DeploymentFailed, match="no module named tax") as caught:
        mine.deploy(NEW, phase="phase_20", share=20)
    assert "shop-00" in str(caught.value)
    assert "[shop / production]" in str(caught.value)
    mine.roll_back("did not start")
    assert wholly_on(target, OLD)


def test_an_unknown_artifact_is_refused_before_anything_is_touched(ledger: Ledger, target: MemoryTarget) -> None:
    target.missing.add(NEW.artifact)
    mine = delivery(ledger, target)
    with pytest.raises(ArtifactNotFound):
        mine.deploy(NEW, phase="phase_20", share=20)
    assert target.calls == []
    assert mine.roll_back("nothing was deployed") is None


def test_an_environment_without_instances_is_refused(ledger: Ledger) -> None:
    with pytest.raises(TargetError, match="no instances"):
        delivery(ledger, MemoryTarget([])).deploy(NEW, phase="all")


def test_a_mixed_environment_without_a_good_release_is_refused(ledger: Ledger, target: MemoryTarget) -> None:
    target.deploy(NEWER, ["shop-03"], key="by hand", token=0)
    with pytest.raises(DeploymentFailed, match="several releases"):
        delivery(ledger, target).deploy(NEW, phase="all")


def test_repeating_a_deploy_repeats_no_side_effect(ledger: Ledger, target: MemoryTarget) -> None:
    mine = delivery(ledger, target)
    first = mine.deploy(NEW, phase="phase_20", share=20)
    before = target.running()
    again = mine.deploy(NEW, phase="phase_20", share=20)
    assert again.instances == first.instances
    assert target.running() == before
    assert len(ledger.phases.of(mine.require_deployment().id)) == 1


def test_nothing_is_deployed_after_a_rollback(ledger: Ledger, target: MemoryTarget) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    mine.roll_back("bad")
    with pytest.raises(DeploymentSettled, match="rolled back"):
        mine.deploy(NEW, phase="phase_100", share=100)
    with pytest.raises(DeploymentSettled, match="rolled back"):
        mine.promote("a person marked verify success")
    assert wholly_on(target, OLD)


def test_a_rollback_never_follows_a_promotion(ledger: Ledger, target: MemoryTarget) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_100", share=100)
    mine.promote("verified")
    with pytest.raises(DeploymentSettled, match="promoted"):
        mine.roll_back("late verdict")
    assert wholly_on(target, NEW)


def test_a_verdict_that_was_overruled_drains_nothing(ledger: Ledger, target: MemoryTarget) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    verify_holds = mine.lease()
    deployment = mine.require_deployment()
    mine.deploy(NEW, phase="phase_100", share=100)
    with pytest.raises((TargetConflict, LeaseLost)):
        target.drain(["shop-00"], key="late", token=verify_holds.token)
    with pytest.raises(LeaseLost):
        ledger.leases.check(verify_holds)
    assert mine.promote("a person's promotion").state == "promoted"
    assert deployment.id == mine.require_deployment().id


def test_traffic_that_a_verification_took_away_comes_back_when_a_person_goes_on(
    ledger: Ledger, target: MemoryTarget
) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    deployment = mine.require_deployment()
    assert mine.drain(mine.lease(), deployment, mine.touched(deployment))
    mine.deploy(NEW, phase="phase_100", share=100)
    assert wholly_on(target, NEW)
    mine.promote("a person decided to go on")


def test_a_release_that_is_not_wholly_there_is_not_promoted(ledger: Ledger, target: MemoryTarget) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    with pytest.raises(DeploymentFailed, match="shop-05"):
        mine.promote("too early")


def test_the_end_of_a_run_restores_what_is_neither_promoted_nor_rolled_back(
    ledger: Ledger, target: MemoryTarget
) -> None:
    mine = delivery(ledger, target)
    mine.acquire()
    mine.deploy(NEW, phase="phase_20", share=20)
    settled = mine.settle()
    assert settled is not None
    assert settled.state == "rolled_back"
    assert wholly_on(target, OLD)
    assert ledger.leases.current("shop", "production") is None


def test_an_environment_has_one_owner_at_a_time(ledger: Ledger, target: MemoryTarget) -> None:
    delivery(ledger, target, "run-1").acquire()
    with pytest.raises(LeaseHeld, match="run-1"):
        delivery(ledger, target, "run-2").acquire()
    delivery(ledger, target, "run-1").settle()
    delivery(ledger, target, "run-2").acquire()


def test_the_next_owner_puts_right_what_a_dead_run_left(ledger: Ledger, target: MemoryTarget) -> None:
    dead = delivery(ledger, target, "run-1")
    dead.deploy(NEW, phase="phase_20", share=20)
    ledger.leases.release(dead.lease())
    delivery(ledger, target, "run-2").acquire()
    assert wholly_on(target, OLD)
    assert dead.require_deployment().state == "rolled_back"


def test_an_older_run_does_not_put_its_release_over_a_newer_one(ledger: Ledger, target: MemoryTarget) -> None:
    old_run = delivery(ledger, target, "run-1")
    old_run.deploy(NEW, phase="all")
    old_run.promote("fine")
    old_run.settle()
    new_run = delivery(ledger, target, "run-2")
    new_run.deploy(NEWER, phase="all")
    new_run.promote("fine")
    new_run.settle()
    with pytest.raises(DeploymentSettled):
        old_run.deploy(NEW, phase="all")
    assert wholly_on(target, NEWER)


def test_a_rollback_that_cannot_finish_says_what_runs_where_and_can_be_repeated(
    ledger: Ledger, target: MemoryTarget
) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    target.broken.add(OLD.artifact)
    with pytest.raises(RollbackIncomplete, match="could not finish") as caught:
        mine.roll_back("bad")
    assert "shop-09: shop:1.1, healthy" in str(caught.value)
    target.broken.clear()
    mine.roll_back("bad")
    assert wholly_on(target, OLD)
    assert mine.require_deployment().state == "rolled_back"


def test_a_target_that_goes_away_while_deploying_leaves_something_to_restore(
    ledger: Ledger, target: MemoryTarget
) -> None:
    mine = delivery(ledger, target)

    def goes_away(kind: str) -> None:
        target.away = kind == "deploy"

    target.before_call = goes_away
    with pytest.raises(TargetUnavailable, match="does not answer"):
        mine.deploy(NEW, phase="phase_20", share=20)
    target.before_call = lambda kind: None
    target.away = False
    mine.settle()
    assert wholly_on(target, OLD)
    assert mine.require_deployment().state == "rolled_back"


def test_the_clocks_start_at_the_verdict(ledger: Ledger, target: MemoryTarget) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    mine.roll_back("bad")
    deployment = mine.require_deployment()
    assert deployment.to_safe is not None
    assert deployment.to_restored is not None
    assert 0 <= deployment.to_safe <= deployment.to_restored < 5


def test_what_was_kept_for_the_way_back_goes_when_there_is_none_to_go(ledger: Ledger) -> None:
    class Keeping(MemoryTarget):
        def __init__(self) -> None:
            super().__init__(NAMES, OLD)
            self.kept = False

        def deploy(self, *given: Any, **more: Any) -> None:
            super().deploy(*given, **more)
            self.kept = True

        def settled(self, *, token: int) -> None:
            assert token >= self.token
            self.kept = False

    for ending in ("promoted", "rolled back"):
        target = Keeping()
        mine = delivery(ledger, target, f"run of {ending}")
        mine.deploy(NEW if ending == "promoted" else NEWER, phase="phase_100")
        assert target.kept
        if ending == "promoted":
            mine.promote("good")
        assert target.kept
        mine.settle()
        assert not target.kept


def test_a_target_that_cannot_let_go_keeps_nobody_from_the_environment(ledger: Ledger) -> None:
    class Clinging(MemoryTarget):
        def settled(self, *, token: int) -> None:
            raise TargetUnavailable("the host does not answer.")

    said: list[str] = []
    target = Clinging(NAMES, OLD)
    mine = delivery(ledger, target)
    mine.log = said.append
    mine.deploy(NEW, phase="phase_100")
    mine.promote("good")
    mine.settle()
    assert "What was kept for the way back is still there: the host does not answer." in said
    delivery(ledger, target, "run-2").acquire()
