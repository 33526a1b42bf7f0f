"""The guard: what a run that cannot go on has left is restored, once, and never what a run is at work on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_cd.delivery.late_verdict import HandedVerdict
from airflow_cd.delivery.marking import mark
from airflow_cd.errors import LeaseLost, LedgerUnavailable, WrongLedger
from airflow_cd.guard import finishing
from airflow_cd.guard.service import Guard
from airflow_cd.hooks import new_relic
from airflow_cd.states import DeploymentState, FindingState, RollbackCause, StuckCause
from airflow_cd.verification.verdict import Judgement, Reason, Verdict
from tests.guard.scene import GOES_ON, PASSED, Scene, blamed, paused, queued, running
from tests.memory_target import wholly_on
from tests.operators.world import NEW, OLD, PLACE


def deleted(scene: Scene) -> None:
    scene.between_tasks()
    scene.runs.clear()


def ended(scene: Scene) -> None:
    scene.between_tasks()
    scene.run_is(state="failed")


def file_broken(scene: Scene) -> None:
    scene.between_tasks()
    scene.run_is(stale=True, error="NameError: name 'Canry' is not defined")


def file_gone(scene: Scene) -> None:
    scene.between_tasks()
    scene.run_is(stale=True)


def worker_died(scene: Scene) -> None:
    scene.run_is(tasks=[running(scene.at_work().task_id)])


def worker_of_the_authors_own_task_died(scene: Scene) -> None:
    scene.between_tasks()
    scene.run_is(tasks=[running("production.smoke_test")])


def worker_died_before_it_began(scene: Scene) -> None:
    scene.between_tasks()
    scene.run_is(tasks=[running("production.phase_20.verify")])


def no_scheduler(scene: Scene) -> None:
    scene.between_tasks()
    scene.scheduler_lives = False


def airflow_away(scene: Scene) -> None:
    scene.between_tasks()
    scene.airflow_away = True


CASES: dict[Callable[[Scene], None], StuckCause] = {
    paused: StuckCause.PAUSED,
    deleted: StuckCause.DELETED,
    ended: StuckCause.ENDED,
    file_broken: StuckCause.FILE_BROKEN,
    file_gone: StuckCause.FILE_GONE,
    worker_died: StuckCause.WORKER_DIED,
    worker_of_the_authors_own_task_died: StuckCause.WORKER_DIED,
    worker_died_before_it_began: StuckCause.WORKER_DIED,
    no_scheduler: StuckCause.NO_SCHEDULER,
    airflow_away: StuckCause.AIRFLOW_AWAY,
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_a_run_cannot_finish_is_drained_and_restored_within_a_minute(
    scene: Scene, case: Callable[[Scene], None]
) -> None:
    deployment = scene.deployed()
    case(scene)
    scene.pass_by(46)
    assert wholly_on(scene.target, OLD)
    canary = ("shop-00",)
    assert scene.target.calls[1:] == [("drain", canary), ("deploy", canary), ("restore", canary)]
    done = scene.ledger.deployments.get(deployment.id)
    assert done.state == DeploymentState.ROLLED_BACK
    assert scene.ledger.leases.current(**PLACE) is None
    [finding] = scene.findings()
    assert (finding.cause, finding.state, finding.attempts) == (CASES[case], FindingState.DONE, 1)
    assert finding.detail in done.outcome
    # Nothing of that is the release's fault.
    assert scene.ledger.vetoes.of(**PLACE) == []
    assert len(scene.pages) == 1


def test_a_broken_file_is_named_with_its_error(scene: Scene) -> None:
    deployment = scene.deployed()
    file_broken(scene)
    scene.pass_by(20)
    outcome = scene.ledger.deployments.get(deployment.id).outcome
    assert "shop.py" in outcome
    assert "name 'Canry' is not defined" in outcome


def test_a_verdict_that_its_run_cannot_act_upon_is_acted_upon_at_once_and_stays_the_reason(scene: Scene) -> None:
    deployment = scene.deployed()
    token = scene.delivery().lease().token
    scene.ledger.settlement.blame(
        deployment.id, token=token, cause=RollbackCause.FAILED, outcome="FAIL: KeyError, 4 times."
    )
    file_broken(scene)
    scene.pass_by(6)
    assert wholly_on(scene.target, OLD)
    assert scene.ledger.deployments.get(deployment.id).outcome == "FAIL: KeyError, 4 times."
    [veto] = scene.ledger.vetoes.of(**PLACE)
    assert veto.reason == "FAIL: KeyError, 4 times."


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE])
def test_a_verdict_that_was_handed_over_beside_the_ledger_is_recorded_by_the_guard(
    scene: Scene, verdict: Verdict
) -> None:
    deployment = scene.deployed()
    judgement = Judgement(verdict, [Reason("new", "TaxTableMissing, 4 times")], decided="2026-11-23T08:00:00+00:00")
    scene.handed = [
        HandedVerdict("phase_20", judgement.as_dict(), "staging"),
        HandedVerdict("phase_20", judgement.as_dict(), "production"),
    ]
    deleted(scene)
    scene.pass_by(10)
    assert wholly_on(scene.target, OLD)
    assert [one.verdict for one in scene.ledger.verdicts.of(deployment.id)] == [str(verdict)]
    vetoes = [veto.reason for veto in scene.ledger.vetoes.of(**PLACE)]
    assert vetoes == (["FAIL: TaxTableMissing, 4 times"] if verdict is Verdict.FAIL else [])


def test_a_rollback_by_the_guard_is_marked_where_the_deployment_would_have_been(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_: list[dict[str, Any]] = []

    class Hook:
        def __init__(self, conn_id: str) -> None:
            self.conn_id = conn_id

        def mark_deployment(self, **given: Any) -> str:
            set_.append({"to": self.conn_id, **given})
            return "marker"

    monkeypatch.setattr(new_relic, "NewRelicHook", Hook)
    at = scene.requested_at("run-1")
    scene.ledger.runs.begin("shop", "run-1", at, plan={"production": {"kind": "canary", "mark": ["nr_default"]}})
    deployment = scene.deployed()
    paused(scene)
    scene.pass_by(30)
    [marker] = set_
    assert (marker["to"], marker["application"], marker["version"]) == ("nr_default", "shop", "1.1")
    assert marker["group_id"] == deployment.id
    assert marker["description"].startswith("Rolled back from 1.2: the run could not go on")
    # The run's own tasks find it set.
    scene.ledger.leases.acquire(**PLACE, pipeline="shop", run_id="run-1", ttl=timedelta(minutes=1))
    mark(scene.delivery(), ["nr_default"], "shop", phase="phase_20", rolled_back="the run ended")
    assert len(set_) == 1


def test_a_metric_source_that_is_away_does_not_keep_the_guard_from_freeing_the_environment(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(conn_id: str) -> None:
        raise LookupError(conn_id)

    monkeypatch.setattr(new_relic, "NewRelicHook", gone)
    at = scene.requested_at("run-1")
    scene.ledger.runs.begin("shop", "run-1", at, plan={"production": {"kind": "canary", "mark": ["nr_default"]}})
    scene.deployed()
    paused(scene)
    scene.pass_by(30)
    assert wholly_on(scene.target, OLD)
    assert scene.ledger.leases.current(**PLACE) is None
    assert [finding.state for finding in scene.findings()] == [FindingState.DONE]


# -- a scheduler runs, and nothing of the run is started ------------------------------------------------------------


def test_a_run_of_which_nothing_is_scheduled_any_more_is_finished(scene: Scene) -> None:
    """A scheduler that was killed may leave its locks on the run, and the next one passes over it."""
    deployment = scene.deployed()
    scene.between_tasks()
    scene.run_is(tasks=[PASSED, queued("")])
    scene.pass_by(44)
    assert not wholly_on(scene.target, OLD)
    scene.pass_by(12)
    assert wholly_on(scene.target, OLD)
    [finding] = scene.findings()
    assert finding.cause == StuckCause.STALLED
    assert "started nothing of it" in scene.ledger.deployments.get(deployment.id).outcome
    assert scene.ledger.vetoes.of(**PLACE) == []


@pytest.mark.parametrize("state", ["queued", "scheduled", "up_for_retry"])
def test_a_rollback_that_no_worker_takes_is_done_by_the_guard_which_says_where_it_waits(
    scene: Scene, state: str
) -> None:
    scene.deployed()
    blamed(scene)
    scene.between_tasks()
    scene.run_is(tasks=[PASSED, queued(state)])
    scene.pass_by(48)
    assert wholly_on(scene.target, OLD)
    [finding] = scene.findings()
    assert finding.cause == StuckCause.STALLED
    assert f"production.phase_20.rollback has been {state.replace('_', ' ')}" in finding.detail
    assert "queue default, pool default_pool" in finding.detail
    [page] = scene.pages
    assert finding.detail in page


# -- once, and under a new token -------------------------------------------------------------------------------


def test_what_still_works_for_the_run_is_void_afterwards(scene: Scene) -> None:
    scene.deployed()
    old = scene.delivery().lease()
    paused(scene)
    scene.pass_by(20)
    with pytest.raises(LeaseLost):
        scene.ledger.leases.check(old)
    assert scene.target.token > old.token


def test_of_two_guards_one_acts(scene: Scene) -> None:
    scene.deployed()
    paused(scene)
    other = scene.another_guard("second")
    for _ in range(20):
        scene.guard.look()
        other.look()
        scene.now += 2
    scene.guard.wait()
    assert not other.acts
    assert len(scene.pages) == len(scene.findings()) == 1


def test_a_guard_that_was_overtaken_changes_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.deployed()
    paused(scene)
    scene.pass_by(14)

    def overtaken(self: Guard) -> None:
        raise LeaseLost("another guard has taken over.")

    monkeypatch.setattr(scene.ledger.guarding, "check", overtaken)
    scene.pass_by(4)
    assert [kind for kind, _ in scene.target.calls] == ["deploy"]


def test_silence_while_the_ledger_was_away_proves_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.deployed()
    work = scene.at_work()
    scene.run_is(tasks=[running(work.task_id)])
    scene.pass_by(36, beats=work)

    def away() -> None:
        raise LedgerUnavailable("the ledger is away.")

    with monkeypatch.context() as patched:
        patched.setattr(scene.ledger.guarding, "unsettled", away)
        with pytest.raises(LedgerUnavailable):
            scene.guard.look()
    scene.now += 300
    scene.pass_by(36)
    assert scene.findings() == []
    scene.pass_by(10)
    assert [finding.cause for finding in scene.findings()] == [StuckCause.WORKER_DIED]


# -- what is hard ----------------------------------------------------------------------------------------------


def test_a_target_that_is_away_is_tried_again_until_it_is_done_and_a_person_is_told(scene: Scene) -> None:
    deployment = scene.deployed()
    paused(scene)
    scene.target.away = True
    scene.pass_by(120)
    [finding] = scene.findings()
    assert finding.state == FindingState.FAILING
    assert "does not answer" in finding.outcome
    assert [page for page in scene.pages if "tries again" in page]
    scene.target.away = False
    scene.pass_by(62)
    assert wholly_on(scene.target, OLD)
    [finding] = scene.findings()
    assert finding.state == FindingState.DONE
    assert finding.attempts > 2
    assert "not restored" not in scene.ledger.deployments.get(deployment.id).outcome


def test_a_target_that_cannot_be_reached_from_here_is_said_at_once(scene: Scene) -> None:
    scene.deployed()
    work = scene.at_work()
    scene.ledger.work.begin(
        **PLACE, pipeline="shop", run_id="run-1", task_id="verify", process="other:1", target=None, timeout=1
    )
    assert work.target is not None
    scene.guard.look()
    scene.guard._pool.shutdown()
    assert [page for page in scene.pages if "cannot reach" in page]


def test_a_rollback_that_a_person_asked_for_is_finished_not_undone(scene: Scene) -> None:
    for number, release in enumerate((OLD, NEW)):
        delivery = scene.delivery(f"good-{number}")
        delivery.deploy(release, phase="all")
        delivery.promote("verified")
        delivery.release_lease()
    back = scene.delivery()
    scene.target.broken = {OLD.artifact}
    with pytest.raises(Exception, match="could not finish"):
        back.roll_back_to(OLD, "customers call", who="ada")
    scene.target.broken = set()
    ended(scene)
    scene.pass_by(20)
    assert wholly_on(scene.target, OLD)
    last = scene.ledger.deployments.last_promoted(**PLACE)
    assert last is not None
    assert last.release == OLD


def test_a_run_that_cannot_go_on_gives_its_lease_and_its_place_in_the_queue_away(scene: Scene) -> None:
    owner = scene.delivery()
    owner.deploy(NEW, phase="all")
    owner.promote("verified")
    with pytest.raises(Exception, match="number 1 in the queue"):
        scene.delivery("run-2").acquire()
    scene.runs["shop", "run-2"] = GOES_ON
    paused(scene)
    scene.pass_by(20)
    assert scene.ledger.leases.current(**PLACE) is None
    assert [waiting.run_id for waiting in scene.ledger.leases.waiting(**PLACE)] == ["run-2"]
    del scene.runs["shop", "run-2"]
    scene.pass_by(20)
    assert scene.ledger.leases.waiting(**PLACE) == []
    assert scene.pages == []


def test_an_environment_whose_instances_hang_does_not_keep_the_guard_from_others(scene: Scene) -> None:
    scene.deployed()
    paused(scene)
    scene.target.before_call = lambda kind: scene.guard.look()  # while it drains
    scene.pass_by(20)
    assert wholly_on(scene.target, OLD)
    assert len(scene.findings()) == 1


def test_a_guard_of_another_ledger_than_airflows_does_nothing(scene: Scene) -> None:
    read = scene.guard._read
    scene.guard._read = lambda keys: replace(read(keys), ledger="another")
    scene.deployed()
    scene.between_tasks()
    scene.runs.clear()
    for _ in range(6):
        with pytest.raises(WrongLedger):
            scene.pass_by(4)
        scene.now += 4
    assert not scene.findings()


def test_a_person_is_not_told_at_every_look_of_a_target_that_is_gone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(description: object) -> None:
        raise ValueError("its kind is not installed here")

    monkeypatch.setattr(finishing, "described_target", gone)
    scene.deployed()
    scene.between_tasks()
    scene.runs.clear()
    scene.pass_by(580, every=10)
    assert 1 <= len(scene.pages) <= 4


def test_a_person_is_told_again_of_a_target_that_never_answers(scene: Scene) -> None:
    scene.deployed()
    answers = threading.Event()
    scene.target.before_call = lambda kind: answers.wait(30) and None
    paused(scene)
    try:
        while scene.now < 900:
            scene.guard.look()
            scene.now += 4
        assert [page for page in scene.pages if "without an end" in page] == [scene.pages[-1]]
        assert len(scene.pages) == 2
    finally:
        answers.set()
    scene.guard.wait()
    assert wholly_on(scene.target, OLD)
