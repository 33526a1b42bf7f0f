"""A lease is kept for as long as somebody works under it, and no longer."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from airflow_cd.delivery import Delivery, keeping
from airflow_cd.errors import LeaseHeld, LedgerUnavailable
from airflow_cd.ledger import Lease, Ledger, ledger_url
from airflow_cd.ledger.leases import Leases
from airflow_cd.ledger.store import ledger_engine
from airflow_cd.release import Release
from tests.memory_target import MemoryTarget

OLD, NEW = Release("basket", "8", "basket:8"), Release("basket", "9", "basket:9")


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 5, 1, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Ledger:
    ledger = Ledger(ledger_engine(ledger_url(f"sqlite:///{tmp_path / 'ledger.db'}")), clock=clock)
    ledger.migrate()
    return ledger


def run(ledger: Ledger, target: MemoryTarget, run_id: str) -> Delivery:
    place = {"pipeline": "basket", "service": "basket", "environment": "live"}
    return Delivery(ledger, target, run_id=run_id, log=lambda line: None, timeout=timedelta(seconds=2), **place)


def test_a_deployment_that_takes_longer_than_a_lease_lasts_keeps_the_environment(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "EVERY", 0.01)
    target = MemoryTarget(["basket-1"], OLD)
    renewed = threading.Event()
    renew = Leases.renew

    def noticed(self: Leases, lease: Lease, ttl: timedelta) -> Lease:
        done = renew(self, lease, ttl)
        if clock.time > lease.expires_at:
            renewed.set()
        return done

    monkeypatch.setattr(Leases, "renew", noticed)

    def slow(kind: str) -> None:
        clock.time += timedelta(minutes=20)
        assert renewed.wait(30)
        with pytest.raises(LeaseHeld):
            run(ledger, target, "next").acquire()

    target.before_call = slow
    run(ledger, target, "slow").deploy(NEW, phase="all")
    assert target.running() == {"basket-1": NEW.artifact}


def test_a_ledger_that_is_away_for_a_while_ends_nothing_and_a_lost_lease_does(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = {"pipeline": "basket", "run_id": "slow", "ttl": timedelta(minutes=15)}
    lease = ledger.leases.acquire("basket", "live", **place)
    renew, asked = Leases.renew, []

    def away_at_first(self: Leases, mine: Lease, ttl: timedelta) -> Lease:
        asked.append(clock.time)
        if len(asked) == 1:
            raise LedgerUnavailable("the database is locked.")
        if len(asked) == 3:
            ledger.leases.overrule("basket", "live", **place)
        return renew(self, mine, ttl)

    monkeypatch.setattr(Leases, "renew", away_at_first)

    def later(seconds: float) -> bool:
        clock.time += timedelta(seconds=seconds)
        return False

    keeping.renew_until(ledger, lease, later)
    assert len(asked) == 3
    assert asked[1] - asked[0] == timedelta(seconds=keeping.EVERY)


def test_it_ends_with_the_work(ledger: Ledger) -> None:
    lease = ledger.leases.acquire("basket", "live", pipeline="basket", run_id="one", ttl=timedelta(minutes=15))
    before = threading.active_count()
    with keeping.kept(ledger, lease):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
