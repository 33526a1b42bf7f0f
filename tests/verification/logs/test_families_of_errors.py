"""Errors that come once each, for ever other routes or words: the next one is no proof, one that comes often is."""

from __future__ import annotations

import random

import pytest

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import Verdict

_ROUTES = ["/rooms", "/guests", "/keys", "/bills", "/menus", "/spa", "/taxi", "/laundry", "/sauna", "/garage"]


def _request(route: str, status: int, number: int = 7) -> str:
    return f'192.0.2.{number % 250} - - [06/May/2031:07:00:10 +0000] "GET {route} HTTP/1.1" {status} 812 "-" "curl/8"'


def _access_log(rng: random.Random, statuses: tuple[int, ...], errors: int) -> list[str]:
    usual = [_request(rng.choice(_ROUTES), 200, number) for number in range(2_000)]
    return [*usual, *(_request(rng.choice(_ROUTES), rng.choice(statuses)) for _ in range(errors))]


def _verdict(old: list[str], new: list[str]) -> Verdict:
    return judge_quality(LogProfile.of(new), None, [LogProfile.of(old)]).verdict


def test_rare_failures_of_ever_other_routes_fail_no_release() -> None:
    for seed in range(12):
        rng = random.Random(seed)
        old, new = (_access_log(rng, (500, 502, 503, 504), rng.randint(5, 11)) for _ in range(2))
        assert _verdict(old, new) is not Verdict.FAIL, seed


@pytest.mark.parametrize(("times", "verdict"), [(12, Verdict.INCONCLUSIVE), (60, Verdict.FAIL)])
def test_a_route_that_fails_again_and_again_beside_them_does_not_pass(times: int, verdict: Verdict) -> None:
    rng = random.Random(3)
    old, new = (_access_log(rng, (500, 502, 503, 504), 8) for _ in range(2))
    assert _verdict(old, [*new, *[_request("/checkin", 500)] * times]) is verdict


def test_a_new_route_that_fails_several_times_beside_two_that_failed_once_fails_the_release() -> None:
    usual = _access_log(random.Random(3), (500,), 0)
    old = [*usual, _request("/rooms", 500), _request("/keys", 503)]
    assert _verdict(old, [*old, *[_request("/checkin", 500)] * 8]) is Verdict.FAIL


def test_a_first_failure_where_requests_never_failed_fails_the_release() -> None:
    rng = random.Random(4)
    old = _access_log(rng, (500,), 0)
    assert _verdict(old, [*old, _request("/rooms", 500)]) is Verdict.FAIL


@pytest.mark.parametrize(("status", "verdict"), [(504, Verdict.INCONCLUSIVE), (500, Verdict.FAIL)])
def test_another_status_of_a_gateway_is_no_proof_where_it_often_fails(status: int, verdict: Verdict) -> None:
    rng = random.Random(5)
    old, new = ([*_access_log(rng, (502,), 0), *[_request("/rooms", 502)] * 12] for _ in range(2))
    quality = judge_quality(LogProfile.of([*new, _request("/keys", status)]), None, [LogProfile.of(old)] * 2)
    assert quality.verdict is verdict


@pytest.mark.parametrize(("times", "verdict"), [(1, Verdict.INCONCLUSIVE), (9, Verdict.FAIL)])
def test_a_gateway_that_failed_once_before_may_fail_once_for_other_routes(times: int, verdict: Verdict) -> None:
    usual = _access_log(random.Random(7), (503,), 0)
    new = [_request(route, 503) for route in ("/keys", "/menus") for _ in range(times)]
    assert _verdict([*usual, _request("/rooms", 503)], [*usual, *new]) is verdict


def test_ever_other_words_of_one_message_fail_no_release() -> None:
    rng, parts = (
        random.Random(6),
        ["boiler", "lift", "pump", "door", "lamp", "fan", "valve", "alarm", "heater", "shaft"],
    )

    def log(number: int) -> list[str]:
        usual = [f"INFO house - floor {floor} is fine" for floor in range(1_500)]
        verbs = ["read", "start", "stop", "reset", "find", "test", "lock", "clean"]
        return [*usual, *(f"ERROR house - could not {rng.choice(verbs)} {rng.choice(parts)}" for _ in range(number))]

    old, new = log(14), log(14)
    assert _verdict(old, new) is not Verdict.FAIL
    assert _verdict(old, [*new, *["ERROR ledger - sums differ from the till's"] * 25]) is Verdict.FAIL
