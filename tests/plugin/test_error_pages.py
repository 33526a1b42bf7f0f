"""A session that ends while a person writes: they are told what to do, and nothing they wrote is lost."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from airflow_cd.ledger import Ledger

from .conftest import ClientAs
from .report_world import address, told
from .served import served

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
        context.set_default_timeout(20_000)

        def sign_in() -> None:
            context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": url}])

        sign_in()
        page = context.new_page()
        page.goto(url + address())
        yield page, sign_in
        context.close()


def _write(page: Any) -> Any:
    card = page.locator("#event-c0ffee00")
    card.get_by_text("Say whether this is a risk").click()
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
    card.get_by_text("Say whether this is a risk").click()
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
