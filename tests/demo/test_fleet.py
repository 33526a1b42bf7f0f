"""The fleet: instances, routers and the deployment API, with real processes and real requests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import httpx
import psutil
import pytest

from airflow_cd.demo import fleet
from airflow_cd.errors import AirflowCdError
from tests.demo.fleet_client import FleetClient, children, shop, wait_for
from tests.tiers import starts

ENVIRONMENTS = {"dev": 1, "production": 3}


@pytest.fixture(scope="module")
@starts("server")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fleet.FleetProcess]:
    with fleet.start(tmp_path_factory.mktemp("fleet"), environments=ENVIRONMENTS, health_seconds=0.5) as started:
        yield started


@pytest.fixture
def client(running: fleet.FleetProcess) -> Iterator[FleetClient]:
    """A client of a fleet whose production is wholly on 1.0 and takes requests, and whose dev is empty."""
    with FleetClient(running) as client:
        client.api.delete("/v1/faults")
        names = client.names("production")
        client.restore("production", names)
        client.deploy("production", shop("1.0"))
        client.deploy("dev", None)
        yield client
        client.api.delete("/v1/faults")


def error_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.json()["error"]["message"]
    return answer.status_code, answer.json()["error"]["code"]


def test_tells_where_it_is_to_this_user_only(running: fleet.FleetProcess) -> None:
    info = json.loads(running.info_file.read_text())
    assert info == running.info
    assert (info["pid"], info["deployment_api"], info["token"]) == (running.pid, running.api_url, running.token)
    assert set(info["routers"]) == set(ENVIRONMENTS)
    assert running.info_file.stat().st_mode & 0o077 == 0
    assert running.telemetry.is_dir()


def test_an_environment_is_empty_until_something_is_deployed(client: FleetClient) -> None:
    assert client.instances("dev") == {
        "shop-dev-01": {
            "name": "shop-dev-01",
            "version": None,
            "artifact": None,
            "configuration": {},
            "health": "empty",
            "drained": False,
            "message": "",
        }
    }
    answer = client.visit("dev")
    assert (answer.status_code, answer.text) == (503, "no instance of dev takes requests\n")


def test_deploys_to_the_named_instances_and_leaves_the_others_alone(client: FleetClient) -> None:
    before = {name: client.running("production", name)["pid"] for name in client.names("production")}
    client.deploy("production", shop("1.1", banner="Sale"), ["shop-production-02"])
    found = client.instances("production")
    assert [(one["version"], one["artifact"], one["configuration"]) for one in found.values()] == [
        ("1.0", "shop:1.0", {}),
        ("1.1", "shop:1.1", {"banner": "Sale"}),
        ("1.0", "shop:1.0", {}),
    ]
    after = {name: client.running("production", name)["pid"] for name in found}
    assert {name for name in found if before[name] != after[name]} == {"shop-production-02"}
    wait_for(lambda: not psutil.pid_exists(before["shop-production-02"]), "the old process ends")
    # It says since when the new one runs alone, which is when the old one had ended.
    begun = wait_for(lambda: client.instances("production")["shop-production-02"].get("started"), "it runs alone")
    process = client.running("production", "shop-production-02")
    assert datetime.fromisoformat(begun).timestamp() > process["started"]
    pages = [client.visit("production") for _ in range(3)]
    assert Counter(page.headers["X-Shop-Version"] for page in pages) == {"1.0": 2, "1.1": 1}
    assert sum("Sale" in page.text for page in pages) == 1


def test_deals_requests_in_turn(client: FleetClient) -> None:
    before = client.traffic("production")
    for _ in range(12):
        assert client.visit("production").status_code == 200
    after = client.traffic("production")
    assert [after[name]["processes"][-1]["requests"] - before[name]["processes"][-1]["requests"] for name in after] == [
        4,
        4,
        4,
    ]


def test_passes_requests_and_answers_on_as_they_are(client: FleetClient) -> None:
    answer = client.visit("production", '/search?q="oak chair"')
    assert (answer.status_code, "Oak chair" in answer.text) == (200, True)
    assert (
        client.visit("production", "/checkout", {"product": "lamp-021", "card": "4000000000000002"}).status_code == 402
    )
    assert client.visit("production", "/admin/export").text.splitlines()[2] == "3;Łukasz Nowak"


def test_the_same_key_is_the_same_change(client: FleetClient) -> None:
    first = client.put("production", shop("1.1"), key="once")
    client.settled("production")
    client.deploy("production", shop("1.0"))
    pids = [client.running("production", name)["pid"] for name in client.names("production")]
    again = client.put("production", shop("1.1"), key="once")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert {one["artifact"] for one in client.settled("production").values()} == {"shop:1.0"}
    assert [client.running("production", name)["pid"] for name in client.names("production")] == pids
    assert error_of(client.put("production", shop("1.2"), key="once")) == (422, "idempotency_key_reused")


def test_a_healthy_instance_on_exactly_that_release_is_left_alone(client: FleetClient) -> None:
    pids = [client.running("production", name)["pid"] for name in client.names("production")]
    client.deploy("production", shop("1.0"))
    assert [client.running("production", name)["pid"] for name in client.names("production")] == pids
    client.deploy("production", shop("1.0", page_size=2))
    assert not set(pids) & {client.running("production", name)["pid"] for name in client.names("production")}


def test_a_lower_fencing_token_is_refused_in_its_environment_only(client: FleetClient) -> None:
    client.token += 1
    client.deploy("production", shop("1.1"))
    names = client.names("production")
    stale = client.token - 1
    for answer in (
        client.put("production", shop("1.0"), token=stale),
        client.drain("production", names, token=stale),
        client.restore("production", names, token=stale),
    ):
        assert error_of(answer) == (409, "stale_token")
    assert {one["artifact"] for one in client.instances("production").values()} == {"shop:1.1"}
    assert client.put("dev", shop("1.0"), token=stale).status_code == 202


@pytest.mark.usefixtures("client")
def test_refuses_those_it_does_not_know(running: fleet.FleetProcess) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": running.token}):
        for method, path in (("GET", "/v1/artifacts/shop:1.0"), ("PUT", "/v1/faults"), ("GET", "/nowhere")):
            answer = httpx.request(method, running.api_url + path, headers=headers, trust_env=False)
            assert error_of(answer) == (401, "unauthorized")
            assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_refuses_what_is_not_there_or_cannot_be_read(client: FleetClient) -> None:
    good = shop("1.0").as_dict()
    names = client.names("production")

    def put(body: object) -> tuple[int, str]:
        return error_of(client.change("PUT", "production", "release", body))

    assert client.api.get("/v1/artifacts/shop:1.2").json() == {"artifact": "shop:1.2"}
    assert error_of(client.api.get("/v1/artifacts/shop:9.9")) == (404, "unknown_artifact")
    assert error_of(client.api.get("/v1/environments/moon/instances")) == (404, "unknown_environment")
    assert error_of(client.api.get("/v1/nowhere")) == (404, "not_found")
    assert error_of(client.api.delete("/v1/environments/dev/instances")) == (405, "method_not_allowed")
    assert error_of(client.put("production", shop("9.9"))) == (404, "unknown_artifact")
    assert put({"release": good, "instances": [*names, "shop-production-99"]}) == (400, "unknown_instance")
    assert put({"release": good, "instances": "shop-production-01"}) == (400, "bad_body")
    assert put({"instances": names}) == (400, "bad_body")
    assert put({"release": {"artifact": "shop:1.0"}, "instances": names}) == (400, "bad_body")
    assert put({"release": {**good, "configuration": [1]}, "instances": names}) == (400, "bad_body")
    assert put([1]) == (400, "bad_body")
    path = "/v1/environments/production/drain"
    for headers in ({"Idempotency-Key": "k"}, {"Fencing-Token": "1"}, {"Idempotency-Key": "k", "Fencing-Token": "x"}):
        assert error_of(client.api.post(path, json={"instances": names}, headers=headers)) == (400, "missing_header")
    both = {"Idempotency-Key": "k", "Fencing-Token": "999999"}
    assert error_of(client.api.post(path, content=b"{", headers=both)) == (400, "bad_body")
    assert not any(one["drained"] for one in client.instances("production").values())


def test_a_drained_instance_gets_no_request_until_it_is_restored(client: FleetClient) -> None:
    assert client.drain("production", ["shop-production-01"]).json() == {"instances": ["shop-production-01"]}
    drained_at = client.traffic("production")["shop-production-01"]
    assert drained_at["in_flight"] == 0
    for _ in range(6):
        assert client.visit("production").status_code == 200
    assert client.traffic("production")["shop-production-01"]["last_request"] == drained_at["last_request"]
    assert client.instances("production")["shop-production-01"]["drained"] is True

    client.deploy("production", shop("1.1"), ["shop-production-01"])
    assert {client.visit("production").headers["X-Shop-Version"] for _ in range(6)} == {"1.0"}
    client.restore("production", ["shop-production-01"])
    assert {client.visit("production").headers["X-Shop-Version"] for _ in range(6)} == {"1.0", "1.1"}

    client.drain("production", client.names("production"))
    assert client.visit("production").status_code == 503


def test_drain_answers_when_the_requests_in_flight_are_done(client: FleetClient) -> None:
    names = client.names("production")
    with ThreadPoolExecutor(10) as pool:
        visitors = [pool.submit(visits_until_refused, client, "production") for _ in range(10)]
        wait_for(lambda: any(one["in_flight"] for one in client.traffic("production").values()), "requests in flight")
        client.drain("production", names)
        assert {one["in_flight"] for one in client.traffic("production").values()} == {0}
        statuses = sum((visitor.result() for visitor in visitors), Counter())
    assert set(statuses) == {200, 503}


def visits_until_refused(client: FleetClient, environment: str) -> Counter[int]:
    """One visitor's statuses: there are requests in flight whenever a busy machine gets to look for them."""
    statuses: Counter[int] = Counter()
    while not statuses.keys() - {200}:
        statuses[client.visit(environment, "/admin/export").status_code] += 1
    return statuses


