"""What went wrong at INFO: outcomes never seen, messages that tell of failure, and what is all but gone."""

from __future__ import annotations

import pytest

from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.verdict import Quality, Verdict

_KINDS = ["ferry docked at 7", "car 17 aboard", "ticket 4 sold", "lane 3 opened", "ramp is down", "deck 2 is full"]
_USUAL = [f"INFO port - {kind}" for kind in _KINDS] * 40


def _judged(new: list[str], old: list[str]) -> Quality:
    return judge_quality(LogProfile.of(new), None, [LogProfile.of(old)])


@pytest.mark.parametrize(
    ("known", "new"),
    [
        ("INFO pilot ferry 7 state from sailing to docked", "INFO pilot ferry 7 state from sailing to adrift"),
        ("INFO pilot job 7 ended, exit status 0", "INFO pilot job 7 ended, exit status 137"),
        ("job 7 of the pilot WEXITSTATUS 0", "job 7 of the pilot WEXITSTATUS 137"),
        ("STEP 7 WAS EXECUTED - COND CODE 0000", "STEP 7 WAS EXECUTED - COND CODE 0012"),
        ("INFO pilot ferry 7 closed, statusCode 1001", "INFO pilot ferry 7 closed, statusCode 1006"),
        ("INFO pilot job 7;Exit_status=0 cput=7", "INFO pilot job 7;Exit_status=271 cput=7"),
        ("INFO pilot - ferry 7 in sync: true", "INFO pilot - ferry 7 in sync: false"),
        ("INFO pilot - ferry 7 is now UP", "INFO pilot - ferry 7 is now DOWN"),
        ("INFO pilot - sonar of ferry 7 says UP", "INFO pilot - sonar of ferry 7 says DOWN"),
        ("INFO pilot - check of hull 7 OK", "INFO pilot - check of hull 7 FAIL"),
        ("INFO pilot asked for 7: rcode=0", "INFO pilot asked for 7: rcode=2"),
        ('INFO pilot told {"berth": 7, "status": "Free"}', 'INFO pilot told {"berth": 7, "status": "Sunk"}'),
        ("INFO pilot ferry 7 left [NORMAL_LEAVE]", "INFO pilot ferry 7 left [TUG_BUSY]"),
        ("INFO pilot asked for 7 NOERROR", "INFO pilot asked for 7 SERVFAIL"),
        ("INFO pilot onState newState(Docked) of 7", "INFO pilot onState newState(Adrift) of 7"),
    ],
)
def test_an_outcome_never_seen_holds_a_release(known: str, new: str) -> None:
    old = [*_USUAL, *[known] * 30]
    quality = _judged([*_USUAL, *[known] * 15, *[new] * 15], old)
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert quality.reasons[0].code == "new_outcomes"
    assert _judged([*_USUAL, *[known] * 15, *[new] * 2], old).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("known", "new"),
    [
        ("INFO pilot ferry 7 state from docked to sailing", "INFO pilot ferry 7 state from docked to ready"),
        ("INFO pilot - ferry 7 late: true", "INFO pilot - ferry 7 late: false"),
        ("INFO pilot ferry 7 of Ann", "INFO pilot ferry 7 of Bea"),
        ('INFO Ann: told {"n": 7, "status": "Free"}', 'INFO Quay-4: told {"n": 7, "status": "Free"}'),
        ("INFO [2 May 2026, 09:04 AM] ferry left", "INFO [2 May 2026, 03:04 PM] ferry left"),
        ("INFO pilot - ferry 7 connected to quay", "INFO pilot - ferry 7 fastened to quay"),
        ("INFO pilot ferry 7 has LIGHT_LOAD aboard", "INFO pilot ferry 7 has HEAVY_LOAD aboard"),
        ("INFO pilot action: sea.view.DOCK of 7", "INFO pilot action: sea.view.LEAVE of 7"),
        ("INFO pilot GET /ferries status=200", "INFO pilot GET /ferries status=304"),
    ],
)
def test_a_good_outcome_and_another_name_do_not(known: str, new: str) -> None:
    assert _judged([*_USUAL, *[new] * 30], [*_USUAL, *[known] * 30]).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("line", "fewest"),
    [
        ("INFO pilot - gave up: ferry 7 is unreachable", 4),
        ("INFO pilot - ferry 7 stalled for 9 ms", 4),
        ("INFO pilot - ferry 7 abandoned", 4),
        ("INFO pilot - ferry 7 is LOST_AT_SEA", 4),
        ("INFO pilot - QUAY-ASK-REJECT of ferry 7", 4),
        ("INFO pilot - answered ferry 7 with NO_BERTH_FOUND", 4),
        ("WARN pilot - cannot reach ferry 7", 10),
    ],
)
def test_new_messages_that_tell_of_failure_hold_a_release(line: str, fewest: int) -> None:
    assert _judged([*_USUAL, *[line] * fewest], _USUAL).verdict is Verdict.INCONCLUSIVE
    assert _judged([*_USUAL, *[line] * (fewest - 1)], _USUAL).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "line",
    [
        "INFO bar - coffee 7 served",
        "INFO bar - coffee 7 gave NO_SPILL_ERROR",
        "INFO bar - reads BAR_TIMEOUT=7 and BREW_ERROR: 4",
        "INFO bar - coffee 7 with NO_MILK",
    ],
)
def test_a_new_feature_that_says_much_does_not(line: str) -> None:
    assert _judged([*_USUAL, *[line] * 50], _USUAL).verdict is Verdict.PASS


