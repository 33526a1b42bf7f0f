"""Records that can be found only some time after they were logged: none is lost, none counts twice."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from airflow_cd.errors import SourceUnavailable
from airflow_cd.verification.late_records import beyond
from airflow_cd.verification.log_reading import Earlier
from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Verdict
from airflow_cd.verification.watch import Outcome, Watch
from tests.verification.late_source import Clock, LateLogs
from tests.verification.shop_logs import CANARY, CONTROL, START, shop_logs, usual_profile

Lag = Callable[[Any], float]


def _errors(seconds: float) -> Lag:
    return lambda row: seconds if " ERROR " in row.message else 0.4


def _all(seconds: float) -> Lag:
    return lambda _: seconds


@functools.cache
def _frame(seconds: float, *, broken: bool = False, errors: bool = True, rate: float = 1.0) -> pd.DataFrame:
    rng = random.Random(7)
    ours, theirs = (
        shop_logs(rng, names, seconds + 30, broken=broken and names is CANARY, rate=rate) for names in (CANARY, CONTROL)
    )
    frame = pd.concat([ours, theirs], ignore_index=True)
    known = frame["message"].str.contains(" ERROR ") & ~frame["message"].str.contains("request .* failed")
    return frame if errors else frame[~known].reset_index(drop=True)


def _run(
    frame: pd.DataFrame, lag: Lag, seconds: float = 60, *, watch: dict[str, Any] | None = None, **source: Any
) -> tuple[Outcome, LateLogs, float]:
    """The outcome, the source, and how many seconds it took."""
    clock = Clock()
    settings = {key: source.pop(key) for key in ("longest_lag", "minimum", "every") if key in source}
    logs = LateLogs(frame, clock, lag, **source)
    outcome = Watch(
        Verification(logs=[logs], duration=seconds, **{"every": "10s", **settings}),
        **{
            "canary": CANARY,
            "control": CONTROL,
            "since": START,
            "baselines": {"logs": Baseline([Learned("1.0", usual_profile())])},
            "clock": clock,
            "sleep": clock.sleep,
            **(watch or {}),
        },
    ).run()
    return outcome, logs, clock.since()


@pytest.mark.parametrize("reports", [False, True])
@pytest.mark.parametrize(("seconds", "late"), [(30, 60), (30, 90), (30, 300), (60, 90), (600, 300)])
def test_a_bad_release_whose_errors_come_late_fails(seconds: float, late: float, reports: bool) -> None:
    outcome, _, took = _run(_frame(seconds, broken=True), _errors(late), seconds, reports=reports)
    assert outcome.judgement.verdict is Verdict.FAIL
    assert outcome.judgement.reasons[0].code == "unknown_events"
    assert took < max(late, 60) + 120
    seen = outcome.judgement.lags["logs"]
    assert late <= seen.longest < late * 1.25 + 5
    assert (seen.reported, seen.late > 0) == (reports, True)


@pytest.mark.parametrize("late", [60, 300])
def test_errors_nobody_has_seen_come_are_found_when_they_come(late: float) -> None:
    frame = _frame(60, broken=True, errors=False)
    assert _run(frame, _errors(late))[0].judgement.verdict is Verdict.FAIL


def test_errors_nobody_has_seen_come_are_given_five_minutes() -> None:
    good, _, took = _run(_frame(60, errors=False), _all(0.4), reports=True)
    assert good.judgement.verdict is Verdict.PASS
    assert took == 60 + 300
    # A watch of ten minutes has waited for them by its end; the author may say that there is nothing to wait for.
    assert _run(_frame(600, errors=False), _all(0.4), 600)[2] == 601
    assert _run(_frame(60, errors=False), _all(0.4), longest_lag="0s")[2] == 61
    # A source that says when it received the canary's errors has shown how late they come; another one has not.
    assert _run(_frame(60), _all(0.4), reports=True)[2] == 61
    assert _run(_frame(60), _all(0.4))[2] == 60 + 300


@pytest.mark.parametrize(
    ("source", "late"),
    [({}, 90), ({"reports": True}, 90), ({"reports": True, "indexing": 89.6}, 0.4)],
    ids=["learned", "reported", "received and not yet indexed"],
)
def test_a_pass_waits_for_what_is_late_and_everything_counts_once(source: dict[str, Any], late: float) -> None:
    frame = _frame(60)
    outcome, _, took = _run(frame, _all(late), **source)
    assert outcome.judgement.verdict is Verdict.PASS
    assert took < 60 + 90 + 45 if source else took == 60 + 300
    assert late <= outcome.judgement.lags["logs"].longest <= 100
    inside = frame[frame["time"] < START + timedelta(seconds=60)]
    ours = inside[inside["instance"].isin(CANARY)]
    assert outcome.profiles["logs"].records == len(ours)
    assert outcome.profiles["logs"].counts() == LogProfile.of(ours).counts()
    assert outcome.running["logs"].records == len(inside) - len(ours)


@pytest.mark.parametrize("late", [60, 300])
def test_only_the_new_errors_are_late(late: float) -> None:
    lag: Lag = lambda row: late if "request" in row.message and "failed\n" in row.message else 0.4  # noqa: E731
    assert _run(_frame(60, broken=True), lag)[0].judgement.verdict is Verdict.FAIL


def test_a_fail_never_waits() -> None:
    frame = _frame(60, broken=True, rate=4)
    lag: Lag = lambda row: 200.0 if row.instance == CANARY[0] else 0.4  # noqa: E731
    outcome, _, took = _run(frame, lag)
    assert outcome.judgement.verdict is Verdict.FAIL
    assert took <= 40


def test_waiting_has_a_bound_and_what_may_still_come_is_said() -> None:
    outcome, _, took = _run(_frame(60), _all(90), longest_lag="70s")
    assert outcome.judgement.verdict is Verdict.INCONCLUSIVE
    assert outcome.policy_key == "no_data"
    assert took <= 60 + 70 + 5
    outcome, _, took = _run(_frame(60), lambda row: 100.0 if row.time.second % 3 else 0.4, longest_lag="90s")
    assert outcome.judgement.reasons[0].code == "source_behind"
    assert "longest_lag" in outcome.judgement.sentence
    # What came as late as was waited for has come.
    outcome, _, took = _run(_frame(60), lambda row: 100.0 if row.time.second % 3 else 0.4, longest_lag="110s")
    assert (outcome.judgement.verdict, took <= 60 + 110 + 5) == (Verdict.PASS, True)


@pytest.mark.parametrize("reports", [False, True])
def test_an_indexer_that_stalls_and_then_delivers_everything(reports: bool) -> None:
    """From 20 s on it delivers nothing, until at 200 s it delivers all."""
    frame = _frame(60, broken=True, rate=4)
    started = frame["time"] - pd.Timestamp(START)
    new = frame["message"].str.contains("request .* failed") & (started < timedelta(seconds=40))
    stalled: Lag = lambda row: max(0.4, 200 - (row.time - START).total_seconds()) if row.time.second > 20 else 0.4  # noqa: E731
    outcome, _, took = _run(frame[~new].reset_index(drop=True), stalled, reports=reports)
    assert outcome.judgement.verdict is Verdict.FAIL
    assert 200 <= took < 300


def test_a_source_that_stops_for_good_is_behind_and_passes_nothing() -> None:
    frame = _frame(60, rate=4)
    frame = frame[frame["time"] < START + timedelta(seconds=40)]
    outcome, _, took = _run(frame, _all(0.4))
    assert outcome.judgement.verdict is Verdict.INCONCLUSIVE
    assert outcome.judgement.reasons[0].code == "source_behind"
    assert outcome.policy_key == "no_data"
    assert took <= 60 + 600
    # A service that was as quiet before is not behind.
    before = frame.assign(time=frame["time"] - pd.Timedelta(seconds=60))
    both = pd.concat([before[before["time"] < START - timedelta(seconds=50)], frame], ignore_index=True)
    watch = {"before": Window(START - timedelta(seconds=60), START)}
    assert _run(both, _all(0.4), watch=watch)[0].judgement.verdict is Verdict.PASS


def test_records_without_ids_are_told_apart_by_what_they_are_and_how_many() -> None:
    line = "2026-11-23T08:00:07.000Z INFO shop.web - cache emptied"
    moment = pd.Timestamp(START) + pd.Timedelta(seconds=7)
    alike = pd.DataFrame([(moment, CANARY[0], line)] * 5, columns=["time", "instance", "message"])
    frame = pd.concat([_frame(60), alike], ignore_index=True)
    numbers = iter(range(10_000))
    # Two of the five are found half a minute after the others.
    outcome, _, _ = _run(frame, lambda row: 30.0 if row.message == line and next(numbers) > 2 else 0.4)
    [count] = [
        tally.count for signature, tally in outcome.profiles["logs"].tallies.items() if "cache" in signature.template
    ]
    assert count == 5


@pytest.mark.parametrize("reports", [False, True])
def test_a_watch_begun_again_elsewhere_counts_the_same(reports: bool) -> None:
    """Its process died at some moment: the next one reads what there is by then."""
    frame = _frame(60)
    inside = frame[frame["time"] < START + timedelta(seconds=60)]
    for seconds in (20, 65, 100, 400):
        clock = Clock(START + timedelta(seconds=seconds))
        logs = LateLogs(frame, clock, _errors(90), reports=reports)
        outcome = Watch(
            Verification(logs=[logs], duration="60s", every="10s"),
            canary=CANARY,
            control=CONTROL,
            since=START,
            baselines={"logs": Baseline([Learned("1.0", usual_profile())])},
            clock=clock,
            sleep=clock.sleep,
        ).run()
        assert outcome.judgement.verdict is Verdict.PASS
        assert outcome.profiles["logs"].records == inside["instance"].isin(CANARY).sum()


def test_what_comes_late_of_an_earlier_phase_counts_in_a_later_one() -> None:
    frame = _frame(60, broken=True)
    later = frame[~frame["message"].str.contains("request .* failed")]
    later = later.assign(time=later["time"] + pd.Timedelta(seconds=70))
    both = pd.concat([frame[frame["time"] < START + timedelta(seconds=60)], later], ignore_index=True)
    missed = "failed\n"
    counted = both[~both["message"].str.contains(missed) & both["instance"].isin(CANARY)]
    counted = counted[counted["time"] < START + timedelta(seconds=60)]
    first = Earlier(
        "phase_20", Window(START, START + timedelta(seconds=60)), CANARY, {"logs": LogProfile.of(counted, watched=120)}
    )
    lag: Lag = lambda row: 95.0 if missed in row.message else 0.4  # noqa: E731
    since = START + timedelta(seconds=70)
    clock = Clock(since)
    watch = {"since": since, "earlier": [first], "clock": clock, "sleep": clock.sleep, "control": (), "canary": CANARY}
    logs = LateLogs(both, clock, lag)
    outcome = Watch(
        Verification(logs=[logs], duration="60s", every="10s"),
        baselines={"logs": Baseline([Learned("1.0", usual_profile())])},
        **watch,
    ).run()
    assert outcome.judgement.verdict is Verdict.FAIL
    assert {event.exception for event in outcome.judgement.quality.risks} >= {"KeyError"}
    # The earlier phase is completed, and what it had counted is not counted in this phase again.
    completed = outcome.earlier["phase_20"]["logs"]
    assert completed.records > len(counted)
    assert outcome.profiles["logs"].records <= len(both[both["time"] >= since])
    # Once it is complete, a later phase finds nothing new in it.
    whole = both[both["instance"].isin(CANARY) & (both["time"] < first.window.until)]
    known = Earlier("phase_20", first.window, CANARY, {"logs": LogProfile.of(whole)})
    clock = Clock(START + timedelta(hours=1))
    again = Watch(
        Verification(logs=[LateLogs(both, clock, lag)], duration="60s", every="10s"),
        canary=CANARY,
        since=since,
        earlier=[known],
        baselines={"logs": Baseline([Learned("1.0", usual_profile())])},
        clock=clock,
        sleep=clock.sleep,
    ).run()
    assert again.judgement.verdict is Verdict.PASS
    assert not again.earlier


def test_a_clock_that_runs_behind_is_a_lag_like_any_other() -> None:
    """The canary's clock is 40 s slow: what it logs now bears a time 40 s ago."""
    frame = _frame(60)
    outcome, _, took = _run(frame, lambda row: 40.0 if row.instance in CANARY else 0.4)
    assert outcome.judgement.verdict is Verdict.PASS
    assert took >= 100
    assert (
        outcome.profiles["logs"].records
        == (frame["instance"].isin(CANARY) & (frame["time"] < START + timedelta(seconds=60))).sum()
    )


