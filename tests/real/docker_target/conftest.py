"""Containers on a daemon of the tests' own, and an HAProxy before them."""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real import images
from tests.real.engine import Engine

from . import haproxy
from .registry import Registry, program, registry
from .site import Site, build

WHERE_ASKED = ["test_story_in_airflow.py", "test_every_log_source.py"]
"""Two processors run two Airflows at a time, and those of Kubernetes and of the compose file are there already."""

collect_ignore = [] if int(os.environ.get("AIRFLOW_CD_ROUNDS", "1")) > 1 else WHERE_ASKED


@pytest.fixture(scope="session")
def engine(docker: Engine) -> Engine:
    """The daemon, with the images of the service."""
    absent = [name for name, there in (("haproxy", haproxy.program()), ("docker-registry", program())) if not there]
    if absent:
        pytest.skip(f"there is no {' and no '.join(absent)} on this machine")
    build(docker, images.base(docker))
    return docker


@pytest.fixture(scope="module")
def site(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Nothing yet: a test's module starts what it needs."""
    with pytest.MonkeyPatch.context() as patch:

        def connect(conn_id: str, **fields: Any) -> None:
            patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

        # A socket's path has to be short.
        made = Site(engine, Path(tmp_path_factory.mktemp("w")), connect)
        made.clear()
        yield made
        made.clear()


@pytest.fixture(scope="module")
def images_of(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Registry]:
    """A registry, which has nothing."""
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def tokens() -> Iterator[int]:
    """Fencing tokens, each higher than any before."""
    return itertools.count(time.time_ns() // 1_000_000)
