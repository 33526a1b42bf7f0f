from __future__ import annotations

import concurrent.futures
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_cd.demo.new_relic import NewRelicServer, start
from airflow_cd.demo.new_relic.account import Settings
from airflow_cd.errors import AirflowCdError
from tests.demo.waiting import until
from tests.tiers import starts

NRQL = """query($id: Int!, $query: Nrql!, $timeout: Seconds, $async: Boolean) { actor { account(id: $id) {
  nrql(query: $query, timeout: $timeout, async: $async) { ...answer } } } } fragment answer on NrdbResultContainer {
  nrql results totalResult otherResult currentResults previousResults
  metadata { eventTypes facets messages timeWindow { begin end compareWith since until } }
  queryProgress { queryId completed retryAfter retryDeadline resultExpiration } }"""
PROGRESS = """query($id: Int!, $queryId: ID!) { actor { account(id: $id) { nrqlQueryProgress(queryId: $queryId) {
  results queryProgress { queryId completed retryAfter } } } } }"""
EVENT = """mutation($event: ChangeTrackingCreateEventInput!, $rules: ChangeTrackingDataHandlingRules) {
  changeTrackingCreateEvent(changeTrackingEvent: $event, dataHandlingRules: $rules) { changeTrackingEvent {
    __typename changeTrackingId category categoryAndType type timestamp user entity { guid name }
    ... on ChangeTrackingDeploymentEvent { version commit } } messages } }"""
DEPLOYMENT = """mutation($deployment: ChangeTrackingDeploymentInput!) {
  changeTrackingCreateDeployment(deployment: $deployment) { deploymentId entityGuid version deploymentType } }"""
SEARCH = "query($query: String) { actor { entitySearch(query: $query) { count results { entities { guid name } } } } }"


