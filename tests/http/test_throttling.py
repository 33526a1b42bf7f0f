"""What a service says of its rate limit, as whoever reads a source gets it."""

from __future__ import annotations

import time

import pytest

from airflow_cd.errors import SourceThrottled, SourceUnavailable
from airflow_cd.http.exchange import Request
from airflow_cd.http.family import SOURCE
from airflow_cd.http.retry import RetryPolicy
from airflow_cd.http.stated_limits import asked_pause, stated_limit
from airflow_cd.verification.throttling import Throttling, noted
from tests.http.clock import Clock
from tests.http.conftest import MakeClient
from tests.http.scripted_server import Answer, ScriptedServer

READ = Request("GET", "/v1/things")
DATADOG = {
    "X-RateLimit-Limit": "300",
    "X-RateLimit-Period": "3600",
    "X-RateLimit-Remaining": "0",
    "X-RateLimit-Reset": "7",
    "X-RateLimit-Name": "logs_public_search_api",
}


def test_waits_are_counted_with_what_was_waited(client_of: MakeClient, server: ScriptedServer, clock: Clock) -> None:
    server.answer_with(Answer(429, headers={"Retry-After": "3"}), Answer(503, headers={"Retry-After": "2"}), Answer())
    with noted() as notes:
        client_of(errors=SOURCE).json(READ)
    assert notes.all.times == 2
    assert notes.all.waited == pytest.approx(5, abs=0.5)
    assert notes.all.limit == ""


def test_a_limit_that_is_stated_is_told_and_its_reset_waited_for(
    client_of: MakeClient, server: ScriptedServer, clock: Clock
) -> None:
    server.answer_with(Answer(429, headers=DATADOG), Answer())
    with noted() as notes:
        client_of(errors=SOURCE).json(READ)
    assert notes.all.waited == pytest.approx(7, abs=0.5)
    assert notes.all.words == (
        f"it told to wait once, {notes.all.waited:.1f} s in all; it states a limit of 300 calls in 3,600 s "
        "(logs_public_search_api), 0 left."
    )


def test_what_fails_for_good_is_counted_too(client_of: MakeClient, server: ScriptedServer) -> None:
    server.answer_with(Answer(429))
    with noted() as notes, pytest.raises(SourceThrottled):
        client_of(errors=SOURCE, retry=RetryPolicy(attempts=3, patience=0)).json(READ)
    assert notes.all.times == 3


def test_a_limit_that_others_keep_busy_is_waited_for(
    client_of: MakeClient, server: ScriptedServer, clock: Clock
) -> None:
    """Other processes may use the same credentials: of a few requests in a row none may be served."""
    policy = RetryPolicy(attempts=3, longest_pause=2.0)
    server.answer_with(*[Answer(429, headers={"Retry-After": "1"})] * 12, Answer(200, {"id": 7}))
    assert client_of(errors=SOURCE, retry=policy, deadline=120.0).json(READ) == {"id": 7}
    server.answer_with(Answer(429, headers={"Retry-After": "1"}))
    began = clock.now
    with pytest.raises(SourceThrottled):
        client_of(errors=SOURCE, retry=policy, deadline=120.0).json(READ)
    assert 30 <= clock.now - began < 35


@pytest.mark.parametrize("failed", [Answer(500), Answer(raw=b"")])
def test_nothing_else_is_tried_as_long(client_of: MakeClient, server: ScriptedServer, failed: Answer) -> None:
    server.answer_with(failed)
    with pytest.raises(SourceUnavailable):
        client_of(errors=SOURCE, retry=RetryPolicy(attempts=3), deadline=120.0).json(READ)
    assert len(server.asked) == 3


def test_an_error_is_no_rate_limit(client_of: MakeClient, server: ScriptedServer) -> None:
    server.answer_with(Answer(500))
    with noted() as notes, pytest.raises(SourceUnavailable):
        client_of(errors=SOURCE, retry=RetryPolicy(attempts=2)).json(READ)
    assert notes.all == Throttling()


def test_nobody_need_collect(client_of: MakeClient, server: ScriptedServer) -> None:
    server.answer_with(Answer(429, headers={"Retry-After": "1"}), Answer(200, {"id": 7}))
    assert client_of(errors=SOURCE).json(READ) == {"id": 7}


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, ""),
        ({"x-ratelimit-limit": "60"}, "60 calls"),
        ({"x-ratelimit-limit": "60", "x-ratelimit-remaining": "12"}, "60 calls, 12 left"),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "5"}, "100 calls in 60 s, 5 left"),
        ({"ratelimit-policy": "2000;w=3600"}, "2,000 calls in 3,600 s"),
        ({"ratelimit-policy": '"burst";q=100;w=60'}, "100 calls in 60 s"),
        ({"ratelimit": "limit=100, remaining=50, reset=5"}, "100 calls"),
        ({"x-ratelimit-limit": "<b>60</b>"}, ""),
        ({"x-ratelimit-limit": "60", "x-ratelimit-name": "<script>"}, "60 calls"),
        ({"x-ratelimit-limit": "9" * 40}, ""),
    ],
)
def test_limits_as_services_state_them(headers: dict[str, str], words: str) -> None:
    assert stated_limit(headers) == words


@pytest.mark.parametrize(
    ("headers", "status", "seconds"),
    [
        ({"retry-after": "3", "x-ratelimit-reset": "60"}, 429, 3),
        ({"x-ratelimit-reset": "60"}, 429, 60),
        ({"x-ratelimit-reset": "60"}, 503, None),
        ({"x-ratelimit-reset": "86400"}, 429, None),
        ({"x-ratelimit-reset": "soon"}, 429, None),
        ({}, 429, None),
    ],
)
def test_pauses_that_are_asked_for(headers: dict[str, str], status: int, seconds: float | None) -> None:
    assert asked_pause(headers, status) == seconds


def test_a_reset_may_be_a_moment() -> None:
    assert asked_pause({"x-ratelimit-reset": str(int(time.time()) + 30)}, 429) == pytest.approx(30, abs=2)
