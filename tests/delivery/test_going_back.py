"""A rollback goes from what ran when it was asked for, however late it begins."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.going_back import await_other, finish, go_back, stop
from airflow_cd.errors import DeploymentSettled, LeaseHeld, LeaseLost, LedgerRefused, RollbackIncomplete
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from airflow_cd.states import RollbackCause
from tests.memory_target import MemoryTarget, wholly_on

FIRST = Release("basket", "7", "basket:7", {"limit": 3})
OLD = Release("basket", "8", "basket:8", {"limit": 5})
NEW = Release("basket", "9", "basket:9", {"limit": 7})
NEWER = Release("basket", "10", "basket:10", {"limit": 8})
NAMES = [f"basket-{number}" for number in range(4)]
PLACE = ("basket", "live")


@pytest.fixture
def ledger(new_ledger: Ledger) -> Ledger:
    return new_ledger


@pytest.fixture
def target(ledger: Ledger) -> MemoryTarget:
    """Live got 7 and 8, one after the other."""
    target = MemoryTarget(NAMES, FIRST)
    for release in (FIRST, OLD):
        promoted(ledger, target, release)
    return target


def run(
    ledger: Ledger, target: MemoryTarget, run_id: str, *, pipeline: str = "basket", requested: datetime | None = None
) -> Delivery:
    return Delivery(
        ledger,
        target,
        pipeline=pipeline,
        run_id=run_id,
        service="basket",
        environment="live",
        log=lambda line: None,
        requested_at=requested,
        timeout=timedelta(seconds=1),
    )


def back(ledger: Ledger, target: MemoryTarget, run_id: str = "back") -> Delivery:
    return run(ledger, target, run_id, pipeline="basket-rollback", requested=datetime.now(timezone.utc))


def promoted(ledger: Ledger, target: MemoryTarget, release: Release) -> None:
    one = run(ledger, target, f"of {release.version}")
    one.deploy(release, phase="all")
    one.promote("verified")
    one.release_lease()


def canary(ledger: Ledger, target: MemoryTarget, release: Release = NEW) -> Delivery:
    one = run(ledger, target, f"canary {release.version}")
    one.acquire()
    one.deploy(release, phase="phase_25", share=25)
    return one


def vetoed(ledger: Ledger) -> set[str]:
    return {veto.version for veto in ledger.vetoes.of(*PLACE)}


def test_a_canary_that_was_under_way_is_stopped_and_nothing_else_is_taken_back(
    ledger: Ledger, target: MemoryTarget
) -> None:
    pipeline = canary(ledger, target)
    asked = back(ledger, target)
    stopped = go_back(asked, "", who="ada", why="the basket is empty")
    assert wholly_on(target, OLD)
    assert (stopped.release, stopped.state, stopped.outcome) == (
        NEW,
        "rolled_back",
        "ada rolled it back: the basket is empty",
    )
    assert vetoed(ledger) == {"9"}
    assert stopped.ended_by == ("basket-rollback", "back")
    assert stopped.to_restored is not None
    assert stopped.to_safe is not None
    last = ledger.deployments.last_promoted(*PLACE)
    assert last is not None
    assert last.release == OLD
    with pytest.raises(DeploymentSettled):
        pipeline.promote("late")


def test_it_is_out_of_the_traffic_and_cannot_be_promoted_as_soon_as_the_environment_is_taken(
    ledger: Ledger, target: MemoryTarget
) -> None:
    pipeline = canary(ledger, target)
    verifies = pipeline.lease()
    asked = back(ledger, target)
    stop(asked, asked.take(), who="ada", why="")
    assert [one.name for one in target.instances() if one.drained] == [NAMES[0]]
    with pytest.raises(LeaseLost):
        ledger.leases.check(verifies)
    with pytest.raises(DeploymentSettled, match="rolling back"):
        pipeline.promote("verified")
    # Its own rollback leaves it to the run that has taken it over.
    assert pipeline.roll_back("FAIL") is None
    assert not wholly_on(target, OLD)


def test_a_canary_that_is_promoted_before_the_rollback_comes_to_it_is_taken_back(
    ledger: Ledger, target: MemoryTarget
) -> None:
    pipeline = canary(ledger, target)
    asked = back(ledger, target)
    pipeline.deploy(NEW, phase="phase_100")
    pipeline.promote("verified")
    done = go_back(asked, "", who="ada", why="slow")
    assert wholly_on(target, OLD)
    assert done.release == OLD
    assert vetoed(ledger) == {"9"}


def test_a_canary_that_has_rolled_itself_back_by_then_costs_the_release_before_nothing(
    ledger: Ledger, target: MemoryTarget
) -> None:
    pipeline = canary(ledger, target)
    asked = back(ledger, target)
    pipeline.roll_back("FAIL: errors rose")
    pipeline.release_lease()
    calls = list(target.calls)
    gone = go_back(asked, "", who="ada", why="slow")
    assert (gone.release, gone.state) == (NEW, "rolled_back")
    assert target.calls == calls
    assert vetoed(ledger) == {"9"}
    assert finish(asked) == gone


@pytest.mark.parametrize("wanted", ["", "7"])
def test_what_was_promoted_after_it_was_asked_for_is_never_taken_back(
    ledger: Ledger, target: MemoryTarget, wanted: str
) -> None:
    asked = back(ledger, target)
    promoted(ledger, target, NEW)
    with pytest.raises(DeploymentSettled, match=r"basket 8 .* ran here when .* has deployed basket 9 .* since"):
        go_back(asked, wanted, who="ada", why="slow")
    assert wholly_on(target, NEW)
    assert vetoed(ledger) == set()
    assert finish(asked) is None


def test_what_began_after_it_was_asked_for_is_not_stopped(ledger: Ledger, target: MemoryTarget) -> None:
    asked = back(ledger, target)
    canary(ledger, target)
    with pytest.raises(LeaseHeld, match="canary 9"):
        asked.take()
    assert target.running()[NAMES[0]] == NEW.artifact


def test_a_verdict_that_is_known_already_stays_the_reason(ledger: Ledger, target: MemoryTarget) -> None:
    pipeline = canary(ledger, target)
    token, deployment = pipeline.lease().token, pipeline.require_deployment()
    ledger.settlement.blame(deployment.id, token=token, cause=RollbackCause.FAILED, outcome="FAIL: errors rose")
    stopped = go_back(back(ledger, target), "", who="ada", why="slow")
    assert (stopped.cause, stopped.outcome) == (RollbackCause.FAILED, "FAIL: errors rose")
    assert wholly_on(target, OLD)


def test_an_owner_that_has_deployed_nothing_yet_gives_way(ledger: Ledger, target: MemoryTarget) -> None:
    waiting = run(ledger, target, "soon", requested=datetime.now(timezone.utc) - timedelta(minutes=1))
    waiting.acquire()
    go_back(back(ledger, target), "", who="ada", why="slow")
    assert wholly_on(target, FIRST)
    with pytest.raises(LeaseHeld):
        waiting.deploy(NEW, phase="all")


def test_an_owner_that_is_done_and_has_not_settled_yet_gives_way(ledger: Ledger, target: MemoryTarget) -> None:
    done = run(ledger, target, "of 9")
    done.deploy(NEW, phase="all")
    done.promote("verified")
    go_back(back(ledger, target), "", who="ada", why="slow")
    assert wholly_on(target, OLD)


def test_two_rollbacks_that_are_asked_for_together_take_back_one_release(ledger: Ledger, target: MemoryTarget) -> None:
    promoted(ledger, target, NEW)
    first, second = back(ledger, target, "first"), back(ledger, target, "second")
    first.take()
    with pytest.raises(LeaseHeld):
        second.take()
    go_back(first, "", who="ada", why="slow")
    first.release_lease()
    gone = go_back(second, "", who="bob", why="slow")
    assert wholly_on(target, OLD)
    assert gone.release == NEW
    assert vetoed(ledger) == {"9"}


def test_a_release_that_is_named_replaces_a_canary(ledger: Ledger, target: MemoryTarget) -> None:
    canary(ledger, target)
    done = go_back(back(ledger, target), "7", who="ada", why="both are slow")
    assert wholly_on(target, FIRST)
    assert done.release == FIRST
    assert vetoed(ledger) == {"9"}


def test_naming_the_release_before_a_canary_is_the_same_as_naming_none(ledger: Ledger, target: MemoryTarget) -> None:
    canary(ledger, target)
    stopped = go_back(back(ledger, target), "8", who="ada", why="slow")
    assert wholly_on(target, OLD)
    assert stopped.release == NEW
    assert vetoed(ledger) == {"9"}


def test_a_first_release_that_is_stopped_leaves_the_environment_empty(ledger: Ledger) -> None:
    target = MemoryTarget(NAMES)
    canary(ledger, target)
    go_back(back(ledger, target), "", who="ada", why="not yet")
    assert set(target.running().values()) == {None}


def test_what_nobody_saw_and_a_dead_run_left_half_is_restored_and_not_vetoed(
    ledger: Ledger, target: MemoryTarget
) -> None:
    asked = back(ledger, target)
    dead = canary(ledger, target)
    ledger.leases.release(dead.lease())
    with pytest.raises(DeploymentSettled, match="has deployed basket 9"):
        go_back(asked, "", who="ada", why="slow")
    assert wholly_on(target, OLD)
    assert vetoed(ledger) == set()


def test_a_rollback_that_its_run_did_not_finish_goes_on_to_where_it_was_going(
    ledger: Ledger, target: MemoryTarget
) -> None:
    promoted(ledger, target, NEW)
    target.broken.add(OLD.artifact)
    first = back(ledger, target, "first")
    with pytest.raises(RollbackIncomplete):
        go_back(first, "", who="ada", why="slow")
    ledger.leases.release(first.lease())
    target.broken.clear()
    go_back(back(ledger, target, "second"), "", who="bob", why="slow")
    assert wholly_on(target, OLD)
    assert vetoed(ledger) == {"9"}


def test_a_stop_that_could_not_finish_is_finished_at_the_end_of_the_run(ledger: Ledger, target: MemoryTarget) -> None:
    canary(ledger, target)
    asked = back(ledger, target)
    target.broken.add(OLD.artifact)
    with pytest.raises(RollbackIncomplete):
        go_back(asked, "", who="ada", why="slow")
    target.broken.clear()
    done = finish(asked)
    assert done is not None
    assert (done.state, done.outcome) == ("rolled_back", "ada rolled it back: slow")
    assert wholly_on(target, OLD)


def test_an_environment_nobody_has_deployed_to_has_nothing_to_go_back_to(ledger: Ledger) -> None:
    with pytest.raises(LedgerRefused, match="there is no release to go back to"):
        go_back(back(ledger, MemoryTarget(NAMES, OLD)), "", who="ada", why="slow")


def test_the_end_of_the_run_that_was_stopped_waits_for_whoever_restores_it(
    ledger: Ledger, target: MemoryTarget
) -> None:
    pipeline = canary(ledger, target)
    asked = back(ledger, target)
    stop(asked, asked.take(), who="ada", why="slow")
    waited: list[float] = []

    def restored_meanwhile(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            go_back(asked, "", who="ada", why="slow")

    pipeline.timeout = timedelta(minutes=1)
    after = await_other(pipeline, pipeline.require_deployment(), sleep=restored_meanwhile)
    assert after.state == "rolled_back"
    assert len(waited) == 2
    settled = pipeline.settle()
    assert settled is not None
    assert settled.outcome == "ada rolled it back: slow"


def test_a_run_whose_deployment_is_over_does_not_take_the_environment_again(
    ledger: Ledger, target: MemoryTarget
) -> None:
    pipeline = canary(ledger, target)
    pipeline.roll_back("FAIL")
    pipeline.release_lease()
    with pytest.raises(LeaseLost, match="has given the environment up"):
        pipeline.lease()
    assert ledger.leases.current(*PLACE) is None
