"""Statuses of requests in layouts that nobody described: learned from what the log has in a place."""

from __future__ import annotations

import random

import pytest

from airflow_cd.verification.logs.counting import count_records, count_slowly
from airflow_cd.verification.logs.feedback import EXPECTED, Feedback, Opinions, Statement
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import Verdict

_WELL = [200] * 8 + [201, 304]
_LAYOUTS = [
    "2026-03-01 10:00:00 INFO <<< {status} GET /tea/{n} {ms}ms",
    "2026-03-01 10:00:00 INFO done with POST /tea/{n} ({status}) after {ms} ms",
    "2026-03-01 10:00:00 INFO <-- {status} https://tea.example.org/cup/{n} ({ms}ms, {ms}-byte body)",
    "2026-03-01 10:00:00 INFO order {n} told to https://tea.example.org/hook: HTTP {status}",
    "10.4.0.7 | 01/Mar/2026:10:00:00 +0000 | tea.example.org | GET /tea/{n} HTTP/1.1 | {status} | {ms} | 0.{ms}",
    "[Sun Mar 01 10:00:00 2026] 10.4.0.7:{n} [{status}]: GET /tea.php",
    "2026-03-01 10:00:00 INFO [{status}] GET /tea/{n} {ms}ms",
    "2026-03-01 10:00:00 INFO 10.4.0.7,GET,/tea/{n},{status},{ms}",
    "2026-03-01 10:00:00 INFO 10.4.0.7\tGET\t/tea/{n}\t{status}\t{ms}",
    "2026-03-01 10:00:00 INFO answered {status} to GET /tea from 10.4.0.7",
    "2026-03-01 10:00:00 INFO uri=/tea code={status} time={ms}",
]


def _log(layout: str, statuses: list[int], records: int = 200, seed: int = 7) -> list[str]:
    chance = random.Random(seed)
    return [
        layout.format(status=chance.choice(statuses), n=chance.randrange(1000, 9999), ms=chance.randrange(1, 900))
        for _ in range(records)
    ]


def _judged(new: list[str], old: list[str]) -> Verdict:
    return judge_quality(LogProfile.of(new), None, [LogProfile.of(old)]).verdict


@pytest.mark.parametrize("layout", _LAYOUTS)
def test_requests_that_fail_now_fail_the_release_whatever_the_layout(layout: str) -> None:
    old, good = _log(layout, _WELL), _log(layout, _WELL, seed=8)
    assert _judged([*good, *_log(layout, [500, 503], 14)], old) is Verdict.FAIL
    assert _judged(good, old) is Verdict.PASS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("GET /tea/{n} took {ms} in all", "GET /tea/{n} took 500 in all"),  # a duration
        ("GET /tea/{n} with limit 200", "GET /tea/{n} with limit 500"),  # a setting
        ("worker [{ms}] GET /tea/{n} is done", "worker [502] GET /tea/{n} is done"),
    ],
)
def test_other_numbers_of_requests_are_no_statuses(old: str, new: str) -> None:
    known = _log(f"2026-03-01 10:00:00 INFO {old}", _WELL, 600)
    more = _log(f"2026-03-01 10:00:00 INFO {new}", _WELL, 20)
    assert _judged([*known, *more], known) is Verdict.PASS


def test_a_canary_that_answers_nothing_but_errors_does_not_change_where_the_status_stands() -> None:
    assert _judged(_log(_LAYOUTS[0], [502]), _log(_LAYOUTS[0], _WELL)) is Verdict.FAIL


def test_statuses_are_noted_alike_one_by_one_and_in_blocks() -> None:
    lines = [line for layout in _LAYOUTS for line in _log(layout, [*_WELL, 500], 40)]
    slowly = count_slowly(lines, None, [""] * len(lines))
    fast, _ = count_records(lines)
    assert {one: tally.count for one, tally in fast.items()} == {one: tally.count for one, tally in slowly.items()}


def test_feedback_on_a_request_finds_it_by_its_sample() -> None:
    failed = _log(_LAYOUTS[3], [500], 14)
    feedback = Feedback(EXPECTED, "ada", "the partner is closed on Sundays")
    opinions = Opinions([Statement("0" * 12, feedback, sample=failed[0])])
    profiles = LogProfile.of([*_log(_LAYOUTS[3], _WELL), *failed]), None, [LogProfile.of(_log(_LAYOUTS[3], _WELL))]
    assert judge_quality(*profiles, opinions=opinions).verdict is Verdict.PASS
