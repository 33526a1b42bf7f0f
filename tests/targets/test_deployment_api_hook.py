"""The hook against a server that does not behave."""

from __future__ import annotations

import json
import socket
import threading
import time
from email.utils import formatdate
from typing import Any

import pytest

from airflow_cd.errors import (
    ArtifactNotFound,
    TargetConflict,
    TargetError,
    TargetRejected,
    TargetUnauthorized,
    TargetUnavailable,
)
from airflow_cd.hooks.deployment_api import DeploymentApiHook
from airflow_cd.release import Release
from airflow_cd.targets.base import Instance
from tests.http.certificates import server_context
from tests.http.scripted_server import Answer, ScriptedServer
from tests.targets.hook_on_server import TOKEN, Connect, quick

RELEASE = Release("shop", "1.1", "shop:1.1", {"limit": 5, "nested": {"a": [1, None]}})
ROW = {
    "name": "shop-02",
    "version": "1.1",
    "artifact": "shop:1.1",
    "configuration": {"limit": 5},
    "health": "healthy",
    "drained": False,
    "message": "",
}


def listing(*rows: dict[str, Any]) -> Answer:
    return Answer(body={"environment": "production", "instances": list(rows)})


def refused(status: int, code: str, message: str = "because", **headers: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}}, dict(headers))


# -- what is sent and read -----------------------------------------------------------------------------------------