def test_what_the_old_process_logs_while_it_shuts_down_is_the_old_releases() -> None:
    frame = _frame(60)
    line = "2026-11-23T08:00:03.000Z ERROR shop.web - broken pipe while closing 7 connections"
    moment = pd.Timestamp(START) + pd.Timedelta(seconds=3)
    dying = pd.DataFrame([(moment, name, line) for name in CANARY], columns=["time", "instance", "message"])
    both = pd.concat([frame, dying], ignore_index=True)
    assert _run(both, _all(0.4))[0].judgement.verdict is Verdict.FAIL
    outcome, _, _ = _run(both, _all(0.4), watch={"starts": {name: START + timedelta(seconds=4) for name in CANARY}})
    assert outcome.judgement.verdict is Verdict.PASS
    # The time before is not watched either, and what the new process logs from then on is.
    assert outcome.profiles["logs"].watched == len(CANARY) * 56
    assert any("left to the release before" in warning for warning in outcome.judgement.warnings)
    watch = {"starts": {CANARY[0]: START + timedelta(seconds=4)}}
    assert _run(both, _all(0.4), watch=watch)[0].judgement.verdict is Verdict.FAIL


def test_a_phase_that_cannot_be_read_again_counts_nothing_twice() -> None:
    frame, clock = _frame(60), Clock(START + timedelta(seconds=70))
    later = frame.assign(time=frame["time"] + pd.Timedelta(seconds=70))
    frame = frame[frame["time"] < START + timedelta(seconds=60)]
    logs = LateLogs(pd.concat([frame, later], ignore_index=True), clock, _all(0.4))
    first = Window(START, START + timedelta(seconds=60))
    read, failures = logs.read, []

    def unreliable(window: Window, instances: Any) -> Any:
        if window == first and len(failures) < 2:
            failures.append(window)
            raise SourceUnavailable("no answer")
        return read(window, instances)

    logs.read = unreliable  # type: ignore[method-assign]
    counted = LogProfile.of(frame[frame["instance"].isin(CANARY) & (frame["time"] < first.until)], watched=120)
    outcome = Watch(
        Verification(logs=[logs], duration="60s", every="10s", longest_lag="1s"),
        canary=CANARY,
        control=CONTROL,
        since=START + timedelta(seconds=70),
        earlier=[Earlier("phase_20", first, CANARY, {"logs": counted})],
        baselines={"logs": Baseline([Learned("1.0", usual_profile())])},
        clock=clock,
        sleep=clock.sleep,
    ).run()
    assert len(failures) == 2
    assert outcome.judgement.verdict is Verdict.PASS
    assert outcome.profiles["logs"].watched == 60 * len(CANARY)
    assert outcome.profiles["logs"].records == counted.records


