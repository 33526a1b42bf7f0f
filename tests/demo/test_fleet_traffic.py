"""Visitors while the fleet changes under them, and what the releases leave behind in the telemetry."""

from __future__ import annotations

import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_cd.demo import fleet, traffic
from airflow_cd.errors import AirflowCdError
from tests.demo.fleet_client import FleetClient, children, shop, wait_for
from tests.tiers import starts

RATE = 60.0
ENVIRONMENTS = {"production": 4, "staging": 2}
CANARY = ["shop-production-01", "shop-production-02"]
NEW_IN_1_2 = {"decimal.InvalidOperation", "KeyError", "AttributeError", "UnicodeEncodeError"}


@pytest.fixture(scope="module")
@starts("server")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fleet.FleetProcess]:
    with fleet.start(tmp_path_factory.mktemp("fleet"), environments=ENVIRONMENTS) as started:
        yield started


@pytest.fixture
def client(running: fleet.FleetProcess) -> Iterator[FleetClient]:
    with FleetClient(running) as client:
        client.restore("production", client.names("production"))
        client.deploy("production", shop("1.0"))
        yield client


def requests_of(running: fleet.FleetProcess, since: float, name: str) -> list[dict[str, Any]]:
    file = running.telemetry / "transactions/production" / f"{name}.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return [row for row in rows if row["timestamp"] >= since * 1000]


def exceptions_of(running: fleet.FleetProcess, since: float, name: str) -> Counter[str]:
    """Exceptions an instance logged since then, by class."""
    found: Counter[str] = Counter()
    begin = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since))
    for record in re.split(r"\n(?=\d{4}-)", (running.telemetry / "logs/production" / f"{name}.log").read_text()):
        if record >= begin and "Traceback" in record:
            found[record.rstrip().splitlines()[-1].partition(":")[0]] += 1
    return found


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def test_no_request_fails_while_instances_are_replaced_drained_and_restored(client: FleetClient) -> None:
    with traffic.start(client.fleet.info_file, rates={"production": RATE}) as visitors:
        wait_for(lambda: visitors.report()["production"]["requests"] > 20, "requests flow")
        client.deploy("production", shop("1.1"), CANARY)
        client.drain("production", CANARY)
        client.deploy("production", shop("1.0"), CANARY)
        client.restore("production", CANARY)
        client.deploy("production", shop("1.1"))
        done = visitors.report()["production"]["requests"]
        wait_for(lambda: visitors.report()["production"]["requests"] > done + 20, "requests go on")
    report = visitors.report()["production"]
    assert set(report["statuses"]) <= {"200", "402", "500"}
    assert (report["errors"], report["skipped"]) == ({}, 0)
    assert sum(report["statuses"].values()) == report["requests"]
    # The search that is known to fail is one request in forty, and it is all that does.
    assert report["statuses"]["500"] <= report["requests"] / 40 + len(client.names("production"))


def test_to_safe_can_be_read_back_from_the_fleet(client: FleetClient) -> None:
    with traffic.start(client.fleet.info_file, rates={"production": RATE}):
        client.deploy("production", shop("1.2"), CANARY)
        wait_for(lambda: all(client.running("production", name)["requests"] for name in CANARY), "the canary is used")
        verdict = time.time()
        client.drain("production", CANARY)
        client.deploy("production", shop("1.0"), CANARY)
        client.restore("production", CANARY)
        wait_for(lambda: all(client.running("production", name)["requests"] for name in CANARY), "all are used again")
    for name in CANARY:
        processes = client.traffic("production")[name]["processes"]
        assert [(process["version"], process["running"]) for process in processes[-2:]] == [
            ("1.2", False),
            ("1.0", True),
        ]
        assert processes[-2]["last_request"] - verdict < 1.0
        assert processes[-1]["last_request"] > verdict