class Client:
    def __init__(self, server: NewRelicServer) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, headers={"Api-Key": server.api_key}, timeout=20, verify=False)

    def graphql(self, document: str, **variables: Any) -> dict[str, Any]:
        response = self.http.post("/graphql", json={"query": document, "variables": variables})
        assert response.status_code == 200
        answer: dict[str, Any] = response.json()
        return answer

    def nrql(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = self.graphql(NRQL, id=self.server.account_id, query=query, **variables)
        assert "errors" not in answer
        container: dict[str, Any] = answer["data"]["actor"]["account"]["nrql"]
        return container

    def error(self, document: str, **variables: Any) -> dict[str, Any]:
        (error,) = self.graphql(document, **variables)["errors"]
        found: dict[str, Any] = error
        return found

    def settings(self, **changes: Any) -> None:
        self.http.put("/_settings", json=changes).raise_for_status()

    def fault(self, **rule: Any) -> None:
        self.http.put("/_faults", json=rule).raise_for_status()


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def request(seconds: float, host: str, **attributes: Any) -> str:
    written = {
        "timestamp": seconds * 1000,
        "appName": "shop",
        "environment": "production",
        "host": host,
        "name": "WebTransaction/checkout",
        "duration": 0.02,
        "error": False,
        "error.class": None,
        "httpResponseCode": "200",
        "version": "1.0",
    }
    return json.dumps({**written, **attributes}) + "\n"


@pytest.fixture(scope="module")
def telemetry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("telemetry")
    transactions = directory / "transactions" / "production"
    transactions.mkdir(parents=True)
    now = time.time()
    for number in (1, 2, 3):
        lines = [
            request(now - second, f"shop-{number}", duration=number / 10, error=second % 10 == 0)
            for second in range(30, 90)
        ]
        (transactions / f"shop-{number}.jsonl").write_text("".join(lines))
    return directory


@pytest.fixture(scope="module")
@starts("server")
def server(telemetry: Path) -> Iterator[NewRelicServer]:
    with start(telemetry, applications=["42=shop", "43=shop-admin", "44=shop-admin"]) as running:
        yield running
    assert gone(running.pid)


@pytest.fixture
def client(server: NewRelicServer) -> Iterator[Client]:
    client = Client(server)
    yield client
    client.http.delete("/_faults")
    client.settings(query_seconds=0.0, concurrent=25, queries_per_minute=3000, bad_key_status=200)
    client.http.close()


def test_results_have_the_shape_of_recorded_responses(client: Client) -> None:
    answer = client.nrql("SELECT count(*), average(duration) FROM Transaction FACET host LIMIT 2 SINCE 10 minutes ago")
    assert answer["results"] == [
        {
            "facet": f"shop-{number}",
            "host": f"shop-{number}",
            "count": 60,
            "average.duration": pytest.approx(number / 10),
        }
        for number in (1, 2)
    ]
    assert answer["totalResult"] == {"count": 180, "average.duration": pytest.approx(0.2)}
    assert answer["otherResult"] == {"count": 60, "average.duration": pytest.approx(0.3)}
    assert answer["currentResults"] is None
    window = answer["metadata"].pop("timeWindow")
    assert answer["metadata"] == {"eventTypes": ["Transaction"], "facets": ["host"], "messages": []}
    assert window["end"] - window["begin"] == 600_000
    assert (window["since"], window["until"], window["compareWith"]) == ("10 MINUTES AGO", "NOW", None)
    assert answer["queryProgress"] == {
        "completed": True,
        "queryId": None,
        "resultExpiration": None,
        "retryAfter": None,
        "retryDeadline": None,
    }


def test_totals_are_lists_with_facet_and_timeseries(client: Client) -> None:
    answer = client.nrql("SELECT count(*) FROM Transaction FACET host LIMIT 2 TIMESERIES 1 minute SINCE 2 minutes ago")
    assert len(answer["results"]) == 4
    for name in ("totalResult", "otherResult"):
        assert [set(row) for row in answer[name]] == [{"beginTimeSeconds", "endTimeSeconds", "count"}] * 2
    assert sum(row["count"] for row in answer["totalResult"]) == 180


def test_transactions_carry_what_the_agent_would_add(client: Client) -> None:
    (row,) = client.nrql("SELECT * FROM Transaction WHERE host = 'shop-1' LIMIT 1")["results"]
    assert row["appId"] == 42
    assert row["entityGuid"] == client.server.entity_guid
    assert isinstance(row["timestamp"], int)
    assert row["environment"] == "production"


def test_what_an_instance_writes_now_can_be_queried_now(client: Client, telemetry: Path) -> None:
    path = telemetry / "transactions" / "staging" / "shop-staging-1.jsonl"
    path.parent.mkdir(exist_ok=True)
    line = request(time.time(), "shop-staging-1", environment="staging")
    query = "SELECT count(*) FROM Transaction WHERE environment = 'staging'"
    with path.open("w") as file:
        file.write(line[:30])
        file.flush()
        assert client.nrql(query)["results"] == [{"count": 0}]
        file.write(line[30:])
    assert client.nrql(query)["results"] == [{"count": 1}]


def test_a_wrong_key_is_an_error_with_status_200_or_401(client: Client) -> None:
    for key in ("NRAK-WRONG", ""):
        response = client.http.post("/graphql", json={"query": "{actor{user{email}}}"}, headers={"Api-Key": key})
        assert response.status_code == 200
        assert response.json()["errors"][0]["extensions"]["error_code"] == "BAD_API_KEY"
    client.settings(bad_key_status=401)
    assert client.http.post("/graphql", json={"query": "{"}, headers={"Api-Key": "x"}).status_code == 401


def test_who_is_asking(client: Client) -> None:
    answer = client.graphql("{ actor { user { email } accounts { id } } requestContext { userId apiKey } }")
    assert answer["data"]["actor"]["user"]["email"]
    assert answer["data"]["actor"]["accounts"] == [{"id": client.server.account_id}]
    assert answer["data"]["requestContext"]["apiKey"] == client.server.api_key


def test_an_nrql_mistake_comes_with_status_200(client: Client) -> None:
    answer = client.graphql(NRQL, id=client.server.account_id, query="SELECT count(*) FORM Transaction")
    assert answer["data"]["actor"]["account"]["nrql"] is None
    assert answer["errors"][0]["message"] == "NRQL Syntax Error: Error at line 1 position 17, unexpected 'FORM'"
    assert answer["errors"][0]["path"] == ["actor", "account", "nrql"]


def test_graphql_mistakes_are_real(client: Client) -> None:
    assert "Cannot query field 'nonsense'" in client.error("{ actor { nonsense } }")["message"]
    assert "Unknown argument 'nonsense'" in client.error("{ actor { entitySearch(nonsense: 1) { count } } }")["message"]
    assert "Syntax Error" in client.error("{ actor ")["message"]
    assert client.error("query($id: Int!) { actor { account(id: $id) { id } } }")["message"].startswith(
        "Variable '$id'"
    )
    assert client.error("{ actor { account(id: 1) { id } } }")["extensions"]["errorClass"] == "FORBIDDEN"


def test_a_body_that_is_no_query_is_400(client: Client) -> None:
    for body in (b"{", b"[]", b'{"query": 1}', b'{"query": "{actor{user{id}}}", "variables": []}'):
        assert client.http.post("/graphql", content=body).status_code == 400


def test_a_query_that_takes_longer_than_its_timeout(client: Client) -> None:
    client.settings(query_seconds=30.0)
    started = time.monotonic()
    error = client.error(NRQL, id=client.server.account_id, query="SELECT count(*) FROM Transaction", timeout=1)
    assert 0.9 < time.monotonic() - started < 20
    assert error["extensions"]["errorClass"] == "TIMEOUT"
    for timeout in (0, 121, "soon"):
        document = {"id": client.server.account_id, "query": "SELECT count(*) FROM Transaction", "timeout": timeout}
        assert "timeout" in client.error(NRQL, **document)["message"]


def test_an_asynchronous_query_is_asked_for_again(client: Client) -> None:
    client.settings(query_seconds=1.6)
    query = "SELECT count(*) FROM Transaction"
    first = client.nrql(query, timeout=1, **{"async": True})
    progress = first["queryProgress"]
    assert first["results"] is None
    assert (progress["completed"], progress["retryAfter"]) == (False, 1)
    assert progress["retryDeadline"] > 0

    def ask() -> dict[str, Any]:
        answer = client.graphql(PROGRESS, id=client.server.account_id, queryId=progress["queryId"])
        container: dict[str, Any] = answer["data"]["actor"]["account"]["nrqlQueryProgress"]
        return container

    assert until(lambda: ask()["queryProgress"]["completed"])
    assert ask()["results"][0]["count"] >= 180
    unknown = client.error(PROGRESS, id=client.server.account_id, queryId="nope")
    assert "does not exist" in unknown["message"]


def test_an_asynchronous_query_that_is_quick_is_answered_at_once(client: Client) -> None:
    answer = client.nrql("SELECT count(*) FROM Transaction", **{"async": True})
    assert answer["results"][0]["count"] >= 180
    assert answer["queryProgress"]["completed"] is True


def test_requests_over_the_limit_at_a_time_are_throttled(client: Client) -> None:
    assert Settings().concurrent == 25
    client.settings(query_seconds=1.0, concurrent=3)
    body = {"query": NRQL, "variables": {"id": client.server.account_id, "query": "SELECT count(*) FROM Transaction"}}

    def post(_number: int) -> int:
        return client.http.post("/graphql", json=body).status_code

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(post, range(5))) == [200, 200, 200, 429, 429]
    assert post(0) == 200


