"""Deliveries that keep the release before beside the new one: blue/green, weights apart from replicas, bake."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.handover import Handover, restore_unrecorded
from airflow_cd.delivery.sides import SidesNow
from airflow_cd.errors import DeploymentFailed
from airflow_cd.instances import Track
from airflow_cd.ledger import Ledger
from tests.delivery.on_replicas import NEW, OLD, delivery
from tests.replica_target import ReplicaMemory


@pytest.fixture
def ledger(new_ledger: Ledger) -> Ledger:
    return new_ledger


@pytest.fixture
def target() -> ReplicaMemory:
    return ReplicaMemory(OLD, 4)


def green(mine: Delivery) -> None:
    mine.deploy(NEW, phase="green", share=100, traffic=0)


def switch(mine: Delivery) -> None:
    mine.deploy(NEW, phase="switch", share=100, traffic=100)


def test_the_new_side_is_as_large_as_the_old_one_and_has_no_requests(ledger: Ledger, target: ReplicaMemory) -> None:
    served: list[set[str | None]] = []
    target.before_call = lambda kind: served.append(target.served_by())
    green(delivery(ledger, target))
    assert len(target.replicas[Track.CANARY]) == len(target.replicas[Track.STABLE]) == 4
    assert [*served, target.served_by()] == [{OLD.artifact}] * (len(served) + 1)


def test_a_drained_side_that_is_verified_again_gets_its_copies_of_requests_back(
    ledger: Ledger, target: ReplicaMemory
) -> None:
    target.mirror = 100
    mine = delivery(ledger, target)
    green(mine)
    deployment = mine.require_deployment()
    assert not mine.drained(deployment)
    assert mine.drain(mine.lease(), deployment, mine.touched(deployment))
    assert mine.drained(deployment), "there is nothing to verify it by"
    calls: list[str] = []
    target.before_call = calls.append
    mine.restore_traffic(deployment, mine.overrule())
    assert calls == ["deploy"], "the share without requests is asked for, and copies come with it"
    assert target.served_by() == {OLD.artifact}
    assert not mine.drained(deployment)


def test_all_requests_go_over_in_one_step_and_the_old_side_stays_as_it_was(
    ledger: Ledger, target: ReplicaMemory
) -> None:
    before = {one.name for one in target.instances()}
    mine = delivery(ledger, target)
    green(mine)
    calls: list[str] = []
    target.before_call = calls.append
    switch(mine)
    assert target.served_by() == {NEW.artifact}
    assert {one.name for one in target.replicas[Track.STABLE]} == before
    assert calls[-1] == "restore", "the requests move when everything else is done"


def test_going_back_from_the_new_side_is_a_switch(ledger: Ledger, target: ReplicaMemory) -> None:
    before = target.instances()
    mine = delivery(ledger, target)
    green(mine)
    switch(mine)
    calls: list[tuple[str, set[str | None]]] = []
    target.before_call = lambda kind: calls.append((kind, target.served_by()))
    mine.roll_back("a person said so")
    assert calls[0] == ("drain", {NEW.artifact})
    assert {artifact for _, served in calls[1:] for artifact in served} == {OLD.artifact}
    assert target.instances() == before


def test_the_old_side_gets_the_release_last_and_without_requests(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    green(mine)
    switch(mine)
    mine.deploy(NEW, phase="bake", share=100, traffic=100)
    served: list[set[str | None]] = []
    target.before_call = lambda kind: served.append(target.served_by())
    mine.deploy(NEW, phase="finish", share=100)
    mine.promote("verified")
    assert {artifact for one in served for artifact in one} == {NEW.artifact}
    assert target.replicas[Track.CANARY] == []
    assert target.served_by() == {NEW.artifact}
    assert len(target.instances()) == 4


def test_a_release_is_not_promoted_while_what_ran_before_is_kept(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    green(mine)
    switch(mine)
    with pytest.raises(DeploymentFailed, match=r"runs shop:1\.1, wanted shop:1\.2"):
        mine.promote("verified")


def test_what_fails_while_the_old_side_changes_goes_back_to_it_first(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    green(mine)
    switch(mine)
    target.broken.add(NEW.artifact)
    with pytest.raises(DeploymentFailed):
        mine.deploy(NEW, phase="finish", share=100)
    target.shares.clear()
    mine.settle()
    assert [what for what, _ in target.shares] == ["stable 1.1", "canary nothing"]
    assert target.served_by() == {OLD.artifact}


def test_a_canary_may_have_fewer_requests_than_replicas(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_50", share=50, traffic=5)
    assert target.traffic == 5
    assert len(target.replicas[Track.CANARY]) == 4
    assert {one.name for one in target.instances() if one.drained} == set()
    mine.roll_back("a person said so")
    assert target.served_by() == {OLD.artifact}


def test_a_run_killed_after_the_switch_leaves_nothing_half(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    green(mine)
    switch(mine)
    mine.settle()
    assert target.replicas[Track.CANARY] == []
    assert target.served_by() == {OLD.artifact}


def test_the_switch_goes_back_without_the_ledger(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    handed: list[Handover] = []
    mine.deploy(NEW, phase="green", share=100, traffic=0)
    mine.deploy(NEW, phase="switch", share=100, traffic=100, hand_over=handed.append)
    restore_unrecorded(
        target, handed[-1], environment="production", timeout=timedelta(seconds=0.3), log=lambda line: None
    )
    assert target.served_by() == {OLD.artifact}
    assert target.replicas[Track.CANARY] == []


def test_a_side_without_requests_is_neither_lost_nor_given_any(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    green(mine)
    deployment = mine.require_deployment()
    assert not mine.drained(deployment), "that is how it should be, and no canary that somebody has taken out"
    mine.restore_traffic(deployment, mine.overrule())
    assert target.served_by() == {OLD.artifact}
    switch(mine)
    mine.drain(mine.lease(), deployment, mine.touched(deployment))
    assert mine.drained(deployment)
    assert target.served_by() == {OLD.artifact}
    mine.restore_traffic(deployment, mine.overrule())
    assert target.served_by() == {NEW.artifact}


def test_what_is_kept_without_requests_is_no_control(ledger: Ledger, target: ReplicaMemory) -> None:
    mine = delivery(ledger, target)
    green(mine)
    deployment, stable = mine.require_deployment(), sorted(one.name for one in target.replicas[Track.STABLE])
    phases = ledger.phases.of(deployment.id)
    assert SidesNow(mine, deployment, phases[-1]).at_first()[1] == stable
    switch(mine)
    canary, control = SidesNow(mine, deployment, ledger.phases.of(deployment.id)[-1]).at_first()
    assert canary == sorted(one.name for one in target.replicas[Track.CANARY])
    assert control == []
