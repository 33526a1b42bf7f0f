"""The world after the story: told once, for all tests that ask what it left."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from airflow_cd.demo.story import Story, Told, tell
from airflow_cd.demo.world import World, example_dags


@pytest.fixture(scope="session")
def told() -> Iterator[tuple[World, Story, Told]]:
    """The world after the story, production on 1.1; a test that changes that changes it back, or is the last one."""
    with World(dags=example_dags()) as world:
        story, last = tell(world, print)
        yield world, story, last
        processes = world.airflow.processes()
    assert processes
    assert not [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
