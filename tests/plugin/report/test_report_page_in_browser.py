"""The served report in a real Chromium: a person says something and takes it back, while the page stays up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from airflow_cd.ledger import Ledger
from tests.chromium import PATIENCE
from tests.plugin.conftest import ClientAs
from tests.plugin.report.report_world import address, deployed, judged, told, watching
from tests.plugin.served import served
from tests.report import samples

pytestmark = pytest.mark.browser

Show = Callable[..., tuple[Any, list[str]]]


@pytest.fixture
def show(browser: Any, client_as: ClientAs) -> Iterator[Show]:
    """Open the report as a user; gives the page and what went wrong on it."""
    contexts = []
    client = client_as("user")
    with served(client.app) as url:

        def opened(query: str = "", width: int = 1280, scheme: str = "light", script: bool = True) -> Any:
            context = browser.new_context(
                viewport={"width": width, "height": 800},
                color_scheme=scheme,
                reduced_motion="reduce",
                java_script_enabled=script,
            )
            contexts.append(context)
            context.add_cookies([{"name": "_token", "value": client.cookies["_token"], "url": url}])
            page, trouble = context.new_page(), []
            page.set_default_timeout(PATIENCE)
            page.on("console", lambda message: trouble.append(message.text))
            page.on("pageerror", lambda error: trouble.append(str(error)))
            page.on("dialog", lambda dialog: trouble.append(dialog.message))
            page.on("request", lambda sent: None if sent.url.startswith(url) else trouble.append(sent.url))
            page.goto(url + address() + query)
            return page, [line for line in trouble if "favicon" not in line]

        yield opened
        for context in contexts:
            context.close()


@pytest.mark.parametrize("script", [True, False])
def test_an_event_is_marked_with_a_reason_and_the_mark_is_taken_back(show: Show, ledger: Ledger, script: bool) -> None:
    told(ledger)
    page, trouble = show(script=script)
    card = page.locator("#event-c0ffee00")
    card.get_by_text("Give feedback").click()
    card.get_by_label("It is").select_option("not_a_risk")
    card.get_by_label("Reason").fill("caught and retried, ticket 4711")
    card.get_by_role("button", name="Record as user-1").click()
    page.wait_for_url("**#event-c0ffee00")
    said = card.locator(".feedback")
    assert "user-1" in said.inner_text()
    assert "caught and retried, ticket 4711" in said.inner_text()
    assert [record.says for record in ledger.feedback.in_force("shop", "production")] == ["not_a_risk"]

    card.get_by_text("Feedback history").click()
    card.get_by_label("Reason for undoing it").fill("it was not retried")
    card.get_by_role("button", name="Undo").click()
    said.wait_for(state="detached")
    card.get_by_text("Feedback history").click()
    assert "undone by user-1" in card.inner_text()
    assert "it was not retried" in card.inner_text()
    assert ledger.feedback.in_force("shop", "production") == []
    assert trouble == []


def test_a_form_that_is_refused_opens_where_it_was_with_what_was_written(show: Show, ledger: Ledger) -> None:
    told(ledger)
    page, _ = show()
    card = page.locator("#event-c0ffee01")
    card.get_by_text("Give feedback").click()
    card.get_by_label("It is").select_option("always_a_risk")
    card.get_by_label("Reason").fill("   ")
    card.get_by_role("button", name="Record").click()
    page.get_by_text("NOT RECORDED").wait_for()
    assert card.get_by_label("It is").input_value() == "always_a_risk"
    assert card.get_by_label("Reason").is_visible()
    assert ledger.feedback.history("shop") == []


def test_the_page_grows_while_a_drawer_is_open_and_keeps_its_place(show: Show, ledger: Ledger) -> None:
    deployment, token = deployed(ledger)
    events = samples.ordinary(40)
    judged(ledger, deployment, token, watching(events))
    page, trouble = show()
    page.locator("#events tbody tr:nth-child(30) a").click()
    drawer = page.locator(".drawer:target")
    opened = drawer.get_attribute("id")
    page.locator("#more-metrics summary").click()
    page.get_by_label("Find among the events").fill("shop")
    page.evaluate("window.scrollTo({top: 700, behavior: 'instant'})")
    placed = page.evaluate("document.querySelector('#events').getBoundingClientRect().top")

    judged(ledger, deployment, token, watching([*samples.planted(), *events], looks=4))
    page.locator("#event-c0ffee00").wait_for(state="attached")
    assert drawer.get_attribute("id") == opened
    assert drawer.is_visible()
    assert page.locator("#more-metrics").get_attribute("open") is not None
    assert page.get_by_label("Find among the events").input_value() == "shop"
    # What comes above pushes nothing away from under the reader's eyes.
    assert abs(page.evaluate("document.querySelector('#events').getBoundingClientRect().top") - placed) < 3

    judged(ledger, deployment, token, samples.judgement([*events, *samples.planted()]))
    page.get_by_role("heading", name="FAIL 4 events are unknown").wait_for()
    assert "FAIL" in page.locator("#announcement").inner_text()
    assert drawer.get_attribute("id") == opened
    assert trouble == []


def test_who_writes_is_not_interrupted(show: Show, ledger: Ledger) -> None:
    deployment, token = deployed(ledger)
    judged(ledger, deployment, token, watching(samples.planted()))
    page, _ = show()
    with page.expect_response(lambda answer: "/report/" in answer.url):
        pass  # it looks
    card = page.locator("#event-c0ffee00")
    card.get_by_text("Give feedback").click()
    card.get_by_label("Reason").fill("half a sen")
    judged(ledger, deployment, token, samples.judgement([]))
    page.evaluate("refresh()")
    assert card.get_by_label("Reason").input_value() == "half a sen"


def test_the_keyboard_sorts_and_searches_the_table(show: Show, ledger: Ledger) -> None:
    told(ledger)
    page, trouble = show()
    head = page.locator("a[data-sort=canary]")
    head.focus()
    page.keyboard.press("Enter")
    assert _column(page, 5) == sorted(_column(page, 5), reverse=True)
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Canary")
    page.keyboard.press("Enter")
    assert _column(page, 5) == sorted(_column(page, 5))
    assert page.evaluate("location.search").startswith("?sort=-canary")
    page.keyboard.press("Enter")
    by_script = _column(page, 5)
    page.reload()
    assert _column(page, 5) == by_script
    page.get_by_label("Find among the events").fill("giftCARD")
    assert page.locator("#events tbody tr:visible").count() == 1
    assert page.locator(".finder output").inner_text() == "1 of 50"
    page.reload()
    assert page.locator("#events tbody tr:visible").count() == 1
    page.get_by_label("Find among the events").fill("")
    assert page.locator("#events tbody tr:visible").count() == 50
    assert trouble == []


def _column(page: Any, column: int) -> list[float]:
    cells = page.locator(f"#events tbody td:nth-child({column})").all_inner_texts()
    return [-1.0 if cell == "–" else float(cell.replace(",", "")) for cell in cells]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_hostile_lines_do_nothing_and_everything_fits(show: Show, ledger: Ledger, width: int, scheme: str) -> None:
    everything = " ".join(samples.HOSTILE) + "x" * 200
    events = [
        replace(event, template=event.template + everything, samples=[everything], exception=everything)
        for event in samples.planted()
    ]
    told(ledger, [*events, *samples.ordinary(200)])
    ledger.feedback.record("shop", "c0ffee00", "always_a_risk", who="eve" + samples.HOSTILE[1], why=everything)
    ledger.baselines.pin("shop", "production", "control", who="eve", why=everything)
    page, trouble = show("?event=00000010", width, scheme)
    for summary in page.locator("summary:visible").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("img, main script").count() == 0
    assert trouble == []


def test_a_table_of_two_thousand_events_answers_at_once(show: Show, ledger: Ledger) -> None:
    deployment, token = deployed(ledger)
    large = samples.large(2000, 200).stored_judgement
    ledger.verdicts.record(deployment.id, "phase_20", token=token, verdict="FAIL", evidence=large, final=True)
    page, trouble = show()
    paces = [
        page.evaluate(
            """(column) => {
                const timed = (work) => {
                    const began = performance.now();
                    work();
                    return performance.now() - began;
                };
                const fixed = () => {
                    const rows = Array.from({ length: 50000 }, (_, number) => ({ name: `row ${number}`, number }));
                    JSON.parse(JSON.stringify(rows)).sort((one, other) => one.name < other.name ? -1 : 1);
                };
                const before = timed(fixed);
                const took = timed(() => {
                    document.querySelector(`a[data-sort=${column}]`).click();
                    const box = document.querySelector("#find");
                    box.value = "step 1";
                    box.dispatchEvent(new Event("input", { bubbles: true }));
                    document.body.getBoundingClientRect();
                });
                return 2 * took / (before + timed(fixed));
            }""",
            column,
        )
        for column in ("event", "canary", "severity", "baseline")
    ]
    assert min(paces) < 20  # about 3 on an idle core
    assert 0 < page.locator("#events tbody tr:visible").count() < 2000
    assert page.evaluate("document.querySelectorAll('*').length") < 65_000
    assert trouble == []
