"""Pairs of real logs are what they are said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_cd.verification.verdict import Event, EventKind
from benchmarks import log_pairs
from benchmarks.error_kinds import error_kinds, records_of, sounds_bad
from benchmarks.log_judges import Answer, ours
from benchmarks.public_files import Repository
from benchmarks.public_logs import PublicLog

TRACE = ["[10:00:07] ERROR till jammed", "\tat shop.Till.open(Till.java:3)", "shop.Jam: drawer 4"]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PublicLog:
    """1,400 lines, with one error of three lines at 700 and one of a line at 900."""
    monkeypatch.setenv("AIRFLOW_CD_BENCHMARKS", str(tmp_path))
    lines = [f"[10:{number // 60 % 60:02}:{number % 60:02}] INFO sold basket {number}" for number in range(1396)]
    lines[700:700], lines[900:900] = TRACE, ["[10:00:09] ERROR scales off by 3"]
    found = PublicLog("till", "development", Repository("some/one", "c0ffee", "MIT"), "till.log")
    found.file.parent.mkdir(parents=True)
    found.file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return found


def test_a_record_goes_on_until_the_next_header(log: PublicLog) -> None:
    assert range(700, 703) in records_of(log)


def test_kinds_of_error_are_those_that_the_level_states(log: PublicLog) -> None:
    assert [kind.records for kind in error_kinds(log)] == [(range(700, 703),), (range(900, 901),)]


def test_no_baseline_holds_the_kind_that_is_left_out(log: PublicLog) -> None:
    pairs = [pair for pair in log_pairs.pairs_of(log, [log_pairs.LEFT_OUT]) if "till" in pair.kind]

    assert pairs
    for pair in pairs:
        assert not set(TRACE) & set(pair.baseline)
        assert list(pair.inserted) == ["\n".join(TRACE)]
        assert pair.canary.count(pair.inserted[0]) == 1
        assert len(pair.canary) == log_pairs.BLOCK + 1


def test_random_halves_share_no_record(log: PublicLog) -> None:
    for pair in log_pairs.pairs_of(log, [log_pairs.RANDOM]):
        assert not set(pair.baseline) & set(pair.canary)


def test_neighbours_cover_the_file(log: PublicLog) -> None:
    pairs = list(log_pairs.pairs_of(log, [log_pairs.NEIGHBOURS]))

    assert [pair.baseline for pair in pairs[1:]] == [pair.canary for pair in pairs[:-1]]
    assert len(pairs) == 3


def test_what_was_put_in_is_found_in_our_answer(log: PublicLog) -> None:
    pair = next(log_pairs.pairs_of(log, [log_pairs.LEFT_OUT]))

    answer = ours(pair.baseline, pair.canary)

    assert (answer.verdict, answer.finds(pair.inserted), answer.fails(pair.inserted)) == ("FAIL", True, True)


def test_an_event_of_another_line_with_the_same_header_is_not_what_was_put_in() -> None:
    header = "Jul  3 10:00:00 a-host-with-a-name-that-is-long-enough-to-fill-sixty-characters till[7]: "
    answer = Answer("FAIL", [Event("1", EventKind.UNKNOWN, "error", risk=True, template="", samples=[header + "jam"])])

    assert not answer.finds([header + "scales off"])


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("Could not open drawer 3", True),
        ("drawer 3 timed out", True),
        ("shutdown of drawers succeeded", False),
        ("checked drawer 3, 0 errors", False),
        ("drawer 3 opened", False),
    ],
)
def test_words_say_what_an_error_is(line: str, *, bad: bool) -> None:
    assert sounds_bad(line) is bad
