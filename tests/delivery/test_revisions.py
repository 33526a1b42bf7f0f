"""Delivery to a platform of revisions: a share is a weight, and going back is a switch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_cd.delivery.handover import Handover, restore_unrecorded
from airflow_cd.delivery.sides import SidesNow
from airflow_cd.delivery.what_runs import stayed
from airflow_cd.errors import (
    DeploymentFailed,
    ReleaseVetoed,
    RollbackIncomplete,
    TargetConflict,
    TargetRejected,
    TargetUnavailable,
)
from airflow_cd.instances import UNHEALTHY, Track
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from airflow_cd.states import DeploymentState
from tests.delivery.on_replicas import NEW, OLD, delivery
from tests.revision_target import RevisionMemory


@pytest.fixture
def ledger(new_ledger: Ledger) -> Ledger:
    return new_ledger


@pytest.fixture
def target() -> RevisionMemory:
    return RevisionMemory(OLD)


def test_a_release_gets_its_share_step_by_step_and_then_everything(ledger: Ledger, target: RevisionMemory) -> None:
    mine = delivery(ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    assert list(phase.instances) == ["r2"]
    assert target.weights == {"r1": 80, "r2": 20}
    mine.deploy(NEW, phase="phase_50", share=50)
    assert target.weights == {"r1": 50, "r2": 50}
    mine.deploy(NEW, phase="phase_100", share=100)
    mine.promote("verified")
    assert target.weights == {"r2": 100}
    assert [(one.name, one.track) for one in target.instances()] == [("r2", Track.STABLE)]
    assert len(target.revisions) == 2


def test_a_revision_that_comes_up_slowly_gets_no_request_before(ledger: Ledger, target: RevisionMemory) -> None:
    target.ready = False
    looks = []

    def read() -> list[object]:
        looks.append(dict(target.weights))
        if len(looks) == 4:
            target.finish()
        return instances()

    instances, target.instances = target.instances, read  # type: ignore[method-assign, assignment]
    delivery(ledger, target).deploy(NEW, phase="all", share=100)
    assert len(looks) > 4
    assert all(one == {"r1": 100} for one in looks[:4])
    assert target.weights == {"r2": 100}


def test_what_serves_until_then_is_listed_and_what_fails_is_the_releases_fault(
    ledger: Ledger, target: RevisionMemory
) -> None:
    target.broken.add(NEW.artifact)
    mine = delivery(ledger, target)
    with pytest.raises(DeploymentFailed, match="the handler cannot be imported") as failed:
        mine.deploy(NEW, phase="all", share=100)
    assert failed.value.unhealthy == ("r2",)
    listed = {one.name: (one.track, one.drained) for one in target.instances()}
    assert listed == {"r1": (None, False), "r2": (Track.STABLE, True)}
    mine.settle()
    assert set(map(frozenset, target.served)) == {frozenset({"r1"})}, "nobody was ever sent to what does not come up"
    assert [(one.name, one.track, one.drained) for one in target.instances()] == [("r1", Track.STABLE, False)]
    with pytest.raises(ReleaseVetoed):
        delivery(ledger, target, "run-2").deploy(NEW, phase="phase_20", share=20)


def test_a_rollback_is_one_switch_and_makes_nothing(ledger: Ledger, target: RevisionMemory) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    target.served.clear()
    restored = mine.roll_back("a person said so")
    assert target.served == [{"r1": 100}] * 2, "drained, and then gone"
    assert restored is not None
    assert restored.release == OLD
    assert [one.name for one in target.instances()] == ["r1"]
    assert len(target.revisions) == 2


def test_a_rollback_after_the_last_phase_gives_everything_to_what_ran_before(
    ledger: Ledger, target: RevisionMemory
) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    mine.deploy(NEW, phase="phase_100", share=100)
    mine.roll_back("a person said so")
    assert target.weights == {"r1": 100}
    assert len(target.revisions) == 2


def test_what_ran_before_is_made_again_where_somebody_has_removed_it(ledger: Ledger, target: RevisionMemory) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_100", share=100)
    del target.revisions["r1"]
    target.revisions["r0"] = target.revisions["r2"]
    mine.roll_back("a person said so")
    assert target.served_by() == {OLD.artifact}


def test_what_serves_is_not_waited_for_when_it_is_gone_back_to(ledger: Ledger, target: RevisionMemory) -> None:
    target.revisions["r1"] = replace(target.revisions["r1"], health=UNHEALTHY)
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    target.deploy(OLD, [Track.STABLE], share=100, key="back", token=mine.lease().token)
    target.restore([Track.STABLE, Track.CANARY], key="traffic", token=mine.lease().token)
    target.deploy(None, [Track.CANARY], share=100, key="gone", token=mine.lease().token)
    assert target.weights == {"r1": 100}
    assert [(one.name, one.track) for one in target.instances()] == [("r1", Track.STABLE)]


def test_a_canary_that_does_not_come_up_serves_nobody_however_it_is_promoted(
    ledger: Ledger, target: RevisionMemory
) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    target.revisions["r2"] = replace(target.revisions["r2"], health=UNHEALTHY)
    with pytest.raises(DeploymentFailed):
        mine.deploy(NEW, phase="phase_100", share=100)
    assert target.weights == {"r1": 80, "r2": 20}


def test_a_repeated_deployment_makes_no_other_revision(ledger: Ledger, target: RevisionMemory) -> None:
    mine = delivery(ledger, target)
    for share in (20, 20, 100, 100):
        mine.deploy(NEW, phase=f"phase_{share}", share=share)
    assert len(target.revisions) == 2
    assert target.weights == {"r2": 100}


class Killed(BaseException):
    """The process dies."""


def killed_at(target: RevisionMemory, number: int, *, after: bool) -> None:
    """Have the process die at the so-many-th call that changes something, before it or after it was done."""
    left = [number]

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and not after:
                raise Killed
            answer = method(*given, **named)
            if left[0] == 0:
                raise Killed
            return answer

        return call

    target.serve = dying(RevisionMemory.serve.__get__(target))  # type: ignore[method-assign]
    target.publish = dying(RevisionMemory.publish.__get__(target))  # type: ignore[method-assign]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 8))
def test_a_process_killed_at_any_call_leaves_nothing_half(
    ledger: Ledger, target: RevisionMemory, number: int, after: bool
) -> None:
    """Forward through two phases and back again, dying once on the way; the end of the run finds what is left."""
    mine = delivery(ledger, target)
    killed_at(target, number, after=after)
    try:
        mine.deploy(NEW, phase="phase_20", share=20)
        mine.deploy(NEW, phase="phase_100", share=100)
        mine.roll_back("a person said so")
    except Killed:
        pass
    mine.settle()
    assert target.weights == {"r1": 100}
    assert [(one.name, one.track, one.drained) for one in target.instances()] == [("r1", Track.STABLE, False)]
    assert len(target.revisions) <= 2, "what was published before it died is taken again"
    again = delivery(ledger, target, "run-2")
    again.deploy(Release("shop", "1.3", "shop:1.3"), phase="all", share=100)
    again.promote("verified")
    assert target.served_by() == {"shop:1.3"}


def test_blue_green_verifies_without_requests_switches_and_switches_back(
    ledger: Ledger, target: RevisionMemory
) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="green", share=100, traffic=0)
    assert target.weights == {"r1": 100}
    mine.deploy(NEW, phase="switch", share=100, traffic=100)
    assert target.weights == {"r2": 100}
    deployment = mine.require_deployment()
    sides = SidesNow(mine, deployment, ledger.phases.of(deployment.id)[-1])
    assert sides.at_first() == (["r2"], []), "what is kept without requests is no control"
    mine.drain(mine.lease(), deployment, mine.touched(deployment))
    assert target.weights == {"r1": 100}
    mine.restore_traffic(deployment, mine.overrule())
    mine.deploy(NEW, phase="finish", share=100)
    mine.promote("verified")
    assert [(one.name, one.weight) for one in target.instances()] == [("r2", 100)]


def test_a_canary_that_somebody_takes_out_ends_its_verification(ledger: Ledger, target: RevisionMemory) -> None:
    mine = delivery(ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    sides = SidesNow(mine, mine.require_deployment(), phase)
    assert sides.now() is not None
    target.meddle({"r1": 100})
    with pytest.raises(TargetRejected, match="somebody else has changed the weights: 100 % at r1, and what was set"):
        sides.now()
    deployment = mine.settle()
    assert deployment is not None
    assert deployment.state == DeploymentState.ROLLED_BACK
    assert [one.name for one in target.instances()] == ["r1"]
    delivery(ledger, target, "run-2").deploy(NEW, phase="phase_20", share=20)


def test_a_weight_that_was_changed_while_the_platform_was_away_is_not_forgotten(
    ledger: Ledger, target: RevisionMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = delivery(ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    sides = SidesNow(mine, mine.require_deployment(), phase)
    sides.now()
    target.meddle({"r1": 40, "r2": 60})

    def away(*given: object, **named: object) -> None:
        raise TargetUnavailable("the platform does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(target, "deploy", away)
        assert sides.now() is not None
    with pytest.raises(TargetRejected, match="somebody else has changed the weights: 60 % at r2"):
        sides.now()


def test_a_canary_is_not_promoted_over_somebodys_head(ledger: Ledger, target: RevisionMemory) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    other = target.publish(Release("shop", "1.3", "shop:1.3"))
    target.meddle({other: 100})
    with pytest.raises(TargetRejected, match="somebody else has changed the weights"):
        mine.deploy(NEW, phase="phase_50", share=50)
    mine.settle()
    assert target.weights == {other: 100}, "what somebody has put there instead stays"


@pytest.mark.parametrize("share", [20, 100])
def test_a_rollback_does_not_end_while_nobody_knows_which_revision_the_canary_is(
    ledger: Ledger, target: RevisionMemory, share: int
) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase", share=share, traffic=share if share == 100 else None)
    target.describe("what the shop calls")
    with pytest.raises(RollbackIncomplete) as incomplete:
        mine.roll_back("a person said so")
    if share == 20:
        assert "the requests go to several revisions, 80 % at r1, 20 % at r2" in incomplete.value.what
        assert "Give all requests to the revision that is to serve. Then clear" in str(incomplete.value)
    else:
        assert "r2 still gets 100 % of the requests and runs shop 1.2" in incomplete.value.what
    assert mine.require_deployment().state != DeploymentState.ROLLED_BACK
    target.meddle({"r1": 100})
    mine.roll_back("a person said so")
    assert mine.require_deployment().state == DeploymentState.ROLLED_BACK
    assert target.weights == {"r1": 100}


def test_nothing_is_changed_while_nobody_knows_which_revision_the_canary_is(
    ledger: Ledger, target: RevisionMemory
) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    target.describe("what the shop calls")
    target.served.clear()
    last = mine.lease().token
    late: dict[str, Any] = {"key": "late", "token": last - 1}
    actions: list[Callable[[], None]] = [
        lambda: target.deploy(NEW, [Track.CANARY], share=50, **late),
        lambda: target.deploy(OLD, [Track.STABLE], share=100, **late),
        lambda: target.deploy(None, [Track.CANARY], share=100, **late),
        lambda: target.drain([Track.CANARY], **late),
        lambda: target.restore([Track.CANARY], **late),
    ]
    for action in actions:
        with pytest.raises(TargetRejected, match=r"who acted last: .* 80 % at r1, 20 % at r2"):
            action()
    assert target.served == []
    assert {one.name: one.track for one in target.instances()} == {"r1": None, "r2": None}
    assert all("which revision is the canary" in one.message for one in target.instances())


@pytest.mark.parametrize("weights", [{"r1": 80, "r2": 20}, {"r1": 100}, {"r2": 100}], ids=str)
def test_a_canary_that_nobody_knows_any_more_ends_its_verification(
    ledger: Ledger, target: RevisionMemory, weights: dict[str, float]
) -> None:
    mine = delivery(ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    sides = SidesNow(mine, mine.require_deployment(), phase)
    assert sides.now() is not None
    target.meddle(weights)
    target.describe("what the shop calls")
    with pytest.raises(TargetRejected, match="r2 is the canary no more"):
        sides.now()
    assert len(target.revisions) == 2


def test_without_the_ledger_a_rollback_does_not_end_either(ledger: Ledger, target: RevisionMemory) -> None:
    handed: list[Handover] = []
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="switch", share=100, traffic=100, hand_over=handed.append)
    target.describe("what the shop calls")
    with pytest.raises(RollbackIncomplete, match=r"r2 still gets 100 % of the requests and runs shop 1\.2"):
        restore_unrecorded(target, handed[-1], environment="production", timeout=mine.timeout, log=lambda line: None)


def test_whoever_was_overruled_cannot_give_the_canary_anything(ledger: Ledger, target: RevisionMemory) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    late = mine.lease().token
    mine.roll_back("a person said so")
    with pytest.raises(TargetConflict, match="a newer owner"):
        target.deploy(NEW, [Track.CANARY], share=50, key="late", token=late)
    assert target.weights == {"r1": 100}


def test_two_writers_do_not_lose_each_others_writes(ledger: Ledger, target: RevisionMemory) -> None:
    def somebody() -> None:
        target.before_serve = lambda: None
        target.meddle({"r1": 100})

    target.before_serve = somebody
    delivery(ledger, target).deploy(NEW, phase="phase_20", share=20)
    assert target.weights == {"r1": 80, "r2": 20}


def test_a_rollback_that_cannot_reach_the_platform_is_finished_later(ledger: Ledger, target: RevisionMemory) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    target.away = True
    with pytest.raises(RollbackIncomplete):
        mine.roll_back("a person said so")
    target.away = False
    mine.roll_back("a person said so")
    assert target.weights == {"r1": 100}


def test_a_rollback_needs_no_ledger(ledger: Ledger, target: RevisionMemory) -> None:
    handed: list[Handover] = []
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    mine.deploy(NEW, phase="phase_100", share=100, hand_over=handed.append)
    handover = Handover.from_dict(handed[-1].as_dict())
    restore_unrecorded(target, handover, environment="production", timeout=mine.timeout, log=lambda line: None)
    assert target.weights == {"r1": 100}


def test_an_old_run_notices_that_its_release_was_replaced(ledger: Ledger, target: RevisionMemory) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="all", share=100)
    deployment = mine.promote("verified")
    assert stayed(mine, deployment, cleared=False) is None
    target.meddle({"r1": 100})
    wrong = stayed(mine, deployment, cleared=False)
    assert wrong is not None
    assert "does not run here any more" in wrong.what
