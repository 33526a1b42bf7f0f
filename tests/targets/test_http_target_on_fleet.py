"""The contract, and trouble, through Airflow's connection and real HTTP on a fleet of real processes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_cd.demo import fleet
from airflow_cd.errors import DeploymentFailed, TargetRejected, TargetUnauthorized
from airflow_cd.release import Release
from airflow_cd.targets import HttpTarget
from airflow_cd.targets.base import FAILED, HEALTHY
from airflow_cd.targets.contract import TargetContract
from airflow_cd.targets.rollout import wait_until
from tests.targets.hook_on_server import Connect
from tests.tiers import starts

GOOD = Release("shop", "1.0", "shop:1.0", {"inventory_timeout_ms": 500})
OTHER = Release("shop", "1.1", "shop:1.1", {"inventory_timeout_ms": 500})
BROKEN = Release("shop", "1.4", "shop:1.4", {"inventory_timeout_ms": 500})

tokens = itertools.count(1)


@pytest.fixture(scope="module")
@starts("server")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fleet.FleetProcess]:
    with fleet.start(tmp_path_factory.mktemp("fleet"), environments={"contract": 2, "trouble": 2}) as started:
        yield started


class TestHttpTarget(TargetContract):
    @pytest.fixture
    def target(self, running: fleet.FleetProcess, connect: Connect) -> HttpTarget:
        return HttpTarget(connect("http_contract", host=running.api_url, password=running.token), "contract")

    @pytest.fixture
    def good(self) -> Release:
        return GOOD

    @pytest.fixture
    def other(self) -> Release:
        return OTHER

    @pytest.fixture
    def broken(self) -> Release:
        return BROKEN


@pytest.fixture
def target(running: fleet.FleetProcess, connect: Connect) -> HttpTarget:
    return HttpTarget(connect("http_trouble", host=running.api_url, password=running.token), "trouble")


@pytest.fixture
def names(target: HttpTarget) -> list[str]:
    found = [instance.name for instance in target.instances()]
    target.deploy(GOOD, found, key=f"begin-{time.time_ns()}", token=next(tokens))
    wait_until(target, dict.fromkeys(found, GOOD), timeout=60)
    return found


class Faults:
    """The faults that the fleet can be asked for."""

    def __init__(self, running: fleet.FleetProcess) -> None:
        self.url = f"{running.api_url}/v1/faults"
        self.headers = {"Authorization": f"Bearer {running.token}"}

    def put(self, **fault: Any) -> None:
        requests.put(self.url, json=fault, headers=self.headers, timeout=5).raise_for_status()

    def kill(self, environment: str, instance: str) -> None:
        body = {"environment": environment, "instance": instance}
        requests.post(f"{self.url}/kill", json=body, headers=self.headers, timeout=5).raise_for_status()

    def clear(self) -> None:
        requests.delete(self.url, headers=self.headers, timeout=5).raise_for_status()


@pytest.fixture
def faults(running: fleet.FleetProcess) -> Iterator[Faults]:
    asked = Faults(running)
    yield asked
    asked.clear()


@pytest.mark.parametrize(
    "fault",
    [{"status": 503, "times": 2}, {"status": 429, "times": 1, "retry_after": 0.2}, {"body": "rubbish", "times": 2}],
)
def test_a_deployment_survives_trouble_that_passes(
    target: HttpTarget, names: list[str], faults: Faults, fault: dict[str, Any]
) -> None:
    faults.put(path_prefix="/v1/environments/trouble/", **fault)
    target.deploy(OTHER, names, key=f"deploy-{time.time_ns()}", token=next(tokens))
    wait_until(target, dict.fromkeys(names, OTHER), timeout=60)


def test_an_instance_that_dies_is_reported_and_can_be_brought_back(
    target: HttpTarget, names: list[str], faults: Faults
) -> None:
    faults.kill("trouble", names[0])
    with pytest.raises(DeploymentFailed, match=f"{names[0]} is failed"):
        wait_until(target, dict.fromkeys(names, GOOD), timeout=10)
    assert [instance.health for instance in target.instances()] == [FAILED, HEALTHY]
    target.deploy(GOOD, names, key=f"again-{time.time_ns()}", token=next(tokens))
    wait_until(target, dict.fromkeys(names, GOOD), timeout=60)


def test_the_same_key_for_something_else_is_refused(target: HttpTarget, names: list[str]) -> None:
    key, token = f"key-{time.time_ns()}", next(tokens)
    target.drain(names[:1], key=key, token=token)
    with pytest.raises(TargetRejected, match="422"):
        target.drain(names[1:], key=key, token=token)
    target.restore(names, key=f"restore-{time.time_ns()}", token=token)


def test_an_unknown_environment_is_named(running: fleet.FleetProcess, connect: Connect) -> None:
    conn_id = connect("http_unknown", host=running.api_url, password=running.token)
    with pytest.raises(TargetRejected, match="nowhere"):
        HttpTarget(conn_id, "nowhere").instances()


def test_a_wrong_token_is_refused_and_the_test_button_shows_it(running: fleet.FleetProcess, connect: Connect) -> None:
    wrong = HttpTarget(connect("http_wrong", host=running.api_url, password="wrong"), "trouble")
    with pytest.raises(TargetUnauthorized, match="401"):
        wrong.instances()
    assert wrong.hook.test_connection()[0] is False
    right = HttpTarget(connect("http_right", host=running.api_url, password=running.token), "trouble")
    passed, message = right.hook.test_connection()
    assert passed, message


def test_traffic_can_be_read(running: fleet.FleetProcess, target: HttpTarget, names: list[str]) -> None:
    target.drain(names[:1], key=f"drain-{time.time_ns()}", token=next(tokens))
    before = target.hook.traffic("trouble")[names[0]].last_request
    requests.get(running.routers["trouble"], timeout=5)
    traffic = target.hook.traffic("trouble")
    assert traffic[names[0]].last_request == before
    assert traffic[names[1]].last_request is not None
    assert {entry.in_flight for entry in traffic.values()} == {0}
    target.restore(names, key=f"restore-{time.time_ns()}", token=next(tokens))
