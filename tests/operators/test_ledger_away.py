"""The ledger goes away in mid-rollback: the environment is made whole all the same, and it is written down later."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

import airflow_cd.ledger
from airflow_cd.answers import AGAIN
from airflow_cd.clock import now
from airflow_cd.delivery import Delivery
from airflow_cd.delivery.bounded_evidence import MOST_BYTES
from airflow_cd.delivery.causes import Why
from airflow_cd.delivery.late_verdict import HANDED_VERDICT
from airflow_cd.errors import LedgerUnavailable
from airflow_cd.ledger.store import Store
from airflow_cd.operators import CanaryDeployOperator, PromoteOperator, RollbackOperator, SettleOperator, VerifyOperator
from airflow_cd.operators.question import Answer
from airflow_cd.operators.verify import DECISION
from airflow_cd.states import DeploymentState, HumanAction, RollbackCause
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Judgement, Reason, Verdict
from tests.memory_target import wholly_on
from tests.operators.conftest import Rests
from tests.operators.world import NEW, OLD, PLACE, World


class Run:
    """The tasks of a canary in their DAG, and the XComs that they share."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.xcoms: dict[str, Any] = {}
        with DAG("shop", schedule=None):
            self.deploy = world.task(CanaryDeployOperator, task_id="deploy", phase="phase_20", share=20, version="1.2")
            self.verify = world.task(
                VerifyOperator, task_id="verify", verification=Verification(), follow="promote", rollback="rollback"
            )
            self.rollback = world.task(RollbackOperator, task_id="rollback", verify_task_id="verify", phase="phase_20")
            self.promote = world.task(PromoteOperator, task_id="promote")
            self.settle = world.task(SettleOperator, task_id="settle")
        self.deploy.configuration = dict(NEW.configuration)
        self.deploy.overrides = {}
        self.deploy.learn = False
        self.deploy.reason, self.deploy.rollback = "new prices", "automatic"

    def execute(self, task: Any, **states: str) -> Any:
        return self.world.execute(task, xcoms=self.xcoms, states=states)

    def judge(self, verdict: Verdict) -> None:
        """The verification decided, and could only hand its verdict over."""
        judgement = Judgement(
            verdict, [Reason("new", "TaxTableMissing, 4 times")], decided=datetime.now(timezone.utc).isoformat()
        )
        self.xcoms[f"verify {HANDED_VERDICT}"] = {"phase": "phase_20", "judgement": judgement.as_dict()}
        self.xcoms[f"verify {DECISION}"] = "rollback"


@pytest.fixture
def run(world: World) -> Run:
    found = Run(world)
    found.execute(found.deploy)
    return found