def test_a_drain_does_not_wait_for_ever(client: FleetClient) -> None:
    name = "shop-production-01"
    client.drain("production", [one for one in client.names("production") if one != name])
    hang(client, name, "STOP")
    with ThreadPoolExecutor(1) as pool:
        page = pool.submit(client.visit, "production")
        wait_for(lambda: client.traffic("production")[name]["in_flight"], "a request that hangs")
        began = time.monotonic()
        assert client.drain("production", [name]).status_code == 200
        assert 0.5 < time.monotonic() - began < 3
        hang(client, name, "CONT")
        assert page.result().status_code == 200


def hang(client: FleetClient, name: str, number: str) -> None:
    body = {"environment": "production", "instance": name, "signal": number}
    assert client.api.post("/v1/faults/kill", json=body).status_code == 200


def test_an_instance_that_hangs_is_kept_out_until_it_answers_again(client: FleetClient) -> None:
    name = "shop-production-02"
    hang(client, name, "STOP")
    wait_for(lambda: client.instances("production")[name]["health"] == "unhealthy", "it is noticed")
    assert "/health" in client.instances("production")[name]["message"]
    assert {client.visit("production").status_code for _ in range(6)} == {200}
    hang(client, name, "CONT")
    wait_for(lambda: client.instances("production")[name]["health"] == "healthy", "it is back")

    hang(client, name, "STOP")
    wait_for(lambda: client.instances("production")[name]["health"] == "unhealthy", "it is noticed again")
    pid = client.running("production", name)["pid"]
    client.deploy("production", shop("1.0"), [name])
    assert client.running("production", name)["pid"] != pid


