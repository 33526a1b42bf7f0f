"""What a process logs when it starts, or when the one before ends, does not say that the log has changed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import Verdict

_STARTS = (
    "Starting kiosk 4.2 with PID 99",
    "tills are registered",
    "connected to the ledger in 41 ms",
    "listening on port 8443",
    "menu holds 30 dishes",
)
_ENDS = ("received SIGTERM", "waiting for 2 guests", "tills are closed", "bye")


def _lines(messages: Sequence[str], at: int, level: str = "INFO") -> list[str]:
    return [f"2025-02-04 06:{at // 60 % 60:02}:{at % 60:02} {level} kiosk - {message}" for message in messages]


def _usual(number: int = 200) -> list[str]:
    kinds = ("order {} is paid", "table {} is laid", "guest {} has come", "dish {} is served")
    return [line for at in range(number) for line in _lines([kinds[at % 4].format(at)], 10 + 9 * at)]


def _verdict(new: Sequence[str]) -> Verdict:
    return _verdict_of(new, _usual(300))


def _verdict_of(new: Sequence[str], old: Sequence[str]) -> Verdict:
    return judge_quality(LogProfile.of(new), None, [LogProfile.of(old)]).verdict


@pytest.mark.parametrize("before", [_STARTS, (*_ENDS, *_STARTS)])
def test_a_new_error_of_a_process_that_has_just_started_fails_the_release(before: Sequence[str]) -> None:
    started = [*_lines(before, 1), *_usual()]
    assert _verdict(started) is Verdict.PASS
    assert _verdict([*started, *_lines(["the ledger has no page"] * 2, 1900, "ERROR")]) is Verdict.FAIL


def test_the_same_lines_all_over_the_log_say_that_it_has_changed() -> None:
    usual = _usual()
    spread = [line for at, message in enumerate(_STARTS) for line in _lines([message], 300 + 300 * at)]
    error = _lines(["the ledger has no page"] * 2, 1900, "ERROR")
    assert _verdict([*usual, *spread, *error]) is Verdict.INCONCLUSIVE


def test_new_lines_at_the_beginning_of_which_none_tells_of_a_start_say_that_it_has_changed() -> None:
    new = _lines([message for message in _STARTS if "art" not in message and "listening" not in message] + ["hm"], 1)
    error = _lines(["the ledger has no page"] * 2, 1900, "ERROR")
    assert _verdict([*new, *_lines(_ENDS, 2), *_usual(), *error]) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "banner",
    [
        "Server listening on port 8443",
        "Listening at: http://0.0.0.0:8000 (7)",
        "Booting worker with pid: 31",
        "* Running on http://127.0.0.1:5000",
        "Application startup complete.",
        "Started server process [31]",
        "Now listening on: http://[::]:80",
        "database system is ready to accept connections",
        "Server startup in [2312] milliseconds",
        "Started KioskApplication in 2.1 seconds (process running for 2.6)",
        "start worker process 31",
        "kiosk 4.2 on JVM started in 1.204s",
        "Nest application successfully started",
        "Ready in 2.3s",
        "HTTP server started",
    ],
)
def test_a_process_that_starts_again_and_again_is_no_pass_though_it_says_nothing_else(banner: str) -> None:
    old = [*_lines([banner], 1), *_usual(300)]
    again = [line for at in range(8) for line in [*_lines([banner], 2 + 300 * at), *_usual(40)]]
    judged = judge_quality(LogProfile.of(again), None, [LogProfile.of(old)])
    assert judged.verdict is Verdict.INCONCLUSIVE
    assert judged.reasons[0].code == "starts_again"
    assert "The canary started 8 times" in judged.reasons[0].text
    twice = judge_quality(LogProfile.of([*old, *_lines([banner], 2000)]), None, [LogProfile.of(old)])
    assert twice.verdict is Verdict.PASS


@pytest.mark.parametrize(
    "message",
    ["session 7 of user root started", "Starting batch 7", "job 7 started", "GET /listening 200", "order 7 is ready"],
)
def test_what_starts_within_a_process_may_become_more_frequent(message: str) -> None:
    old = [*_lines([message], 1), *_usual(300)]
    more = [line for at in range(8) for line in [*_lines([message], 2 + 300 * at), *_usual(40)]]
    assert _verdict_of(more, old) is Verdict.PASS


def test_each_of_several_instances_may_start() -> None:
    banner = "Server listening on port 8443"
    old = LogProfile.of([*_lines([banner], 1), *_usual(300)])
    new = LogProfile.merge(*(LogProfile.of([*_lines([banner], 1), *_usual(60)], instance=str(one)) for one in range(9)))
    assert judge_quality(new, None, [old]).verdict is Verdict.PASS
