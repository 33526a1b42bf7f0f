"""What cannot be done is answered with what to do, and nothing that a person wrote is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from sqlalchemy.exc import OperationalError

from airflow_cd.errors import (
    AirflowCdError,
    BaselineMissing,
    DeploymentSettled,
    LeaseLost,
    LedgerRefused,
    LedgerUnavailable,
    ReleaseVetoed,
)
from airflow_cd.ledger import Ledger
from airflow_cd.plugin.airflow_api import AirflowRefused, AirflowUnavailable
from airflow_cd.plugin.dag_runs import tasks as run_tasks
from airflow_cd.plugin.error_pages import headers_of, status_of
from tests.chromium import PATIENCE
from tests.plugin.conftest import ClientAs
from tests.plugin.report.report_world import address, told
from tests.plugin.served import served

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
DEPLOYMENTS = "/airflow-cd/deployments"
KEPT = "Object.keys(window.sessionStorage).filter((key) => key.startsWith('airflow-cd:')).length"
REASON = "caught and retried, ticket 4711"


def test_a_browser_without_a_session_gets_a_page_and_a_program_json(client_as: ClientAs) -> None:
    client = client_as(None)
    page = client.get(DEPLOYMENTS, headers=BROWSER)
    assert page.status_code == 401
    assert "Your session has ended" in page.text
    assert 'href="/api/v2/auth/login?next=http%3A%2F%2Fairflow.test%2Fairflow-cd%2Fdeployments"' in page.text
    for headers in ({}, {"Accept": "application/json"}):
        assert client.get(DEPLOYMENTS, headers=headers).json() == {"detail": "Not authenticated"}


def test_a_token_that_nobody_here_signed_is_a_session_that_has_ended(client_as: ClientAs) -> None:
    client = client_as(None)
    client.cookies.set("_token", "not.a.token")
    page = client.get(DEPLOYMENTS, headers=BROWSER)
    assert page.status_code == 401
    assert "Your session has ended" in page.text


def test_who_may_not_is_told_so(client_as: ClientAs) -> None:
    page = client_as("viewer").post(
        f"{address()}/feedback", headers={**BROWSER, "Referer": f"http://airflow.test{address()}"}
    )
    assert page.status_code == 403
    assert "You may not do this" in page.text
    assert "Nothing was changed." in page.text
    assert f'href="http://airflow.test{address()}"' in page.text


@pytest.mark.parametrize("referer", ["https://evil.test/", "javascript:alert(1)", "//evil.test", ""])
def test_nobody_is_led_elsewhere(client_as: ClientAs, referer: str) -> None:
    page = client_as(None).post(f"{address()}/feedback", headers={**BROWSER, "Referer": referer})
    assert 'login?next=%2F"' in page.text.replace("next=/", "next=%2F")
    assert "evil" not in page.text


def test_only_the_script_of_the_page_itself_may_run(client_as: ClientAs) -> None:
    page = client_as(None).get(f"{DEPLOYMENTS}?service=<script>alert(1)</script>", headers=BROWSER)
    assert page.text.count("<script") == 1
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'sha256-" in policy
    assert "script-src 'self'" not in policy


@pytest.fixture
def opened(browser: Any, client_as: ClientAs, ledger: Ledger) -> Any:
    """The report in a tab: gives its page, and what signs the person in again."""
    told(ledger)
    client = client_as("user")
    with served(client.app) as url:
        context = browser.new_context()
        context.set_default_timeout(PATIENCE)

        def sign_in() -> None:
            context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": url}])

        sign_in()
        page = context.new_page()
        page.goto(url + address())
        yield page, sign_in
        context.close()


def _write(page: Any) -> Any:
    card = page.locator("#event-c0ffee00")
    card.get_by_text("Give feedback").click()
    card.get_by_label("It is").select_option("not_a_risk")
    card.get_by_label("Reason").fill(REASON)
    return card


@pytest.mark.browser
def test_what_was_written_survives_the_end_of_the_session(opened: Any, ledger: Ledger) -> None:
    page, sign_in = opened
    card = _write(page)
    page.context.clear_cookies()
    card.get_by_role("button", name="Record").click()
    page.get_by_role("heading", name="Your session has ended").wait_for()
    assert page.get_by_text("What you wrote is kept in this tab").is_visible()
    back = page.get_by_role("link", name="Sign in to Airflow").get_attribute("href")
    assert back.startswith("/api/v2/auth/login?next=http")
    assert ledger.feedback.in_force("shop", "production") == []

    sign_in()
    page.goto(page.url.partition("/feedback")[0])
    assert card.get_by_label("Reason").is_visible()
    assert (card.get_by_label("Reason").input_value(), card.get_by_label("It is").input_value()) == (
        REASON,
        "not_a_risk",
    )
    # The form of another event has nothing of it.
    assert page.locator("#event-c0ffee01 [name=why]").input_value() == ""
    card.get_by_role("button", name="Record").click()
    page.locator("#event-c0ffee00 .feedback").wait_for()
    assert [said.why for said in ledger.feedback.in_force("shop", "production")] == [REASON]
    assert page.evaluate(KEPT) == 0
    assert card.locator("form.say [name=why]").input_value() == ""


@pytest.mark.browser
def test_nothing_is_kept_of_what_was_taken_or_never_written(opened: Any) -> None:
    page, _ = opened
    card = _write(page)
    assert page.evaluate(KEPT) == 1
    card.get_by_role("button", name="Record").click()
    page.locator("#event-c0ffee00 .feedback").wait_for()
    page.reload()
    assert page.evaluate(KEPT) == 0
    assert "airflow_cd_submitted" not in page.evaluate("document.cookie")


@pytest.mark.browser
def test_what_was_not_taken_stays_written(opened: Any) -> None:
    page, _ = opened
    card = page.locator("#event-c0ffee00")
    card.get_by_text("Give feedback").click()
    card.get_by_label("Reason").fill("   ")
    card.get_by_role("button", name="Record").click()
    page.get_by_text("NOT RECORDED").wait_for()
    assert page.evaluate(KEPT) == 1


@pytest.mark.browser
def test_a_page_that_looks_for_news_says_when_the_session_has_ended(opened: Any, ledger: Ledger) -> None:
    page, sign_in = opened
    page.context.clear_cookies()
    page.evaluate("refresh()")
    page.get_by_role("heading", name="Your session has ended").wait_for()
    assert page.locator("#event-c0ffee00").is_visible()
    sign_in()
    page.evaluate("refresh()")
    page.locator("#session-ended").wait_for(state="detached")


@pytest.mark.browser
def test_the_way_to_sign_in_leaves_airflows_frame(browser: Any, client_as: ClientAs) -> None:
    root: FastAPI = client_as(None).app  # type: ignore[assignment]

    @root.get("/airflow")
    def airflow() -> HTMLResponse:
        sandbox = "allow-scripts allow-same-origin allow-forms"
        return HTMLResponse(f'<iframe sandbox="{sandbox}" src="{DEPLOYMENTS}" width=900 height=600></iframe>')

    with served(root) as url:
        page = browser.new_page()
        page.goto(f"{url}/airflow?tab=1")
        page.frame_locator("iframe").get_by_role("link", name="Sign in to Airflow").click()
        page.wait_for_url("**/api/v2/auth/login**")
        assert page.evaluate("new URLSearchParams(location.search).get('next')") == f"{url}/airflow?tab=1"
        page.close()


# -- what is unavailable is told from what is refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (LedgerUnavailable("away"), 503, "10"),
        (AirflowUnavailable("busy", retry_after=2.5), 503, "3"),
        (LedgerRefused("no such release"), 400, None),
        (BaselineMissing("never promoted"), 400, None),
        (DeploymentSettled("it is over"), 409, None),
        (ReleaseVetoed("rolled back here"), 409, None),
        (LeaseLost("somebody else owns it"), 409, None),
        (AirflowRefused("Not for you", status=403), 403, None),
        (AirflowCdError("neither"), 500, None),
    ],
)
def test_an_error_has_one_status(error: AirflowCdError, status: int, retry_after: str | None) -> None:
    assert status_of(error) == status
    assert headers_of(error).get("Retry-After") == retry_after


@pytest.fixture
def ledger_away(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A place where no database can be."""
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", f"sqlite:///{tmp_path}")


