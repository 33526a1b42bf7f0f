from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_cd.demo.sumo_logic import SumoLogicServer, start
from airflow_cd.errors import AirflowCdError
from tests.demo.waiting import until
from tests.tiers import starts

JOBS = "/api/v1/search/jobs"
DONE = "DONE GATHERING RESULTS"
DEFAULTS: dict[str, Any] = {
    "rate_limit": 1000,
    "concurrent": 10,
    "active_jobs": 200,
    "message_limit": 100_000,
    "page_limit": 10_000,
    "page_bytes": 100_000_000,
    "keep_alive": 25.0,
    "start_delay": 0.0,
    "gather_seconds": 0.0,
    "cookies": True,
    "final_state": "",
    "warning": "",
    "error": "",
}


class Client:
    def __init__(self, server: SumoLogicServer) -> None:
        self.server = server
        self.http = self.session()
        self.created: list[str] = []

    def session(self) -> httpx.Client:
        auth = (self.server.access_id, self.server.access_key)
        return httpx.Client(base_url=self.server.url, auth=auth, timeout=20, verify=False)

    def settings(self, **changes: Any) -> None:
        self.http.put("/_settings", json=changes).raise_for_status()

    def post(self, **changes: Any) -> httpx.Response:
        now = int(time.time() * 1000)
        body = {"query": "*", "from": str(now - 600_000), "to": str(now + 60_000), "timeZone": "UTC", **changes}
        response = self.http.post(JOBS, json={name: value for name, value in body.items() if value is not ...})
        self.created += [response.headers["location"]] if response.status_code == 202 else []
        return response

    def close(self) -> None:
        for job in self.created:
            self.http.delete(job)
        self.http.close()

    def job(self, query: str, **changes: Any) -> str:
        response = self.post(query=query, **changes)
        assert response.status_code == 202, response.text
        return f"{JOBS}/{response.json()['id']}"

    def messages(self, job: str, **page: Any) -> list[dict[str, str]]:
        response = self.http.get(f"{job}/messages", params={"offset": 0, "limit": 10_000, **page})
        assert response.status_code == 200, response.text
        return [message["map"] for message in response.json()["messages"]]