def test_the_account_has_a_limit_of_queries_for_a_minute(client: Client) -> None:
    client.settings(queries_per_minute=1)
    error = client.error(NRQL, id=client.server.account_id, query="SELECT count(*) FROM Transaction")
    assert error["extensions"]["errorClass"] == "TOO_MANY_REQUESTS"


def test_entities_are_found_by_what_new_relic_searches_by(client: Client) -> None:
    def names(query: str) -> list[str]:
        found = client.graphql(SEARCH, query=query)["data"]["actor"]["entitySearch"]
        assert found["count"] == len(found["results"]["entities"])
        return [entity["name"] for entity in found["results"]["entities"]]

    assert names("domain='APM' AND domainId='42'") == ["shop"]
    assert names("domainId=42") == ["shop"]
    assert names(f"id = '{client.server.entity_guid}'") == ["shop"]
    assert (
        names("name LIKE 'shop%' AND type IN ('APPLICATION') AND reporting = 'true'") == ["shop"] + ["shop-admin"] * 2
    )
    assert names(f"name = 'nothing' AND accountId = {client.server.account_id}") == []
    assert "entity search" in client.error(SEARCH, query="name =")["message"]


def marker(**changes: Any) -> dict[str, Any]:
    kind = {"category": "Deployment", "type": "Canary"}
    deployment = {"version": "1.2.3", "commit": "abc"}
    return {
        "categoryAndTypeData": {"kind": kind, "categoryFields": {"deployment": deployment}},
        "entitySearch": {"query": "domainId = '42'"},
        "user": "release-bot",
        "groupId": "run-1",
        "customAttributes": {"phase": "1", "weight": 20},
        **changes,
    }


