"""A process killed at any moment of a deployment to containers, or of its rollback: nothing is left half."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_cd.instances import HEALTHY
from airflow_cd.ledger import open_ledger
from airflow_cd.states import DeploymentState

from .killed import delivery
from .site import Site

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("AIRFLOW_CD_KILLS", "2"))
LONGEST = 16.0
"""Seconds after which a process that nobody kills has done everything."""


@pytest.fixture(scope="module")
def running(site: Site) -> Iterator[Site]:
    site.run(3, "--env", "WEB_GREETING=by hand")
    with site.routed():
        yield site


def test_nothing_is_left_half_whenever_a_process_is_killed(
    running: Site, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    seed = int(os.environ.get("AIRFLOW_CD_SEED", time.time()))
    chance, struck = random.Random(seed), []
    url, conn_id = f"sqlite:///{tmp_path / 'ledger.db'}", running.connection()
    open_ledger(url).deployments.last_promoted("web", "production")
    for number in range(KILLS):
        command = [sys.executable, "-m", "tests.real.docker_target.killed", url, conn_id, f"run-{number}"]
        begun = subprocess.Popen(command)
        # Importing takes a second or two of it.
        moment = chance.uniform(1.0, LONGEST)
        try:
            begun.wait(moment)
        except subprocess.TimeoutExpired:
            begun.kill()
            begun.wait()
        struck.append(f"{moment:.1f} s{'' if begun.returncode else ' (done)'}")
        where = f"seed {seed}, kill {number} after {moment:.2f} s"
        next_one = delivery(url, conn_id, f"run-{number}")
        settled = next_one.settle()
        assert settled is None or settled.state == DeploymentState.ROLLED_BACK, where
        there = {(one.artifact, one.health, one.drained) for one in next_one.target.instances()}
        assert there == {("web:1.0", HEALTHY, False)}, where
        assert running.containers() == running.names, where
        assert set(running.answers(12)) == {"1.0"}, where
    measured(f"seed {seed}: killed after {', '.join(struck)}")
