"""The story as the people in it go through it, in Chromium; comes after what else is tried on the same world."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from airflow_cd.demo.story import PIPELINE, SERVICE, RunOutcome, Story, red_events
from airflow_cd.demo.world import World
from airflow_cd.verification.logs.feedback import NOT_A_RISK
from tests.chromium import chromium
from tests.e2e.person import Person

from .conftest import APPROVED

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.browser, pytest.mark.timeout(900)]

VERIFY, APPROVAL = "production.phase_20.verify", "approve"
ROLLBACK = f"{PIPELINE}-rollback"


@pytest.fixture(scope="module")
def person(told: tuple[World, Story, RunOutcome]) -> Iterator[Person]:
    with chromium() as browser:
        yield Person(browser, told[0].airflow)


def test_a_person_goes_through_the_whole_story(told: tuple[World, Story, RunOutcome], person: Person) -> None:
    world, story, caught = told
    page, ours, ledger = person.page, person.ours, world.ledger()

    # The exceptions, their samples, and that one of them is no risk.
    person.open_task(PIPELINE, caught.run_id, VERIFY, "Delivery")
    ours.locator("svg.dots a.risk").first.click()
    event = ours.locator("[id^=event-]:target")
    event.wait_for()
    [read] = [one for one in red_events(caught.verdicts["phase_20"]) if one["exception"] in event.inner_text()]
    assert read["samples"][-1].splitlines()[0] in event.inner_text()
    event.get_by_text("Give feedback").click()
    event.get_by_label("It is").select_option(NOT_A_RISK)
    event.get_by_label("Reason").fill("The gift card service retries; ticket 4711.")
    event.get_by_role("button", name="Record as admin").click()
    event.locator(".feedback").wait_for()
    assert "ticket 4711" in event.inner_text()

    # The veto stands until a person lifts it.
    production = f"{world.airflow.url}/airflow-cd/environment/{PIPELINE}/{SERVICE}/production"
    page.goto(production)
    veto = page.get_by_role("form", name="Veto on 1.2").first
    veto.get_by_text("Lift the veto").click()
    veto.get_by_label("Reason").fill("One of the four is no risk; once more.")
    veto.get_by_role("button", name="Allow 1.2 in production again").click()
    page.get_by_text("lifted the veto on 1.2").wait_for()

    # Run again: from the trigger form, watched, approved by marking the sensor.
    before = story.running()
    run_id = person.trigger(APPROVED, version="1.2", reason="gift cards, once more")
    person.open_run(APPROVED, run_id, "Delivery")
    ours.get_by_role("link", name="See the evidence and answer").wait_for()
    assert f"Deploy {SERVICE} 1.2 to production?" in ours.get_by_role("heading", level=1).inner_text()
    person.open_task(APPROVED, run_id, APPROVAL)
    person.mark_success("Looks good in staging.")
    person.open_run(APPROVED, run_id, "Delivery")
    ours.get_by_role("heading", name="Verifying production").wait_for()
    ours.get_by_role("heading", name=re.compile("^ROLLED BACK production")).wait_for()
    for answer in ("What was new?", "What was done?", "Is it safe now?", "To restored"):
        ours.get_by_text(answer, exact=True).wait_for()
    assert "Looks good in staging." in ours.locator("main").inner_text()
    person.open_task(APPROVED, run_id, VERIFY, "Delivery")
    ours.get_by_role("heading", name="3 events are unknown").wait_for()
    assert ours.locator("svg.dots a.risk").count() == 3
    story.client.wait_for_run(APPROVED, run_id)
    assert story.running() == before

    # What was promoted long ago is rolled back as well.
    page.goto(production)
    page.get_by_role("heading", name=f"{SERVICE} 1.1 runs in production.").wait_for()
    preview = page.locator(".preview:visible")
    assert f"{SERVICE}:1.0" in preview.inner_text()
    page.locator("form.back").get_by_label("Reason").fill("Customers see old prices.")
    page.get_by_role("button", name="Roll back now").click()
    page.wait_for_url(f"**/run/{quote(ROLLBACK)}/**")
    page.get_by_role("heading", name=re.compile("^ROLLED BACK TO 1.0 admin rolled")).wait_for()
    page.get_by_text("To restored", exact=True).wait_for()
    assert {row["artifact"] for row in story.running().values()} == {f"{SERVICE}:1.0"}
    last = ledger.deployments.last_promoted(SERVICE, "production")
    assert last is not None
    assert last.to_restored is not None
    assert ledger.deployments.get(str(last.rolls_back)).state == "rolled_back"

    assert person.errors == []
    assert person.elsewhere == set()
