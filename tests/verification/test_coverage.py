"""What a verdict makes of log records that were not read."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_cd.verification import parts
from airflow_cd.verification.coverage import MOST_UNREAD, Coverage, Unread, with_unread
from airflow_cd.verification.parts import samples_of
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Quality, Reason, Verdict
from airflow_cd.verification.watch import Outcome, Watch
from tests.verification.late_source import Clock
from tests.verification.shop_logs import CANARY, CONTROL, START
from tests.verification.test_watch_parts import Bounded, logs

BEGIN = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)


def watched(source: Bounded, **options: object) -> Outcome:
    clock = Clock()
    configuration = Verification(logs=[source], duration="60s", every="20s", **options)  # type: ignore[arg-type]
    watch = Watch(configuration, canary=CANARY, control=CONTROL, since=START, clock=clock, sleep=clock.sleep)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MOST_PARTS", 8)  # reads that are four times as large lose as much, and take less time
        return watch.run()


def unread_of(outcome: Outcome) -> Reason | None:
    return next((one for one in outcome.judgement.reasons if one.code == "unread_records"), None)


@pytest.fixture(scope="module")
def in_parts() -> Outcome:
    """Of a source that gives 72 records at once, at the most."""
    return watched(Bounded(logs(), 72))


class TestWatched:
    def test_what_was_read_whole_leaves_nothing_open(self) -> None:
        outcome = watched(Bounded(logs(), 10**6))
        assert outcome.judgement.verdict is Verdict.PASS
        assert unread_of(outcome) is None

    def test_a_pass_says_first_how_much_was_not_read(self, in_parts: Outcome) -> None:
        assert in_parts.judgement.verdict is Verdict.PASS
        reason = in_parts.judgement.reasons[1]
        assert reason.code == "unread_records"
        assert reason.text.startswith("About ")
        assert "% of the records of logs were not read" in reason.text

    def test_more_than_may_be_unread_is_no_pass(self) -> None:
        outcome = watched(Bounded(logs(), 16))
        assert outcome.judgement.verdict is Verdict.INCONCLUSIVE
        assert outcome.policy_key == "inconclusive"
        assert outcome.judgement.reasons[0].code == "unread_records"
        assert "most_unread" in outcome.judgement.reasons[0].text

    def test_an_author_may_ask_for_all_of_it(self) -> None:
        assert watched(Bounded(logs(), 72), most_unread=0).judgement.verdict is Verdict.INCONCLUSIVE

    def test_what_was_left_out_and_is_found_later_is_not_late(self, in_parts: Outcome) -> None:
        assert in_parts.judgement.lags["logs"].late == 0

    def test_what_shorter_windows_do_not_help_is_a_doubt_of_unknown_size(self) -> None:
        outcome = watched(Bounded(logs(), 50, shorter_helps=False))
        assert outcome.judgement.verdict is Verdict.PASS
        assert "nobody knows how many" in outcome.judgement.reasons[1].text

    def test_what_fails_by_what_was_read_fails(self) -> None:
        assert watched(Bounded(logs(broken=True), 72), most_unread=0).judgement.verdict is Verdict.FAIL

    @pytest.mark.parametrize("most", [4, 36])
    def test_a_good_release_never_fails_for_it(self, most: int) -> None:
        frame = logs()
        outcome = watched(Bounded(frame, most))
        counted, judgement = outcome.profiles["logs"].records, outcome.judgement
        assert judgement.verdict is not Verdict.FAIL
        if judgement.verdict is Verdict.PASS:
            inside = frame[frame["time"] < START + timedelta(seconds=60)]
            lost = 1 - counted / inside["instance"].isin(list(CANARY)).sum()
            reason = unread_of(outcome)
            assert (reason is not None) == (lost > 0)
            assert lost <= MOST_UNREAD + 0.1


REASONS = [Reason("nothing_new", "Nothing new."), Reason("no_levels", "No levels.")]


@given(
    verdict=st.sampled_from(list(Verdict)),
    share=st.floats(0.0001, 0.9999),
    most=st.floats(0, 1),
    reasons=st.integers(0, 2),
)
def test_only_a_pass_is_changed_and_only_to_inconclusive(
    verdict: Verdict, share: float, most: float, reasons: int
) -> None:
    before = Quality(verdict, REASONS[:reasons])
    after = with_unread(before, Unread("logs", 7, share), most)
    said = [reason.code for reason in after.reasons]
    if verdict is Verdict.FAIL:
        assert after == before
        return
    assert after.verdict is (Verdict.INCONCLUSIVE if share > most else verdict)
    assert said.count("unread_records") == 1
    # Beside a PASS it is the first doubt; where it is why there is none, it stands first.
    assert said.index("unread_records") == (0 if verdict is Verdict.PASS and share > most else min(1, reasons))
    assert [one for one in after.reasons if one.code != "unread_records"] == REASONS[:reasons]
    assert with_unread(before, None, most) == before


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    most=st.integers(1, 400),
    bursts=st.lists(st.tuples(st.floats(0, 500), st.floats(1, 100), st.integers(1, 1000)), max_size=3),
)
def test_the_share_is_about_what_was_lost(seed: int, most: int, bursts: list[tuple[float, float, int]]) -> None:
    rng = random.Random(seed)
    seconds = [600 * place / 1500 for place in range(1500)]
    seconds += [begin + length * rng.random() for begin, length, number in bursts for _ in range(number)]
    times = pd.to_datetime(sorted(BEGIN.timestamp() + second for second in seconds), unit="s", utc=True)
    frame = pd.DataFrame({"time": times, "instance": "a", "message": "x"})
    source, coverage, counted = Bounded(frame, most), Coverage(), 0
    window = Window(BEGIN, BEGIN + timedelta(seconds=600))
    for part, sample in samples_of(source, window, ["a"]):
        coverage.note(part, sample, ["a"])
        counted += len(sample.frame)
    unread = coverage.unread("logs", window.since.timestamp(), window.until.timestamp(), counted)
    lost = 1 - counted / int(((times >= window.since) & (times < window.until)).sum())
    assert (unread is not None) == (lost > 0)
    if unread is not None and not bursts:
        assert unread.share == pytest.approx(lost, abs=0.1)


def test_what_one_read_has_cut_another_may_hold() -> None:
    coverage, since = Coverage(), BEGIN.timestamp()
    cut = pd.DataFrame({"time": pd.to_datetime([BEGIN, BEGIN + timedelta(seconds=10)]), "instance": "a", "message": ""})
    coverage.note(Window(BEGIN, BEGIN + timedelta(seconds=60)), LogSample(cut, "q", truncated=True, cut=True), ["a"])
    unread = coverage.unread("logs", since, since + 60, 2)
    assert unread is not None
    assert unread.records == 10
    coverage.note(Window(BEGIN + timedelta(seconds=9), BEGIN + timedelta(seconds=60)), LogSample(cut, "q"), ["a"])
    assert coverage.unread("logs", since, since + 60, 2) is None


def test_an_instance_that_is_cut_beside_a_quiet_one_is_not_read_whole() -> None:
    times = [BEGIN + timedelta(seconds=second / 10) for second in range(200)]
    busy = pd.DataFrame({"time": times, "instance": "busy", "message": ""})
    quiet = pd.DataFrame({"time": [BEGIN + timedelta(seconds=59)], "instance": "quiet", "message": ""})
    frame = pd.concat([busy, quiet], ignore_index=True)
    coverage, since = Coverage(), BEGIN.timestamp()
    window = Window(BEGIN, BEGIN + timedelta(seconds=60))
    coverage.note(window, LogSample(frame, "q", truncated=True, cut=True), ["busy", "quiet"])
    unread = coverage.unread("logs", since, since + 60, len(frame))
    assert unread is not None
    assert unread.records == pytest.approx(400, rel=0.05)
