"""The report in a real Chromium, under the content security policy it is served with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_cd.report.page import render_report
from airflow_cd.report.report import Report
from tests.chromium import chromium
from tests.report import samples
from tests.tiers import starts

pytestmark = pytest.mark.browser

# What Airflow's plugin sends with the page: a report that needs more shows it here.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@pytest.fixture(scope="module")
@starts("browser")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture
def show(browser: Any) -> Iterator[Any]:
    """Open a report under the plugin's content security policy; gives the page and what went wrong on it."""
    contexts = []

    def opened(report: Report, width: int = 1280, scheme: str = "light") -> tuple[Any, list[str]]:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page, trouble = context.new_page(), []
        body = render_report(report)

        def answer(route: Any) -> None:
            if route.request.url != "http://report.test/":
                trouble.append(route.request.url)
            route.fulfill(body=body, content_type="text/html", headers={"Content-Security-Policy": POLICY})

        page.route("**/*", answer)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("dialog", lambda dialog: trouble.append(dialog.message))
        page.goto("http://report.test/")
        return page, trouble

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen(show: Any, width: int, scheme: str) -> None:
    for report in (
        samples.story(),
        samples.slow(),
        samples.files(),
        samples.poisoned(samples.story(), " " + "x" * 300),
    ):
        page, trouble = show(report, width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert trouble == []
    red, green, blue = map(
        int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]
    )
    assert (red + green + blue > 600) is (scheme == "light")


def test_the_answer_is_on_the_first_screen_of_a_phone(show: Any) -> None:
    page, _ = show(samples.story(), 390)
    for words_ in ("What was new?", "What was done?", "Is it safe now?"):
        box = page.get_by_role("heading", name=words_).bounding_box()
        assert box["y"] + box["height"] < 800


def test_a_red_dot_leads_to_its_stack_trace(show: Any) -> None:
    page, _ = show(samples.story())
    page.locator("svg.dots a.risk").last.click()
    assert page.evaluate("location.hash") == "#event-c0ffee00"
    trace = page.locator("#event-c0ffee00 pre").first
    assert "GiftCardBalanceError: balance" in trace.inner_text()
    box = trace.bounding_box()
    assert 0 <= box["y"] < 800


def test_other_events_open_on_demand_and_close(show: Any) -> None:
    page, _ = show(samples.story())
    row = page.locator("#events tbody tr:nth-child(12) a")
    details = page.locator(row.get_attribute("href"))
    assert not details.is_visible()
    row.click()
    assert details.is_visible()
    assert details.bounding_box()["y"] < 800
    details.get_by_role("link", name="Close").click()
    assert not details.is_visible()


def test_a_chart_that_is_folded_away_opens_from_its_row(show: Any) -> None:
    page, _ = show(samples.story())
    assert not page.locator("#metric-9").is_visible()
    page.get_by_role("region", name="All metrics").locator("a[href='#metric-9']").click()
    page.locator("#metric-9").wait_for(state="visible", timeout=5000)


def test_the_keyboard_reaches_the_red_dots_and_not_the_grey_ones(show: Any) -> None:
    page, _ = show(samples.story())
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.closest('svg') ? document.activeElement.getAttribute('href') : ''")
        )
    assert {href for href in reached if href} == {f"#event-c0ffee0{number}" for number in range(4)}


def test_hostile_lines_do_nothing(show: Any) -> None:
    for poison in samples.HOSTILE:
        page, trouble = show(samples.poisoned(samples.story(), poison))
        page.locator("svg.dots a").first.dispatch_event("click")
        assert trouble == []
        assert page.locator("img, script").count() == 0
