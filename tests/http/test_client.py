"""The client against a server that does not behave."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import time
import traceback
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import pytest

from airflow_cd.errors import (
    AirflowCdError,
    Refused,
    SourceQueryRejected,
    SourceRejected,
    SourceThrottled,
    SourceUnauthorized,
    SourceUnavailable,
    TargetRejected,
    TargetUnauthorized,
    TargetUnavailable,
    Unavailable,
)
from airflow_cd.http.auth import HeaderAuth
from airflow_cd.http.client import HttpClient
from airflow_cd.http.exchange import Answer as Received
from airflow_cd.http.exchange import Request
from airflow_cd.http.family import SOURCE, TARGET
from airflow_cd.http.retry import RetryPolicy, TryAgain
from airflow_cd.http.session import new_session
from tests.http.certificates import server_context
from tests.http.clock import Clock
from tests.http.conftest import SECRET, MakeClient
from tests.http.scripted_server import Answer, ScriptedServer

READ = Request("GET", "/v1/things", params={"page": 1})
WRITE = Request("POST", "/v1/things", {"name": "x"}, headers={"Idempotency-Key": "k"})


def fails(client: HttpClient, request: Request = READ, **more: Any) -> AirflowCdError:
    with pytest.raises(AirflowCdError) as caught:
        client.json(request, **more)
    return caught.value


# -- what is sent and read -----------------------------------------------------------------------------------------


def test_a_request_is_sent_with_credentials_and_its_answer_parsed(
    client_of: MakeClient, server: ScriptedServer
) -> None:
    server.answer_with(Answer(201, {"id": 7}))
    assert client_of().json(WRITE) == {"id": 7}
    assert client_of().json(READ) == {"id": 7}
    first, second = server.asked
    assert (first.method, first.path, first.body) == ("POST", "/v1/things", {"name": "x"})
    assert (first.headers["Api-Key"], first.headers["Idempotency-Key"]) == (SECRET, "k")
    assert (second.path, second.headers["Accept"]) == ("/v1/things?page=1", "application/json")


def test_a_compressed_answer_is_read(client_of: MakeClient, server: ScriptedServer) -> None:
    body = json.dumps({"rows": list(range(100_000))}).encode()
    server.answer_with(Answer(200, gzip.compress(body), {"Content-Encoding": "gzip"}))
    assert client_of().json(READ) == json.loads(body)


def test_clients_share_connections_and_no_cookies(client_of: MakeClient, server: ScriptedServer) -> None:
    server.answer_with(Answer(headers={"Set-Cookie": "route=1; Path=/"}), Answer())
    for _ in range(2):
        with client_of() as client:
            client.json(READ)
    first, second = server.asked
    assert first.port == second.port
    assert "Cookie" not in second.headers


def test_204_has_no_content(client_of: MakeClient, server: ScriptedServer) -> None:
    server.answer_with(Answer(204, b""))
    assert client_of().json(WRITE) is None


def test_a_netrc_does_not_replace_the_credentials(
    client_of: MakeClient, server: ScriptedServer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client_of().json(READ)
    assert server.asked[0].headers["Api-Key"] == SECRET
    assert "Authorization" not in server.asked[0].headers


# -- what is tried again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 421, 425, 429, 460, 499, 500, 501, 502, 503, 504, 520])
def test_a_failure_that_passes_is_overcome(
    client_of: MakeClient, server: ScriptedServer, clock: Clock, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    server.answer_with(Answer(status, {"message": "busy"}), Answer(200, [1]))
    assert client_of().json(READ) == [1]
    assert len(clock.pauses) == 1
    assert "busy. Trying again in" in caplog.text


def test_a_broken_connection_is_tried_again(client_of: MakeClient, server: ScriptedServer) -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    server.answer_with(Answer(raw=b""), Answer(raw=cut), Answer(raw=b"SSH-2.0-OpenSSH\r\n"), Answer(200, []))
    assert client_of().json(READ) == []
    assert len(server.asked) == 4


def test_pauses_double_up_to_the_longest(client_of: MakeClient, server: ScriptedServer, clock: Clock) -> None:
    server.answer_with(Answer(503))
    fails(client_of(retry=RetryPolicy(attempts=8, first_pause=1.0, longest_pause=6.0), retry_for=1000.0))
    assert len(clock.pauses) == 7
    for pause, backoff in zip(clock.pauses, (1, 2, 4, 6, 6, 6, 6), strict=True):
        assert backoff / 2 <= pause <= backoff


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept_within_the_deadline(
    client_of: MakeClient, server: ScriptedServer, clock: Clock, form: str
) -> None:
    then = datetime.now(timezone.utc) + timedelta(hours=2)
    retry_after = "7200" if form == "seconds" else format_datetime(then, usegmt=True)
    server.answer_with(Answer(429, headers={"Retry-After": retry_after}), Answer(200, {}))
    client_of(deadline=8000.0).json(READ)
    assert 7140 < clock.pauses[0] <= 7200


def test_callers_that_were_turned_away_together_come_back_one_by_one(
    client_of: MakeClient, server: ScriptedServer, clock: Clock
) -> None:
    for _ in range(3):
        server.answer_with(Answer(429, headers={"Retry-After": "7"}), Answer(200, {}))
        client_of(retry=RetryPolicy(spread=0.5)).json(READ)
    assert len(set(clock.pauses)) == 3
    assert all(7 <= pause <= 7.5 for pause in clock.pauses)


@pytest.mark.parametrize("endpoint", [{"retry_for": 60.0}, {"deadline": 60.0}])
def test_a_retry_after_beyond_the_deadline_is_raised_at_once_for_the_caller(
    client_of: MakeClient, server: ScriptedServer, clock: Clock, endpoint: dict[str, float]
) -> None:
    server.answer_with(Answer(429, {"message": "slow down"}, {"Retry-After": "3600"}))
    error = fails(client_of(errors=SOURCE, **endpoint))
    assert isinstance(error, SourceThrottled)
    assert error.retry_after == 3600
    assert "slow down" in error.what
    assert (clock.pauses, len(server.asked)) == ([], 1)


def test_the_deadline_is_one_for_all_requests_of_a_client(
    client_of: MakeClient, server: ScriptedServer, clock: Clock
) -> None:
    client = client_of(deadline=60.0)
    server.answer_with(Answer(503))
    first = fails(client)
    assert isinstance(first, TargetUnavailable)
    assert "503" in first.what
    assert clock.now <= 1060.0
    clock.now = 1060.0
    asked = len(server.asked)
    assert "did not answer within 60 s in all" in fails(client).what
    assert len(server.asked) == asked


def test_without_one_each_request_is_tried_for_its_own_time(
    client_of: MakeClient, server: ScriptedServer, clock: Clock
) -> None:
    client = client_of(retry_for=20.0)
    server.answer_with(Answer(503))
    for began in (1000.0, 5000.0):
        clock.now = began
        assert "Tried" in fails(client).what
        assert began + 10 < clock.now < began + 20


def test_no_time_for_retries_means_one_attempt(client_of: MakeClient, server: ScriptedServer) -> None:
    server.answer_with(Answer(503))
    assert "Tried" not in fails(client_of(retry_for=0.0)).what
    assert len(server.asked) == 1


def test_what_stays_is_raised_with_the_number_of_attempts(client_of: MakeClient, server: ScriptedServer) -> None:
    server.answer_with(Answer(500, {"error": {"title": "Oops", "messages": ["disk", "full"]}}))
    error = fails(client_of(retry=RetryPolicy(attempts=3)))
    assert f"the shop (connection 'shop_default', {server.url}) returned a server error (500): Oops" in error.what
    assert "Oops: disk; full. Tried 3 times in" in error.what
    assert error.next_step


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        (Answer(500), 1),
        (Answer(502), 1),
        (Answer(raw=b""), 1),
        (Answer(200, b"<html>"), 1),
        (Answer(429), 2),
        (Answer(503), 2),
    ],
)
def test_a_write_that_is_not_idempotent_is_sent_again_only_if_it_had_no_effect(
    client_of: MakeClient, server: ScriptedServer, answer: Answer, sent: int
) -> None:
    server.answer_with(answer, Answer(200, {}))
    client = client_of()
    if sent == 1:
        assert isinstance(fails(client, WRITE, repeatable=False), Unavailable)
    else:
        client.json(WRITE, repeatable=False)
    assert len(server.asked) == sent


def test_a_write_that_was_never_sent_is_sent_again(client_of: MakeClient, clock: Clock) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        error = fails(client_of(base_url=url, retry=RetryPolicy(attempts=3)), WRITE, repeatable=False)
    assert "cannot be reached" in error.what
    assert "refused" in error.what
    assert len(clock.pauses) == 2


# -- what is not ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "of_target", "of_source"),
    [
        (400, TargetRejected, SourceQueryRejected),
        (401, TargetUnauthorized, SourceUnauthorized),
        (402, TargetUnauthorized, SourceUnauthorized),
        (403, TargetUnauthorized, SourceUnauthorized),
        (404, TargetRejected, SourceQueryRejected),
        (409, TargetRejected, SourceQueryRejected),
        (422, TargetRejected, SourceQueryRejected),
        (302, TargetRejected, SourceRejected),
        (300, TargetRejected, SourceRejected),
    ],
)
def test_a_refusal_is_raised_at_once_in_the_family_of_the_service(
    client_of: MakeClient,
    server: ScriptedServer,
    clock: Clock,
    status: int,
    of_target: type[Refused],
    of_source: type[Refused],
) -> None:
    server.answer_with(Answer(status, {"code": "no", "message": "because"}))
    for family, kind in ((TARGET, of_target), (SOURCE, of_source)):
        error = fails(client_of(errors=family))
        assert type(error) is kind
        assert f"({status})" in error.what
        assert "no: because" in error.what or status < 400
        assert error.next_step
    assert (clock.pauses, len(server.asked)) == ([], 2)


def test_a_refusal_that_is_not_json_points_at_the_host(client_of: MakeClient, server: ScriptedServer) -> None:
    server.answer_with(Answer(404, b"<h1>Not\nFound</h1>"))
    error = fails(client_of())
    assert "(404): <h1>Not Found</h1>." in error.what
    assert "base URL" in (error.next_step or "")


@pytest.mark.parametrize(
    ("said", "advice"),
    [(b"cannot parse query [level:]", "Correct the request"), (b'unsupported path: "/logs/read"', "base URL")],
)
def test_a_refusal_in_words_points_at_the_request_unless_it_names_the_path(
    client_of: MakeClient, server: ScriptedServer, said: bytes, advice: str
) -> None:
    server.answer_with(Answer(400, said))
    assert advice in (fails(client_of(base_url=f"{server.url}/logs")).next_step or "")


def test_an_answer_that_is_not_json_is_believed_after_three(client_of: MakeClient, server: ScriptedServer) -> None:
    page = Answer(200, b"<!doctype html>\n<title>Sign in</title>", {"Content-Type": "text/html"})
    server.answer_with(page, page, Answer(200, {"a": 1}))
    assert client_of().json(READ) == {"a": 1}
    server.answer_with(page)
    error = fails(client_of(errors=SOURCE))
    assert isinstance(error, SourceUnavailable)
    assert "not JSON (text/html): '<!doctype html> <title>Sign in</title>'" in error.what
    assert "Tried 3 times" in error.what
    assert "base URL" in (error.next_step or "")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_no_body_breaks_the_client(client_of: MakeClient, server: ScriptedServer, body: bytes) -> None:
    server.answer_with(Answer(200, body))
    assert isinstance(fails(client_of()), TargetUnavailable)


def test_a_body_is_bounded_in_size(client_of: MakeClient, server: ScriptedServer, clock: Clock) -> None:
    server.answer_with(Answer(200, gzip.compress(b"[" + b" " * 10_000_000 + b"]"), {"Content-Encoding": "gzip"}))
    error = fails(client_of(max_bytes=100_000))
    assert isinstance(error, TargetUnavailable)
    assert "more than 100000 bytes" in error.what
    assert clock.pauses == []


def test_a_body_is_bounded_in_time(client_of: MakeClient, server: ScriptedServer) -> None:
    """Every single byte arrives in time; all of them together do not."""
    server.answer_with(Answer(200, b"[" + b" " * 1000 + b"]", trickle=0.02))
    began = time.monotonic()
    error = fails(client_of(timeout=0.2, retry=RetryPolicy(attempts=1)))
    assert "timed out: no answer to GET /v1/things within 0.2 s" in error.what
    assert time.monotonic() - began < 5


def test_a_request_that_cannot_be_sent_is_refused(client_of: MakeClient, server: ScriptedServer, clock: Clock) -> None:
    client = client_of(errors=SOURCE)
    client.session.auth = HeaderAuth("Api-Key", f"{SECRET}\nX-Other: 1")
    error = fails(client)
    assert isinstance(error, SourceRejected)
    assert "cannot be called" in error.what
    assert SECRET not in str(error)
    assert (clock.pauses, server.asked) == ([], [])


# -- TLS -----------------------------------------------------------------------------------------------------------


def test_a_certificate_nobody_trusts_is_named_at_once(
    client_of: MakeClient, server: ScriptedServer, certificate: tuple[str, str], clock: Clock
) -> None:
    server.use_tls(server_context(certificate))
    error = fails(client_of())
    assert isinstance(error, TargetUnavailable)
    assert "TLS failed" in error.what
    assert "self-signed certificate" in error.what
    assert "'verify'" in (error.next_step or "")
    assert clock.pauses == []
    assert client_of(verify=certificate[0]).json(READ) == {}


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_the_environment_does_not_switch_the_check_on_again(
    client_of: MakeClient, server: ScriptedServer, certificate: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server.use_tls(server_context(certificate))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate[1])
    assert client_of(verify=False).json(READ) == {}


def test_a_server_without_tls(client_of: MakeClient, server: ScriptedServer, clock: Clock) -> None:
    error = fails(client_of(base_url=server.url.replace("http:", "https:")))
    assert "TLS failed" in error.what
    assert clock.pauses == []


# -- judges, redirects, credentials --------------------------------------------------------------------------------


def test_a_judge_sees_every_answer_first(client_of: MakeClient, server: ScriptedServer) -> None:
    def judge(answer: Received) -> None:
        if answer.json == {"state": "pending"}:
            raise TryAgain(TargetUnavailable("it is pending."))
        if answer.status == 404:
            raise TargetRejected("gone.")

    server.answer_with(Answer(200, {"state": "pending"}), Answer(200, {"state": "done"}))
    assert client_of().json(READ, judge=judge) == {"state": "done"}
    server.answer_with(Answer(404))
    assert fails(client_of(), judge=judge).what == "gone."


def test_a_redirect_is_followed_only_where_credentials_may_go(client_of: MakeClient, server: ScriptedServer) -> None:
    other = ScriptedServer()
    try:
        moved = Answer(307, {}, {"Location": f"{other.url}/v1/things?ticket={SECRET}"})
        server.answer_with(moved)
        error = fails(client_of(errors=SOURCE))
        assert f"redirects (307) to {other.url}/v1/things, which is not followed" in error.what
        assert fails(client_of(client={"may_redirect": lambda here, there: False})).what
        assert other.asked == []

        client = client_of(client={"may_redirect": lambda here, there: there.startswith(other.url)})
        other.answer_with(Answer(200, [2]))
        assert client.json(WRITE) == [2]
        assert (client.base_url, other.asked[0].method, other.asked[0].body) == (other.url, "POST", {"name": "x"})
        other.answer_with(moved)
        assert "redirects (307)" in fails(client).what
    finally:
        other.stop()


def test_after_401_other_credentials_are_tried_once(client_of: MakeClient, server: ScriptedServer) -> None:
    renewals: list[int] = []

    def renew() -> Any:
        renewals.append(1)
        return (client.endpoint, new_session(HeaderAuth("Api-Key", "n3w"), True)) if len(renewals) == 1 else None

    client = client_of(client={"renew": renew})
    server.answer_with(Answer(401), Answer(200, {}))
    client.json(READ)
    assert [asked.headers["Api-Key"] for asked in server.asked] == [SECRET, "n3w"]
    server.answer_with(Answer(401))
    assert isinstance(fails(client), TargetUnauthorized)
    assert (len(renewals), len(server.asked)) == (2, 3)


def test_once_sends_a_single_time_and_takes_any_answer(
    client_of: MakeClient, server: ScriptedServer, clock: Clock
) -> None:
    client = client_of(deadline=1.0)
    clock.now += 2.0
    server.answer_with(Answer(500), Answer(raw=b""))
    client.once(Request("DELETE", "/v1/things/1"), timeout=5.0)
    with pytest.raises(TargetUnavailable, match="cannot be reached"):
        client.once(Request("DELETE", "/v1/things/1"), timeout=5.0)
    assert [asked.method for asked in server.asked] == ["DELETE", "DELETE"]


# -- secrets -------------------------------------------------------------------------------------------------------

FORMS = [
    SECRET,
    base64.b64encode(SECRET.encode()).decode(),
    base64.b64encode(f"somebody:{SECRET}".encode()).decode(),
    quote(SECRET, safe=""),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "answer",
    [
        lambda echo: Answer(400, {"code": "bad", "message": echo}),
        lambda echo: Answer(401, {"errors": [{"message": echo}]}),
        lambda echo: Answer(503, {"error": echo}),
        lambda echo: Answer(200, echo.encode()),
        lambda echo: Answer(404, b"x" * 170 + echo.encode()),
        lambda echo: Answer(302, {}, {"Location": f"https://x/{echo}"}),
        lambda echo: Answer(raw=echo.encode() + b"\r\n"),
    ],
)
def test_a_secret_that_is_quoted_shows_nowhere(
    client_of: MakeClient, server: ScriptedServer, caplog: pytest.LogCaptureFixture, form: str, answer: Any
) -> None:
    server.answer_with(answer(f"you sent {form} {form}"))
    error = fails(client_of(retry=RetryPolicy(attempts=2)))
    core = form.rstrip("=")[-12:]  # what is left of a secret behind `somebody:` in base64
    shown = "".join(traceback.format_exception(error)) + repr(error) + caplog.text
    assert "***" in shown
    assert core not in shown
    for part in (form[:8], SECRET[-6:]):
        assert part not in shown.replace(base64.b64encode(b"somebody:").decode(), "")


def test_no_exception_of_a_library_is_left_in_the_chain(
    client_of: MakeClient, server: ScriptedServer, certificate: tuple[str, str]
) -> None:
    """What libraries raise may quote headers: not even a suppressed context keeps it."""
    server.answer_with(Answer(raw=b""))
    broken = fails(client_of(retry=RetryPolicy(attempts=2)))
    timed_out = fails(client_of(base_url="http://127.0.0.1:1", retry=RetryPolicy(attempts=1)))
    unusable = client_of()
    unusable.session.auth = HeaderAuth("Api-Key", f"{SECRET}\n")
    server.answer_with(Answer(200, b"<html>"))
    not_json = fails(client_of())
    for error in (broken, timed_out, fails(unusable), not_json):
        assert error.__cause__ is None
        assert error.__context__ is None
