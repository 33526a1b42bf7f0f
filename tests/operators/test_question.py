"""Asking a person: what is shown and kept, and which answer counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskAwaitingInput

from airflow_cd.errors import LedgerRefused
from airflow_cd.operators import PromoteOperator, question
from airflow_cd.operators.question import TIMED_OUT, Answer, ask, given_answer, read_answer
from tests.operators.world import NEW, World

ADA = {"id": "7", "name": "ada"}
PLACE = ("shop", "run-1", "task")


def _ask(world: World, monkeypatch: pytest.MonkeyPatch, **more: Any) -> dict[str, Any]:
    """Ask, and return what Airflow was told."""
    detail: dict[str, Any] = {}
    monkeypatch.setattr(question, "upsert_hitl_detail", lambda **given: detail.update(given))
    with pytest.raises(TaskAwaitingInput) as caught:
        ask(
            world.ledger,
            world.context(world.task(PromoteOperator)),
            **{
                "subject": "Deploy shop 1.2?",
                "body": "It is **new**.",
                "options": ["Approve", "Reject"],
                "default": "Reject",
                "timeout": timedelta(hours=1),
                "method": "execute_complete",
                **more,
            },
        )
    return {**detail, "method": caught.value.method_name, "timeout": caught.value.timeout}


def _read(world: World, event: Mapping[str, Any]) -> Answer:
    return read_answer(world.ledger, world.context(world.task(PromoteOperator)), event, default="Reject")


def test_airflow_shows_the_question_and_the_ledger_keeps_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    detail = _ask(world, monkeypatch, approvers=["ada", "bob"], proposed={"production": NEW})
    assert (detail["method"], detail["timeout"]) == ("execute_complete", timedelta(hours=1))
    assert (detail["options"], detail["defaults"], detail["multiple"]) == (["Approve", "Reject"], ["Reject"], False)
    assert [user["name"] for user in detail["assigned_users"]] == ["ada", "bob"]
    kept = world.ledger.questions.get(*PLACE)
    assert kept is not None
    assert (kept.subject, kept.approvers, kept.option) == ("Deploy shop 1.2?", ("ada", "bob"), None)
    assert kept.proposed == {"production": NEW}
    assert kept.deadline is not None
    assert timedelta(minutes=59) < kept.deadline - datetime.now(timezone.utc) <= timedelta(hours=1)


ANSWERS: dict[str, tuple[dict[str, Any], Answer]] = {
    "with a reason": (
        {"chosen_options": ["Approve"], "responded_by_user": ADA, "params_input": {"reason": "looks good"}},
        Answer("Approve", "ada", "looks good"),
    ),
    "without one": ({"chosen_options": ["Reject"], "responded_by_user": ADA}, Answer("Reject", "ada", "")),
    "by a user without a name": (
        {"chosen_options": ["Approve"], "responded_by_user": {"id": "7"}, "params_input": {"reason": None}},
        Answer("Approve", "7", ""),
    ),
    "timed out": (
        {"chosen_options": ["Reject"], "responded_by_user": None, "timedout": True},
        Answer("Reject", "", TIMED_OUT),
    ),
    "an empty one": ({}, Answer("Reject", "", TIMED_OUT)),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_is_read_and_kept(world: World, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    event, expected = ANSWERS[case]
    _ask(world, monkeypatch)
    assert _read(world, event) == expected
    kept = world.ledger.questions.get(*PLACE)
    assert kept is not None
    assert (kept.option, kept.who or "", kept.why or "") == (expected.option, expected.who, expected.why)


def test_the_first_answer_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _ask(world, monkeypatch)
    world.ledger.questions.answer(*PLACE, option="Reject", who="bob", why="not on a Friday")
    event = {"chosen_options": ["Approve"], "responded_by_user": ADA}
    assert _read(world, event) == Answer("Reject", "bob", "not on a Friday")


def test_an_option_that_the_question_does_not_have_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _ask(world, monkeypatch)
    with pytest.raises(LedgerRefused):
        _read(world, {"chosen_options": ["Maybe"], "responded_by_user": ADA})


def test_an_answer_says_by_whom(world: World) -> None:
    assert (Answer("Approve", "ada").by, Answer("Reject").by) == ("ada", "the default answer")


@pytest.mark.parametrize(
    ("asked", "deadline", "answer"),
    [
        (timedelta(hours=-2), timedelta(hours=-1), Answer("Reject", why=TIMED_OUT)),
        (timedelta(hours=-2), timedelta(hours=1), None),
        (timedelta(hours=-1), timedelta(hours=-2), None),  # reopened, and not asked again yet
        (timedelta(hours=-2), None, None),
    ],
)
def test_the_default_counts_once_the_deadline_is_over(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    asked: timedelta,
    deadline: timedelta | None,
    answer: Answer | None,
) -> None:
    from dataclasses import replace

    _ask(world, monkeypatch)
    kept, now = world.ledger.questions.get(*PLACE), datetime.now(timezone.utc)
    assert kept is not None
    kept = replace(kept, asked_at=now + asked, deadline=now + deadline if deadline is not None else None)
    assert given_answer(kept, default="Reject") == answer
    assert given_answer(kept) is None
    assert given_answer(replace(kept, option="Approve", who="ada"), default="Reject") == Answer("Approve", "ada")
