"""A canary that logs nothing wrong, and whose processes die or whose checks fail while it is verified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_cd.clock import now
from airflow_cd.delivery.sides import SidesNow
from airflow_cd.delivery.verifying import Consequence, PhaseVerification
from airflow_cd.errors import TargetUnavailable
from airflow_cd.instances import FAILED, Track
from airflow_cd.ledger import Ledger
from airflow_cd.sources.frames import identified_log_frame
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Verdict
from tests import steady_logs
from tests.delivery.on_replicas import NEW, OLD, delivery
from tests.memory_target import MemoryTarget
from tests.replica_target import ReplicaMemory

SAID = "ended with exit code 137, started again 6 times"


class Steady:
    """What every instance logs, in order and nothing else."""

    name = "requests"
    delay = timedelta(0)

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        rows = steady_logs.orders(window, instances)
        told = [(at, one, text, f"{at} {one} {text}", at) for at, one, text in rows]
        return LogSample(identified_log_frame(told), "all")


VERIFICATION = Verification(logs=[Steady()], duration="2s", every="0.5s", minimum="0.5s", longest_lag="1s")


def verify(ledger: Ledger, target: Any, fall: Any) -> PhaseVerification:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="phase_20", share=20)
    fall()
    return PhaseVerification(mine, VERIFICATION, "phase_20", on_look=lambda judgement: None)


def on_replicas() -> tuple[Any, Any]:
    target = ReplicaMemory(OLD)

    def fall() -> None:
        canary = target.replicas[Track.CANARY]
        target.replicas[Track.CANARY] = [replace(one, health=FAILED, message=SAID) for one in canary]

    return target, fall


def on_names() -> tuple[Any, Any]:
    target = MemoryTarget(["a", "b", "c", "d", "e"], OLD)

    def fall() -> None:
        for one in [one for one in target.instances() if one.runs(NEW)]:
            target.state[one.name] = replace(one, health=FAILED, message=SAID)

    return target, fall


@pytest.mark.parametrize("shape", [on_replicas, on_names])
def test_a_canary_that_is_down_fails_though_its_logs_are_in_order(shape: Any, new_ledger: Ledger) -> None:
    conclusion = verify(new_ledger, *shape()).run()
    assert conclusion.judgement.verdict is Verdict.FAIL
    assert conclusion.consequence is Consequence.ROLL_BACK
    assert conclusion.drained
    assert SAID in conclusion.judgement.sentence


@pytest.mark.parametrize("shape", [on_replicas, on_names])
def test_a_canary_that_is_well_passes(shape: Any, new_ledger: Ledger) -> None:
    target, _ = shape()
    assert verify(new_ledger, target, lambda: None).run().judgement.verdict is Verdict.PASS


def test_a_target_of_named_instances_that_does_not_answer_holds_up_nothing(
    new_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, _ = on_names()
    verification, said, real = verify(new_ledger, target, lambda: None), [], target.instances
    verification.delivery.log = said.append
    once = iter([real()])

    def away() -> Any:
        for there in once:
            return there
        raise TargetUnavailable("the fleet does not answer.")

    monkeypatch.setattr(target, "instances", away)
    assert verification.run().judgement.verdict is Verdict.PASS
    # It is not asked again for a while.
    assert [line for line in said if "unknown now" in line] == [
        "Which instances there are, and how they are, is unknown now: the fleet does not answer."
    ]


def test_what_a_pod_logged_before_it_started_again_is_the_new_releases(new_ledger: Ledger) -> None:
    target = ReplicaMemory(OLD)
    mine = delivery(new_ledger, target)
    phase = mine.deploy(NEW, phase="phase_20", share=20)
    again, another = now() + timedelta(minutes=1), now() + timedelta(minutes=2)
    canary = target.replicas[Track.CANARY]
    joined = replace(canary[0], name="web-new", started=another)
    target.replicas[Track.CANARY] = [*(replace(one, started=again) for one in canary), joined]
    sides = SidesNow(mine, mine.require_deployment(), phase).now()
    assert sides is not None
    assert set(sides.canary) == {*phase.instances, "web-new"}
    assert sides.starts == {"web-new": another}