def test_instances_are_read_and_sorted(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    empty = {**ROW, "name": "shop-01", "version": None, "artifact": None, "configuration": {}, "health": "empty"}
    server.answer_with(listing(ROW, empty))
    assert hook.instances("production") == [
        Instance("shop-01", None, None, {}, "empty"),
        Instance("shop-02", "1.1", "shop:1.1", {"limit": 5}),
    ]
    assert server.asked[0].path == "/v1/environments/production/instances"
    assert server.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"


def test_a_deployment_carries_the_release_whole(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    server.answer_with(Answer(202, {"accepted": ["shop-01", "shop-02"]}))
    hook.put_release("production", RELEASE, ["shop-01", "shop-02"], key="run/1", token=7)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("PUT", "/v1/environments/production/release")
    assert asked.body == {"release": RELEASE.as_dict(), "instances": ["shop-01", "shop-02"]}
    assert (asked.headers["Idempotency-Key"], asked.headers["Fencing-Token"]) == ("run/1", "7")


def test_deploying_nothing_sends_null(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    server.answer_with(Answer(202, {"accepted": ["shop-01"]}))
    hook.put_release("production", None, ["shop-01"], key="k", token=1)
    assert server.asked[0].body == {"release": None, "instances": ["shop-01"]}


@pytest.mark.parametrize("action", ["drain", "restore"])
def test_drain_and_restore(hook: DeploymentApiHook, server: ScriptedServer, action: str) -> None:
    server.answer_with(Answer(200, {"instances": ["shop-01"]}))
    getattr(hook, action)("production", ["shop-01"], key="k", token=3)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", f"/v1/environments/production/{action}")
    assert asked.body == {"instances": ["shop-01"]}


def test_names_cannot_change_the_path(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    hook.check_artifact("registry/team/shop:1.0?x=1#y")
    assert server.asked[0].path == "/v1/artifacts/registry%2Fteam%2Fshop%3A1.0%3Fx%3D1%23y"
    for name in ("..", ".", ""):
        with pytest.raises(TargetRejected, match="cannot be part of a URL"):
            hook.instances(name)
    assert len(server.asked) == 1


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines", "x" * 300, ""])
def test_a_key_that_no_header_can_carry_is_sent_as_its_digest(
    hook: DeploymentApiHook, server: ScriptedServer, key: str
) -> None:
    server.answer_with(Answer(200, {"instances": []}))
    hook.drain("production", [], key=key, token=1)
    hook.drain("production", [], key=key, token=1)
    first, second = (asked.headers["Idempotency-Key"] for asked in server.asked)
    assert first == second
    assert first.startswith("sha256:")


# -- the connection ------------------------------------------------------------------------------------------------


def test_basic_authentication_when_there_is_a_login(server: ScriptedServer, connect: Connect) -> None:
    DeploymentApiHook(connect(host=server.url, login="jörg", password="pä")).check_artifact("a")
    assert server.asked[0].headers["Authorization"] == "Basic asO2cmc6cMOk"


def test_extra_keys_are_headers_and_ours_are_not(server: ScriptedServer, connect: Connect) -> None:
    extra = {"timeout": 3, "retry_for": 1, "X-Tenant": "blue"}
    DeploymentApiHook(connect(host=server.url, extra=json.dumps(extra))).check_artifact("a")
    headers = server.asked[0].headers
    assert headers["X-Tenant"] == "blue"
    assert not {"timeout", "retry_for"} & {name.lower() for name in headers}


def test_the_api_may_live_below_a_path(server: ScriptedServer, connect: Connect) -> None:
    DeploymentApiHook(connect(host=f"{server.url}/cd/")).check_artifact("a")
    host, port = server.url.rsplit(":", 1)
    DeploymentApiHook(connect(host=f"{host}/cd/", port=int(port))).check_artifact("a")
    DeploymentApiHook(connect(host="127.0.0.1", port=int(port), schema="http")).check_artifact("a")
    assert [asked.path for asked in server.asked] == ["/cd/v1/artifacts/a", "/cd/v1/artifacts/a", "/v1/artifacts/a"]


def test_the_connection_is_read_once(
    hook: DeploymentApiHook, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook.check_artifact("a")
    monkeypatch.delenv("AIRFLOW_CONN_HTTP_TEST")
    hook.check_artifact("a")
    assert len(server.asked) == 2


def test_a_rotated_token_is_picked_up(hook: DeploymentApiHook, server: ScriptedServer, connect: Connect) -> None:
    hook.check_artifact("a")
    connect(host=server.url, password="n3w")
    server.answer_with(refused(401, "unauthorized"), Answer())
    hook.check_artifact("a")
    assert [asked.headers["Authorization"] for asked in server.asked] == [
        f"Bearer {TOKEN}",
        f"Bearer {TOKEN}",
        "Bearer n3w",
    ]


def test_a_missing_connection_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetRejected, match="http_nowhere"):
        DeploymentApiHook("http_nowhere").check_artifact("a")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"host": ""}, "no host"),
        ({"extra": '{"timeout": "soon"}'}, "timeout"),
        ({"extra": '{"retry_for": -1}'}, "retry_for"),
        ({"host": "ftp://127.0.0.1"}, "not an http or https URL"),
        ({"extra": '{"verify": "/no/such/bundle.pem"}', "host": "https://127.0.0.1:1"}, "bundle.pem"),
    ],
)
def test_a_wrong_connection_says_what_is_wrong(
    server: ScriptedServer, connect: Connect, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(TargetRejected, match=words) as caught:
        quick(DeploymentApiHook(connect(**{"host": server.url, **fields}))).check_artifact("a")
    assert "http_test" in str(caught.value)


@pytest.mark.parametrize("password", ["two\nlines-s3cr3t", "has blank-s3cr3t", "ünicode-s3cr3t"])
def test_a_token_that_no_header_can_carry_is_not_shown(server: ScriptedServer, connect: Connect, password: str) -> None:
    with pytest.raises(TargetUnauthorized) as caught:
        DeploymentApiHook(connect(host=server.url, password=password)).check_artifact("a")
    assert "s3cr3t" not in str(caught.value)
    assert server.asked == []


# -- answers that are errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "bad_body", TargetRejected),
        (401, "unauthorized", TargetUnauthorized),
        (403, "forbidden", TargetUnauthorized),
        (404, "unknown_environment", TargetRejected),
        (404, "unknown_artifact", ArtifactNotFound),
        (405, "method", TargetRejected),
        (409, "stale_token", TargetConflict),
        (422, "idempotency_key_reused", TargetRejected),
    ],
)
def test_a_refusal_has_its_own_error_and_is_not_tried_again(
    hook: DeploymentApiHook, server: ScriptedServer, status: int, code: str, error: type[TargetError]
) -> None:
    server.answer_with(refused(status, code, "the reason in the server's words"))
    with pytest.raises(TargetError) as caught:
        hook.put_release("production", RELEASE, ["shop-01"], key="k", token=1)
    assert type(caught.value) is error
    text = str(caught.value)
    for words in (
        str(status),
        code,
        "the reason in the server's words",
        server.url,
        "http_test",
        "[production]",
        "Next:",
    ):
        assert words in text
    assert len(server.asked) == 1