def _watched(logs: LateLogs, clock: Clock, since: timedelta, earlier: list[Earlier], **watch: Any) -> Outcome:
    return Watch(
        Verification(logs=[logs], duration="60s", every="10s", longest_lag="1s"),
        canary=CANARY,
        control=CONTROL,
        since=START + since,
        earlier=earlier,
        baselines={"logs": Baseline([Learned("1.0", usual_profile())])},
        clock=clock,
        sleep=clock.sleep,
        **watch,
    ).run()


def test_records_of_a_look_that_fails_are_counted_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, clock = _frame(60), Clock()
    profiled, failures = LogProfile.of, []

    def unreliable(messages: Any, **settings: Any) -> LogProfile:
        if len(messages) and clock.since() > 20 and len(failures) < 3:
            failures.append(clock.since())
            raise SourceUnavailable("a record that cannot be read")
        return profiled(messages, **settings)

    monkeypatch.setattr(LogProfile, "of", unreliable)
    outcome = _watched(LateLogs(frame, clock, _all(0.4), reports=True), clock, timedelta(0), [])
    assert len(failures) == 3
    ours = frame["instance"].isin(CANARY) & (frame["time"] < START + timedelta(seconds=60))
    assert outcome.profiles["logs"].records == ours.sum()


def _phases(frame: pd.DataFrame) -> tuple[pd.DataFrame, Window]:
    """Records of a phase and of the next one, and when the first was watched."""
    later = frame.assign(time=frame["time"] + pd.Timedelta(seconds=70))
    first = frame[frame["time"] < START + timedelta(seconds=60)]
    return pd.concat([first, later], ignore_index=True), Window(START, START + timedelta(seconds=60))


