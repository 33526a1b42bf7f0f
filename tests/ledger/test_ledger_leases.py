"""Leases: order, expiry, tokens that only grow, and runs that race."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from airflow_cd.errors import DeploymentSettled, LeaseHeld, LeaseLost, LedgerError
from airflow_cd.ledger import Lease, Ledger, ledger_url
from airflow_cd.ledger.store import ledger_engine
from tests.ledger.ledger_runs import Clock, Run

TTL = timedelta(minutes=5)


def test_a_free_environment_is_owned_at_once(run: Any, clock: Clock, ledger: Ledger) -> None:
    lease = run().acquire()
    assert (lease.service, lease.environment, lease.pipeline, lease.run_id) == (
        "shop",
        "production",
        "storefront",
        "run-1",
    )
    assert lease.acquired_at == clock.time
    assert lease.expires_at == clock.time + TTL
    assert ledger.leases.current("shop", "production") == lease


def test_the_same_run_gets_the_same_token_renewed(run: Any, clock: Clock) -> None:
    first = run().acquire()
    clock.forward(minutes=1)
    again = run().acquire()
    assert again.token == first.token
    assert again.acquired_at == first.acquired_at
    assert again.expires_at == first.expires_at + timedelta(minutes=1)


def test_another_run_is_told_who_holds_it_since_when_and_its_place(run: Any) -> None:
    run("run-1").acquire()
    with pytest.raises(LeaseHeld, match=r"belonged to run run-1 of storefront since 2026-03-01 12:00:00 UTC.*number 1"):
        run("run-2").acquire()
    with pytest.raises(LeaseHeld, match="number 2 in the queue") as caught:
        run("run-3").acquire()
    assert caught.value.environment == "production"
    with pytest.raises(LeaseHeld, match="number 1 in the queue"):
        run("run-2").acquire()


def test_environments_and_services_are_apart(run: Any, ledger: Ledger) -> None:
    run("run-1").acquire()
    run("run-2", environment="staging").acquire()
    ledger.leases.acquire("billing", "production", pipeline="p", run_id="r", ttl=TTL)


def test_a_released_environment_goes_to_the_head_of_the_queue_only(run: Any, ledger: Ledger) -> None:
    first = run("run-1")
    first.acquire()
    for waiter in ("run-2", "run-3"):
        with pytest.raises(LeaseHeld):
            run(waiter).acquire()
    assert [(w.run_id, w.position) for w in ledger.leases.waiting("shop", "production")] == [("run-2", 1), ("run-3", 2)]
    first.release()
    with pytest.raises(LeaseHeld, match="run run-2 of storefront is ahead of this run"):
        run("run-3").acquire()
    second = run("run-2").acquire()
    assert second.token == first.token + 1
    assert [w.run_id for w in ledger.leases.waiting("shop", "production")] == ["run-3"]


def test_an_expired_lease_is_given_to_the_next_and_the_late_owner_is_refused(run: Any, clock: Clock) -> None:
    dead = run("run-1")
    old = dead.acquire()
    clock.forward(minutes=5, seconds=-1)
    with pytest.raises(LeaseHeld):
        run("run-2").acquire()
    clock.forward(seconds=1)
    new = run("run-2").acquire()
    assert new.token > old.token
    with pytest.raises(LeaseLost, match=r"token \d+ is void: the environment now belongs to run run-2"):
        dead.ledger.leases.check(old)
    with pytest.raises(LeaseLost):
        dead.ledger.leases.renew(old, TTL)
    dead.release()
    assert dead.ledger.leases.current("shop", "production") == new


def test_an_expired_lease_nobody_waited_for_still_holds(run: Any, clock: Clock, ledger: Ledger) -> None:
    lease = run().acquire()
    clock.forward(hours=3)
    ledger.leases.check(lease)
    renewed = ledger.leases.renew(lease, TTL)
    assert renewed.token == lease.token
    assert renewed.expires_at == clock.time + TTL


def test_a_dead_waiter_blocks_nobody(run: Any, clock: Clock, ledger: Ledger) -> None:
    owner = run("run-1")
    owner.acquire(ttl=timedelta(hours=1))
    with pytest.raises(LeaseHeld):
        run("dies").acquire()
    clock.forward(minutes=4)
    with pytest.raises(LeaseHeld, match="number 2"):
        run("lives").acquire()
    clock.forward(minutes=1)
    assert [w.run_id for w in ledger.leases.waiting("shop", "production")] == ["lives"]
    owner.release()
    run("lives").acquire()
    with pytest.raises(LeaseHeld, match="number 1"):
        run("dies").acquire()


def test_a_waiter_keeps_its_place_by_asking_again(run: Any, clock: Clock) -> None:
    run("run-1").acquire(ttl=timedelta(hours=1))
    for _ in range(4):
        with pytest.raises(LeaseHeld, match="number 1"):
            run("run-2").acquire()
        with pytest.raises(LeaseHeld, match="number 2"):
            run("run-3").acquire()
        clock.forward(minutes=4)


def test_who_leaves_the_queue_gives_its_place_up(run: Any, ledger: Ledger) -> None:
    run("run-1").acquire()
    for waiter in ("run-2", "run-3"):
        with pytest.raises(LeaseHeld):
            run(waiter).acquire()
    for _ in range(2):
        ledger.leases.leave_queue("shop", "production", pipeline="storefront", run_id="run-2")
    assert [w.run_id for w in ledger.leases.waiting("shop", "production")] == ["run-3"]
    with pytest.raises(LeaseHeld, match="number 2"):
        run("run-2").acquire()


def test_superseding_removes_older_waiters_for_good_but_never_the_owner(run: Any, ledger: Ledger) -> None:
    owner = run("run-1")
    lease = owner.acquire()
    for waiter in ("run-2", "run-3"):
        with pytest.raises(LeaseHeld):
            run(waiter).acquire()
    with pytest.raises(LeaseHeld, match="number 1"):
        run("run-4").acquire(supersede=True)
    ledger.leases.check(lease)
    with pytest.raises(LeaseHeld, match="number 2"):
        run("run-5").acquire()
    owner.release()
    for _ in range(2):
        with pytest.raises(DeploymentSettled, match="run run-2 is superseded by run run-4 of storefront"):
            run("run-2").acquire(supersede=True)
    assert run("run-4").acquire().token == lease.token + 1


def test_an_older_run_that_comes_back_does_not_supersede_a_newer_one(run: Any, ledger: Ledger) -> None:
    run("run-1").acquire()
    with pytest.raises(LeaseHeld):
        run("run-2").acquire(supersede=True)
    ledger.leases.leave_queue("shop", "production", pipeline="storefront", run_id="run-2")
    with pytest.raises(LeaseHeld, match="number 1"):
        run("run-3").acquire()
    with pytest.raises(LeaseHeld, match="number 2"):
        run("run-2").acquire(supersede=True)
    assert [w.run_id for w in ledger.leases.waiting("shop", "production")] == ["run-3", "run-2"]


def test_a_ledger_from_a_backup_gives_tokens_above_those_it_has_forgotten(
    sqlite_url: str, tmp_path: Path, clock: Clock
) -> None:
    def opened(url: str) -> tuple[Ledger, Run]:
        ledger = Ledger(ledger_engine(ledger_url(url)), clock=clock)
        return ledger, Run(ledger)

    ledger, run = opened(sqlite_url)
    run.acquire()
    ledger.engine.dispose()
    shutil.copy(tmp_path / "ledger.db", tmp_path / "backup.db")
    clock.forward(minutes=5)
    ledger, run = opened(sqlite_url)
    newest = [run.overrule().token for _ in range(3)][-1]
    ledger.engine.dispose()
    clock.forward(minutes=1)
    restored, run = opened(f"sqlite:///{tmp_path / 'backup.db'}")
    assert run.overrule().token > newest
    restored.engine.dispose()


def test_overruling_voids_the_older_token_of_the_same_run(run: Any, ledger: Ledger) -> None:
    zombie = run("run-1")
    old = zombie.acquire()
    new = run("run-1").overrule()
    assert new.token == old.token + 1
    with pytest.raises(LeaseLost):
        ledger.leases.check(old)
    ledger.leases.release(old)
    ledger.leases.check(new)
    with pytest.raises(LeaseLost, match="belongs to run run-1 of storefront now, not to run run-2"):
        run("run-2").overrule()


def test_overruling_takes_an_environment_that_nobody_owns(run: Any, ledger: Ledger) -> None:
    assert run("run-1").overrule() == ledger.leases.current("shop", "production")


def test_a_released_lease_is_void_and_its_token_never_comes_back(run: Any, ledger: Ledger) -> None:
    first = run("run-1")
    old = first.acquire()
    first.release()
    first.release()
    assert ledger.leases.current("shop", "production") is None
    for forbidden in (lambda: ledger.leases.check(old), lambda: ledger.leases.renew(old, TTL)):
        with pytest.raises(LeaseLost, match="belongs to nobody"):
            forbidden()
    assert run("run-1").acquire().token > old.token


def test_a_lease_on_an_environment_never_heard_of_is_void(ledger: Ledger, clock: Clock) -> None:
    with pytest.raises(LeaseLost):
        ledger.leases.check(Lease("shop", "mars", "p", "r", 1, clock.time, clock.time))


def test_tokens_start_above_those_of_a_ledger_that_was_lost(run: Any, clock: Clock) -> None:
    assert run().acquire().token == int(clock.time.timestamp()) + 1


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=-1)])
def test_a_lease_must_last(run: Any, ttl: timedelta) -> None:
    with pytest.raises(LedgerError, match="would never hold"):
        run().acquire(ttl=ttl)


@pytest.mark.parametrize("name", ["", "x" * 251, "a\x00b"])
def test_a_name_that_could_not_be_kept_is_refused(ledger: Ledger, name: str) -> None:
    with pytest.raises(LedgerError, match="cannot be stored as a name"):
        ledger.leases.acquire(name, "production", pipeline="p", run_id="r", ttl=TTL)


def test_of_runs_that_ask_at_the_same_moment_one_owns_and_the_others_stand_in_line(real_ledger: Ledger) -> None:
    runs = [f"run-{number}" for number in range(8)]
    together = Barrier(len(runs))

    def ask(run_id: str) -> Lease | str:
        together.wait()
        try:
            return real_ledger.leases.acquire("shop", "production", pipeline="p", run_id=run_id, ttl=TTL)
        except LeaseHeld as held:
            return str(held)

    with ThreadPoolExecutor(len(runs)) as pool:
        answers = list(pool.map(ask, runs))
    owners = [answer for answer in answers if isinstance(answer, Lease)]
    assert len(owners) == 1
    assert real_ledger.leases.current("shop", "production") == owners[0]
    waiting = real_ledger.leases.waiting("shop", "production")
    assert {w.run_id for w in waiting} == set(runs) - {owners[0].run_id}
    assert [w.position for w in waiting] == list(range(1, 8))


def test_of_overrulings_at_the_same_moment_the_highest_token_counts(real_ledger: Ledger) -> None:
    together = Barrier(6)

    def overrule(_: int) -> Lease:
        together.wait()
        return real_ledger.leases.overrule("shop", "production", pipeline="p", run_id="r", ttl=TTL)

    with ThreadPoolExecutor(6) as pool:
        leases = list(pool.map(overrule, range(6)))
    assert len({lease.token for lease in leases}) == 6
    last = max(leases, key=lambda lease: lease.token)
    real_ledger.leases.check(last)
    for lease in leases:
        if lease is not last:
            with pytest.raises(LeaseLost):
                real_ledger.leases.check(lease)


RUNS = st.sampled_from(["run-1", "run-2", "run-3"])


class Leasing(RuleBasedStateMachine):
    """Anything that runs may do to one environment, in any order, against what must be true all along."""

    ledger: Ledger
    clock: Clock
    example = 0

    def __init__(self) -> None:
        super().__init__()
        Leasing.example += 1
        self.service = f"service-{Leasing.example}"
        self.granted: list[Lease] = []
        self.owner: Lease | None = None
        self.kept: dict[str, datetime] = {}
        """Until when those that were told to wait keep their places, in the order in which they got them."""

    def came_back(self, run_id: str, first: str) -> bool:
        """Whether a run asks too late, but before any other has asked since, and was ahead of the first in line."""
        order = list(self.kept)
        late = run_id in self.kept and self.kept[run_id] <= self.clock.time
        return late and first in order and order.index(run_id) < order.index(first)

    def granted_now(self, lease: Lease) -> None:
        if self.owner is not None and lease.token == self.owner.token:
            assert lease.run_id == self.owner.run_id, "two runs have one token"
        else:
            assert all(lease.token > older.token for older in self.granted), "a token did not grow"
            if self.owner is not None and self.owner.run_id != lease.run_id:
                assert self.owner.expires_at <= self.clock.time, "a lease was taken from its owner before it expired"
        self.granted.append(lease)
        self.owner = lease

    @rule(run_id=RUNS, supersede=st.booleans(), minutes=st.integers(1, 9))
    def acquire(self, run_id: str, supersede: bool, minutes: int) -> None:
        line = self.ledger.leases.waiting(self.service, "production")
        now = self.clock.time
        if self.owner is None or self.owner.run_id != run_id:
            self.kept = {one: until for one, until in self.kept.items() if one == run_id or until > now}
        try:
            lease = self.ledger.leases.acquire(
                self.service,
                "production",
                pipeline="p",
                run_id=run_id,
                ttl=timedelta(minutes=minutes),
                supersede=supersede,
            )
        except LeaseHeld:
            assert run_id in {w.run_id for w in self.ledger.leases.waiting(self.service, "production")}
            self.kept[run_id] = now + timedelta(minutes=minutes)
        except DeploymentSettled:
            assert run_id not in {w.run_id for w in line}
            self.kept.pop(run_id, None)
        else:
            if not supersede and (self.owner is None or self.owner.run_id != run_id):
                its_turn = not line or line[0].run_id == run_id or self.came_back(run_id, line[0].run_id)
                assert its_turn, "a run was served before its turn"
            self.kept.pop(run_id, None)
            self.granted_now(lease)

    @rule(run_id=RUNS)
    def overrule(self, run_id: str) -> None:
        try:
            lease = self.ledger.leases.overrule(self.service, "production", pipeline="p", run_id=run_id, ttl=TTL)
        except LeaseLost:
            assert self.owner is not None
            assert self.owner.run_id != run_id
        else:
            assert self.owner is None or self.owner.run_id == run_id
            self.granted_now(lease)

    @precondition(lambda self: self.granted)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.granted))
        try:
            renewed = self.ledger.leases.renew(lease, TTL)
        except LeaseLost:
            assert self.owner is None or lease.token != self.owner.token
        else:
            assert self.owner is not None
            assert lease.token == self.owner.token
            self.owner = renewed

    @precondition(lambda self: self.granted)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.granted))
        self.ledger.leases.release(lease)
        if self.owner is not None and lease.token == self.owner.token:
            self.owner = None

    @rule(run_id=RUNS)
    def leave(self, run_id: str) -> None:
        self.ledger.leases.leave_queue(self.service, "production", pipeline="p", run_id=run_id)
        self.kept.pop(run_id, None)

    @rule(minutes=st.integers(1, 10))
    def wait(self, minutes: int) -> None:
        self.clock.forward(minutes=minutes)

    @invariant()
    def the_ledger_names_the_owner(self) -> None:
        current = self.ledger.leases.current(self.service, "production")
        assert (current and current.token) == (self.owner and self.owner.token)
        assert (current and current.run_id) == (self.owner and self.owner.run_id)


def test_whatever_runs_do_tokens_only_grow_and_one_run_owns(ledger: Ledger, clock: Clock) -> None:
    Leasing.ledger, Leasing.clock = ledger, clock
    run_state_machine_as_test(
        Leasing,
        settings=settings(
            max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
