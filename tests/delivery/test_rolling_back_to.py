"""A person's rollback after a promotion."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_cd.delivery import Delivery
from airflow_cd.delivery.going_back import go_back
from airflow_cd.errors import (
    ArtifactNotFound,
    DeploymentSettled,
    LedgerRefused,
    ReleaseVetoed,
    RollbackIncomplete,
)
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from tests.memory_target import MemoryTarget, wholly_on

FIRST = Release("shop", "1.0", "shop:1.0", {"limit": 3})
OLD = Release("shop", "1.1", "shop:1.1", {"limit": 5})
NEW = Release("shop", "1.2", "shop:1.2", {"limit": 7})
NAMES = [f"shop-{number:02d}" for number in range(4)]
PLACE = ("shop", "production")


@pytest.fixture
def ledger(new_ledger: Ledger) -> Ledger:
    return new_ledger


@pytest.fixture
def target(ledger: Ledger) -> MemoryTarget:
    """An environment that got 1.0, 1.1 and 1.2, one after the other."""
    target = MemoryTarget(NAMES, FIRST)
    for release in (FIRST, OLD, NEW):
        run = at_work(ledger, target, release.version)
        run.deploy(release, phase="all")
        run.promote("verified")
        run.release_lease()
    return target


def at_work(
    ledger: Ledger, target: MemoryTarget, run_id: str, *, pipeline: str = "shop", requested: datetime | None = None
) -> Delivery:
    return Delivery(
        ledger,
        target,
        pipeline=pipeline,
        run_id=run_id,
        service="shop",
        environment="production",
        log=lambda line: None,
        requested_at=requested,
        timeout=timedelta(seconds=2),
    )


def going_back(ledger: Ledger, target: MemoryTarget, run_id: str = "back-1") -> Delivery:
    return at_work(ledger, target, run_id, pipeline="shop-rollback", requested=datetime.now(timezone.utc))


def test_artifact_and_configuration_go_back_and_the_ledger_says_who_and_why(
    ledger: Ledger, target: MemoryTarget
) -> None:
    done = going_back(ledger, target).roll_back_to(OLD, "checkout is slow", who="ada")
    assert wholly_on(target, OLD)
    assert (done.state, done.release) == ("promoted", OLD)
    taken = ledger.deployments.get(str(done.rolls_back))
    assert (taken.release, taken.state) == (NEW, "rolled_back")
    assert "ada" in taken.outcome
    assert "checkout is slow" in taken.outcome
    for clocked in (done, taken):
        assert clocked.to_restored is not None
        assert 0 <= clocked.to_restored < 5
        assert clocked.to_safe is not None


def test_the_release_that_was_taken_back_is_vetoed_and_no_good_one_any_more(
    ledger: Ledger, target: MemoryTarget
) -> None:
    assert [one.release for one in ledger.deployments.good_releases(*PLACE)] == [NEW, OLD, FIRST]
    run = going_back(ledger, target)
    run.roll_back_to(OLD, "slow", who="ada")
    run.release_lease()
    assert [one.release for one in ledger.deployments.good_releases(*PLACE)] == [OLD, FIRST]
    with pytest.raises(ReleaseVetoed, match="slow"):
        at_work(ledger, target, "1.2 again").deploy(NEW, phase="all")
    assert wholly_on(target, OLD)


def test_it_may_go_back_further_than_the_last_release(ledger: Ledger, target: MemoryTarget) -> None:
    going_back(ledger, target).roll_back_to(FIRST, "the schema of 1.0", who="ada")
    assert wholly_on(target, FIRST)
    vetoed = [veto.version for veto in ledger.vetoes.of(*PLACE)]
    assert vetoed == ["1.2"]
    last = ledger.deployments.last_promoted(*PLACE)
    assert last is not None
    assert last.release == FIRST


def test_going_back_twice_takes_back_one_after_the_other(ledger: Ledger, target: MemoryTarget) -> None:
    for number, release in enumerate((OLD, FIRST)):
        run = going_back(ledger, target, f"back-{number}")
        run.roll_back_to(release, "still bad", who="ada")
        run.release_lease()
    assert wholly_on(target, FIRST)
    assert {veto.version for veto in ledger.vetoes.of(*PLACE)} == {"1.1", "1.2"}
    good = ledger.deployments.good_releases(*PLACE)
    assert [(one.release, bool(one.vetoed)) for one in good] == [(FIRST, False), (OLD, True)]


def test_repeating_it_touches_nothing(ledger: Ledger, target: MemoryTarget) -> None:
    run = going_back(ledger, target)
    first = run.roll_back_to(OLD, "slow", who="ada")
    calls = list(target.calls)
    assert run.roll_back_to(OLD, "slow", who="ada") == first
    assert target.calls == calls


def test_one_that_does_not_come_up_gives_way_to_what_ran(ledger: Ledger, target: MemoryTarget) -> None:
    target.broken.add(OLD.artifact)
    run = going_back(ledger, target)
    with pytest.raises(RollbackIncomplete):
        run.roll_back_to(OLD, "slow", who="ada")
    settled = run.settle()
    assert wholly_on(target, NEW)
    assert settled is not None
    assert settled.state == "rolled_back"
    good = ledger.deployments.good_releases(*PLACE)
    assert good[0].release == NEW
    assert not good[0].vetoed


def test_an_artifact_that_is_gone_is_refused_before_anything_is_touched(ledger: Ledger, target: MemoryTarget) -> None:
    target.missing.add(OLD.artifact)
    calls = list(target.calls)
    with pytest.raises(ArtifactNotFound, match="nothing was changed"):
        going_back(ledger, target).roll_back_to(OLD, "slow", who="ada")
    assert target.calls == calls
    assert wholly_on(target, NEW)


def test_what_runs_already_is_no_rollback(ledger: Ledger, target: MemoryTarget) -> None:
    with pytest.raises(DeploymentSettled, match="already"):
        going_back(ledger, target).roll_back_to(NEW, "by mistake", who="ada")
    assert not ledger.vetoes.of(*PLACE)


def test_an_environment_on_several_releases_can_be_brought_back_to_one(ledger: Ledger, target: MemoryTarget) -> None:
    stray = Release("shop", "9", "shop:9")
    target.deploy(stray, NAMES[:2], key="by hand", token=target.token)
    done = going_back(ledger, target).roll_back_to(OLD, "somebody deployed past us", who="ada")
    assert wholly_on(target, OLD)
    assert done.previous[NAMES[0]] == stray
    assert done.previous[NAMES[3]] == NEW


def test_a_run_asked_for_before_it_does_not_deploy_over_it(ledger: Ledger, target: MemoryTarget) -> None:
    earlier = datetime.now(timezone.utc) - timedelta(minutes=1)
    run = going_back(ledger, target)
    run.roll_back_to(OLD, "slow", who="ada")
    run.release_lease()
    waiting = at_work(ledger, target, "1.3", requested=earlier)
    with pytest.raises(DeploymentSettled, match="newer"):
        waiting.deploy(Release("shop", "1.3", "shop:1.3"), phase="all")
    assert wholly_on(target, OLD)


def test_what_a_rollback_could_not_finish_is_replaced_by_another_good_release(
    ledger: Ledger, target: MemoryTarget
) -> None:
    bad = Release("shop", "1.3", "shop:1.3")
    canary = at_work(ledger, target, "1.3")
    canary.deploy(bad, phase="phase_25", share=25)
    target.broken.add(NEW.artifact)
    with pytest.raises(RollbackIncomplete):
        canary.roll_back("errors rose")
    canary.release_lease()
    run = going_back(ledger, target)
    run.acquire(supersede=True, restore=False)
    done = run.roll_back_to(OLD, "1.2 does not start any more", who="ada")
    assert wholly_on(target, OLD)
    taken = ledger.deployments.get(str(done.rolls_back))
    assert (taken.release, taken.state) == (bad, "rolled_back")
    assert [veto.version for veto in ledger.vetoes.of(*PLACE)] == ["1.3"]
    assert ledger.deployments.unsettled(*PLACE) == []


def test_a_rollback_that_takes_nothing_of_the_ledgers_back_is_one_all_the_same(
    ledger: Ledger, target: MemoryTarget
) -> None:
    target.deploy(Release("shop", "9", "shop:9"), NAMES, key="by hand", token=target.token)
    done = going_back(ledger, target).roll_back_to(NEW, "somebody deployed past us", who="ada")
    assert wholly_on(target, NEW)
    assert done.rolls_back == "nothing"
    assert done.to_restored is not None
    assert not ledger.vetoes.of(*PLACE)


def _first_deployment(ledger: Ledger, target: MemoryTarget, release: Release = NEW) -> None:
    run = at_work(ledger, target, release.version)
    run.deploy(release, phase="all")
    run.promote("verified")
    run.release_lease()


def test_what_ran_before_the_first_deployment_can_be_gone_back_to(ledger: Ledger) -> None:
    target = MemoryTarget(NAMES, OLD)
    _first_deployment(ledger, target)
    newest, before = ledger.deployments.good_releases(*PLACE)
    assert (newest.release, newest.taken_over) == (NEW, False)
    assert (before.release, before.taken_over, before.vetoed) == (OLD, True, "")
    done = go_back(going_back(ledger, target), "", who="ada", why="slow")
    assert (done.release, done.state) == (OLD, "promoted")
    assert wholly_on(target, OLD)
    # Promoted by now, it has a record of its own; what it replaced is vetoed.
    assert [(one.release, one.taken_over) for one in ledger.deployments.good_releases(*PLACE)] == [(OLD, False)]
    assert [veto.version for veto in ledger.vetoes.of(*PLACE)] == [NEW.version]


def test_what_ran_before_and_was_rolled_back_here_once_is_no_way_back(ledger: Ledger) -> None:
    target = MemoryTarget(NAMES, FIRST)
    run = at_work(ledger, target, "bad")
    run.deploy(OLD, phase="all")
    run.roll_back("four new exceptions")
    run.release_lease()
    # Somebody deploys it all the same, past Airflow CD.
    target.deploy(OLD, NAMES, key="by hand", token=target.token)
    _first_deployment(ledger, target)
    assert [one.release for one in ledger.deployments.good_releases(*PLACE)] == [NEW]
    with pytest.raises(LedgerRefused, match="only one was promoted here"):
        go_back(going_back(ledger, target), "", who="ada", why="slow")


def test_an_environment_that_was_empty_has_no_way_back_before_its_first_release(ledger: Ledger) -> None:
    target = MemoryTarget(NAMES, None)
    _first_deployment(ledger, target)
    assert [one.release for one in ledger.deployments.good_releases(*PLACE)] == [NEW]
