"""Commits beside a deployment: recorded once, and nothing they do can stop it or make it wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Event

import pytest

from airflow_cd.commits import NOT_READ, Commit, CommitList, Commits
from airflow_cd.delivery import Delivery, commit_reading
from airflow_cd.demo.airflow_client import wait_until
from airflow_cd.errors import AirflowCdError, LedgerRefused
from airflow_cd.ledger import Deployment, Ledger
from tests.memory_target import MemoryTarget, wholly_on

from .test_delivery import NAMES, NEW, NEWER, OLD, delivery

BROUGHT = CommitList((Commit("a" * 40, "Ada", None, "<b>mended</b>"),), 1)


class Source:
    """Commits of any two versions, or whatever trouble a test wants; counts how often it is asked."""

    def __init__(self, trouble: Exception | None = None, wait: Event | None = None) -> None:
        self.asked: list[tuple[str | None, str]] = []
        self.trouble = trouble
        self.wait = wait

    def between(self, before: str | None, after: str) -> Commits:
        self.asked.append((before, after))
        if self.wait is not None:
            self.wait.wait(60)
        if self.trouble is not None:
            raise self.trouble
        return Commits(before or "", after, BROUGHT)


@pytest.fixture
def ledger(new_ledger: Ledger) -> Ledger:
    return new_ledger


@pytest.fixture
def target() -> MemoryTarget:
    return MemoryTarget(NAMES, OLD)


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """What a source waits for that hangs; nobody waits long for it."""
    monkeypatch.setattr(commit_reading, "LONGEST", 0.2)
    event = Event()
    yield event
    event.set()


def _recorded(mine: Delivery) -> Deployment:
    return mine.ledger.deployments.get(mine.require_deployment().id)


def test_they_are_read_once_for_all_phases(ledger: Ledger, target: MemoryTarget) -> None:
    mine, source = delivery(ledger, target), Source()
    mine.deploy(NEW, phase="phase_20", share=20, commits=source)
    mine.deploy(NEW, phase="phase_100", share=100, commits=source)
    mine.promote("verified")
    assert source.asked == [("1.1", "1.2")]
    assert _recorded(mine).commits == Commits("1.1", "1.2", BROUGHT)


def test_the_same_version_and_none_at_all_need_no_source(ledger: Ledger, target: MemoryTarget) -> None:
    source, mine = Source(), delivery(ledger, target)
    mine.deploy(OLD, phase="all", commits=source)
    assert _recorded(mine).commits == Commits("1.1", "1.1")
    mine.promote("fine")
    mine.release_lease()
    other = delivery(ledger, target, "run-2")
    other.deploy(NEWER, phase="all")
    assert (source.asked, _recorded(other).commits) == ([], None)


def test_an_empty_environment_has_nothing_before(ledger: Ledger) -> None:
    mine, source = delivery(ledger, MemoryTarget(NAMES)), Source()
    mine.deploy(NEW, phase="all", commits=source)
    assert source.asked == [(None, "1.2")]


def test_a_source_that_fails_is_a_sentence_and_quotes_nothing(ledger: Ledger, target: MemoryTarget) -> None:
    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="all", commits=Source(RuntimeError("password=hunter2")))
    assert wholly_on(target, NEW)
    assert _recorded(mine).commits == Commits("1.1", "1.2", unknown="Source failed with RuntimeError.")


def test_a_source_that_hangs_is_left_behind_and_its_answer_still_recorded(
    ledger: Ledger, target: MemoryTarget, never: Event
) -> None:
    said: list[str] = []
    mine = delivery(ledger, target)
    mine.log = said.append
    began = time.monotonic()
    mine.deploy(NEW, phase="all", commits=Source(wait=never))
    assert time.monotonic() - began < 10
    assert wholly_on(target, NEW)
    assert _recorded(mine).commits == NOT_READ
    assert any("going on without them" in line for line in said)
    never.set()
    wait_until(lambda: _recorded(mine).commits != NOT_READ, "the commits are recorded", seconds=10, every=0.02)


def test_nobody_waits_for_them_when_the_deployment_fails(
    ledger: Ledger, target: MemoryTarget, never: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_reading, "LONGEST", 30.0)
    mine = delivery(ledger, target)
    target.broken.add(NEW.artifact)
    began = time.monotonic()
    with pytest.raises(AirflowCdError):
        mine.deploy(NEW, phase="all", commits=Source(wait=never))
    mine.roll_back("it did not start")
    assert time.monotonic() - began < 15
    assert wholly_on(target, OLD)
    assert _recorded(mine).commits == NOT_READ


def test_what_a_killed_task_has_not_read_is_read_by_the_next_attempt(
    ledger: Ledger, target: MemoryTarget, never: Event
) -> None:
    mine, source = delivery(ledger, target), Source()
    mine.deploy(NEW, phase="all", commits=Source(wait=never))
    mine.deploy(NEW, phase="all", commits=source)
    assert source.asked == [("1.1", "1.2")]
    assert _recorded(mine).commits == Commits("1.1", "1.2", BROUGHT)


def test_a_ledger_that_cannot_record_them_stops_nothing(
    ledger: Ledger, target: MemoryTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise LedgerRefused("the disk is full.")

    monkeypatch.setattr(ledger.deployments, "record_commits", full)
    mine = delivery(ledger, target)
    said: list[str] = []
    mine.log = said.append
    mine.deploy(NEW, phase="all", commits=Source())
    assert wholly_on(target, NEW)
    assert "The commits were not recorded: the disk is full." in said


def test_a_record_that_cannot_be_read_stops_no_rollback(ledger: Ledger, target: MemoryTarget) -> None:
    from sqlalchemy import text

    mine = delivery(ledger, target)
    mine.deploy(NEW, phase="all", commits=Source())
    with ledger.engine.begin() as connection:
        connection.execute(text("""UPDATE cd_deployment SET commits = '{"brought": 7}'"""))
    mine.roll_back("it was bad")
    assert wholly_on(target, OLD)
    found = _recorded(mine).commits
    assert found is not None
    assert found.summary == "Commits unknown: what was recorded of them cannot be read."
