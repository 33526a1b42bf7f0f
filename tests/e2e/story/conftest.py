"""The world after the story: told once, for all tests that ask what it left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import psutil
import pytest

from airflow_cd.demo.story import PIPELINE, SERVICE, RunOutcome, Story, run_story
from airflow_cd.demo.world import World, example_dags
from tests.tiers import starts

PRODUCTION, APPROVED = "production_alone", "production_approved"
"""Pipelines of the story's last stage, without and with the approval before it, for what is tried in production after
the story: the five environments of the other stages take their time."""


@pytest.fixture(scope="package")
@starts("e2e")
def told(
    tmp_path_factory: pytest.TempPathFactory, airflow_database: dict[str, str]
) -> Iterator[tuple[World, Story, RunOutcome]]:
    """The world after the story, production on 1.1; a test that changes that changes it back, or is the last one."""
    dags = tmp_path_factory.mktemp("dags")
    for example in example_dags().glob("*.py"):
        shutil.copy(example, dags)
    stages, _, _ = (dags / f"{PIPELINE}.py").read_text().partition("dag = Pipeline(")
    for pipeline, before in ((PRODUCTION, ""), (APPROVED, "Approval(approvers=['admin']), ")):
        dag = f"dag = Pipeline({pipeline!r}, service={SERVICE!r}, stages=[{before}production]).dag()\n"
        (dags / f"{pipeline}.py").write_text(stages + dag)
    with World(dags=dags, settings=airflow_database("story")) as world:
        story, last = run_story(world, print)
        yield world, story, last
        processes = world.airflow.processes()
    assert processes
    assert not [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
