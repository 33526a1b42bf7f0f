"""A process killed at any moment of a deployment or of its rollback: whoever comes next leaves nothing half."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_cd.delivery.sides import SidesNow
from airflow_cd.instances import Track
from airflow_cd.ledger import open_ledger
from airflow_cd.release import Release
from airflow_cd.states import DeploymentState
from tests.real.kubernetes import gateway, images
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.killed import delivery
from tests.real.kubernetes.web import Web, come_to

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("AIRFLOW_CD_KILLS", "3"))
LONGEST = {"canary": 9.0, "route": 12.0, "sides": 14.0}
"""Seconds after which a process that nobody kills has done everything, by the kind of its deployment."""


@pytest.fixture(scope="module")
def web(kubernetes: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("kill-images")
    for version in ("1.0", "1.1"):
        kubernetes.load(images.web(folder, version))
    made = Web(kubernetes, "kills", 4)
    yield made
    made.remove()


@pytest.fixture
def ledger_url(tmp_path: Path, kubernetes: Cluster, monkeypatch: pytest.MonkeyPatch) -> str:
    extra = {"kube_config": json.dumps(kubernetes.kubeconfig)}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_REAL", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    open_ledger(url).deployments.last_promoted("web", "kills")
    return url


def test_nothing_is_left_half_whenever_a_process_is_killed(
    web: Web, ledger_url: str, address: str, measured: Callable[[str], None]
) -> None:
    gateway.route(web.cluster, web.name, web.name)
    path = f"{gateway.ROUTES}/{web.name}"
    before = web.cluster.call("GET", path)["spec"]
    seed = int(os.environ.get("AIRFLOW_CD_SEED", time.time()))
    chance = random.Random(seed)
    struck = []
    for number in range(KILLS):
        run_id = f"run-{number}"
        kind = chance.choice(sorted(LONGEST))
        command = [sys.executable, "-m", "tests.real.kubernetes.killed", ledger_url, "kills", run_id, kind]
        begun = subprocess.Popen(command)
        # Importing takes a second or two of it.
        moment = chance.uniform(1.0, LONGEST[kind])
        try:
            begun.wait(moment)
        except subprocess.TimeoutExpired:
            begun.kill()
            begun.wait()
        struck.append(f"{moment:.1f} s ({kind})")
        next_one = delivery(ledger_url, "kills", run_id, kind)
        settled = next_one.settle()
        where = f"seed {seed}, kill {number} of {kind} after {moment:.2f} s"
        assert settled is None or settled.state == DeploymentState.ROLLED_BACK, where
        assert {(one.track, one.artifact) for one in next_one.target.instances()} == {
            (Track.STABLE, "localhost/web:1.0")
        }, where
        come_to(web.answers, {"1.0 hi"}, 20, why=where)
        assert web.cluster.call("GET", path)["spec"] == before, where
    measured(f"seed {seed}: killed after {', '.join(struck)}")


def test_a_canary_keeps_its_share_while_pods_become_more(web: Web, ledger_url: str) -> None:
    mine = delivery(ledger_url, "kills", "scaled")
    phase = mine.deploy(Release("web", "1.1", "localhost/web:1.1", {}), phase="phase_20", share=20)
    sides = SidesNow(mine, mine.require_deployment(), phase)
    sides.now()
    web.cluster.patch(web.path, {"spec": {"replicas": 8}})

    def two_canaries() -> bool:
        now = sides.now()
        return now is not None and len(now.canary) == 2 and len(now.control) == 8

    web.cluster.until(two_canaries, "there are two canaries beside eight", seconds=60)
    mine.settle()
    assert {one.artifact for one in mine.target.instances()} == {"localhost/web:1.0"}
    assert web.cluster.call("GET", web.path)["spec"]["replicas"] == 8