def test_a_killed_instance_is_reported_and_not_hidden(client: FleetClient) -> None:
    name = "shop-production-03"
    answer = client.api.post("/v1/faults/kill", json={"environment": "production", "instance": name})
    assert answer.json() == {"instance": name, "pid": client.running("production", name)["pid"]}
    found = wait_for(
        lambda: (one := client.instances("production")[name])["health"] == "failed" and one, "the death is reported"
    )
    assert (found["artifact"], found["message"]) == ("shop:1.0", "the process ended by SIGKILL")
    assert {client.visit("production").status_code for _ in range(6)} == {200}
    client.deploy("production", shop("1.0"), [name])
    assert client.instances("production")[name]["message"] == ""


def test_an_instance_killed_while_it_is_deployed_has_failed(client: FleetClient) -> None:
    name = "shop-production-01"
    target = {"environment": "production", "instance": name, "next_start": True}
    assert client.api.post("/v1/faults/kill", json=target).status_code == 200
    client.put("production", shop("1.1"), [name])
    found = client.settled("production")[name]
    assert (found["artifact"], found["health"]) == ("shop:1.1", "failed")
    assert "SIGKILL" in found["message"]


def test_a_release_that_does_not_start_leaves_nothing_pretending(client: FleetClient) -> None:
    name = "shop-production-01"
    assert client.put("production", shop("1.4"), [name]).status_code == 202
    found = client.settled("production")[name]
    assert (found["version"], found["artifact"], found["health"]) == ("1.4", "shop:1.4", "failed")
    assert found["message"].startswith("shop:1.4 did not start: ended with code 1\n")
    assert found["message"].endswith("SchemaMismatch: the database has schema 7, shop 1.4 needs 8")
    wait_for(lambda: not client.running("production", name)["running"], "the old process ends")
    assert [client.visit("production").status_code for _ in range(6)] == [200] * 6
    client.deploy("production", shop("1.0"), [name])


