"""Whose fault a rollback is: only a release that is at fault is vetoed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest

from airflow_cd.delivery import Delivery
from airflow_cd.errors import AirflowCdError, DeploymentFailed, LedgerUnavailable
from airflow_cd.ledger import Ledger
from airflow_cd.release import Release
from airflow_cd.states import HumanAction, RollbackCause
from airflow_cd.targets.base import STARTING
from tests.memory_target import MemoryTarget, wholly_on

OLD = Release("shop", "1.1", "shop:1.1")
NEW = Release("shop", "1.2", "shop:1.2")
NAMES = [f"shop-{number}" for number in range(4)]


class World:
    """Production on 1.1, and runs that deploy 1.2 to it."""

    def __init__(self, ledger: Ledger, running: Release | None = OLD) -> None:
        self.ledger = ledger
        self.target = MemoryTarget(NAMES, running)
        self.lines: list[str] = []

    def run(self, run_id: str = "run-1") -> Delivery:
        return Delivery(
            self.ledger,
            self.target,
            pipeline="shop",
            run_id=run_id,
            service="shop",
            environment="production",
            log=self.lines.append,
            timeout=timedelta(seconds=0.2),
        )

    def deployed(self, share: int = 50) -> Delivery:
        mine = self.run()
        mine.deploy(NEW, phase=f"phase_{share}", share=share)
        return mine

    def vetoed(self) -> bool:
        return self.ledger.vetoes.in_force("shop", "production", NEW) is not None


@pytest.fixture
def world(new_ledger: Ledger) -> World:
    return World(new_ledger)


def _does_not_start(world: World) -> None:
    world.target.broken.add(NEW.artifact)
    with pytest.raises(DeploymentFailed):
        world.deployed()


def _stays_starting(world: World) -> None:
    def starts(kind: str) -> None:
        world.target.before_call = lambda kind: None

    world.target.before_call = starts
    make = world.target._instance
    world.target._instance = lambda name, release: (  # type: ignore[method-assign]
        make(name, release) if release != NEW else type(make(name, NEW))(name, "1.2", NEW.artifact, {}, health=STARTING)
    )
    with pytest.raises(DeploymentFailed):
        world.deployed()


def _goes_away(world: World) -> None:
    def away(kind: str) -> None:
        world.target.away = kind == "deploy"

    world.target.before_call = away
    with pytest.raises(AirflowCdError):
        world.deployed()
    world.target.before_call, world.target.away = lambda kind: None, False


def _loses_its_instances(world: World) -> None:
    gone = {}

    def loses(kind: str) -> None:
        if kind == "deploy" and not gone:
            gone["shop-0"] = world.target.state["shop-0"]

    world.target.before_call = loses
    instances = world.target.instances
    world.target.instances = lambda: [one for one in instances() if one.name not in gone]  # type: ignore[method-assign]
    with pytest.raises(DeploymentFailed, match="shop-0 is gone"):
        world.deployed()
    world.target.instances = instances  # type: ignore[method-assign]


def _falls_ill_before_its_promotion(world: World) -> None:
    mine = world.deployed(100)
    world.target.broken.add(NEW.artifact)
    world.target.state["shop-3"] = world.target._instance("shop-3", NEW)
    with pytest.raises(DeploymentFailed, match="cannot be promoted"):
        mine.promote("verified")


def _is_changed_by_others_before_its_promotion(world: World) -> None:
    mine = world.deployed(100)
    world.target.state["shop-3"] = world.target._instance("shop-3", OLD)
    with pytest.raises(DeploymentFailed, match="cannot be promoted"):
        mine.promote("verified")


def _is_promoted_without_the_target(world: World) -> None:
    mine = world.deployed(100)
    world.target.away = True
    with pytest.raises(AirflowCdError):
        mine.promote("verified")
    world.target.away = False


def _run_is_marked(world: World) -> None:
    world.deployed()
    place = {"pipeline": "shop", "run_id": "run-1", "task_id": None}
    world.ledger.audit.record(who="ada", action=HumanAction.MARKED_RUN_FAILED, why="wrong evening", **place)


CASES: dict[str, tuple[Callable[[World], object], bool, str]] = {
    "it does not start": (_does_not_start, True, "the deployment failed: .*no module named tax"),
    "it does not become healthy in time": (_stays_starting, True, "the deployment failed: .*is starting"),
    "the target goes away": (_goes_away, False, "the deployment failed: the deployment API does not answer"),
    "an instance is gone": (_loses_its_instances, False, "the deployment failed: .*shop-0 is gone"),
    "it does not stay healthy": (_falls_ill_before_its_promotion, True, "cannot be promoted: .*shop-3 is failed"),
    "others change what runs": (_is_changed_by_others_before_its_promotion, False, "cannot be promoted: shop-3 runs"),
    "the target is away at the promotion": (_is_promoted_without_the_target, False, "the run ended before"),
    "its worker dies": (lambda world: world.deployed(), False, "the run ended before the release was promoted"),
    "a person ends the run": (_run_is_marked, False, "promoted: ada marked the run failed: wrong evening"),
}


@pytest.mark.parametrize("case", CASES)
def test_only_a_release_at_fault_is_vetoed_at_the_end_of_its_run(world: World, case: str) -> None:
    happens, vetoed, outcome = CASES[case]
    happens(world)
    world.target.broken.clear()
    settled = world.run().settle()
    assert settled is not None
    assert wholly_on(world.target, OLD)
    assert world.vetoed() is vetoed
    assert re.search(outcome, settled.outcome), settled.outcome


@pytest.mark.parametrize("cause", [None, *RollbackCause])
def test_a_run_that_died_is_restored_by_the_next_one_for_the_reason_that_was_known(
    world: World, cause: RollbackCause | None
) -> None:
    dead = world.deployed()
    lease, deployment = dead.lease(), dead.require_deployment()
    if cause is not None:
        world.ledger.settlement.blame(deployment.id, token=lease.token, cause=cause, outcome="so it was")
    world.ledger.leases.release(lease)
    world.run("run-2").acquire()
    assert wholly_on(world.target, OLD)
    done = world.ledger.deployments.get(deployment.id)
    assert (done.cause, world.vetoed()) == (cause or RollbackCause.FAULT, cause is not None and cause.vetoes)
    assert done.outcome == ("so it was" if cause else "the run that owned the environment died and left it unfinished")


def test_a_rollback_that_is_finished_later_keeps_its_reason(world: World) -> None:
    mine = world.deployed()
    world.target.broken.add(OLD.artifact)
    with pytest.raises(AirflowCdError, match="could not finish"):
        mine.roll_back("four new exceptions")
    world.target.broken.clear()
    settled = world.run().settle()
    assert settled is not None
    assert (settled.outcome, world.vetoed()) == ("four new exceptions", True)


def test_what_was_held_against_a_release_is_forgotten_when_it_goes_on(world: World) -> None:
    mine = world.deployed()
    token, deployment = mine.lease().token, mine.require_deployment()
    world.ledger.settlement.blame(deployment.id, token=token, cause=RollbackCause.FAILED, outcome="FAIL: slower")
    mine.deploy(NEW, phase="phase_100", share=100)
    assert mine.require_deployment().cause is None
    settled = world.run().settle()
    assert settled is not None
    assert (settled.outcome, world.vetoed()) == ("the run ended before the release was promoted", False)


def test_a_ledger_that_is_away_when_a_deploy_fails_is_not_held_against_the_release(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*given: object, **more: object) -> None:
        raise LedgerUnavailable("the ledger is locked.")

    monkeypatch.setattr(world.ledger.settlement, "blame", away)
    _does_not_start(world)
    assert "the ledger is locked" in world.lines[-1]
    world.target.broken.clear()
    world.run().settle()
    assert wholly_on(world.target, OLD)
    assert not world.vetoed()


def test_a_first_deployment_is_vetoed_by_a_person_only(new_ledger: Ledger) -> None:
    world = World(new_ledger, running=None)
    _does_not_start(world)
    world.run().settle()
    assert set(world.target.running().values()) == {None}
    assert not world.vetoed()
    world.target.broken.clear()
    again = world.run("run-2")
    again.deploy(NEW, phase="phase_50", share=50)
    again.roll_back("ada rolled it back")
    assert world.vetoed()