def test_an_unknown_artifact_is_named(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    server.answer_with(refused(404, "not_found"))
    with pytest.raises(ArtifactNotFound, match=r"shop:9\.9"):
        hook.check_artifact("shop:9.9")


def test_a_404_of_some_other_server_is_not_an_unknown_artifact(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    server.answer_with(Answer(404, b"<h1>Not Found</h1>", {"Content-Type": "text/html"}))
    with pytest.raises(TargetRejected, match="base URL"):
        hook.check_artifact("shop:1.0")


def test_a_redirect_is_not_followed(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    server.answer_with(Answer(302, {}, {"Location": "https://login.example.com/sso?ticket=abc"}))
    with pytest.raises(TargetRejected, match=r"redirects \(302\) to https://login.example.com/sso,"):
        hook.drain("production", ["shop-01"], key="k", token=1)
    assert len(server.asked) == 1


def test_trouble_that_passes_is_overcome_with_the_same_key(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    server.answer_with(
        refused(503, "unavailable"),
        refused(429, "too_many_requests"),
        Answer(raw=b""),
        Answer(200, b"<html>gateway</html>", {"Content-Type": "text/html"}),
        Answer(200, {"instances": ["shop-01"]}),
    )
    hook.drain("production", ["shop-01"], key="drain-1", token=1)
    assert {asked.headers["Idempotency-Key"] for asked in server.asked} == {"drain-1"}
    assert len(server.asked) == 5
    assert all(0.04 < pause < 1.7 for pause in hook.pauses), hook.pauses


def test_retry_after_is_honoured_in_both_forms(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    server.answer_with(
        refused(429, "too_many_requests", **{"Retry-After": "7"}),
        refused(503, "unavailable", **{"Retry-After": formatdate(usegmt=True)}),
        refused(503, "unavailable", **{"Retry-After": "soon"}),
        Answer(),
    )
    hook.check_artifact("a")
    assert hook.pauses[0] == 7
    assert all(pause < 1 for pause in hook.pauses[1:])


def test_a_pause_longer_than_the_deadline_is_not_waited_for(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    server.answer_with(refused(429, "too_many_requests", "slow down", **{"Retry-After": "3600"}))
    with pytest.raises(TargetUnavailable, match="slow down"):
        hook.check_artifact("a")
    assert hook.pauses == []
    assert len(server.asked) == 1


def test_trouble_that_stays_is_raised_with_the_attempts(server: ScriptedServer, connect: Connect) -> None:
    server.answer_with(refused(502, "bad_gateway", "upstream is gone"))
    with pytest.raises(
        TargetUnavailable, match=r"server error \(502\): bad_gateway: upstream is gone.*Tried \d+ times in [01]\.\d s"
    ):
        DeploymentApiHook(connect(host=server.url), retry_for=0.5).instances("production")
    assert 2 <= len(server.asked) <= 8


def test_every_retry_is_logged(
    hook: DeploymentApiHook, server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer_with(refused(503, "unavailable", "restarting"), Answer())
    hook.check_artifact("a")
    assert "restarting" in caplog.text
    assert "Trying again in" in caplog.text


def test_an_error_carries_what_the_call_was_about(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    server.answer_with(refused(429, "too_many_requests", **{"Retry-After": "3600"}))
    with pytest.raises(TargetUnavailable) as away:
        hook.put_release("production", RELEASE, ["shop-01"], key="k", token=1)
    error = away.value
    assert (error.service, error.environment, error.release) == ("shop", "production", str(RELEASE))
    assert (error.instances, error.retry_after) == (("shop-01",), 3600)
    server.answer_with(Answer(200, {"instances": ["shop-01"]}))
    with pytest.raises(TargetRejected) as partly:
        hook.drain("production", ["shop-01", "shop-02"], key="k", token=1)
    assert (partly.value.environment, partly.value.instances) == ("production", ("shop-02",))


# -- answers that are not what was promised ------------------------------------------------------------------------


def test_a_body_that_is_not_json_names_its_type_and_first_bytes(
    hook: DeploymentApiHook, server: ScriptedServer
) -> None:
    server.answer_with(
        Answer(200, b"<!doctype html>\n<title>Sign in</title>", {"Content-Type": "text/html; charset=utf-8"})
    )
    with pytest.raises(TargetUnavailable, match=r"text/html; charset=utf-8.*<!doctype html> <title>Sign in") as caught:
        hook.instances("production")
    assert "Tried 3 times" in str(caught.value)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "a list, not an object"),
        ({}, '"instances" is not a list'),
        ({"environment": "staging", "instances": []}, "'staging'"),
        ({"instances": ["shop-01"]}, "not an object"),
        ({"instances": [{**ROW, "health": "fine"}]}, "'fine'"),
        ({"instances": [{**ROW, "configuration": "x"}]}, "configuration"),
        ({"instances": [{name: value for name, value in ROW.items() if name != "drained"}]}, 'no "drained"'),
        ({"instances": [ROW, ROW]}, "listed twice"),
    ],
)
def test_json_that_breaks_the_contract_says_how(
    hook: DeploymentApiHook, server: ScriptedServer, body: Any, words: str
) -> None:
    server.answer_with(Answer(200, body))
    with pytest.raises(TargetRejected, match="violated the API contract") as caught:
        hook.instances("production")
    assert words in str(caught.value)
    assert len(server.asked) == 1


def test_a_change_that_was_accepted_in_part_is_an_error(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    server.answer_with(Answer(202, {"accepted": ["shop-01"]}))
    with pytest.raises(TargetRejected, match="leaves out shop-02"):
        hook.put_release("production", RELEASE, ["shop-01", "shop-02"], key="k", token=1)


def test_bytes_that_are_no_http_at_all(hook: DeploymentApiHook, server: ScriptedServer) -> None:
    hook._retry_for = 0.2
    server.answer_with(Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"))
    with pytest.raises(TargetUnavailable, match="cannot be reached"):
        hook.check_artifact("a")


def test_an_answer_without_end_is_given_up(server: ScriptedServer, connect: Connect, monkeypatch: Any) -> None:
    monkeypatch.setattr("airflow_cd.hooks.deployment_api.MAX_ANSWER_BYTES", 1000)
    server.answer_with(Answer(200, b"[" * 100_000))
    with pytest.raises(TargetUnavailable, match="more than 1000 bytes"):
        DeploymentApiHook(connect(host=server.url)).check_artifact("a")


# -- no answer -----------------------------------------------------------------------------------------------------


def test_nobody_listens(connect: Connect) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TargetUnavailable, match=r"Connection refused.*Tried") as caught:
            DeploymentApiHook(connect(host=host), retry_for=0.3).instances("production")
    assert host in str(caught.value)


def test_a_host_name_that_is_not_known(connect: Connect) -> None:
    with pytest.raises(TargetUnavailable, match=r"deploy\.invalid"):
        DeploymentApiHook(connect(host="http://deploy.invalid"), retry_for=0.1).check_artifact("a")


def test_a_server_that_does_not_answer_in_time(server: ScriptedServer, connect: Connect) -> None:
    never = threading.Event()
    server.answer_with(Answer(wait=never))
    hook = DeploymentApiHook(connect(host=server.url, extra='{"timeout": 0.2, "retry_for": 0.3}'))
    with pytest.raises(TargetUnavailable, match=r"timed out: no answer to GET /v1/artifacts/a within 0\.\d+ s"):
        hook.check_artifact("a")
    never.set()


# -- TLS -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def tls_server(server: ScriptedServer, certificate: tuple[str, str]) -> ScriptedServer:
    server.use_tls(server_context(certificate))
    return server


def test_a_certificate_nobody_trusts_is_raised_and_not_tried_again(
    tls_server: ScriptedServer, connect: Connect
) -> None:
    hook = quick(DeploymentApiHook(connect(host=tls_server.url)))
    with pytest.raises(TargetUnavailable, match=r"TLS failed.*self-signed certificate"):
        hook.instances("production")
    assert hook.pauses == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_ca_bundle_or_switching_off_helps(
    tls_server: ScriptedServer, connect: Connect, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    DeploymentApiHook(connect(host=tls_server.url, extra=json.dumps({"verify": certificate[0]}))).check_artifact("a")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate[1])
    for off in (False, "false", "0"):
        DeploymentApiHook(connect(host=tls_server.url, extra=json.dumps({"verify": off}))).check_artifact("a")
    assert len(tls_server.asked) == 4


def test_tls_with_a_plain_server(server: ScriptedServer, connect: Connect) -> None:
    hook = quick(DeploymentApiHook(connect(host=server.url.replace("http:", "https:"))))
    with pytest.raises(TargetUnavailable, match="TLS failed"):
        hook.check_artifact("a")
    assert hook.pauses == []


# -- secrets -------------------------------------------------------------------------------------------------------


def test_a_server_that_echoes_the_secret_does_not_spread_it(
    server: ScriptedServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    conn_id = connect(
        host=server.url.replace("//", "//admin:urls3cret@"), extra='{"X-Api-Key": "k3y-value", "retry_for": 0.2}'
    )
    echo = f"you sent Bearer {TOKEN}, admin:urls3cret and k3y-value"
    for answer in (
        refused(400, "bad_body", echo),
        refused(401, "unauthorized", echo),
        refused(503, "unavailable", echo),
        Answer(200, echo.encode()),
        Answer(200, {"instances": [echo]}),
        Answer(302, {}, {"Location": f"https://x/{TOKEN}"}),
    ):
        server.answer_with(answer)
        with pytest.raises(TargetError) as caught:
            DeploymentApiHook(conn_id).instances("production")
        for secret in (TOKEN, "urls3cret", "k3y-value"):
            assert secret not in str(caught.value)
    assert "Trying again" in caplog.text
    for secret in (TOKEN, "urls3cret", "k3y-value"):
        assert secret not in caplog.text


# -- the Test button -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "good", "words"),
    [
        (refused(404, "unknown_artifact"), True, "accepts the credentials"),
        (Answer(200, {"artifact": "x"}), True, "accepts the credentials"),
        (refused(401, "unauthorized", "wrong token"), False, "wrong token"),
        (refused(503, "unavailable", "later"), False, "later"),
        (Answer(404, b"nope"), False, "base URL"),
        (Answer(200, b"<html>"), False, "not JSON"),
    ],
)
def test_the_test_button(
    hook: DeploymentApiHook, server: ScriptedServer, answer: Answer, good: bool, words: str
) -> None:
    server.answer_with(answer)
    passed, message = hook.test_connection()
    assert passed is good
    assert words in message
    assert len(server.asked) == 1


def test_a_drain_keeps_to_its_time_whatever_arrives(connect: Connect, server: ScriptedServer) -> None:
    server.answer_with(Answer(raw=b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 5000, trickle=0.02))
    hook = DeploymentApiHook(connect(host=server.url, extra={"timeout": 0.3, "retry_for": 0.1}))
    began = time.monotonic()
    with pytest.raises(TargetUnavailable, match="timed out: no answer to POST"):
        hook.drain("production", ["shop-02"], key="k", token=1)
    assert time.monotonic() - began < 5