def _nowhere(world: World, patched: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise LedgerUnavailable("the ledger cannot be reached.")

    patched.setattr(airflow_cd.ledger, "open_ledger", away)


def _full(world: World, patched: pytest.MonkeyPatch) -> None:
    def full(self: Store) -> None:
        raise LedgerUnavailable("database or disk is full.")

    patched.setattr(Store, "writing", full)


OUTAGES = pytest.mark.parametrize("outage", [_nowhere, _full], ids=["away", "full or read-only"])
Outage = Callable[[World, pytest.MonkeyPatch], None]


def _until_the_tenth(rests: Rests, patched: pytest.MonkeyPatch, look: Callable[[], None]) -> None:
    def then() -> None:
        if len(rests.seconds) == 1:
            look()
        if len(rests.seconds) == 10:
            patched.undo()

    rests.then = then


@OUTAGES
def test_a_rollback_makes_the_environment_whole_at_once_and_writes_it_down_when_it_can(
    run: Run, rests: Rests, monkeypatch: pytest.MonkeyPatch, outage: Outage
) -> None:
    world, whole = run.world, []
    run.judge(Verdict.FAIL)
    with monkeypatch.context() as patched:
        outage(world, patched)
        _until_the_tenth(rests, patched, lambda: whole.append(wholly_on(world.target, OLD)))
        done = run.execute(run.rollback, verify="success")
    assert whole == [True]
    assert done["because"] == "FAIL: TaxTableMissing, 4 times"
    deployment = world.delivery().require_deployment()
    assert (deployment.state, deployment.cause) == (DeploymentState.ROLLED_BACK, RollbackCause.FAILED)
    assert [veto.reason for veto in world.ledger.vetoes.of(**PLACE)] == ["FAIL: TaxTableMissing, 4 times"]
    [verdict] = world.ledger.verdicts.of(deployment.id)
    assert (verdict.verdict, verdict.final) == ("FAIL", True)
    # The clocks say when it was so, not when it was written down.
    assert deployment.restored_at is not None
    assert deployment.settled_at is not None
    assert deployment.restored_at < deployment.settled_at
    assert wholly_on(world.target, OLD)


@OUTAGES
def test_so_does_the_end_of_a_run_that_was_marked(
    run: Run, rests: Rests, monkeypatch: pytest.MonkeyPatch, outage: Outage
) -> None:
    world, whole = run.world, []
    with monkeypatch.context() as patched:
        outage(world, patched)
        _until_the_tenth(rests, patched, lambda: whole.append(wholly_on(world.target, OLD)))
        with pytest.raises(AirflowFailException, match="the run ended before the release was promoted"):
            run.execute(run.settle)
    assert whole == [True]
    assert world.ledger.leases.current(**PLACE) is None


@pytest.mark.parametrize("share", [20, 100])
def test_it_was_safe_when_no_request_reached_the_release_any_more(
    run: Run, rests: Rests, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    """What is on every instance is drained nowhere: it serves until it is restored."""
    world, deployed = run.world, []
    if share == 100:
        run.deploy.phase_name, run.deploy.share = "phase_100", 100
        run.execute(run.deploy)
    world.target.before_call = lambda kind: deployed.append(now()) if kind == "deploy" else None
    with monkeypatch.context() as patched:
        _nowhere(world, patched)
        _until_the_tenth(rests, patched, lambda: None)
        run.execute(run.rollback, verify="failed")
    deployment = world.delivery().require_deployment()
    assert deployment.safe_at is not None
    assert (deployment.safe_at > deployed[0]) is (share == 100)


def test_what_cannot_be_restored_meanwhile_is_tried_again_meanwhile(
    run: Run, rests: Rests, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = run.world
    world.target.away = True
    with monkeypatch.context() as patched:
        _nowhere(world, patched)

        def then() -> None:
            world.target.away = len(rests.seconds) < 5
            if len(rests.seconds) == 7:
                assert wholly_on(world.target, OLD)
                patched.undo()

        rests.then = then
        run.execute(run.rollback, verify="failed")
    assert wholly_on(world.target, OLD)


def test_what_may_have_been_promoted_is_left_until_the_ledger_says_so(
    run: Run, rests: Rests, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = run.world
    world.delivery().deploy(NEW, phase="phase_100", share=100)
    run.execute(run.promote)
    with monkeypatch.context() as patched:
        _nowhere(world, patched)
        _until_the_tenth(rests, patched, lambda: None)
        run.execute(run.settle)
    assert wholly_on(world.target, NEW)


def test_a_verification_that_a_person_marked_success_is_not_rolled_back_meanwhile(
    run: Run, rests: Rests, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, calls = run.world, list(run.world.target.calls)
    with monkeypatch.context() as patched:
        _nowhere(world, patched)
        _until_the_tenth(rests, patched, lambda: None)
        with pytest.raises(BaseException, match="that is a promotion"):
            run.execute(run.rollback, verify="success")
    assert world.target.calls == calls


def test_whoever_has_a_newer_token_is_not_disturbed(run: Run, rests: Rests, monkeypatch: pytest.MonkeyPatch) -> None:
    world = run.world
    newer = world.delivery().overrule()
    world.target.restore(["shop-04"], key="theirs", token=newer.token)
    calls = list(world.target.calls)
    with monkeypatch.context() as patched:
        _nowhere(world, patched)
        seen: list[list[Any]] = []
        _until_the_tenth(rests, patched, lambda: seen.append(list(world.target.calls)))
        run.execute(run.rollback, verify="failed")
    assert seen == [calls]
    assert wholly_on(world.target, OLD)


def test_the_reason_of_a_rollback_that_failed_stays_in_the_outcome_and_in_the_veto(run: Run) -> None:
    world = run.world
    world.judged(Verdict.FAIL, "TaxTableMissing, 4 times")
    world.target.broken.add(OLD.artifact)
    with pytest.raises(Exception, match="could not finish"):
        run.execute(run.rollback, verify="failed")
    with pytest.raises(Exception, match="could not finish"):
        run.execute(run.settle)
    world.target.broken.clear()
    with pytest.raises(AirflowFailException, match="FAIL: TaxTableMissing, 4 times"):
        run.execute(run.settle)
    assert [veto.reason for veto in world.ledger.vetoes.of(**PLACE)] == ["FAIL: TaxTableMissing, 4 times"]


def test_a_verdict_of_which_nobody_could_record_the_blame_is_the_reason_all_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = run.world
    world.judged(Verdict.FAIL, "TaxTableMissing, 4 times")
    # The rollback never ran: everything died.
    with pytest.raises(AirflowFailException, match="FAIL: TaxTableMissing, 4 times"):
        run.execute(run.settle)
    assert [veto.reason for veto in world.ledger.vetoes.of(**PLACE)] == ["FAIL: TaxTableMissing, 4 times"]


def test_an_older_run_that_dies_is_restored_with_its_own_reason(run: Run) -> None:
    world = run.world
    world.judged(Verdict.FAIL, "TaxTableMissing, 4 times")
    lease = world.delivery().lease()
    world.ledger.leases.release(lease)
    Delivery.acquire(world.delivery("run-2"))
    assert wholly_on(world.target, OLD)
    assert [veto.reason for veto in world.ledger.vetoes.of(**PLACE)] == ["FAIL: TaxTableMissing, 4 times"]


# -- what the run has found out, where somebody else has restored meanwhile ----------------------------------------


def restored_by_the_guard(world: World) -> None:
    """The run could not go on, so that the guard took a token of its own, restored, and gave the environment free."""
    delivery = world.delivery()
    delivery.roll_back(Why(RollbackCause.FAULT, "the run could not go on: its DAG is paused"))
    delivery.release_lease()


@pytest.mark.parametrize("task", ["rollback", "settle"])
def test_a_verdict_that_was_handed_over_vetoes_although_the_guard_has_restored_first(run: Run, task: str) -> None:
    world = run.world
    run.judge(Verdict.FAIL)
    restored_by_the_guard(world)
    assert world.ledger.vetoes.of(**PLACE) == []
    with pytest.raises((AirflowSkipException, AirflowFailException)):
        run.execute(getattr(run, task), verify="success")
    assert [veto.reason for veto in world.ledger.vetoes.of(**PLACE)] == ["FAIL: TaxTableMissing, 4 times"]
    deployment = world.delivery().require_deployment()
    assert (deployment.state, deployment.cause) == (DeploymentState.ROLLED_BACK, RollbackCause.FAILED)
    assert [(one.verdict, one.final) for one in world.ledger.verdicts.of(deployment.id)] == [("FAIL", True)]


def test_it_is_recorded_once_however_many_tasks_read_it(run: Run) -> None:
    world = run.world
    run.judge(Verdict.FAIL)
    restored_by_the_guard(world)
    for task in (run.rollback, run.settle, run.settle):
        with pytest.raises((AirflowSkipException, AirflowFailException)):
            run.execute(task, verify="success")
    assert len(world.ledger.vetoes.of(**PLACE)) == 1
    assert len(world.ledger.verdicts.of(world.delivery().require_deployment().id)) == 1


def test_it_is_held_against_the_release_while_another_run_restores(run: Run) -> None:
    world = run.world
    run.judge(Verdict.FAIL)
    world.ledger.leases.release(world.delivery().lease())
    world.ledger.leases.acquire(**PLACE, pipeline="shop", run_id="run-2", ttl=timedelta(minutes=1))
    with contextlib.suppress(Exception):
        run.execute(run.rollback, verify="success")
    world.delivery("run-2").acquire()
    assert [veto.version for veto in world.ledger.vetoes.of(**PLACE)] == ["1.2"]


@pytest.mark.parametrize("gone_on", ["the phase after it was deployed", "a person marked it success", "promoted"])
def test_a_verdict_after_which_it_went_on_is_held_against_nobody(run: Run, gone_on: str) -> None:
    world = run.world
    run.judge(Verdict.FAIL)
    if gone_on != "a person marked it success":
        world.delivery().deploy(NEW, phase="phase_100", share=100)
    else:
        place = {"pipeline": "shop", "run_id": "run-1", "task_id": "verify"}
        world.ledger.audit.record(who="bob", action=HumanAction.MARKED_SUCCESS, why="known", **place)
    if gone_on == "promoted":
        world.delivery().promote("a person said so")
        world.delivery().release_lease()
    else:
        restored_by_the_guard(world)
    with contextlib.suppress(AirflowSkipException, AirflowFailException):
        run.execute(run.settle)
    assert world.ledger.vetoes.of(**PLACE) == []


def test_an_inconclusive_verdict_that_was_handed_over_vetoes_nothing(run: Run) -> None:
    run.judge(Verdict.INCONCLUSIVE)
    restored_by_the_guard(run.world)
    with pytest.raises(AirflowFailException):
        run.execute(run.settle)
    assert run.world.ledger.vetoes.of(**PLACE) == []


def test_evidence_that_was_handed_over_is_bounded_as_any_other(run: Run) -> None:
    world = run.world
    run.judge(Verdict.FAIL)
    handed = run.xcoms[f"verify {HANDED_VERDICT}"]["judgement"]
    event = {"id": "1", "kind": "unknown", "severity": "ERROR", "template": "x" * 3_000_000, "risk": True}
    handed["quality"] = {"verdict": "FAIL", "events": [event] * 6}
    run.execute(run.rollback, verify="success")
    [verdict] = world.ledger.verdicts.of(world.delivery().require_deployment().id)
    assert len(json.dumps(verdict.evidence)) <= MOST_BYTES
    assert verdict.evidence["reasons"] == handed["reasons"]
    assert [veto.version for veto in world.ledger.vetoes.of(**PLACE)] == ["1.2"]


def test_what_cannot_be_read_of_it_does_not_keep_an_environment_half(run: Run) -> None:
    run.judge(Verdict.FAIL)
    run.xcoms[f"verify {HANDED_VERDICT}"] = {"phase": "phase_20", "judgement": {"quality": {"events": [{"id": 1}]}}}
    run.execute(run.rollback, verify="success")
    assert wholly_on(run.world.target, OLD)


# -- who has taken a newer token than the deploy ---------------------------------------------------------------------


def test_a_canary_that_a_person_had_verified_again_is_restored_without_the_ledger(
    run: Run, rests: Rests, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, whole = run.world, []
    context = world.context(run.verify, xcoms=run.xcoms)
    deployment = world.delivery().require_deployment()
    monkeypatch.setattr(VerifyOperator, "_verify", lambda self, delivery, context: "again")
    run.verify._answered(world.delivery(), context, Answer(AGAIN, "bob"))
    assert world.target.token > deployment.token
    with monkeypatch.context() as patched:
        _nowhere(world, patched)
        _until_the_tenth(rests, patched, lambda: whole.append(wholly_on(world.target, OLD)))
        run.execute(run.rollback, verify="failed")
    assert whole == [True]


def test_an_outage_in_mid_rollback_does_not_wait_for_the_ledger_either(
    run: Run, rests: Rests, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, whole = run.world, []
    with monkeypatch.context() as patched:

        def away_from_now_on(kind: str) -> None:
            # The rollback has drained under a token of its own, and is about to restore.
            if kind == "deploy":
                world.target.before_call = lambda kind: None
                _full(world, patched)

        world.target.before_call = away_from_now_on
        _until_the_tenth(rests, patched, lambda: whole.append(wholly_on(world.target, OLD)))
        run.execute(run.rollback, verify="failed")
    assert whole == [True]
