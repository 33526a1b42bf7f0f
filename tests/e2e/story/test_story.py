"""Build.com's story and what belongs to it, on a real Airflow, over a real fleet, its traffic, and its telemetry."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from airflow_cd.demo.story import NEW_EXCEPTIONS, PIPELINE, SERVICE, RunOutcome, Story, red_events
from airflow_cd.demo.world import World
from tests.chromium import chromium
from tests.e2e.person import Person

from .conftest import PRODUCTION

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(900)]

VERIFY = "production.phase_20.verify"


def test_the_story_goes_as_it_must(told: tuple[World, Story, RunOutcome]) -> None:
    _, story, last = told
    assert story.failures == []
    assert last.deployment is not None
    assert last.deployment.to_verdict is not None


@pytest.mark.browser
def test_from_home_to_the_exceptions_that_stopped_the_release_in_two_clicks(
    told: tuple[World, Story, RunOutcome],
) -> None:
    world, _, last = told
    with chromium() as browser:
        person = Person(browser, world.airflow)
        person.home()
        person.deployments()
        person.click(person.ours.get_by_role("link", name=re.compile(f"^FAIL.*{SERVICE} 1.2 in production")))
        answer = person.ours.locator("section.card").filter(has_text="What was new?")
        answer.wait_for()
        assert person.clicks == 2
        for event in red_events(last.verdicts["phase_20"]):
            assert event["exception"] in answer.inner_text()


@pytest.mark.browser
def test_the_report_is_a_tab_of_the_verify_task(told: tuple[World, Story, RunOutcome]) -> None:
    world, _, last = told
    with chromium() as browser:
        person = Person(browser, world.airflow)
        person.open_task(PIPELINE, last.run_id, VERIFY, "Delivery")
        person.ours.get_by_role("heading", name="4 events are unknown").wait_for()
        assert person.ours.locator("svg.dots a.risk").count() == NEW_EXCEPTIONS
        for answer in ("What was new?", "What was done?", "Is it safe now?"):
            person.ours.get_by_text(answer).wait_for()
    links = story_links(world, last)
    assert links == {"Verification report": f"{world.airflow.url}/airflow-cd/report/{PIPELINE}/{last.run_id}/{VERIFY}"}


def test_a_vetoed_release_is_refused_before_anything_is_touched(told: tuple[World, Story, RunOutcome]) -> None:
    world, _, _ = told
    story = Story(world, print, pipeline=PRODUCTION)
    again = story.deploy("1.2", reason="once more")
    assert again.state == "failed"
    assert again.before == again.after
    assert again.deployment is None
    said = story.client.task_log(PRODUCTION, again.run_id, "production.phase_20.deploy")
    assert "was rolled back here" in said
    assert "lift the veto" in said


def test_a_release_that_differs_only_in_configuration_is_caught_for_it(told: tuple[World, Story, RunOutcome]) -> None:
    world, _, _ = told
    story = Story(world, print, pipeline=PRODUCTION)
    bad = story.deploy("1.1", configuration={"inventory_timeout_ms": 1}, reason="a faster timeout")
    story.expect_restored(bad)
    assert story.failures == []
    red = red_events(bad.verdicts["phase_20"])
    assert red
    # Of the same artifact nothing else is new: what was learned of it counts.
    assert {event["exception"] for event in red} == {"TimeoutError"}


def test_a_slow_release_is_caught_by_its_response_times_alone(told: tuple[World, Story, RunOutcome]) -> None:
    world, _, _ = told
    story = Story(world, print, pipeline=PRODUCTION)
    slow = story.deploy("1.3", reason="a new recommendation engine")
    story.expect_restored(slow)
    assert story.failures == []
    evidence = slow.verdicts["phase_20"]
    assert evidence["performance"]["verdict"] == "FAIL"
    assert red_events(evidence) == []
    failed = [metric for metric in evidence["performance"]["metrics"] if metric["verdict"] == "FAIL"]
    assert failed
    assert all("response_time" in metric["name"] for metric in failed)


def test_the_deployment_and_the_rollback_are_marked_in_new_relic(told: tuple[World, Story, RunOutcome]) -> None:
    _, story, last = told
    states = story.client.tasks(PIPELINE, last.run_id)
    assert states["production.phase_20.mark"] == "success"
    said = story.client.task_log(PIPELINE, last.run_id, "production.phase_20.rollback")
    assert "marked" in said.lower()


def test_the_rendered_fields_say_what_was_done(told: tuple[World, Story, RunOutcome]) -> None:
    _, story, last = told

    def result(task_id: str) -> Any:
        path = f"/api/v2/dags/{PIPELINE}/dagRuns/{last.run_id}/taskInstances/{task_id}"
        return story.client.call("GET", path)["rendered_fields"]["result"]

    assert f"{SERVICE} 1.2" in str(result("production.phase_20.deploy"))
    assert "red events" in str(result("production.phase_20.verify"))
    assert "seconds to restored" in str(result("production.phase_20.rollback"))


def test_nobody_reads_a_report_without_logging_in(told: tuple[World, Story, RunOutcome]) -> None:
    world, _, last = told
    for end in ("", "/json"):
        address = f"{world.airflow.url}/airflow-cd/report/{PIPELINE}/{last.run_id}/{VERIFY}{end}"
        assert httpx.get(address).status_code == 401


def story_links(world: World, told: RunOutcome) -> dict[str, str]:
    path = f"/api/v2/dags/{PIPELINE}/dagRuns/{told.run_id}/taskInstances/{VERIFY}/links"
    found: dict[str, str] = world.client().call("GET", path)["extra_links"]
    return found


def test_the_shortest_pipeline_deploys(told: tuple[World, Story, RunOutcome]) -> None:
    world, story, _ = told
    run_id = story.client.trigger("minimal", {"version": "1.1"})
    assert story.client.wait_for_run("minimal", run_id) == "success"
    assert {row["artifact"] for row in world.running("dev").values()} == {"shop:1.1"}


def test_operators_by_hand_need_no_pipeline(told: tuple[World, Story, RunOutcome]) -> None:
    world, story, _ = told
    dag_id, client = "operators_by_hand", story.client

    def staging() -> set[str | None]:
        return {row["artifact"] for row in world.running("staging").values()}

    before = staging()
    run_id = client.trigger(dag_id, {"version": "1.0"})
    client.wait_for_task(dag_id, run_id, "approve", "awaiting_input", "failed")
    client.mark(dag_id, run_id, "approve", "success", "go")
    client.wait_for_task(dag_id, run_id, "verify", "running", "failed", "upstream_failed")
    assert len(before) == 1
    assert staging() == {*before, "shop:1.0"}
    client.mark(dag_id, run_id, "verify", "success", "half of it is enough")
    assert client.wait_for_run(dag_id, run_id) == "success"
    assert staging() == {"shop:1.0"}
    assert client.tasks(dag_id, run_id)["rollback"] == "skipped"
