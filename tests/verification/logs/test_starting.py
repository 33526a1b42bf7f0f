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
    return judge_quality(LogProfile.of(new), None, [LogProfile.of(_usual(300))]).verdict


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