def test_an_id_that_comes_twice_in_an_earlier_phase_is_one_record() -> None:
    both, window = _phases(_frame(60))
    clock = Clock(START + timedelta(seconds=70))
    logs = LateLogs(both, clock, _all(0.4), reports=True)
    counted = both[(both["time"] < window.until) & both["instance"].isin(CANARY)]
    read = logs.read

    def twice(asked: Window, instances: Any) -> LogSample:
        sample = read(asked, instances)
        return LogSample(pd.concat([sample.frame, sample.frame], ignore_index=True), sample.query)

    logs.read = twice  # type: ignore[method-assign]
    known = Earlier("phase_20", window, CANARY, {"logs": LogProfile.of(counted, watched=120)})
    outcome = _watched(logs, clock, timedelta(seconds=70), [known])
    assert not outcome.earlier
    assert outcome.judgement.verdict is Verdict.PASS


def test_late_records_are_watched_for_their_share_of_the_phase() -> None:
    lines = [f"INFO order {number} packed" for number in range(40)]
    counted, whole = LogProfile.of(lines[:30], instance="a", watched=60), LogProfile.of(lines, instance="a")
    late = beyond(whole, counted)
    assert (late.records, late.watched) == (10, 15.0)


def test_a_trace_that_a_look_cut_is_not_late_and_hides_nothing_that_is() -> None:
    trace = [
        "ERROR till broke",
        "Traceback (most recent call last):",
        '  File "/srv/till.py", line 7, in pay',
        "    ring()",
        "RingError: no bell",
    ]
    before = LogProfile.merge(
        LogProfile.of(["INFO paid", *trace[:3]], instance="a", watched=60), LogProfile.of(trace[3:], instance="a")
    )
    whole = LogProfile.of(["INFO paid", *trace], instance="a")
    assert not beyond(whole, before).records
    more = LogProfile.of(["INFO paid", *trace, "ERROR drawer is stuck"], instance="a")
    assert [signature.template for signature in beyond(more, before).tallies] == ["ERROR drawer is stuck"]
