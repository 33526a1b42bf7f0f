"""Which guard acts, and the signs of life that it watches; on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from airflow_cd.errors import LeaseLost
from airflow_cd.ledger import Ledger, Work
from airflow_cd.states import FindingState, StuckCause
from tests.ledger.ledger_runs import Clock

TTL = timedelta(seconds=15)
CLAIM = ("shop", "production", "storefront", "run-1")


def begin(ledger: Ledger, process: str = "worker:1") -> Work:
    place = dict(zip(("service", "environment", "pipeline", "run_id"), CLAIM, strict=True))
    target = {"connection": "http_production", "environment": "production"}
    return ledger.work.begin(**place, task_id="verify", process=process, target=target, timeout=300)


def test_one_guard_acts_until_it_is_silent_or_gives_up(ledger: Ledger, clock: Clock) -> None:
    first = ledger.guarding.hold("one", TTL)
    assert ledger.guarding.hold("two", TTL) is None
    assert ledger.guarding.hold("one", TTL) == first
    clock.time += TTL
    second = ledger.guarding.hold("two", TTL)
    assert first is not None
    assert second == first + 1
    assert ledger.guarding.hold("one", TTL) is None
    ledger.guarding.give_up("two")
    assert ledger.guarding.acting() is None
    assert ledger.guarding.hold("one", TTL) == second + 1


def test_of_many_that_begin_at_once_one_acts(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        held = list(pool.map(lambda number: ledger.guarding.hold(f"guard {number}", TTL), range(8)))
    assert len([token for token in held if token is not None]) == 1


def test_a_guard_that_was_overtaken_writes_nothing(ledger: Ledger, clock: Clock) -> None:
    token = ledger.guarding.hold("one", TTL)
    assert token is not None
    ledger.guarding.check(token)
    clock.time += TTL
    ledger.guarding.hold("two", TTL)
    with pytest.raises(LeaseLost, match="another guard"):
        ledger.guarding.check(token)
    with pytest.raises(LeaseLost, match="another guard"):
        ledger.guarding.found(CLAIM, deployment_id=None, cause=StuckCause.PAUSED, detail="paused", token=token)
    assert ledger.guarding.findings() == []


def test_a_finding_is_gone_on_with_until_it_has_ended(ledger: Ledger) -> None:
    token = ledger.guarding.hold("one", TTL) or 0
    given = {"deployment_id": None, "cause": StuckCause.PAUSED, "detail": "its DAG is paused", "token": token}
    first = ledger.guarding.found(CLAIM, **given)
    ledger.guarding.ended(first.number, FindingState.FAILING, "the target does not answer")
    again = ledger.guarding.found(CLAIM, **{**given, "cause": StuckCause.DELETED})
    assert (again.number, again.attempts, again.cause) == (first.number, 2, StuckCause.DELETED)
    ledger.guarding.ended(first.number, FindingState.DONE, "restored")
    assert ledger.guarding.findings(only_open=True) == []
    assert ledger.guarding.found(CLAIM, **given).number != first.number


def test_a_sign_of_life_counts_for_the_process_that_is_at_work(ledger: Ledger) -> None:
    first = begin(ledger)
    assert ledger.work.beat(first)
    second = begin(ledger, "worker:2")
    assert not ledger.work.beat(first)
    ledger.work.end(first)
    [known] = ledger.work.of_claims([CLAIM]).values()
    assert (known.process, known.over) == ("worker:2", False)
    assert known.beats > first.beats
    assert known.target == {"connection": "http_production", "environment": "production"}
    ledger.work.end(second)
    assert ledger.work.of_claims([CLAIM])[CLAIM].over
