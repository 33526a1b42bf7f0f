"""No manual action without a record, and none lost that comes while a task is about to wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from airflow_cd.errors import LedgerUnavailable
from airflow_cd.ledger import Ledger
from airflow_cd.ledger.audit import Audit
from airflow_cd.plugin.audit import parking
from tests.plugin.audit.airflow_server import APPROVER, DAG_ID, RUN_ID, airflow_app, airflow_as, changed, states

__all__ = ["airflow_app", "airflow_as", "states"]

RUN = f"/api/v2/dags/{DAG_ID}/dagRuns/{quote(RUN_ID)}"
TASKS = f"{RUN}/taskInstances"
SUCCESS = {"new_state": "success", "note": "fine"}


def _bulk(**entity: Any) -> dict[str, Any]:
    return {"actions": [{"action": "update", "entities": [entity]}]}


MARKS = {
    "single": ("PATCH", f"{TASKS}/approve", SUCCESS),
    "mapped": ("PATCH", f"{TASKS}/approve/-1", SUCCESS),
    "bulk": ("PATCH", TASKS, _bulk(task_id="approve", **SUCCESS)),
    "bulk of any DAG": (
        "PATCH",
        "/api/v2/dags/~/dagRuns/~/taskInstances",
        _bulk(dag_id=DAG_ID, dag_run_id=RUN_ID, task_id="approve", **SUCCESS),
    ),
    "failed": ("PATCH", f"{TASKS}/approve", {"new_state": "failed", "note": "fine"}),
    "button": (
        "PATCH",
        f"{TASKS}/approve/-1/hitlDetails",
        {"chosen_options": ["Approve"], "params_input": {"reason": "fine"}},
    ),
}


def _ask(ledger: Ledger, **more: Any) -> Any:
    return ledger.questions.ask(
        **{
            "pipeline": DAG_ID,
            "run_id": RUN_ID,
            "task_id": "approve",
            "options": ["Approve", "Reject"],
            "approvers": [APPROVER],
            "subject": "Deploy?",
            "body": "",
            "deadline": None,
            **more,
        }
    )


@pytest.mark.parametrize("asks", ["before", "after"])
@pytest.mark.parametrize("way", MARKS.values(), ids=MARKS)
def test_a_mark_waits_until_the_task_that_is_about_to_wait_does(
    airflow_as: Any,
    states: Any,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    way: tuple[str, str, Any],
    asks: str,
) -> None:
    """The question is seen, or not even asked yet, while the task runs; it parks between two looks at it."""
    changed(state="running")
    looked: list[str] = []
    real: Callable[..., Any] = parking.states

    def look(*place: Any) -> Any:
        found = real(*place)
        looked.append(found.get("approve", ""))
        if len(looked) == 1 and asks == "after":
            _ask(ledger)
        if len(looked) == 2:
            changed(state="awaiting_input")
        return found

    monkeypatch.setattr(parking, "states", look)
    monkeypatch.setattr(parking, "EVERY", 0.001)
    if asks == "before":
        _ask(ledger)
    method, path, body = way
    answered = airflow_as(APPROVER).request(method, path, json=body)
    assert looked[:3] == ["running", "running", "awaiting_input"]
    if way is MARKS["button"]:
        return  # Airflow has nothing to answer here; that it waited is all
    assert answered.status_code == 200
    question = ledger.questions.get(DAG_ID, RUN_ID, "approve")
    assert question is not None
    expected = "Reject" if way is MARKS["failed"] else "Approve"
    assert (question.option, question.who, question.why) == (expected, APPROVER, "fine")


def test_a_mark_that_came_before_the_question_is_told_to_who_asks(ledger: Ledger, airflow_as: Any, states: Any) -> None:
    """Between the look at the task and the mark's arrival the question is asked: one of the two must know."""
    changed(max_tries=5)
    _ask(ledger, life=5)
    airflow_as(APPROVER).patch(f"{TASKS}/approve", json=SUCCESS)
    ledger.questions.reopen(DAG_ID, RUN_ID, "approve")
    question = _ask(ledger, life=5)
    assert (question.mark.option, question.mark.who, question.mark.why) == ("Approve", APPROVER, "fine")
    assert _ask(ledger, life=6).mark is None