def test_what_made_up_much_of_a_log_and_is_all_but_gone() -> None:
    old = [*_USUAL, *["INFO gate - ticket 7 is good"] * 200]
    refused = ["INFO gate - passenger 7 turned away"] * 190
    quality = _judged([*_USUAL, *["INFO gate - ticket 7 is good"] * 10, *refused], old)
    assert quality.verdict is Verdict.INCONCLUSIVE
    assert "What made up much of the log is gone" in quality.reasons[0].text
    assert _judged([*_USUAL, *["INFO gate - ticket 7 is good"] * 60], old).verdict is Verdict.PASS


def test_a_message_that_another_known_one_took_over() -> None:
    left, right = "INFO gate - ticket 7 checked at the left gate", "INFO gate - ticket 7 checked at the right gate"
    old = [*_USUAL, *[left] * 200, *[right] * 20]
    assert _judged([*_USUAL, *[right] * 220], old).verdict is Verdict.PASS
    assert _judged([*_USUAL, *[right] * 20], old).verdict is Verdict.INCONCLUSIVE


def test_a_tenth_of_a_small_log_that_is_gone() -> None:
    old = [*_USUAL, *["INFO port - all of it was saved"] * 36]
    assert _judged(_USUAL, old).verdict is Verdict.INCONCLUSIVE
    assert _judged(_USUAL, old[:-12]).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("message", "names", "new"),
    [
        ("INFO bill for {} sent to berth 7", ("Tern Lines", "Wiek"), "Critical Mass Ltd"),
        ('INFO search for "{}" gave 7 hits', ("blue rope", "oar"), "fatal frame"),
        ("INFO {} came aboard at Oster Tal", ("Ann Lee", "Bo", "Cy Ray", "Di Orr"), "Crash Davis"),
    ],
)
def test_a_name_may_be_made_of_words_of_failure(message: str, names: tuple[str, ...], new: str) -> None:
    old = [*_USUAL, *[message.format(name) for name in names] * 10]
    assert _judged([*old, *[message.format(new)] * 10], old).verdict is Verdict.PASS


def test_words_of_failure_beside_a_name_still_hold_a_release() -> None:
    known = [f"INFO bill for {name} sent to berth 7" for name in ("Tern Lines", "Wiek")]
    old = [*_USUAL, *known * 10]
    new = ["INFO bill for Tern Lines was refused and lost at berth 7"] * 10
    assert _judged([*old, *new], old).verdict is Verdict.INCONCLUSIVE


def test_another_code_of_windows_is_a_new_error() -> None:
    old = [*_USUAL, *["ERROR pilot - copy of chart 7 ended with 0x80070020"] * 10]
    assert _judged([*old, *["ERROR pilot - copy of chart 7 ended with 0xC0000005"] * 10], old).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "crash",
    ["Mar 01 10:00:00 quay app: https://quay.example|7|php|10.4.0.7||Error: Call to a member function moor() on null"],
)
def test_a_crash_in_the_last_of_several_columns_fails_a_release(crash: str) -> None:
    usual = ["Mar 01 10:00:00 quay app: https://quay.example|7|cron|10.4.0.7||Cron run completed."] * 60
    assert _judged([*usual, *[crash] * 10], usual).verdict is Verdict.FAIL
