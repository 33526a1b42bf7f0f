"""What leaves a PASS open: more known errors, a vital event gone, records that say nothing, a tiny baseline."""

from __future__ import annotations

import pytest

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import Quality, Verdict
from tests.verification.log_examples import python_trace

_KINDS = ["ferry docked at 7", "car 17 aboard", "ticket 4 sold", "lane 3 opened", "ramp is down", "deck 2 is full"]
_USUAL = [f"INFO port - {kind}" for kind in _KINDS]


def _judged(new: list[str], old: list[str], *more: list[str]) -> Quality:
    return judge_quality(LogProfile.of(new), None, [LogProfile.of(one) for one in (old, *more)])


@pytest.mark.parametrize(
    ("errors", "verdict"),
    [(30, Verdict.PASS), (60, Verdict.PASS), (100, Verdict.INCONCLUSIVE), (400, Verdict.FAIL)],
)
def test_known_errors_that_are_several_times_as_frequent(errors: int, verdict: Verdict) -> None:
    old = [*_USUAL * 250, *["ERROR port - radio is mute for 9 s"] * 31]
    quality = _judged([*_USUAL * 250, *["ERROR port - radio is mute for 9 s"] * errors], old)
    assert quality.verdict is verdict
    if verdict is Verdict.INCONCLUSIVE:
        assert f"radio is mute for <*> ({errors} times, 31.0 expected)" in quality.reasons[0].text


def _failed(counts: dict[int, int]) -> list[str]:
    statuses = {200: 1_500, 404: 60, 304: 90, **counts}
    line = '203.0.113.9 - - [06/May/2031:07:00:10 +0000] "GET /ferries HTTP/1.1" {} 812'
    return [line.format(status) for status, count in statuses.items() for _ in range(count)]


def test_failed_requests_count_together_where_no_status_stands_out() -> None:
    old = [_failed({500: 2, 502: 2, 503: 2, 504: 2}) for _ in range(4)]
    few, many = _failed({500: 4, 502: 3, 503: 4, 504: 3}), _failed({500: 8, 502: 8, 503: 8, 504: 8})
    assert _judged(few, *old).verdict is Verdict.PASS
    quality = _judged(many, *old)
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert any("32 requests failed (5xx), 8.0 expected" in reason.text for reason in quality.reasons)


@pytest.mark.parametrize(
    ("level", "before", "verdict"),
    [("INFO", 270, Verdict.INCONCLUSIVE), ("DEBUG", 270, Verdict.PASS), ("INFO", 40, Verdict.PASS)],
)
def test_a_vital_event_that_is_gone_though_below_a_fifth(level: str, before: int, verdict: Verdict) -> None:
    old = [*_USUAL * 250, *[f"{level} port - ferry 12 left for the island"] * before]
    assert _judged(_USUAL * 250, old).verdict is verdict


def test_records_without_a_level_where_all_had_one_leave_the_verdict_open() -> None:
    old = [f'{{"level":30,"msg":"ferry {number} docked","lane":{number}}}' for number in range(400)]
    cut = [line[:19] if number % 2 else line for number, line in enumerate(old)]
    quality = _judged(cut, old)
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert "200 of 400 records" in quality.reasons[0].text
    assert _judged(cut, cut).verdict is Verdict.PASS
    assert _judged([*old, *["listening on the quay"] * 20], old).verdict is Verdict.PASS


def test_a_few_lines_of_baseline_condemn_nothing() -> None:
    quality = _judged([*_USUAL * 100, "ERROR port - gate is stuck"], _USUAL[:5])
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert "5 records are too few" in quality.reasons[0].text
    assert _judged([*_USUAL * 100, "ERROR port - gate is stuck"], _USUAL * 20).verdict is Verdict.FAIL


def test_an_exception_that_comes_from_another_function_instead_is_connected() -> None:
    def log(function: str, times: int) -> list[str]:
        return [*_USUAL * 250, *(python_trace("TimeoutError", function, order=order) for order in range(times))]

    quality = _judged(log("announce", 18), log("publish", 30))
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert "TimeoutError comes from another function" in quality.reasons[0].text
    assert _judged([*log("publish", 30), *log("announce", 18)], log("publish", 30) * 2).verdict is Verdict.FAIL
    assert _judged(log("announce", 90), log("publish", 30)).verdict is Verdict.FAIL


def test_the_loudest_new_error_is_named_first() -> None:
    new = [*_USUAL * 50, "ERROR a - anchor lost", *["ERROR z - tide table is missing"] * 9]
    assert "unknown: ERROR z - tide table is missing (9 times); ERROR a" in _judged(new, _USUAL * 50).reasons[0].text


@pytest.mark.parametrize(("failed", "verdict"), [(6, Verdict.PASS), (80, Verdict.INCONCLUSIVE)])
def test_a_success_that_has_become_rarer_leaves_the_verdict_open(failed: int, verdict: Verdict) -> None:
    def log(failures: int) -> list[str]:
        outcomes = ["true"] * (400 - failures) + ["false"] * failures
        return [f'{{"level":"info","msg":"ticket sold","success":{outcome}}}' for outcome in outcomes]

    quality = _judged(log(failed), log(5))
    assert quality.verdict is verdict
    if verdict is Verdict.INCONCLUSIVE:
        assert "success=false (80 times, 5.0 expected)" in quality.reasons[0].text