def stamp(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


TRACEBACK = 'Traceback (most recent call last):\n  File "shop.py", line 1, in page\nValueError: <b>broken</b>'


@pytest.fixture(scope="module")
def telemetry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("telemetry")
    now = time.time()
    for environment, instances in (("production", ("shop-1", "shop-2")), ("staging", ("shop-9",))):
        logs = directory / "logs" / environment
        logs.mkdir(parents=True)
        for instance in instances:
            lines = [f"{stamp(now - second)} INFO shop - GET /product 200\n" for second in range(100, 0, -1)]
            lines.append(f"{stamp(now)} ERROR shop - unhandled exception\n{TRACEBACK}\n")
            (logs / f"{instance}.log").write_text("".join(lines))
    return directory


@pytest.fixture(scope="module")
@starts("server")
def server(telemetry: Path) -> Iterator[SumoLogicServer]:
    with start(telemetry, rate_limit=1000) as running:
        client = Client(running)
        client.settings(**DEFAULTS)
        assert until(lambda: len(client.messages(client.job("unhandled"))) == 3)
        client.close()
        yield running


@pytest.fixture
def client(server: SumoLogicServer) -> Iterator[Client]:
    client = Client(server)
    client.settings(**DEFAULTS)
    yield client
    client.settings(**DEFAULTS)
    client.http.delete("/_faults")
    client.close()


def test_the_vendors_sdk_can_search(server: SumoLogicServer, client: Client, tmp_path: Path) -> None:
    sumologic = pytest.importorskip("sumologic")
    client.settings(start_delay=0.05, gather_seconds=0.1)
    sdk = sumologic.SumoLogic(
        server.access_id, server.access_key, endpoint=f"{server.url}/api", cookieFile=str(tmp_path / "cookies.txt")
    )
    now = int(time.time() * 1000)
    job = sdk.search_job("_sourceCategory=production/shop _sourceHost=shop-1", now - 600_000, now + 60_000)
    assert until(lambda: sdk.search_job_status(job)["state"] == DONE)
    assert sdk.search_job_status(job)["messageCount"] == 101
    first = sdk.search_job_messages(job, limit=60)["messages"]
    second = sdk.search_job_messages(job, limit=60, offset=60)["messages"]
    assert (len(first), len(second)) == (60, 41)
    assert first[0]["map"]["_raw"].endswith("ValueError: <b>broken</b>")
    assert sdk.delete_search_job(job).status_code == 200

    job = sdk.search_job("error | count by _sourceHost", stamp(time.time() - 600)[:19], stamp(time.time() + 60)[:19])
    assert until(lambda: sdk.search_job_status(job)["state"] == DONE)
    records = sdk.search_job_records(job, limit=10)["records"]
    assert {record["map"]["_sourcehost"]: record["map"]["_count"] for record in records} == {
        "shop-1": "1",
        "shop-2": "1",
        "shop-9": "1",
    }
    sdk.delete_search_job(job)
    sdk.session.close()


def test_a_message_has_the_fields_of_the_documentation(client: Client) -> None:
    job = client.job("_sourceCategory=production/shop error")
    response = client.http.get(f"{job}/messages", params={"offset": 0, "limit": 1}).json()
    (message,) = (item["map"] for item in response["messages"])
    assert set(message) == {field["name"] for field in response["fields"]}
    assert all(name == name.lower() and isinstance(value, str) for name, value in message.items())
    assert message["_sourcecategory"] == "production/shop"
    assert message["_sourcehost"] in {"shop-1", "shop-2"}
    assert message["_sourcename"].endswith(f"/production/{message['_sourcehost']}.log")
    assert int(message["_receipttime"]) >= int(message["_messagetime"])
    assert message["_raw"].endswith(TRACEBACK)
    assert int(message["_size"]) == len(message["_raw"].encode())


def test_creating_a_job_answers_202_with_its_address(client: Client) -> None:
    response = client.post()
    assert response.status_code == 202
    address = f"{client.server.url}{JOBS}/{response.json()['id']}"
    assert response.headers["location"] == address
    assert response.json()["link"] == {"rel": "self", "href": address}


def test_messages_are_the_newest_first_and_paged(client: Client) -> None:
    job = client.job("_sourceCategory=production/*")
    everything = client.messages(job)
    times = [int(message["_messagetime"]) for message in everything]
    assert times == sorted(times, reverse=True)
    assert len({message["_messageid"] for message in everything}) == len(everything) == 202
    client.settings(page_limit=70)
    job = client.job("_sourceCategory=production/*")
    pages = [client.messages(job, offset=offset) for offset in (0, 70, 140, 210)]
    assert [len(page) for page in pages] == [70, 70, 62, 0]
    assert [message for page in pages for message in page] == everything
    client.settings(page_limit=10_000, page_bytes=200)
    short = client.messages(client.job("_sourceCategory=production/*"))
    assert 1 <= len(short) < 10


def test_a_job_goes_through_its_states(client: Client) -> None:
    client.settings(start_delay=0.5, gather_seconds=1.0)
    job = client.job("_sourceCategory=production/*")
    states: list[str] = []
    counts: list[int] = []

    def done() -> bool:
        status = client.http.get(job).json()
        states.append(status["state"])
        counts.append(status["messageCount"])
        return status["state"] == DONE

    assert until(done)
    assert list(dict.fromkeys(states)) == ["NOT STARTED", "GATHERING RESULTS", DONE]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 202)


def test_buckets_and_warnings_are_told_once(client: Client) -> None:
    client.settings(warning="Some data could not be read.")
    job = client.job("_sourceCategory=production/*")
    first, second = client.http.get(job).json(), client.http.get(job).json()
    assert first["pendingWarnings"] == ["Some data could not be read."]
    assert second["pendingWarnings"] == []
    assert sum(bucket["count"] for bucket in first["histogramBuckets"]) == first["messageCount"] == 202
    assert second["histogramBuckets"] == []
    assert first["usageDetails"]["dataScannedInBytes"] > 1000


def test_errors_of_a_job_come_without_messages(client: Client) -> None:
    client.settings(error="The field is unknown.")
    status = client.http.get(client.job("*")).json()
    assert (status["pendingErrors"], status["messageCount"]) == (["The field is unknown."], 0)


def test_too_many_messages_force_a_pause(client: Client) -> None:
    client.settings(message_limit=50)
    job = client.job("_sourceCategory=production/*")
    status = client.http.get(job).json()
    assert (status["state"], status["messageCount"]) == ("FORCE PAUSED", 50)
    assert len(client.messages(job)) == 50
    aggregate = client.http.get(client.job("_sourceCategory=production/* | count")).json()
    assert aggregate["state"] == DONE


def test_a_cancelled_job(client: Client) -> None:
    client.settings(final_state="CANCELLED")
    status = client.http.get(client.job("*")).json()
    assert (status["state"], status["messageCount"]) == ("CANCELLED", 0)