def test_1_2_logs_four_new_exceptions_on_every_canary_instance_and_is_otherwise_as_good(client: FleetClient) -> None:
    client.deploy("production", shop("1.1"))
    client.deploy("production", shop("1.2"), CANARY)
    began = time.time()
    with traffic.start(client.fleet.info_file, rates={"production": RATE}):
        # 45 requests on each: every kind of request came by.
        wait_for(lambda: client.running("production", "shop-production-04")["requests"] >= 45, "every kind came by")
    seen = {name: exceptions_of(client.fleet, began, name) for name in client.names("production")}
    control = set().union(*(seen[name] for name in seen if name not in CANARY))
    assert len(control) == 2
    for name in CANARY:
        assert set(seen[name]) == control | NEW_IN_1_2

    errors: Counter[bool] = Counter()
    durations: dict[bool, list[float]] = defaultdict(list)
    for name in seen:
        for request in requests_of(client.fleet, began, name):
            errors[name in CANARY] += request["error"]
            if request["name"] == "WebTransaction/catalogue":
                durations[name in CANARY].append(request["duration"])
    assert abs(errors[True] - errors[False]) <= 2
    assert 0.7 < median(durations[True]) / median(durations[False]) < 1.4


def test_a_bad_configuration_of_a_good_release_times_out_for_real(client: FleetClient) -> None:
    client.deploy("production", shop("1.1"))
    client.deploy("production", shop("1.1", inventory_timeout_ms=1), CANARY)
    began = time.time()
    with traffic.start(client.fleet.info_file, rates={"production": RATE}):
        wait_for(lambda: client.running("production", "shop-production-04")["requests"] >= 40, "every kind came by")
    found = {name: exceptions_of(client.fleet, began, name)["TimeoutError"] for name in client.names("production")}
    assert all((count >= 8) == (name in CANARY) for name, count in found.items()), found
    failed = [request for request in requests_of(client.fleet, began, CANARY[0]) if request["error.class"]]
    assert {"WebTransaction/basket", "WebTransaction/checkout"} <= {request["name"] for request in failed}


def test_one_process_drives_several_environments_cheaply(client: FleetClient) -> None:
    with traffic.start(client.fleet.info_file, rates={"production": RATE, "staging": 10}) as visitors:
        process = psutil.Process(visitors.pid)
        wait_for(lambda: visitors.report()["production"]["requests"] > 20, "requests flow")
        used, began = sum(process.cpu_times()[:2]), time.monotonic()
        done = visitors.report()["production"]["requests"]
        wait_for(lambda: visitors.report()["production"]["requests"] > done + 3 * RATE, "three seconds of requests")
        share = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
    assert share < 0.2
    report = visitors.report()
    # Nothing is deployed there: every visitor is told so, and they keep coming.
    assert report["staging"]["statuses"] == {"503": report["staging"]["requests"]}
    assert 3 < report["production"]["requests"] / report["staging"]["requests"] < 9
    assert not visitors.is_running()


@pytest.mark.server
def test_traffic_outlives_a_fleet_that_is_gone(tmp_path: Path) -> None:
    with fleet.start(tmp_path, environments={"dev": 1}) as started:
        visitors = traffic.start(started.info_file, rates={"dev": 20})
    with visitors:
        wait_for(lambda: visitors.report()["dev"]["errors"].get("ClientConnectorError", 0) > 5, "nobody answers")
        assert visitors.is_running()


def test_traffic_says_what_it_cannot_do(client: FleetClient, tmp_path: Path) -> None:
    with pytest.raises(AirflowCdError, match="the fleet has no environment moon"):
        traffic.start(client.fleet.info_file, rates={"moon": 1})
    with pytest.raises(AirflowCdError, match="does not describe a running fleet"):
        traffic.start(tmp_path / "fleet.json")
    with pytest.raises(AirflowCdError, match="requests a second"):
        traffic.start(client.fleet.info_file, rates={"production": 0})


@pytest.mark.server
def test_ten_instances_come_up_and_back_in_seconds_and_all_end_with_the_fleet(tmp_path: Path) -> None:
    with fleet.start(tmp_path, environments={"production": 10}) as started, FleetClient(started) as client:
        client.deploy("production", shop("1.0"))
        began = time.monotonic()
        client.deploy("production", shop("1.1"))
        took = time.monotonic() - began
        left = children(started)
    assert took < 8
    gone, alive = psutil.wait_procs(left, timeout=3)
    assert (len(gone) >= 10, alive) == (True, [])