def test_a_change_tracking_event_is_stored_and_can_be_queried(client: Client) -> None:
    created = client.graphql(EVENT, event=marker(groupId="run-stored"))["data"]["changeTrackingCreateEvent"]
    event = created["changeTrackingEvent"]
    assert created["messages"] == []
    assert event["__typename"] == "ChangeTrackingDeploymentEvent"
    assert event["entity"] == {"guid": client.server.entity_guid, "name": "shop"}
    assert (event["category"], event["type"], event["version"]) == ("Deployment", "Canary", "1.2.3")
    assert event["categoryAndType"] == "DEPLOYMENT__CANARY"
    (row,) = client.nrql("SELECT * FROM ChangeTrackingEvent WHERE groupId = 'run-stored'")["results"]
    assert row["changeTrackingId"] == event["changeTrackingId"]
    assert (row["phase"], row["weight"], row["timestamp"]) == ("1", 20, event["timestamp"])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"entitySearch": {"query": "name = 'nobody'"}}, "exactly one entity, it returned 0"),
        ({"entitySearch": {"query": "name = 'shop-admin'"}}, "exactly one entity, it returned 2"),
        ({"entitySearch": {"query": "name ="}}, "not valid"),
        ({"timestamp": 1}, "within 24 hours"),
        ({"timestamp": "now"}, "milliseconds"),
        ({"categoryAndTypeData": None}, "required"),
        ({"categoryAndTypeData": {"kind": {"category": "Deployment", "type": "Canary"}}}, "version is required"),
        ({"categoryAndTypeData": {"kind": {"category": "Deployment", "type": "Sideways"}}}, "ALLOW_CUSTOM_CATEGORY"),
        ({"categoryAndTypeData": {"kind": {"category": "Feature Flag", "type": "Basic"}}}, "featureFlagId"),
        ({"customAttributes": {"nested": {}}}, "custom attribute 'nested'"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_markers_new_relic_would_refuse(client: Client, changes: dict[str, Any], problem: str) -> None:
    assert problem in client.error(EVENT, event=marker(**changes))["message"]


def test_validation_flags_decide_about_long_texts_and_own_categories(client: Client) -> None:
    event = marker(description="x" * 5000)
    created = client.graphql(EVENT, event=event)["data"]["changeTrackingCreateEvent"]
    assert "description" in created["messages"][0]
    strict = {"validationFlags": ["FAIL_ON_FIELD_LENGTH"]}
    assert "description" in client.error(EVENT, event=event, rules=strict)["message"]
    own = marker(categoryAndTypeData={"kind": {"category": "Tea", "type": "Break"}})
    allowed = {"validationFlags": ["ALLOW_CUSTOM_CATEGORY_OR_TYPE"]}
    created = client.graphql(EVENT, event=own, rules=allowed)["data"]["changeTrackingCreateEvent"]
    assert created["changeTrackingEvent"]["__typename"] == "ChangeTrackingGenericEvent"
    assert "NONSENSE" in client.error(EVENT, event=own, rules={"validationFlags": ["NONSENSE"]})["message"]


def test_the_older_deployment_mutation(client: Client) -> None:
    wanted = {"version": "1.4", "entityGuid": client.server.entity_guid, "deploymentType": "CANARY", "groupId": "old"}
    created = client.graphql(DEPLOYMENT, deployment=wanted)["data"]["changeTrackingCreateDeployment"]
    assert (created["version"], created["deploymentType"]) == ("1.4", "CANARY")
    (row,) = client.nrql("SELECT deploymentId FROM Deployment WHERE groupId = 'old'")["results"]
    assert row["deploymentId"] == created["deploymentId"]
    assert "not found" in client.error(DEPLOYMENT, deployment={**wanted, "entityGuid": "x"})["message"]
    assert "SIDEWAYS" in client.error(DEPLOYMENT, deployment={**wanted, "deploymentType": "SIDEWAYS"})["message"]
    assert "24 hours" in client.error(DEPLOYMENT, deployment={**wanted, "timestamp": 0})["message"]


def test_rest_v2_markers(client: Client) -> None:
    path = "/v2/applications/42/deployments.json"
    key = {"X-Api-Key": client.server.api_key, "Api-Key": ""}
    body = {"deployment": {"revision": "rest-1", "user": "bot", "timestamp": "2026-11-23T05:00:00Z"}}
    response = client.http.post(path, json=body, headers=key)
    assert response.status_code == 201
    created = response.json()["deployment"]
    assert (created["revision"], created["links"]) == ("rest-1", {"application": 42})
    assert created["timestamp"] == "2026-11-23T05:00:00+00:00"
    assert client.http.get(path).json()["deployments"][0] == created
    refused = client.http.post(path, json={"deployment": {}})
    assert (refused.status_code, refused.json()["error"]["messages"]) == (422, ["Revision can't be blank"])
    assert client.http.post(path, content=b"{").status_code == 400
    assert client.http.post("/v2/applications/7/deployments.json", json=body).status_code == 404
    wrong = client.http.post(path, json=body, headers={"Api-Key": "x"})
    assert wrong.status_code == 401
    assert "title" in wrong.json()["error"]


def test_faults_on_demand(client: Client) -> None:
    arguments = {"id": client.server.account_id, "query": "SELECT count(*) FROM Transaction"}
    client.fault(error_class="TIMEOUT", times=2, message="NRDB query duration exceeded the set timeout")
    for _ in range(2):
        assert client.error(NRQL, **arguments)["extensions"] == {"errorClass": "TIMEOUT"}
    assert client.nrql(arguments["query"])["results"]

    client.fault(message="This field is deprecated! Use another.", keep_data=True)
    partial = client.graphql(NRQL, **arguments)
    assert partial["data"]["actor"]["account"]["nrql"]["results"]
    assert partial["errors"][0]["message"].startswith("This field is deprecated!")

    client.fault(status=429, retry_after=2, path_prefix="/graphql")
    limited = client.http.post("/graphql", json={"query": "{actor{user{id}}}"})
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "2")

    client.fault(body="<html>no", status=502)
    assert client.http.post("/graphql", json={}).text == "<html>no"
    assert client.http.put("/_faults", json={"nonsense": 1}).status_code == 400
    assert client.http.put("/_settings", json={"concurrent": 0}).status_code == 400