def test_aggregates_have_records_and_messages_only_when_asked_for(client: Client) -> None:
    query = "_sourceCategory=production/shop | timeslice 1m | count by _timeslice,_sourceHost"
    job = client.job(query)
    answer = client.http.get(f"{job}/records", params={"offset": 0, "limit": 100}).json()
    assert [(field["name"], field["keyField"]) for field in answer["fields"]] == [
        ("_timeslice", True),
        ("_sourcehost", True),
        ("_count", False),
    ]
    assert sum(int(record["map"]["_count"]) for record in answer["records"]) == 202
    assert all(int(record["map"]["_timeslice"]) % 60_000 == 0 for record in answer["records"])
    assert client.messages(job) == []
    assert len(client.messages(client.job(query, requiresRawMessages=True))) == 202


def test_a_job_belongs_to_its_session(client: Client) -> None:
    job = client.job("*")
    with client.session() as stranger:
        response = stranger.get(job)
        assert (response.status_code, response.json()["code"]) == (404, "jobid.invalid")
        stranger.cookies.set("JSESSIONID", "wrong")
        assert stranger.get(f"{job}/messages", params={"offset": 0, "limit": 1}).status_code == 404
        assert stranger.delete(job).status_code == 404
    assert client.http.get(job).status_code == 200


def test_without_cookies_any_session_will_do(client: Client) -> None:
    client.settings(cookies=False)
    response = client.post()
    assert "set-cookie" not in response.headers
    with client.session() as stranger:
        assert stranger.get(f"{JOBS}/{response.json()['id']}").status_code == 200


def test_a_job_nobody_asks_for_is_gone(client: Client) -> None:
    client.settings(keep_alive=0.4)
    forgotten, kept = client.job("*"), client.job("*")
    started = time.monotonic()
    assert until(lambda: client.http.get(kept).status_code == 200 and time.monotonic() - started > 0.8)
    gone = client.http.get(forgotten)
    assert (gone.status_code, gone.json()["code"]) == (404, "jobid.invalid")


def test_a_deleted_job_is_gone(client: Client) -> None:
    job = client.job("*")
    assert client.http.delete(job).json() == {"id": job.rsplit("/", 1)[1]}
    assert client.http.get(job).status_code == 404
    assert client.http.delete(job).status_code == 404


def test_four_requests_a_second(client: Client) -> None:
    client.settings(rate_limit=4)
    job = f"{JOBS}/0123456789ABCDEF"
    assert until(lambda: client.http.get(job).status_code == 404)
    answers = [client.http.get(job) for _ in range(12)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert limited
    assert limited[0].json()["code"] == "rate.limit.exceeded"
    assert until(lambda: client.http.get(job).status_code == 404)


def test_active_jobs_are_limited(client: Client) -> None:
    client.settings(active_jobs=1, keep_alive=0.5)
    assert until(lambda: client.post().status_code == 202)
    refused = client.post()
    assert (refused.status_code, refused.json()["code"]) == (429, "rate.limit.exceeded")
    assert until(lambda: client.post().status_code == 202)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"from": "soon"}, "searchjob.invalid.timestamp.from"),
        ({"from": "-1h"}, "searchjob.invalid.timestamp.from"),
        ({"from": None}, "searchjob.invalid.timestamp.from"),
        ({"to": "2026-13-01T00:00:00"}, "searchjob.invalid.timestamp.to"),
        ({"from": "2026-11-23T05:00:01", "to": "2026-11-23T05:00:00"}, "searchjob.to.smaller.than.from"),
        ({"from": "2026-11-23T05:00:00", "timeZone": "Mars/Olympus"}, "searchjob.unknown.timezone"),
        ({"from": "2026-11-23T05:00:00", "timeZone": ""}, "searchjob.empty.timezone"),
        ({"query": ...}, "searchjob.no.query"),
        ({"query": " "}, "searchjob.no.query"),
        ({"query": "(error"}, "searchjob.parse.error"),
        ({"byReceiptTime": "perhaps"}, "searchjob.unknown.time.type"),
    ],
)
def test_jobs_that_are_not_created(client: Client, changes: dict[str, Any], code: str) -> None:
    response = client.post(**changes)
    body = response.json()
    assert (response.status_code, body["code"], body["status"]) == (400, code, 400)
    assert body["id"]
    assert body["message"]


