"""The Insights page: whose deployments count, what it says of them, and how it looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from html import unescape
from typing import Any

import pytest

from airflow_cd.ledger import Ledger
from tests.plugin.conftest import ClientAs
from tests.plugin.insights.past_deliveries import PastDeliveries

PAGE = "/airflow-cd/insights"
HOSTILE = "<script>alert(1)</script>"


NOW = datetime(2026, 7, 15, 16, 5, tzinfo=timezone.utc)


@pytest.fixture
def past(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> PastDeliveries:
    """Deliveries before an afternoon, which is also when the page is looked at."""
    monkeypatch.setattr("airflow_cd.plugin.insights.routes.now", lambda: NOW)
    return PastDeliveries(ledger, NOW)


def show(client_as: ClientAs, query: str = "", role: str = "viewer") -> str:
    answer = client_as(role).get(PAGE + query)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    return answer.text


def figures(html: str) -> dict[str, tuple[str, str, str]]:
    """Of each figure its number, of what, and how it compares."""
    found = {}
    for section in re.findall(r'<section class="card figure.*?</section>', html, re.DOTALL):
        parts = [
            re.search(rf'<p class="{name}[^>]*>(.*?)</p>', section)
            for name in ("figure-number", "figure-of", "against")
        ]
        texts = [unescape(re.sub(r"<[^>]+>", "", part[1])) for part in parts if part]
        found[re.findall(r'<h2 id="([^"]+)"', section)[0]] = (texts[0], texts[1], texts[2])
    return found


def chosen(html: str, name: str) -> list[str]:
    select = re.findall(rf'<select name="{name}".*?</select>', html, re.DOTALL)[0]
    return [unescape(option) for option in re.findall(r"<option[^>]*selected>([^<]*)", select)]


def test_an_empty_ledger_says_so(client_as: ClientAs) -> None:
    html = show(client_as)
    assert "Nothing has been deployed yet" in html
    assert figures(html) == {}


def test_the_figures_of_a_month(client_as: ClientAs, past: PastDeliveries) -> None:
    for number in range(9):
        past.ended(ago=timedelta(days=1, hours=number), lead=600.0 * (number + 1))
    past.ended("rolled_back", ago=timedelta(days=2), clocks=(30.0, 0.25, 12.0))
    past.ended("running", ago=timedelta(days=2))
    past.ended(ago=timedelta(days=45))
    found = figures(show(client_as))
    assert found["frequency"][:2] == (found["frequency"][0], "9 promoted in 30 days")
    assert found["frequency"][0].endswith("a week")
    assert found["lead"][:2] == ("50 min", "median of 9 promoted; nine of ten within 1 h 30 min")
    assert found["failures"] == (
        "10 %",
        "1 of 10 deployments were rolled back",
        "0 of 1 before: too few to compare",
    )
    assert found["restore"] == ("12.0 s", "too few timed rollbacks (1) for a median", "none before")
    assert found["false-alarms"] == ("0 of 1", "too few FAIL verdicts (1) for a percentage", "none before")


def test_feedback_turns_fails_into_false_alarms(client_as: ClientAs, past: PastDeliveries) -> None:
    for number in range(5):
        past.ended("rolled_back", ago=timedelta(days=1, hours=number), risks=[f"event-{number % 2}"])
    past.said("event-1")
    assert figures(show(client_as))["false-alarms"][:2] == ("40 %", "2 of 5 FAIL verdicts")


def test_table_and_chart_hold_the_same_numbers(client_as: ClientAs, past: PastDeliveries) -> None:
    for days, count in ((0, 1), (1, 3), (3, 2)):
        for number in range(count):
            past.ended(ago=timedelta(days=days, seconds=number + 1), service=f"service-{number}")
    html = show(client_as, "?period=7")
    section = re.findall(r'<section[^>]*aria-labelledby="frequency".*?</section>', html, re.DOTALL)[0]
    drawn = [
        int(found) if found != "none" else 0 for found in re.findall(r'title="[^"]*: (?:promoted )?(\w+)"', section)
    ]
    table = [int(found) for found in re.findall(r'<td class="n">(\d+)</td>', section)]
    assert table == drawn[::-1]
    assert sorted(drawn) == [0, 0, 0, 0, 1, 2, 3]
    for table_head in re.findall(r"<thead>.*?</thead>", html, re.DOTALL):
        assert "<th>" not in table_head
        assert 'scope="col"' in table_head
    assert html.count("<table") == html.count("<caption>")


def test_only_pipelines_that_the_reader_may_see_count(
    client_as: ClientAs, past: PastDeliveries, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    def only_mine(self: Any, *, dag_ids: set[str], **_: Any) -> set[str]:
        return dag_ids & {"mine"}

    monkeypatch.setattr(SimpleAuthManager, "filter_authorized_dag_ids", only_mine)
    past.ended(pipeline="theirs", service="secret", environment="vault")
    past.ended("rolled_back", pipeline="theirs")
    past.ended("rolled_back", pipeline="theirs", environment="staging", ago=timedelta(days=31))
    past.ended(pipeline="mine")
    for query in ("", "?service=shop", "?environment=production", "?period=365"):
        html = show(client_as, query)
        assert figures(html)["failures"][0] == "0 of 1"
        assert figures(html)["false-alarms"][0] == "none"
        assert not re.search("secret|vault|staging|theirs", html)
    html = show(client_as, "?service=secret")
    assert "No pipeline that you may read deploys a service named secret" in html
    assert figures(html) == {}


def test_it_begins_with_the_environment_that_deliveries_reach_last(client_as: ClientAs, past: PastDeliveries) -> None:
    for run in range(3):
        for environment in ("staging", "production"):
            past.ended(environment=environment, run_id=f"run-{run}")
    past.ended("rolled_back", environment="staging")
    past.ended(service="billing", environment="live")
    html = show(client_as)
    assert chosen(html, "environment") == ["production"]
    assert figures(html)["failures"][0] == "0 of 3"
    assert figures(show(client_as, "?environment=staging"))["failures"][0] == "1 of 4"
    # What the other service does not know of falls back to where that one ends.
    assert chosen(show(client_as, "?service=billing&environment=production"), "environment") == ["live"]


def test_a_service_of_many_can_be_chosen(client_as: ClientAs, past: PastDeliveries) -> None:
    for number in range(27):
        past.ended(service=f"service-{number:02}")
    past.ended(service="service-00")
    past.ended(service="a & b")
    html = show(client_as)
    assert "The 25 services with most deployments in production; for one of the other 3, choose it above" in html
    rows = re.findall(r'<th scope="row" class="wide"><a href="([^"]*)">', html)
    assert len(rows) == 25
    assert unescape(rows[0]).startswith("?service=service-00&environment=production&period=30")
    html = show(client_as, unescape(rows[1]))
    assert chosen(html, "service") == ["a & b"]
    assert figures(html)["frequency"][0] == "1"


@pytest.mark.parametrize("query", ["?period=9999999", "?period=", "?environment=" + "x" * 300, "?environment=%00"])
def test_what_is_no_choice_falls_back(client_as: ClientAs, past: PastDeliveries, query: str) -> None:
    past.ended()
    html = show(client_as, query)
    assert chosen(html, "period") == ["30 days, by day"]
    assert chosen(html, "environment") == ["production"]


def test_names_are_text(client_as: ClientAs, past: PastDeliveries) -> None:
    past.ended(service=HOSTILE, environment=HOSTILE, pipeline=HOSTILE)
    for query in ("", f"?service={HOSTILE}", f"?service=x{HOSTILE}", "?service=%00"):
        assert HOSTILE not in show(client_as, query)


@pytest.fixture
def look(browser: Any, client_as: ClientAs) -> Iterator[Any]:
    """Open an address of ours in Chromium; gives the page and what went wrong on it."""
    contexts = []

    def opened(address: str, width: int = 1280, scheme: str = "light") -> tuple[Any, list[str]]:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page, trouble, client = context.new_page(), list[str](), client_as("viewer")

        def answer(route: Any) -> None:
            if not route.request.url.startswith("http://airflow.test/"):
                trouble.append(route.request.url)
            given = client.get(route.request.url)
            kept = {name: value for name, value in given.headers.items() if name != "content-length"}
            route.fulfill(status=given.status_code, body=given.content, headers=kept)

        page.route("**/*", answer)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.goto("http://airflow.test" + address)
        return page, trouble

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen(look: Any, past: PastDeliveries, width: int, scheme: str) -> None:
    for number in range(12):
        past.ended("promoted" if number % 3 else "rolled_back", ago=timedelta(days=2 * number), lead=9e4 * number)
    past.ended(service="x" * 200)
    for period in ("7", "30", "90", "365"):
        page, trouble = look(f"{PAGE}?period={period}", width, scheme)
        page.evaluate("document.querySelectorAll('details').forEach((details) => (details.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert trouble == []
    red, green, blue = map(
        int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]
    )
    assert (red + green + blue < 3 * 128) == (scheme == "dark")


@pytest.mark.browser
def test_columns_stand_for_their_numbers(look: Any, past: PastDeliveries) -> None:
    for days, count in ((1, 4), (2, 2)):
        for number in range(count):
            past.ended(ago=timedelta(days=days, seconds=number + 1), service=f"service-{number}")
    page, _ = look(f"{PAGE}?period=7")
    heights = page.evaluate(
        "[...document.querySelectorAll('[aria-labelledby=frequency] .column .solid')].map((i) => i.clientHeight)"
    )
    full = page.evaluate("document.querySelector('.columns').clientHeight")
    assert heights[-3:-1] == pytest.approx([full / 2, full], abs=1)
    assert heights[:-3] == [0, 0, 0, 0]


@pytest.mark.browser
def test_it_works_with_the_keyboard(look: Any, past: PastDeliveries) -> None:
    past.ended()
    page, _ = look(PAGE)
    page.focus("#period")
    page.keyboard.press("Home")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/insights?*period=7*")
    page.focus("[aria-labelledby=frequency] summary")
    page.keyboard.press("Enter")
    assert page.is_visible("[aria-labelledby=frequency] table")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Deployment frequency by day")
