"""A StatefulSet of a real Kubernetes: its own last pods are the canary, with their names and volumes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_cd.errors import DeploymentFailed, TargetRejected, TargetUnavailable
from airflow_cd.instances import Track
from airflow_cd.ledger import open_ledger
from airflow_cd.release import Release
from airflow_cd.states import DeploymentState
from airflow_cd.targets.kubernetes import KubernetesTarget, health
from airflow_cd.targets.kubernetes.rights import FOR_STATEFUL_SETS
from airflow_cd.targets.replica_contract import ReplicaContract
from airflow_cd.targets.rollout import wait_until
from tests.real.kubernetes.accounts import account
from tests.real.kubernetes.cluster import Cluster
from tests.real.kubernetes.killed import delivery
from tests.real.kubernetes.releases import BROKEN, CONNECTION, GOOD, OTHER, UP_WITHIN, ask, drain, give, put
from tests.real.kubernetes.stateful import StatefulWeb
from tests.real.kubernetes.web import SERVICES, come_to

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

KILLS = int(os.environ.get("AIRFLOW_CD_KILLS", "1"))
LONGEST = 18.0
"""Seconds after which a process that nobody kills has done everything."""


@pytest.fixture(scope="module")
def web(loaded: Cluster) -> Iterator[StatefulWeb]:
    """One for all of them, each of which leaves it as it was: every pod of another takes seconds."""
    web = StatefulWeb(loaded, "stateful", 2)
    yield web
    web.remove()


@pytest.fixture(autouse=True)
def ready_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a pod has to stay ready is tried on Deployments: here every pod waits for another."""
    monkeypatch.setattr(health, "READY_FOR", timedelta(seconds=1))


@pytest.fixture(scope="module")
def credential(loaded: Cluster) -> str:
    """Of an account that may do what is asked for before anything is touched, and read output."""
    return account(loaded, "stateful", (*FOR_STATEFUL_SETS, ("", "pods/log", "get")))


@pytest.fixture
def least(web: StatefulWeb, credential: str, connected: Callable[[str, str], None]) -> KubernetesTarget:
    connected("kubernetes_stateful", credential)
    return KubernetesTarget("kubernetes_stateful", "production", stateful_set=web.name)


@pytest.fixture
def target(least: KubernetesTarget) -> KubernetesTarget:
    return least


def back(target: KubernetesTarget) -> None:
    """Have the canary's pods come back, and wait until they are whole."""
    ask(target, Track.CANARY, None)
    wait_until(target, {Track.STABLE: GOOD, Track.CANARY: None}, timeout=UP_WITHIN)  # type: ignore[arg-type]
    give(target)


class TestStatefulSet(ReplicaContract):
    """The whole contract, which takes minutes where every pod waits for the one before: where it is asked for."""

    __test__ = "AIRFLOW_CD_CONTRACTS" in os.environ

    @pytest.fixture
    def target(self, least: KubernetesTarget) -> KubernetesTarget:
        return least

    @pytest.fixture
    def good(self) -> Release:
        return GOOD

    @pytest.fixture
    def other(self) -> Release:
        return OTHER

    @pytest.fixture
    def broken(self) -> Release:
        return BROKEN

    def test_a_new_side_gets_all_requests_and_gives_them_back(self, target: KubernetesTarget) -> None:  # type: ignore[override]
        assert "has no second side" in target.traffic_mistake(100, 0)


def test_a_canary_in_its_place_is_drained_promoted_and_all_of_it_goes_back(
    web: StatefulWeb, target: KubernetesTarget, measured: Callable[[str], None]
) -> None:
    before = web.cluster.call("GET", web.path)["spec"]
    had = [len(web.starts(place)) for place in range(2)]
    target.check(OTHER)
    put(target, Track.CANARY, OTHER)
    come_to(web.answers, {"1.0 hi", "1.1 hello"})
    assert [len(web.starts(place)) for place in range(2)] == [had[0], had[1] + 1], "none but the last"
    assert set(web.starts(1)) == {f"{web.name}-1"}, "with its volume and its name"
    began = time.monotonic()
    drain(target)
    safe = time.monotonic() - began
    behind = come_to(web.answers, {"1.0 hi"}, 200)
    measured(f"out of the traffic after {safe:.2f} s, kube-proxy {behind:.2f} s behind that")
    peers = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3D"
    slices = web.cluster.call("GET", f"{peers}{web.name}-peers")["items"]
    assert len([one for part in slices for one in part["endpoints"]]) == 2, "its peers find it still"
    give(target)
    put(target, Track.STABLE, OTHER)
    come_to(web.answers, {"1.1 hello"})
    began = time.monotonic()
    put(target, Track.STABLE, GOOD)
    measured(f"two pods back, one after the other, after {time.monotonic() - began:.1f} s")
    come_to(web.answers, {"1.0 hi"})
    assert web.cluster.call("GET", web.path)["spec"] == before
    assert web.cluster.call("GET", f"{SERVICES}/{web.name}")["spec"]["selector"] == {"app": web.name}


