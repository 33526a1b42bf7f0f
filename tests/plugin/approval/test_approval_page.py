"""The approval's page: its evidence, and the way of an answer through the middleware to Airflow's own API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from airflow_cd.ledger import Ledger
from airflow_cd.plugin import airflow_api
from airflow_cd.plugin.audit.middleware import AuditMiddleware
from airflow_cd.plugin.dag_runs import identity
from airflow_cd.plugin.dag_runs import tasks as run_tasks
from airflow_cd.plugin.dag_runs.tasks import Run
from airflow_cd.release import Release
from tests.chromium import PATIENCE
from tests.plugin.conftest import ClientAs
from tests.plugin.deployed import Delivery
from tests.plugin.served import served

PLACE = "/airflow-cd/approval/shop/run-2.0/approve"
DATABASE_LOCKED = {
    "reason": "Database error",
    "statement": "hidden",
    "orig_error": "hidden",
    "message": "Serious error",
}
NEW = Release("shop", "2.0", "shop:2.0", {"workers": 8, "greeting": "<script>alert(1)</script>"})


@pytest.fixture
def given_to_airflow(client_as: ClientAs) -> list[dict[str, Any]]:
    """What Airflow's API was given; it stands behind the same middleware as in the API server."""
    root: FastAPI = client_as(None).app  # type: ignore[assignment]
    given: list[dict[str, Any]] = []

    @root.patch("/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/-1/hitlDetails")
    def update(dag: str, run: str, task: str, body: dict[str, Any]) -> dict[str, Any]:
        if given:
            raise HTTPException(409, "Human-in-the-loop detail has already been updated")
        given.append({"place": (dag, run, task), **body})
        return {}

    root.add_middleware(AuditMiddleware)
    return given


def _asked(ledger: Ledger, approvers: tuple[str, ...] = ("user-1",)) -> None:
    for version, environment in (("1.0", "production"), ("2.0", "staging")):
        Delivery(ledger, "shop", version).promoted(environment)
    ledger.questions.ask(
        pipeline="shop",
        run_id="run-2.0",
        task_id="approve",
        options=["Approve", "Reject"],
        approvers=approvers,
        subject="Deploy shop 2.0 to production?",
        body="",
        deadline=None,
        proposed={"production": NEW},
    )


def test_it_shows_what_would_change_and_what_was_found(ledger: Ledger, client_as: ClientAs) -> None:
    _asked(ledger)
    page = client_as("viewer").get(PLACE).text
    assert "Deploy shop 2.0 to production?" in page
    for now, then in (("1.0", "2.0"), ("shop:1.0", "shop:2.0"), ("(not given)", "8")):
        assert f"<code>{now}</code>" in page
        assert f"<code>{then}</code>" in page
    assert "all good" in page
    assert "<script>alert" not in page
    assert "only user-1 may answer" in page


def test_once_the_run_has_deployed_there_it_shows_what_that_replaced(ledger: Ledger, client_as: ClientAs) -> None:
    _asked(ledger)
    mine = Delivery(ledger, "shop", "2.0")
    mine.release = NEW
    mine.rolled_back("production", "errors rose")
    for version in ("1.5", "1.6"):
        Delivery(ledger, "shop", version).promoted("production")
    page = client_as("viewer").get(PLACE).text
    assert "<code>shop:0.9</code>" in page
    assert "<code>shop:1.6</code>" not in page
    assert "VETOED" not in page


def test_a_task_that_asks_nothing_says_so(client_as: ClientAs) -> None:
    assert "Nothing to approve here" in client_as("viewer").get(PLACE).text


def test_a_question_that_timed_out_says_so(ledger: Ledger, client_as: ClientAs) -> None:
    _asked(ledger)
    ledger.questions.answer("shop", "run-2.0", "approve", option="Reject", who="", why="")
    assert (
        "Timed out without an answer, so the default answer was applied: Reject." in client_as("viewer").get(PLACE).text
    )


@pytest.mark.parametrize("option", ["Approve", "Reject"])
def test_an_approvers_answer_goes_the_way_of_every_other(
    ledger: Ledger, client_as: ClientAs, given_to_airflow: list[dict[str, Any]], option: str
) -> None:
    _asked(ledger)
    answered = client_as("user").post(PLACE, data={"option": option, "reason": "seen it"}, follow_redirects=False)
    assert (answered.status_code, answered.headers["location"]) == (303, PLACE)
    assert given_to_airflow == [
        {
            "place": ("shop", "run-2.0", "approve"),
            "chosen_options": [option],
            "params_input": {"reason": "seen it"},
        }
    ]
    question = ledger.questions.get("shop", "run-2.0", "approve")
    assert question is not None
    assert (question.option, question.who, question.why) == (option, "user-1", "seen it")


def test_who_is_not_asked_is_refused_and_remembered(
    ledger: Ledger, client_as: ClientAs, given_to_airflow: list[dict[str, Any]]
) -> None:
    _asked(ledger, approvers=("boss",))
    answered = client_as("admin").post(PLACE, data={"option": "Approve", "reason": "it is fine"})
    assert answered.status_code == 403
    assert "admin-1 is not an approver" in answered.text
    assert given_to_airflow == []
    (attempt,) = ledger.audit.actions(pipeline="shop", run_id="run-2.0")
    assert (attempt.who, attempt.allowed, attempt.why) == ("admin-1", False, "it is fine")


