"""Delivery to an environment whose platform makes replicas: by shares, with no name remembered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.delivery import recorded_target
from airflow_cd.delivery.division import ByInstance, ByTrack, division_of
from airflow_cd.delivery.handover import Handover, restore_unrecorded
from airflow_cd.delivery.learned import with_replaced
from airflow_cd.delivery.sides import SidesNow
from airflow_cd.delivery.what_runs import stayed
from airflow_cd.errors import (
    DeploymentFailed,
    DeploymentSettled,
    LedgerUnavailable,
    ReleaseError,
    ReleaseVetoed,
    RollbackIncomplete,
)
from airflow_cd.instances import STARTING, Instance, Track
from airflow_cd.ledger import Ledger
from airflow_cd.states import DeploymentState
from airflow_cd.verification.logs.baselines import Baseline
from airflow_cd.verification.logs.profile import LogProfile
from tests.delivery.on_replicas import NEW, OLD, delivery
from tests.memory_target import MemoryTarget
from tests.replica_target import ReplicaMemory


@pytest.fixture
def ledger(new_ledger: Ledger) -> Ledger:
    return new_ledger


@pytest.fixture
def target() -> ReplicaMemory:
    return ReplicaMemory(OLD)


def test_who_looks_on_sees_replicas_come_while_a_deploy_waits_for_them(ledger: Ledger, target: ReplicaMemory) -> None:
    target.made, seen, read = False, set(), target.instances

    def looked_on() -> list[Instance]:
        seen.update((one.instance.track, one.instance.health) for one in ledger.instances.running("shop", "production"))
        return read()

    target.instances = looked_on  # type: ignore[method-assign]
    with pytest.raises(DeploymentFailed):
        delivery(ledger, target).deploy(NEW, phase="phase_20", share=20)
    assert (Track.CANARY, "starting") in seen


def test_who_looks_on_sees_who_has_replaced_whom_while_a_canary_is_watched(
    ledger: Ledger, target: ReplicaMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_target, "SHOWN_EVERY", 0.0)
    mine = delivery(ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    sides = SidesNow(mine, mine.require_deployment(), phase)
    target.reschedule(Track.CANARY)
    sides.now()
    recorded = [one.instance for one in ledger.instances.running("shop", "production")]
    assert recorded == target.instances()


def test_a_ledger_that_is_away_holds_nobody_up_who_waits_for_replicas(
    ledger: Ledger, target: ReplicaMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = delivery(ledger, target)
    tried = []

    def away(*arguments: object, **named: object) -> None:
        tried.append(arguments)
        raise LedgerUnavailable("the database is locked.")

    monkeypatch.setattr(type(ledger.instances), "record", away)
    for _ in range(3):
        mine.show(target.instances())
    assert len(tried) == 1


def test_a_canary_stands_beside_the_stable_replicas_until_they_have_the_release(
    ledger: Ledger, target: ReplicaMemory
) -> None:
    before = {one.name for one in target.instances()}
    mine = delivery(ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    assert {one.name for one in target.replicas[Track.STABLE]} == before
    assert set(phase.instances) == {one.name for one in target.replicas[Track.CANARY]}
    assert len(phase.instances) == 2
    mine.deploy(NEW, phase="phase_100", share=100)
    mine.promote("verified")
    assert {one.artifact for one in target.instances()} == {NEW.artifact}
    assert target.replicas[Track.CANARY] == []
    assert target.shares == [("canary 1.2", 20), ("stable 1.2", 100), ("canary nothing", 100)]


def test_a_canary_that_no_drain_keeps_from_its_work_is_not_said_to_be_out(
    ledger: Ledger, target: ReplicaMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, log = delivery(ledger, target), list[str]()
    monkeypatch.setattr(mine, "log", log.append)
    given: list[Handover] = []
    mine.deploy(NEW, phase="phase_20", share=20, hand_over=given.append)
    monkeypatch.setattr(target, "drain", lambda tracks, *, key, token: None)  # workers that nobody sends anything
    assert not mine.drain(mine.lease(), mine.require_deployment(), [Track.CANARY])
    assert mine.require_deployment().safe_at is None
    assert log[-1] == "Requests still reach canary, which no drain keeps them from: the rollback does."
    done = restore_unrecorded(
        target, given[-1], environment="production", timeout=timedelta(seconds=1), log=lambda line: None
    )
    assert done.safe_at == done.restored_at


def test_a_canary_that_does_not_run_yet_is_out_once_it_was_drained(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    target.replicas[Track.CANARY] = [
        replace(one, health=STARTING, started=None, drained=False) for one in target.replicas[Track.CANARY]
    ]
    assert mine.drain(mine.lease(), mine.require_deployment(), [Track.CANARY])
    assert mine.require_deployment().safe_at is not None


def test_a_rollback_of_a_canary_drains_it_and_leaves_the_stable_replicas_alone(
    ledger: Ledger, target: ReplicaMemory
) -> None:
    before = target.instances()
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    served: list[set[str | None]] = []
    target.before_call = lambda kind: served.append(target.served_by())
    restored = mine.roll_back("a person said so")
    assert served == [{OLD.artifact, NEW.artifact}, {OLD.artifact}], "drained before anything is taken away"
    assert target.instances() == before
    assert restored is not None
    assert restored.release == OLD
    mine.release_lease()
    with pytest.raises(ReleaseVetoed):
        delivery(ledger, target, "run-2").deploy(NEW, phase="phase_20", share=20)


def test_a_rollback_after_the_last_phase_restores_the_stable_replicas_before_the_canary_goes(
    ledger: Ledger, target: ReplicaMemory
) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    mine.deploy(NEW, phase="phase_100", share=100)
    target.shares.clear()
    mine.roll_back("a person said so")
    assert {one.artifact for one in target.instances()} == {OLD.artifact}
    assert [what for what, _ in target.shares] == ["stable 1.1", "canary nothing"]


def test_replicas_that_were_replaced_meanwhile_are_rolled_back_all_the_same(
    ledger: Ledger, target: ReplicaMemory
) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    target.reschedule(Track.CANARY)
    target.reschedule(Track.STABLE)
    mine.roll_back("a person said so")
    assert target.served_by() == {OLD.artifact}
    assert target.replicas[Track.CANARY] == []


def test_a_canary_that_does_not_start_is_the_releases_fault(ledger: Ledger, target: ReplicaMemory) -> None:
    target.broken.add(NEW.artifact)
    mine = delivery(ledger, target)
    with pytest.raises(DeploymentFailed, match="web ended with exit code 1") as failed:
        mine.deploy(NEW, phase="phase_20", share=20)
    assert failed.value.unhealthy
    deployment = mine.settle()
    assert deployment is not None
    assert deployment.state == DeploymentState.ROLLED_BACK
    assert target.served_by() == {OLD.artifact}
    with pytest.raises(ReleaseVetoed):
        delivery(ledger, target, "run-2").deploy(NEW, phase="phase_20", share=20)


def test_replicas_that_are_not_made_are_waited_for_and_named(ledger: Ledger, target: ReplicaMemory) -> None:
    target.made = False
    with pytest.raises(DeploymentFailed, match="exceeded quota"):
        delivery(ledger, target).deploy(NEW, phase="phase_20", share=20)


def test_a_rollback_that_cannot_reach_the_platform_is_finished_later(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    target.away = True
    with pytest.raises(RollbackIncomplete):
        mine.roll_back("a person said so")
    target.away = False
    mine.roll_back("a person said so")
    assert target.served_by() == {OLD.artifact}


def test_a_rollback_needs_no_ledger(ledger: Ledger, target: ReplicaMemory) -> None:
    handed: list[Handover] = []
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20, hand_over=handed.append)
    target.reschedule(Track.CANARY)
    handover = Handover.from_dict(handed[-1].as_dict())
    restore_unrecorded(target, handover, environment="production", timeout=timedelta(seconds=1), log=lambda line: None)
    assert {one.artifact for one in target.instances()} == {OLD.artifact}


def test_who_is_the_canary_is_read_from_what_runs(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    sides = SidesNow(mine, mine.require_deployment(), phase)
    target.reschedule(Track.CANARY)
    now = sides.now()
    assert now is not None
    assert set(now.canary) == {one.name for one in target.replicas[Track.CANARY]}
    assert set(now.control) == {one.name for one in target.replicas[Track.STABLE]}
    target.away = True
    assert sides.now() is None


def test_a_canary_keeps_its_share_while_the_stable_replicas_become_more(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    sides = SidesNow(mine, mine.require_deployment(), phase)
    sides.now()
    assert len(target.replicas[Track.CANARY]) == 2
    target.scale(16)
    sides.now()
    assert len(target.replicas[Track.CANARY]) == 4


def test_a_canary_that_somebody_scales_gets_its_share_again(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    sides = SidesNow(mine, mine.require_deployment(), phase)
    sides.now()
    asked = len(target.shares)
    target.replicas[Track.CANARY].pop()
    for _ in range(3):
        sides.now()
        assert len(target.replicas[Track.CANARY]) == 2
    assert len(target.shares) == asked + 1, "once it has its share nothing is asked for"


def test_replicas_that_are_being_made_are_nobodys_scaling(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    sides = SidesNow(mine, mine.require_deployment(), phase)
    sides.now()
    asked = len(target.shares)
    first, second = target.replicas[Track.CANARY]
    target.replicas[Track.CANARY] = [first, replace(second, name="web-900", health=STARTING), second]
    sides.now()
    assert len(target.shares) == asked


def test_what_replaced_replicas_have_logged_is_known_when_they_are_gone(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    deployment, none = mine.require_deployment(), Baseline()
    assert with_replaced(mine, deployment, "logs", none) == none
    frame = pd.DataFrame([(pd.Timestamp.now("UTC"), "web-001", "INFO order 5 placed")])
    frame.columns = pd.Index(["time", "instance", "message"])
    logged = LogProfile.of(frame, watched=60)
    token = mine.lease().token
    ledger.profiles.save(
        deployment.id, "phase_20", "logs", kind="control", content=logged.to_bytes(), teaches=False, token=token
    )
    (learned,) = with_replaced(mine, deployment, "logs", none).learned
    assert learned.profile.records == 1
    assert with_replaced(mine, deployment, "other", none) == none
    unusable = Baseline(unusable="the pinned deployment is gone")
    assert with_replaced(mine, deployment, "logs", unusable) == unusable


def test_an_old_run_notices_that_its_release_was_replaced(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="all", share=100)
    deployment = mine.promote("verified")
    assert stayed(mine, deployment, cleared=False) is None
    target.replicas[Track.STABLE] = ReplicaMemory(OLD).replicas[Track.STABLE]
    wrong = stayed(mine, deployment, cleared=False)
    assert wrong is not None
    assert "does not run here any more" in wrong.what


def test_a_promoted_release_is_not_rolled_back(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="all", share=100)
    mine.promote("verified")
    with pytest.raises(DeploymentSettled):
        mine.roll_back("too late")


def test_an_instance_may_be_called_what_a_track_is_called(ledger: Ledger) -> None:
    target = MemoryTarget(["canary", "stable"], OLD)
    mine = delivery(ledger, target)  # type: ignore[arg-type]
    mine.deploy(NEW, phase="phase_50", share=50)
    assert target.running() == {"canary": NEW.artifact, "stable": OLD.artifact}
    mine.roll_back("a person said so")
    assert target.running() == {"canary": OLD.artifact, "stable": OLD.artifact}


def test_what_an_instance_ran_before_must_be_known() -> None:
    with pytest.raises(ReleaseError, match="shop-09"):
        ByInstance().back({"shop-01": OLD}, ["shop-09"])


@given(share=st.integers(1, 100), count=st.integers(1, 20))
def test_going_back_undoes_whatever_a_phase_has_asked_for(share: int, count: int) -> None:
    previous = {f"web-{number}": OLD for number in range(count)}
    for division in (ByInstance(), ByTrack()):
        if isinstance(division, ByInstance) and share * count < 50:
            continue
        chosen = division.chosen(previous, share, ())
        units = {unit for step in division.forward(NEW, chosen, share) for unit in step}
        assert units <= {unit for step in division.back(previous, chosen) for unit in step}


def test_the_shape_of_a_target_is_known_from_itself(target: ReplicaMemory) -> None:
    assert isinstance(division_of(target), ByTrack)
    assert isinstance(division_of(MemoryTarget(["a"], OLD)), ByInstance)