def test_the_schema_is_a_part_of_the_vendors(server: NewRelicServer) -> None:
    graphql = pytest.importorskip("graphql")
    import airflow_cd.demo.new_relic as package

    data = Path(os.environ.get("AIRFLOW_CD_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
    vendor_file = data / "contracts" / "nerdgraph_schema.json"
    if not vendor_file.exists():
        pytest.skip(f"the vendor's schema is not at {vendor_file}")
    vendor = {kind["name"]: kind for kind in json.loads(vendor_file.read_text())["types"]}
    schema = graphql.build_schema((Path(package.__file__).parent / "schema.graphql").read_text())

    def spelled(kind: dict[str, Any]) -> str:
        if kind["kind"] == "NON_NULL":
            return spelled(kind["ofType"]) + "!"
        return f"[{spelled(kind['ofType'])}]" if kind["kind"] == "LIST" else str(kind["name"])

    compared = 0
    for name, kind in schema.type_map.items():
        fields = getattr(kind, "fields", None)
        if not fields or name not in vendor or name.startswith("__"):
            continue
        theirs = {field["name"]: field for key in ("fields", "inputFields") for field in vendor[name].get(key) or []}
        for field_name, field in fields.items():
            if field_name == "changeTrackingCreateEvent":
                continue  # younger than the schema at hand
            assert str(field.type) == spelled(theirs[field_name]["type"]), f"{name}.{field_name}"
            arguments = {argument["name"]: argument for argument in theirs[field_name].get("args") or []}
            for argument_name, argument in getattr(field, "args", {}).items():
                assert str(argument.type) == spelled(arguments[argument_name]["type"])
            compared += 1
    assert compared > 60


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"applications": ["shop"]}, "'shop'"),
        ({"concurrent": 0}, "concurrent"),
        ({"query_seconds": -1}, "query_seconds"),
        ({"nonsense": 1}, "unrecognized arguments"),
    ],
)
@pytest.mark.server
def test_wrong_options_are_named(tmp_path: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(AirflowCdError, match=problem):
        start(tmp_path, **options)


@pytest.mark.server
def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AirflowCdError, match=f"port {port}"):
            start(tmp_path, port=port)


@pytest.mark.server
def test_the_server_ends_with_whoever_started_it(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from airflow_cd.demo.new_relic import start;"
        "print(start(Path(sys.argv[1])).pid, flush=True); os._exit(0)"
    )
    parent = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert until(lambda: gone(int(parent.stdout)))