# -- no action without a record ----------------------------------------------------------------------------------

ACTIONS = {
    **{name: way for name, way in MARKS.items() if name != "button"},
    "run": ("PATCH", RUN, {"state": "failed"}),
    "group": ("PATCH", f"{RUN}/taskGroupInstances/dev", {"new_state": "failed"}),
    "clear": (
        "POST",
        f"/api/v2/dags/{DAG_ID}/clearTaskInstances",
        {"dry_run": False, "dag_run_id": RUN_ID, "task_ids": ["approve"]},
    ),
    "clear run": ("POST", f"{RUN}/clear", {"dry_run": False}),
}


@pytest.mark.parametrize("way", ACTIONS.values(), ids=ACTIONS)
def test_what_cannot_be_recorded_is_not_done(
    airflow_as: Any, states: Any, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, way: tuple[str, str, Any]
) -> None:
    _ask(ledger)

    def full(self: Audit, intents: Any) -> Any:
        raise LedgerUnavailable("the ledger is full.")

    monkeypatch.setattr(Audit, "intend", full)
    method, path, body = way
    refused = airflow_as(APPROVER).request(method, path, json=body)
    assert (refused.status_code, "the ledger is full" in refused.text) == (503, True)
    assert (states("approve"), states("")) == ("awaiting_input", "running")


def test_the_intent_is_there_before_airflow_acts(
    airflow_as: Any, states: Any, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came of it cannot be recorded any more: the record is there all the same, and the answer with it."""
    _ask(ledger)

    def away(self: Any, *place: Any, **more: Any) -> Any:
        raise LedgerUnavailable("the ledger is away.")

    monkeypatch.setattr(type(ledger.questions), "answer", away)
    assert airflow_as(APPROVER).patch(f"{TASKS}/approve", json=SUCCESS).status_code == 200
    [action] = ledger.audit.actions(DAG_ID, RUN_ID)
    assert (action.who, action.why, action.allowed) == (APPROVER, "fine", True)
    assert (action.detail["option"], action.detail["as"]) == ("Approve", "marked success")


def test_what_airflow_refused_is_no_action(airflow_as: Any, states: Any, ledger: Ledger) -> None:
    airflow_as(APPROVER).patch(f"{TASKS}/nothing", json={"new_state": "failed"})
    [attempt] = ledger.audit.actions(DAG_ID, RUN_ID)
    assert not attempt.allowed
    assert ledger.audit.verify().whole


def test_names_and_answers_of_any_length_are_recorded(airflow_as: Any, states: Any, ledger: Ledger) -> None:
    _ask(ledger)
    who, option = "mallory" * 100, "Approve" * 1000
    body = {"chosen_options": [option], "params_input": {"reason": "x" * 100_000}}
    assert airflow_as(who).patch(f"{TASKS}/approve/-1/hitlDetails", json=body).status_code == 403
    airflow_as(APPROVER).patch(f"{TASKS}/approve/-1/hitlDetails", json=body)
    attempts = ledger.audit.actions(DAG_ID, RUN_ID)
    assert [attempt.allowed for attempt in attempts] == [False, False]
    assert attempts[-1].who == who[:249] + "…"
    assert attempts[0].action.startswith("answered ApproveApprove")


def test_marks_at_the_same_moment_are_all_in_the_chain(airflow_as: Any, states: Any, ledger: Ledger) -> None:
    clients = [airflow_as(f"person-{number}") for number in range(4)]
    threads = [
        threading.Thread(target=client.patch, args=(f"{TASKS}/dev.deploy",), kwargs={"json": {"new_state": "failed"}})
        for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    chain = ledger.audit.verify()
    assert chain.whole
    assert chain.records >= 4