def test_a_body_that_is_not_json(client: Client) -> None:
    assert client.http.post(JOBS, content=b"{", headers={"Content-Type": "text/plain"}).status_code == 415
    response = client.http.post(JOBS, content=b"{", headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (400, "searchjob.generic")


@pytest.mark.parametrize(
    ("page", "code"),
    [
        ({"limit": 1}, "offset.missing"),
        ({"offset": -1, "limit": 1}, "offset.negative"),
        ({"offset": 0}, "limit.missing"),
        ({"offset": 0, "limit": 0}, "limit.zero"),
        ({"offset": 0, "limit": -1}, "limit.negative"),
    ],
)
def test_pages_that_are_refused(client: Client, page: dict[str, int], code: str) -> None:
    job = client.job("*")
    for kind in ("messages", "records"):
        response = client.http.get(f"{job}/{kind}", params=page)
        assert (response.status_code, response.json()["code"]) == (400, code)


def test_records_of_a_search_without_aggregation(client: Client) -> None:
    response = client.http.get(f"{client.job('*')}/records", params={"offset": 0, "limit": 1})
    assert (response.status_code, response.json()["code"]) == (400, "no.records.not.an.aggregation.query")
    malformed = client.http.get(f"{JOBS}/nope/messages", params={"offset": 0, "limit": 1})
    assert (malformed.status_code, malformed.json()["code"]) == (400, "jobid.invalid")


def test_times_are_read_in_their_zone_and_ends_are_half_open(client: Client) -> None:
    newest = int(client.messages(client.job("_sourceHost=shop-1"))[0]["_messagetime"])
    outside = client.job("_sourceHost=shop-1", **{"from": newest - 60_000, "to": newest})
    assert newest not in [int(message["_messagetime"]) for message in client.messages(outside)]
    berlin = datetime.fromtimestamp(newest / 1000, timezone.utc).astimezone()
    iso = berlin.isoformat(timespec="milliseconds")
    inside = client.job("_sourceHost=shop-1", **{"from": iso, "to": newest + 1})
    assert [int(message["_messagetime"]) for message in client.messages(inside)] == [newest]
    utc = stamp(newest / 1000)[:19]
    local = client.job("*", **{"from": utc, "to": utc, "timeZone": "Asia/Tokyo"})
    assert client.messages(local) == []


def test_receipt_time_is_when_a_record_was_collected(client: Client, telemetry: Path) -> None:
    late = time.time() - 3000
    path = telemetry / "logs" / "dev" / "shop-late.log"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{stamp(late)} INFO shop - written late\n")

    def hosts(**changes: Any) -> list[str]:
        return [message["_sourcehost"] for message in client.messages(client.job("written", **changes))]

    assert until(lambda: hosts(byReceiptTime=True) == ["shop-late"])
    assert hosts() == []


def test_wrong_credentials(client: Client) -> None:
    for auth in ((client.server.access_id, "wrong"), ("wrong", client.server.access_key)):
        response = httpx.post(f"{client.server.url}{JOBS}", json={}, auth=auth)
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert httpx.get(f"{client.server.url}/api/v1/collectors").status_code == 401
    assert client.http.get("/api/v1/collectors").json() == {"collectors": []}


def test_the_wrong_deployment_says_where_the_right_one_is(client: Client) -> None:
    response = httpx.post(f"{client.server.wrong_url}{JOBS}?x=1", json={})
    assert response.status_code == 301
    assert response.headers["location"] == f"{client.server.url}{JOBS}?x=1"


def test_other_urls_and_methods(client: Client) -> None:
    unknown = client.http.get("/api/v1/nothing")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "notfound")
    unsupported = client.http.put(JOBS)
    assert (unsupported.status_code, unsupported.json()["code"]) == (405, "method.unsupported")


def test_faults_on_demand(client: Client) -> None:
    client.http.put("/_faults", json={"status": 503, "times": 2, "retry_after": 1, "path_prefix": JOBS})
    for _ in range(2):
        response = client.post()
        assert (response.status_code, response.json()["code"]) == (503, "service.unavailable")
        assert response.headers["retry-after"] == "1"
    assert client.post().status_code == 202
    client.http.put("/_faults", json={"status": 403})
    assert client.post().json()["code"] == "forbidden"
    client.http.put("/_faults", json={"body": "<html>", "status": 200})
    assert client.post().text == "<html>"


@pytest.mark.parametrize(
    ("options", "problem"), [({"rate_limit": 0}, "rate_limit"), ({"keep_alive": -1}, "keep_alive")]
)
@pytest.mark.server
def test_wrong_options_are_named(tmp_path: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(AirflowCdError, match=problem):
        start(tmp_path, **options)


@pytest.mark.server
def test_credentials_can_be_chosen_and_cookies_turned_off(tmp_path: Path) -> None:
    with start(tmp_path, access_id="me", access_key="secret", cookies=False) as server:
        client = Client(server)
        client.settings(rate_limit=1000)
        assert (server.access_id, server.access_key) == ("me", "secret")
        assert "set-cookie" not in client.post().headers
        client.close()
    assert not server.is_running()