def test_what_airflow_refuses_is_said_and_the_reason_kept(
    ledger: Ledger, client_as: ClientAs, given_to_airflow: list[dict[str, Any]]
) -> None:
    _asked(ledger)
    given_to_airflow.append({"already": "answered on the grid"})
    answered = client_as("user").post(PLACE, data={"option": "Approve", "reason": "long words"})
    assert answered.status_code == 409
    assert "has already been updated" in answered.text
    assert ">long words</textarea>" in answered.text


@pytest.fixture
def busy_for(client_as: ClientAs, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[dict[str, Any]]]:
    """Lets Airflow's database be locked for so many requests; gives what Airflow took then."""

    def busy(times: int) -> list[dict[str, Any]]:
        root: FastAPI = client_as(None).app  # type: ignore[assignment]
        left, given = [DATABASE_LOCKED] * times, list[dict[str, Any]]()

        @root.patch("/api/v2/dags/{_dag}/dagRuns/{_run}/taskInstances/{_task}/-1/hitlDetails")
        def update(body: dict[str, Any], _dag: str, _run: str, _task: str) -> dict[str, Any]:
            if left:
                raise HTTPException(500, left.pop())
            given.append(body)
            return {}

        root.add_middleware(AuditMiddleware)
        return given

    async def at_once(seconds: float) -> None:
        assert 0 < seconds <= 6

    monkeypatch.setattr(airflow_api, "_sleep", at_once)
    return busy


def test_an_answer_is_sent_again_while_airflows_database_is_busy_and_recorded_once(
    ledger: Ledger, client_as: ClientAs, busy_for: Callable[[int], list[dict[str, Any]]]
) -> None:
    _asked(ledger)
    given = busy_for(2)
    answered = client_as("user").post(PLACE, data={"option": "Approve", "reason": "fine"}, follow_redirects=False)
    assert answered.status_code == 303
    assert len(given) == 1
    question = ledger.questions.get("shop", "run-2.0", "approve")
    assert question is not None
    assert (question.option, question.who) == ("Approve", "user-1")
    assert [action.allowed for action in ledger.audit.actions(pipeline="shop", run_id="run-2.0")] == [True]


def test_a_database_that_stays_busy_is_unavailable_and_loses_nothing_that_was_written(
    ledger: Ledger, client_as: ClientAs, busy_for: Callable[[int], list[dict[str, Any]]]
) -> None:
    _asked(ledger)
    given = busy_for(1000)
    answered = client_as("user").post(PLACE, data={"option": "Approve", "reason": "long words"})
    assert (answered.status_code, answered.headers["Retry-After"]) == (503, "10")
    assert "Try again in a few seconds." in answered.text
    assert ">long words</textarea>" in answered.text
    assert given == []
    assert ledger.audit.actions(pipeline="shop", run_id="run-2.0") == []


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_a_person_approves_in_a_browser(
    browser: Any,
    ledger: Ledger,
    client_as: ClientAs,
    given_to_airflow: list[dict[str, Any]],
    width: int,
    scheme: str,
) -> None:
    _asked(ledger)
    client: TestClient = client_as("user")
    with served(client.app) as url:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": url}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(url + PLACE)
        assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth")
        page.get_by_label("Reason, kept in the ledger with your name").fill("numbers look good")
        page.get_by_role("button", name="Approve").click()
        page.get_by_text("Approved by user-1.").wait_for()
        assert "numbers look good" in page.locator(".banner").inner_text()
        context.close()
    assert len(given_to_airflow) == 1


def test_it_shows_who_asked_for_what_and_nothing_of_it_is_invisible(
    client_as: ClientAs, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    _asked(ledger)
    asked = {"version": "2.0", "learn": True, "rollback": "human", "reason": "fine\nAPPROVED BY boss\u200b <b>x</b>"}
    run = Run("shop", "run-2.0", "running", asked, "eve\u202e")
    monkeypatch.setattr(run_tasks, "run_of", lambda *place: run)
    text = client_as("viewer").get(PLACE).text
    for shown in ("eve⟨U+202E⟩", "fine␊APPROVED BY boss⟨U+200B⟩ &lt;b&gt;x&lt;/b&gt;", ">learn<", ">true<", ">human<"):
        assert shown in text


def test_it_says_first_who_asks_why_and_where_it_would_go(
    client_as: ClientAs, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(timezone.utc)
    target = {"type": "elsewhere.Nomad", "conn_id": "nomad_eu", "environment": "shop-eu"}
    ledger.runs.begin("shop", "run-2.0", now, plan={"production": {"target": target}})
    _asked(ledger)
    page = client_as("viewer").get(PLACE).text
    # Airflow has forgotten the run, the ledger has not.
    assert "Requested by <strong>ada</strong>: a test" in page
    assert "Nomad: shop-eu, connection nomad_eu" in page
    run = Run("shop", "run-2.0", "running", {"version": "2.0", "reason": "the tax\nrates changed"}, "grace")
    monkeypatch.setattr(run_tasks, "run_of", lambda *place: run)
    assert "Requested by <strong>grace</strong>: the tax␊rates changed" in client_as("viewer").get(PLACE).text


def test_a_run_that_takes_the_id_of_an_approved_one_has_asked_nothing_yet(
    client_as: ClientAs, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    _asked(ledger)
    ledger.questions.answer("shop", "run-2.0", "approve", option="Approve", who="user-1", why="")
    assert "Approved by user-1" in client_as("viewer").get(PLACE).text
    now = datetime.now(timezone.utc)
    monkeypatch.setattr(identity, "tell_apart", lambda ledger, *place: ledger.runs.tell_apart(*place, now))
    text = client_as("viewer").get(PLACE).text
    assert "Approved by" not in text
    assert "has not asked" in text or "no question" in text.lower()
