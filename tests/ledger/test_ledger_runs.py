"""Runs with the same id are told apart, whatever is recorded of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_cd.errors import LeaseHeld
from airflow_cd.ledger import KnownRun, Ledger, ledger_url
from airflow_cd.ledger.models import RunRow
from airflow_cd.ledger.store import ledger_engine
from airflow_cd.states import HumanAction
from tests.ledger.ledger_runs import Clock, Run, shop

PLACE = ("storefront", "run-1")


def _asked(ledger: Ledger) -> None:
    ledger.questions.ask(
        pipeline="storefront",
        run_id="run-1",
        task_id="approve",
        options=["Approve"],
        approvers=[],
        subject="Deploy?",
        body="",
        deadline=None,
    )


def _marked(ledger: Ledger) -> None:
    ledger.audit.record(
        who="ada", action=HumanAction.MARKED_RUN_FAILED, why="", pipeline="storefront", run_id="run-1", task_id=None
    )


def test_a_run_starts_with_nothing_of_the_deleted_one_that_had_its_id(
    ledger: Ledger, run: Callable[..., Run], clock: Clock
) -> None:
    first = ledger.runs.begin(*PLACE, clock.time, plan={"stages": 1})
    before = run()
    deployment = before.open(shop("1.0.0"))
    _asked(ledger)
    _marked(ledger)
    assert len(ledger.overview.open_questions()) == 1

    second = ledger.runs.begin(*PLACE, clock.forward(minutes=1))
    assert (second.run_id, second.plan) == ("run-1", None)
    assert ledger.deployments.of_run(*PLACE, "shop", "production") is None
    assert ledger.questions.of_run(*PLACE) == []
    assert ledger.overview.open_questions() == []
    assert ledger.audit.actions(*PLACE) == []
    with pytest.raises(LeaseHeld):
        run().acquire()

    # What still works for the deleted run finds its own records.
    old = ledger.runs.begin(*PLACE, first.requested_at)
    assert (old.run_id, old.plan) == ("run-1 (deleted 1)", {"stages": 1})
    assert ledger.deployments.get(deployment.id).run_id == old.run_id
    assert [question.task_id for question in ledger.questions.of_run("storefront", old.run_id)] == ["approve"]
    ledger.settlement.promote(deployment.id, token=before.token, outcome="still at work")
    assert ledger.runs.begin(*PLACE, clock.forward(minutes=1)).run_id == "run-1"
    assert ledger.runs.begin(*PLACE, second.requested_at).run_id == "run-1 (deleted 2)"


def test_what_was_done_to_a_run_before_it_had_records_is_its_own(ledger: Ledger, clock: Clock) -> None:
    requested = clock.time
    clock.forward(seconds=1)
    _marked(ledger)
    ledger.runs.begin(*PLACE, requested)
    assert len(ledger.audit.actions(*PLACE)) == 1
    ledger.runs.begin(*PLACE, clock.forward(seconds=1))
    assert ledger.audit.actions(*PLACE) == []


@pytest.mark.parametrize(("minutes", "kept"), [(1, False), (-1, True)])
def test_records_of_an_older_package_belong_to_a_run_that_is_no_younger(
    ledger: Ledger, clock: Clock, minutes: float, *, kept: bool
) -> None:
    _asked(ledger)
    ledger.runs.tell_apart(*PLACE, clock.time + timedelta(minutes=minutes))
    assert bool(ledger.questions.of_run(*PLACE)) is kept


def test_nothing_is_recorded_of_runs_that_are_none_of_its_business(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.tell_apart(*PLACE, clock.time)
    assert not ledger.runs.was_requested(*PLACE, clock.time)
    ledger.runs.begin(*PLACE, clock.time)
    assert ledger.runs.was_requested(*PLACE, clock.time)


@pytest.mark.parametrize("done", [None, "deployed", "answered"])
def test_a_plan_stands_once_something_was_done_under_it(
    ledger: Ledger, run: Callable[..., Run], clock: Clock, done: str | None
) -> None:
    old: dict[str, Any] = {"phases": [20, 100]}
    new: dict[str, Any] = {"phases": [50, 100]}
    assert ledger.runs.begin(*PLACE, clock.time).plan is None
    assert ledger.runs.begin(*PLACE, clock.time, plan=old).plan == old
    if done == "deployed":
        run().open(shop("1.0.0"))
    elif done == "answered":
        _asked(ledger)
        ledger.questions.answer(*PLACE, "approve", option="Approve", who="ada", why="")
    assert ledger.runs.begin(*PLACE, clock.time, plan=new).plan == (old if done else new)
    assert ledger.runs.begin(*PLACE, clock.time).plan == (old if done else new)


def test_the_longest_id_of_a_run_can_be_taken_again(ledger: Ledger, clock: Clock) -> None:
    name = "r" * 250
    for _ in range(12):
        assert ledger.runs.begin("storefront", name, clock.forward(minutes=1)).run_id == name


def test_the_guard_still_reaches_what_a_deleted_run_left_when_its_id_is_used_again(
    ledger: Ledger, run: Callable[..., Run], clock: Clock
) -> None:
    ledger.runs.begin(*PLACE, clock.time)
    left = run()
    left.open(shop("1.0.0"))
    ledger.work.begin(
        "shop",
        "production",
        pipeline="storefront",
        run_id="run-1",
        task_id="production.deploy",
        process="worker:1",
        target={"connection": "http_production"},
        timeout=60,
    )
    ledger.runs.begin(*PLACE, clock.forward(minutes=1))
    claim = ("shop", "production", "storefront", "run-1 (deleted 1)")
    work = ledger.work.of_claims([claim])[claim]
    assert work.target == {"connection": "http_production"}
    assert [deployment.run_id for deployment in ledger.guarding.unsettled()] == [claim[3]]


def test_what_was_asked_under_a_plan_fixes_it(ledger: Ledger, clock: Clock) -> None:
    ledger.runs.begin(*PLACE, clock.time, plan={"phases": [20, 100]})
    _asked(ledger)
    # The lease of an environment that stands beside the approval asks again under the new plan.
    ledger.runs.begin(*PLACE, clock.time, plan={"phases": [50, 100]})
    ledger.questions.answer(*PLACE, "approve", option="Approve", who="boss", why="")
    assert ledger.runs.begin(*PLACE, clock.time, plan={"phases": [50, 100]}).plan == {"phases": [20, 100]}


@pytest.mark.postgres
@pytest.mark.parametrize("moment", [1, 2, 3])
def test_tasks_that_begin_a_run_at_once_are_of_one_run(postgres_url: str, clock: Clock, moment: int) -> None:
    """Whatever the other one has seen of the run by then: nothing, nothing for sure, no earlier one that had its id."""
    first, second = (Ledger(ledger_engine(ledger_url(postgres_url)), clock=clock) for _ in range(2))
    begun: list[KnownRun] = []
    seen = 0

    @sa.event.listens_for(second.engine, "after_cursor_execute")
    def begin_first(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        nonlocal seen
        seen += statement.startswith("SELECT") and RunRow.__tablename__ in statement
        if seen == moment and not begun:
            begun.append(first.runs.begin(*PLACE, clock.time))

    try:
        begun.append(second.runs.begin(*PLACE, clock.time))
        assert [one.run_id for one in begun] == ["run-1", "run-1"]
        assert first.runs.begin(*PLACE, clock.time).run_id == "run-1"
    finally:
        first.engine.dispose()
        second.engine.dispose()