def test_a_pod_that_cannot_start_blocks_neither_the_next_release_nor_the_way_back(
    web: StatefulWeb, target: KubernetesTarget, measured: Callable[[str], None]
) -> None:
    with pytest.raises(DeploymentFailed, match=r"image localhost/web:9\.9 cannot be pulled"):
        put(target, Track.CANARY, Release("web", "9.9", "localhost/web:9.9", {}))
    with pytest.raises(DeploymentFailed, match=r"exit code 3.*ModuleNotFoundError: no module named tax"):
        put(target, Track.CANARY, BROKEN)
    come_to(web.answers, {"1.0 hi"})
    began = time.monotonic()
    back(target)
    measured(f"a pod in a crash loop is whole again after {time.monotonic() - began:.1f} s")


def test_a_canary_keeps_its_share_when_somebody_scales(web: StatefulWeb, target: KubernetesTarget) -> None:
    put(target, Track.CANARY, OTHER, 40)
    web.cluster.patch(web.path, {"spec": {"replicas": 3}})

    def kept() -> bool | None:
        try:
            ask(target, Track.CANARY, OTHER, 40)
        except TargetUnavailable:
            return None
        return True

    web.cluster.until(kept, "no pod has the release that is not to have it")
    wait_until(target, {Track.CANARY: OTHER}, timeout=UP_WITHIN)  # type: ignore[arg-type]
    wanted = {f"{web.name}-{place}": GOOD.artifact for place in range(2)} | {f"{web.name}-2": OTHER.artifact}
    web.cluster.until(
        lambda: {one.name: one.artifact for one in target.instances()} == wanted or None, "the last one is the canary"
    )
    web.cluster.patch(web.path, {"spec": {"replicas": 2}})
    back(target)
    come_to(web.answers, {"1.0 hi"})


def test_what_would_not_work_is_refused(
    web: StatefulWeb, target: KubernetesTarget, connected: Callable[[str, str], None]
) -> None:
    spec = web.cluster.call("GET", web.path)["spec"]["updateStrategy"]
    web.cluster.patch(web.path, {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}})
    try:
        with pytest.raises(TargetRejected, match="has the updateStrategy OnDelete"):
            target.check(OTHER)
    finally:
        web.cluster.patch(web.path, {"spec": {"updateStrategy": spec}})
    connected(CONNECTION, web.cluster.token)
    with pytest.raises(TargetRejected, match=r"is a StatefulSet, not a Deployment.*stateful_set='stateful'"):
        KubernetesTarget(CONNECTION, "production", deployment=web.name).instances()


def test_nothing_is_left_half_whenever_a_process_is_killed(
    web: StatefulWeb, connected: object, tmp_path: Path, measured: Callable[[str], None]
) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    open_ledger(url).deployments.last_promoted("web", web.name)
    # The tests before had tokens of their own.
    web.cluster.patch(web.path, {"metadata": {"annotations": {"airflow-cd/token": None}}})
    seed = int(os.environ.get("AIRFLOW_CD_SEED", time.time()))
    chance, struck = random.Random(seed), []
    for number in range(KILLS):
        command = [sys.executable, "-m", "tests.real.kubernetes.killed", url, web.name, f"run-{number}", "stateful"]
        begun, moment = subprocess.Popen(command), chance.uniform(1.5, LONGEST)
        try:
            begun.wait(moment)
        except subprocess.TimeoutExpired:
            begun.kill()
            begun.wait()
        struck.append(f"{moment:.1f} s")
        next_one = delivery(url, web.name, f"run-{number}", kind="stateful")
        settled = next_one.settle()
        where = f"seed {seed}, kill {number} after {moment:.2f} s"
        assert settled is None or settled.state == DeploymentState.ROLLED_BACK, where
        found = {(one.track, one.artifact) for one in next_one.target.instances()}
        assert found == {(Track.STABLE, GOOD.artifact)}, where
        come_to(web.answers, {"1.0 hi"}, 20, why=where)
    measured(f"seed {seed}: killed after {', '.join(struck)}")