def test_a_release_is_superseded_while_it_comes_up(client: FleetClient) -> None:
    pids = [client.running("production", name)["pid"] for name in client.names("production")]
    for version in ("1.1", "1.2", "1.4", "1.0"):
        client.put("production", shop(version))
    found = client.settled("production")
    assert {(one["artifact"], one["health"]) for one in found.values()} == {("shop:1.0", "healthy")}
    assert [client.running("production", name)["pid"] for name in found] == pids
    wait_for(lambda: len(children(client.fleet)) == 3, "what was given up is gone")


def test_emptying_ends_the_processes(client: FleetClient) -> None:
    client.deploy("production", None)
    wait_for(lambda: not children(client.fleet), "no process is left")
    assert client.visit("production").status_code == 503


def test_faults_hit_as_often_as_asked_where_asked(client: FleetClient) -> None:
    path = "/v1/environments/production/instances"

    def fault(**fault: object) -> httpx.Response:
        return client.api.put("/v1/faults", json=fault)

    fault(status=503, times=2, retry_after=3, path_prefix="/v1/environments/production")
    assert client.api.get("/v1/artifacts/shop:1.0").status_code == 200
    answers = [client.api.get(path) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "3"
    assert error_of(answers[0]) == (503, "injected")

    fault(body="<html>rubbish")
    assert client.api.get(path).text == "<html>rubbish"

    fault(delay=0.3)
    began = time.monotonic()
    assert client.api.get(path).status_code == 200
    assert time.monotonic() - began >= 0.3

    fault(status=500, times=None, method="GET")
    assert [client.api.get(path).status_code for _ in range(3)] == [500] * 3
    assert client.api.delete("/v1/faults").json() == {"faults": []}
    assert client.api.get(path).status_code == 200
    assert error_of(fault(stauts=500)) == (400, "bad_body")
    for wrong in ({"status": "high"}, {"status": 99}, {"times": "often"}, {"delay": [1]}):
        assert error_of(fault(**wrong)) == (400, "bad_body")


def test_faults_of_one_path_end_without_those_of_others(client: FleetClient) -> None:
    for environment in ("dev", "production"):
        fault = {"status": 503, "times": None, "path_prefix": f"/v1/environments/{environment}/"}
        client.api.put("/v1/faults", json=fault)
    client.api.delete("/v1/faults", params={"path_prefix": "/v1/environments/dev/"})
    asked = {name: client.api.get(f"/v1/environments/{name}/instances").status_code for name in ENVIRONMENTS}
    assert asked == {"dev": 200, "production": 503}


def test_a_change_whose_answer_was_lost_is_made_once(client: FleetClient) -> None:
    client.api.put("/v1/faults", json={"status": 502, "after": True, "method": "PUT"})
    assert client.put("production", shop("1.1"), key="lost").status_code == 502
    client.settled("production")
    pids = [client.running("production", name)["pid"] for name in client.names("production")]
    assert client.put("production", shop("1.1"), key="lost").status_code == 202
    assert {one["artifact"] for one in client.settled("production").values()} == {"shop:1.1"}
    assert [client.running("production", name)["pid"] for name in client.names("production")] == pids


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_however_it_ends(tmp_path: Path, number: signal.Signals) -> None:
    with fleet.start(tmp_path, environments={"dev": 2}) as started:
        with FleetClient(started) as client:
            client.deploy("dev", shop("1.0"))
        left = children(started)
        assert len(left) == 2
        os.kill(started.pid, number)
        gone, alive = psutil.wait_procs(left, timeout=5)
        assert (len(gone), alive) == (2, [])
        wait_for(lambda: not started.is_running(), "the fleet ends")
    assert started.info_file.exists() is (number == signal.SIGKILL)


@pytest.mark.server
def test_no_process_is_left_when_whoever_started_it_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from airflow_cd.demo import fleet\n"
        "print(fleet.start(Path(sys.argv[1]), environments={'dev': 1}).pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        process = psutil.Process(int(starter.stdout.readline()))
        starter.kill()
    gone, _ = psutil.wait_procs([process], timeout=5)
    assert gone


def test_says_why_it_does_not_start(running: fleet.FleetProcess, tmp_path: Path) -> None:
    taken = httpx.URL(running.api_url).port or 0
    with pytest.raises(AirflowCdError, match=f"port {taken} of 127.0.0.1 cannot be used"):
        fleet.start(tmp_path, port=taken)
    with pytest.raises(AirflowCdError, match="dev cannot have 0 instances"):
        fleet.start(tmp_path, environments={"dev": 0})
    with pytest.raises(AirflowCdError, match=r"'\.\./x' is not a valid name"):
        fleet.start(tmp_path, environments={"../x": 1})
