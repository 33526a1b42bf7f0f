"""The pictures of README, taken anew: ``python -m tests.e2e.screenshots docs/images`` tells the story and looks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from airflow_cd.demo.story import APPROVAL, PIPELINE, RunOutcome, run_story
from airflow_cd.demo.world import World, example_dags
from tests.chromium import chromium

from .person import Person

VERIFY = "production.phase_20.verify"
WIDTH = 1280


def take(folder: Path) -> None:
    """Every page on the story's data, light and dark, as ``<page>-<theme>.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    with World(dags=example_dags()) as world:
        story, told = run_story(world, print)
        waiting = story.client.trigger(PIPELINE, {"version": "1.3", "reason": "a new recommendation engine"})
        story.client.wait_for_task(PIPELINE, waiting, APPROVAL, "awaiting_input")
        with chromium() as browser:
            for theme in ("light", "dark"):
                person = Person(browser, world.airflow)
                person.page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
                for name, height in _pages(person, told, waiting):
                    person.page.set_viewport_size({"width": WIDTH, "height": height})
                    # What came in sight only now is drawn before the picture is taken.
                    person.page.wait_for_timeout(1500)
                    person.page.screenshot(path=folder / f"{name}-{theme}.png")
        story.client.mark(PIPELINE, waiting, APPROVAL, "failed", "only for its picture")


def _pages(person: Person, told: RunOutcome, waiting: str) -> Any:
    """Opens one page after the other; gives its name, and how high its picture is."""
    ours = person.ours
    person.home()
    person.deployments()
    ours.get_by_role("table").wait_for()
    yield "deployments", 860
    ours.get_by_role("link", name="Roll back, history of shop in production").click()
    ours.get_by_role("heading", name="Roll back now").wait_for()
    yield "environment", 1100
    ours.get_by_role("link", name="Insights").click()
    ours.get_by_role("heading", name="Insights").wait_for()
    yield "insights", 1000
    person.open_run(PIPELINE, told.run_id, "Delivery")
    ours.locator("#headline").wait_for()
    yield "run", 1500
    person.open_task(PIPELINE, told.run_id, VERIFY, "Delivery")
    ours.locator("svg.dots").wait_for()
    yield "report", 1500
    person.open_task(PIPELINE, waiting, APPROVAL, "Delivery")
    ours.get_by_role("button", name="Approve").wait_for()
    yield "approval", 1250


if __name__ == "__main__":
    take(Path(sys.argv[1]))