PAGES = [
    DEPLOYMENTS,
    "/airflow-cd/insights",
    "/airflow-cd/environment/shop/shop/production",
    "/airflow-cd/run/shop/run-1",
    "/airflow-cd/approval/shop/run-1/approve",
    address(),
]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_says_that_the_ledger_is_away_and_what_to_do(
    client_as: ClientAs, ledger_away: None, path: str
) -> None:
    answer = client_as("admin").get(path, headers=BROWSER)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "Temporarily unavailable" in answer.text
    assert "cannot be opened" in answer.text
    assert "Next: Check that the database" in answer.text
    assert 'data-live="10"' in answer.text
    assert answer.text.count("<script") == 1


def test_a_program_gets_the_same_in_json(client_as: ClientAs, ledger_away: None) -> None:
    answer = client_as("admin").get(f"{address()}/json")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "cannot be opened" in answer.json()["detail"]


def test_a_form_that_meets_no_ledger_changes_nothing_and_is_kept(client_as: ClientAs, ledger_away: None) -> None:
    form = {"event": "c0ffee00", "says": "not_a_risk", "where": "here", "why": REASON}
    answer = client_as("admin").post(f"{address()}/feedback", data=form, headers=BROWSER)
    assert answer.status_code == 503
    assert "What you wrote is kept in this tab" in answer.text
    assert "data-live" not in answer.text


def test_airflows_database_being_locked_is_unavailable_too(
    client_as: ClientAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(dag_id: str, run_id: str) -> None:
        raise OperationalError("SELECT 1", {}, Exception("database is locked"))

    monkeypatch.setattr(run_tasks, "run_of", locked)
    answer = client_as("admin").get("/airflow-cd/run/shop/run-1", headers=BROWSER)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "SELECT 1" not in answer.text


def test_what_is_not_there_is_not_found_rather_than_not_allowed(client_as: ClientAs) -> None:
    page = client_as("viewer").get(f"{address()}/html", headers=BROWSER)
    assert page.status_code == 404
    assert "Not found" in page.text
    assert "You may not do this" not in page.text


@pytest.mark.parametrize("part", ["x" * 251, "a%00b", "%01", "x" * 60_000, "a%0Ab", "%7F"])
@pytest.mark.parametrize("path", ["run/{}/r", "run/p/{}", "environment/p/{}/e", "report/p/r/{}", "report/p/{}/t/json"])
def test_absurd_parts_of_an_address_are_not_found(client_as: ClientAs, path: str, part: str) -> None:
    for accept in ("text/html", "application/json"):
        answer = client_as("admin").get(f"/airflow-cd/{path.format(part)}", headers={"Accept": accept})
        assert answer.status_code == 404
        assert len(answer.text) < 100_000
