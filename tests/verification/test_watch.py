"""The watch, on a clock of its own: sources hand out what a modelled shop had logged and measured by then."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from airflow_cd.errors import SourceQueryRejected, SourceUnauthorized, SourceUnavailable, VerificationError
from airflow_cd.verification import reading
from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.logs.feedback import Opinions, Statement
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.samples import LogSample, MetricSample, Window
from airflow_cd.verification.settings import Verification
from airflow_cd.verification.verdict import Feedback, Judgement, Verdict
from airflow_cd.verification.watch import Outcome, Watch
from tests.verification.shop_logs import CANARY, CONTROL, INSTANCES, START, shop_logs, shop_profile
from tests.verification.traffic_model import METRICS, PAGES, Model, metric_rows, shared_load


class _Source:
    """Hands out rows of a frame; fails when it is told to."""

    delay = timedelta(seconds=1)

    def __init__(
        self, name: str, frame: pd.DataFrame, fails: Callable[[int], Exception | None] = lambda _: None
    ) -> None:
        self.name = name
        self._frame = frame
        self._fails = fails
        self.windows: list[Window] = []
        self.asked: list[tuple[str, ...]] = []
        self.calls = 0

    def rows(self, window: Window, instances: Sequence[str]) -> pd.DataFrame:
        self.calls += 1
        error = self._fails(self.calls)
        if error is not None:
            raise error
        self.windows.append(window)
        self.asked.append(tuple(instances))
        frame = self._frame
        inside = (frame["time"] >= window.since) & (frame["time"] < window.until)
        return frame[inside & frame["instance"].isin(list(instances))]


class _Logs(_Source):
    truncated = False

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        return LogSample(self.rows(window, instances), f"query of {self.name}", self.truncated, ("said something",))


class _Metrics(_Source):
    bucket = timedelta(seconds=2)

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        return MetricSample(self.rows(window, instances), METRICS, f"query of {self.name}", self.bucket)


class _Clock:
    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += timedelta(seconds=seconds)


@functools.cache
def _logged(*, broken: bool, seconds: float) -> pd.DataFrame:
    rng = random.Random(7)
    frames = [shop_logs(rng, CANARY, seconds, broken=broken), shop_logs(rng, CONTROL, seconds)]
    return pd.concat(frames, ignore_index=True)


def _log_source(*, broken: bool = False, seconds: float = 80, **options: Any) -> _Logs:
    return _Logs("logs", _logged(broken=broken, seconds=seconds), **options)


@functools.cache
def _measured(*, slower: float, seconds: int) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    load = shared_load(rng, seconds)
    ours = metric_rows(rng, CANARY, load, Model(seconds, slower=slower))
    rows = pd.concat([ours, metric_rows(rng, CONTROL, load, Model(seconds))])
    return rows[rows["group"].isin(PAGES[:4])]  # each page is judged by itself, and four show what nine would


def _metric_source(*, slower: float = 1.0, seconds: int = 80, **options: Any) -> _Metrics:
    return _Metrics("metrics", _measured(slower=slower, seconds=seconds).copy(), **options)


@functools.cache
def _learned() -> tuple[Learned, ...]:
    rng = random.Random(8)
    return (Learned("1.1", shop_profile(rng, CANARY, 60)), Learned("1.0", shop_profile(rng, INSTANCES, 60)))


def _baselines() -> dict[str, Baseline]:
    return {"logs": Baseline(list(_learned()))}


def _run(
    logs: Sequence[_Logs] = (),
    metrics: Sequence[_Metrics] = (),
    *,
    clock: _Clock | None = None,
    looks: list[Judgement] | None = None,
    watch: dict[str, Any] | None = None,
    **configuration: Any,
) -> Outcome:
    clock = clock or _Clock()
    return Watch(
        Verification(
            logs=logs, metrics=metrics, **{"duration": "60s", "every": "10s", "longest_lag": "0s", **configuration}
        ),
        **{
            "canary": CANARY,
            "control": CONTROL,
            "since": START,
            "baselines": _baselines(),
            "clock": clock,
            "sleep": clock.sleep,
            "on_look": looks.append if looks is not None else None,
            **(watch or {}),
        },
    ).run()


def test_a_good_release_passes_at_the_end_and_not_before() -> None:
    clock, looks = _Clock(), list[Judgement]()
    outcome = _run([_log_source()], [_metric_source()], clock=clock, looks=looks)
    judgement = outcome.judgement
    assert judgement.verdict is Verdict.PASS
    assert judgement.final
    assert clock.now == START + timedelta(seconds=61)  # the duration, and the sources' delay
    assert all(look.verdict is Verdict.INCONCLUSIVE and not look.final for look in looks)
    assert looks[3].reasons[0].code == "watching"
    assert judgement.looks == len(looks) + 1
    assert outcome.policy_key is None
    assert outcome.profiles["logs"].watched == 120
    assert judgement.quality is not None
    assert judgement.quality.queries == {"logs": "query of logs"}
    assert len({(event.x, event.y) for event in judgement.quality.events}) == len(judgement.quality.events)
    assert judgement.warnings == ["logs: said something"]


def test_what_a_source_says_of_the_time_before_alone_is_said_of_that() -> None:
    class Sparse(_Logs):
        def read(self, window: Window, instances: Sequence[str]) -> LogSample:
            said = ("nothing happened",) if window.until <= START else ()
            return replace(super().read(window, instances), warnings=("said something", *said))

    source = Sparse("logs", _logged(broken=False, seconds=80))
    before = Window(START - timedelta(minutes=5), START)
    warnings = _run([source], watch={"before": before}).judgement.warnings
    assert warnings == ["logs: said something", "logs, of the time before: nothing happened"]


def test_new_exceptions_fail_it_as_soon_as_that_is_certain() -> None:
    clock = _Clock()
    outcome = _run([_log_source(broken=True)], [_metric_source()], clock=clock)
    judgement = outcome.judgement
    assert judgement.verdict is Verdict.FAIL
    assert judgement.quality is not None
    assert judgement.performance is not None
    assert judgement.reasons[0].code == "unknown_events"
    assert timedelta(seconds=15) <= clock.now - START <= timedelta(seconds=40)
    assert judgement.performance.verdict is not Verdict.FAIL
    assert START <= datetime.fromisoformat(judgement.first_bad) <= datetime.fromisoformat(judgement.decided)
    assert judgement.first_bad == min(event.first_seen for event in judgement.quality.risks)


def test_slowness_fails_it_without_any_log() -> None:
    judgement = _run(metrics=[_metric_source(slower=2.0)], every="5s").judgement
    assert judgement.verdict is Verdict.FAIL
    assert judgement.quality is None
    assert judgement.reasons[0].code in ("metric_regressed", "tail_regressed")
    assert datetime.fromisoformat(judgement.first_bad) < START + timedelta(seconds=10)


def test_no_verdict_before_the_minimum() -> None:
    clock = _Clock()
    _run([_log_source(broken=True)], clock=clock, minimum="50s")
    assert clock.now >= START + timedelta(seconds=50)


def test_each_look_reads_what_is_new_and_reaches_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHEAP_ROWS", 0)
    logs, metrics = _log_source(), _metric_source()
    _run([logs], [metrics])
    end = START + timedelta(seconds=60)
    for source in (logs, metrics):
        assert source.windows[0].since == START
        assert source.windows[-1] == Window(START, end)
        ends = [window.until for window in source.windows]
        assert ends == sorted(ends)
        assert all(one.until >= other.since for one, other in zip(source.windows, source.windows[1:], strict=False))
        # Reading everything at every look would be 14 looks of half a minute on average.
        assert sum(window.length.total_seconds() for window in source.windows) < 4 * 60
    whole = {(moment - START) % metrics.bucket for one in metrics.windows for moment in (one.since, one.until)}
    assert whole == {timedelta(0)}


def test_reading_piece_by_piece_gives_the_whole() -> None:
    source = _log_source()
    outcome = _run([source])
    inside = source._frame[source._frame["time"] < START + timedelta(seconds=60)]
    ours = inside[inside["instance"].isin(CANARY)]
    assert outcome.profiles["logs"] == LogProfile.of(ours, watched=120)


def test_a_source_that_recovers_costs_nothing() -> None:
    source = _log_source(fails=lambda call: SourceUnavailable("no answer") if call in (2, 3, 6) else None)
    judgement = _run([source], [_metric_source()]).judgement
    assert judgement.verdict is Verdict.PASS
    assert judgement.source_errors == ["logs: no answer"] * 3


def test_a_source_that_stays_away_is_inconclusive_never_a_failure() -> None:
    source = _log_source(fails=lambda _: SourceUnavailable("no answer"))
    outcome = _run([source], [_metric_source()], source_error_budget=3)
    assert outcome.judgement.verdict is Verdict.INCONCLUSIVE
    assert outcome.policy_key == "source_error"
    assert outcome.judgement.reasons[0].code == "source_error"
    assert "logs" in outcome.judgement.sentence
    assert "no answer" in outcome.judgement.sentence
    assert source.calls == 3


@pytest.mark.parametrize("error", [SourceUnauthorized("bad key"), SourceQueryRejected("no such field")])
def test_what_cannot_get_better_ends_it_at_once(error: Exception) -> None:
    clock = _Clock()
    outcome = _run([_log_source(fails=lambda _: error)], clock=clock)
    assert outcome.policy_key == "source_error"
    assert clock.now == START + timedelta(seconds=10)  # the first look at which there was anything to read


def test_a_bug_in_a_source_is_a_source_error_too() -> None:
    outcome = _run([_log_source(fails=lambda _: ZeroDivisionError())], source_error_budget=2)
    assert outcome.policy_key == "source_error"
    assert "ZeroDivisionError" in outcome.judgement.sentence


def test_a_broken_source_does_not_hide_a_failure() -> None:
    logs = _log_source(fails=lambda _: SourceUnavailable("no answer"))
    outcome = _run([logs], [_metric_source(slower=2.5)], source_error_budget=50)
    assert outcome.judgement.verdict is Verdict.FAIL


@pytest.mark.parametrize("with_metrics", [False, True])
def test_no_data_at_all(with_metrics: bool) -> None:
    logs = _Logs("logs", shop_logs(random.Random(1), CONTROL, 80))
    metrics = _metric_source()
    metrics._frame = metrics._frame[metrics._frame["instance"].isin(CONTROL)]
    outcome = _run([] if with_metrics else [logs], [metrics] if with_metrics else [])
    assert outcome.judgement.verdict is Verdict.INCONCLUSIVE
    assert outcome.policy_key == "no_data"
    assert outcome.judgement.reasons[0].code == "no_data"


def test_little_traffic_is_inconclusive() -> None:
    outcome = _run(metrics=[_metric_source()], min_requests=10_000)
    assert outcome.policy_key == "inconclusive"
    assert outcome.judgement.reasons[0].code == "few_requests"


def test_waiting_doubles_the_duration_once() -> None:
    clock = _Clock()
    source = _metric_source(seconds=130)
    outcome = _run(metrics=[source], clock=clock, every="20s", min_requests=10_000, on_inconclusive="wait")
    assert outcome.policy_key == "inconclusive"
    assert timedelta(seconds=120) < clock.now - START < timedelta(seconds=130)


def test_waiting_longer_may_help() -> None:
    source = _metric_source(seconds=130)
    outcome = _run(metrics=[source], every="20s", min_requests=700, on_inconclusive="wait")
    assert outcome.judgement.verdict is Verdict.PASS


def test_without_anything_to_compare_with_it_learns_only_when_told() -> None:
    alone = {"canary": INSTANCES, "control": (), "baselines": {}}
    outcome = _run([_log_source()], [_metric_source()], watch=alone)
    assert outcome.judgement.verdict is Verdict.INCONCLUSIVE
    assert outcome.judgement.reasons[0].code == "no_baseline"
    learned = _run([_log_source()], [_metric_source()], watch={**alone, "learn": True})
    assert learned.judgement.verdict is Verdict.PASS
    assert {reason.code for reason in learned.judgement.reasons} == {"learning"}
    assert learned.profiles["logs"].records > 1000


def _later(frame: pd.DataFrame, *parts: pd.DataFrame) -> pd.DataFrame:
    moved = frame.assign(time=frame["time"] - pd.Timedelta(seconds=60))
    return pd.concat([moved[moved["time"] < START], *parts], ignore_index=True)


def test_without_control_it_compares_with_the_time_before() -> None:
    before = Window(START - timedelta(seconds=60), START)
    good, slow = _metric_source(), _metric_source(slower=2.5)
    watch = {"canary": CANARY, "control": (), "before": before}
    for source, verdict in ((good, Verdict.PASS), (slow, Verdict.FAIL)):
        source._frame = _later(good._frame, source._frame)
        outcome = _run(metrics=[source], watch=watch, every="20s")
        assert outcome.judgement.verdict is verdict
        assert source.asked[0] == CANARY
        assert source.windows[0] == before


def test_what_was_logged_before_counts_as_known() -> None:
    source = _log_source(broken=True)
    source._frame = _later(source._frame, source._frame)
    before = Window(START - timedelta(seconds=60), START)
    judgement = _run([source], watch={"before": before, "baselines": {}}).judgement
    assert judgement.verdict is Verdict.PASS
    assert judgement.quality is not None
    assert judgement.quality.baseline == ["before the deployment"]


def test_it_stops_when_told() -> None:
    clock = _Clock()
    outcome = _run([_log_source()], clock=clock, watch={"stop": lambda: clock.now >= START + timedelta(seconds=12)})
    assert outcome.judgement.final
    assert outcome.judgement.verdict is Verdict.INCONCLUSIVE
    assert outcome.judgement.reasons[0].code == "stopped"
    assert clock.now <= START + timedelta(seconds=13)


def test_starting_late_it_judges_at_once() -> None:
    clock = _Clock(START + timedelta(hours=1))
    outcome = _run([_log_source()], [_metric_source()], clock=clock)
    assert outcome.judgement.verdict is Verdict.PASS
    assert outcome.judgement.looks == 1


def test_what_a_source_left_out_is_said() -> None:
    source = _log_source()
    source.truncated = True
    assert any("returned less than there is" in warning for warning in _run([source]).judgement.warnings)


def test_sources_of_one_kind_are_judged_together() -> None:
    other_logs, other_metrics = _log_source(broken=True), _metric_source()
    other_logs.name, other_metrics.name = "more logs", "more metrics"
    metrics = [_metric_source(), other_metrics]
    judgement = _run([_log_source(), other_logs], metrics, minimum="30s", every="30s").judgement
    assert judgement.verdict is Verdict.FAIL
    assert judgement.quality is not None
    assert judgement.performance is not None
    assert set(judgement.quality.queries) == {"logs", "more logs"}
    names = {result.name for result in judgement.performance.metrics}
    assert {"metrics: apdex", "more metrics: apdex"} <= names


def test_records_of_strangers_are_left_out() -> None:
    source = _log_source()
    stranger = source._frame.assign(instance="stranger", message="ERROR nobody knows me")
    source.rows = lambda window, instances: pd.concat([source._frame, stranger])  # type: ignore[method-assign]
    judgement = _run([source], duration="10s").judgement
    assert judgement.quality is not None
    assert not any("nobody" in event.template for event in judgement.quality.events)


def test_evidence_survives_json() -> None:
    judgement = _run([_log_source(broken=True)], [_metric_source()]).judgement
    assert Judgement.from_dict(judgement.as_dict()).as_dict() == judgement.as_dict()


@pytest.mark.parametrize(
    ("configuration", "watch", "part"),
    [
        ({"sensitivity": "wild"}, {}, "sensitivity"),
        ({}, {"canary": ()}, "canary"),
        ({}, {"canary": CANARY, "control": CANARY}, "control"),
        ({}, {"since": START.replace(tzinfo=None)}, "time zone"),
    ],
)
def test_what_cannot_be_watched_is_refused(configuration: dict[str, Any], watch: dict[str, Any], part: str) -> None:
    with pytest.raises(VerificationError, match=part):
        _run([_log_source()], watch=watch, **configuration)


def test_a_missing_baseline_ends_it_at_once_without_another_one_instead() -> None:
    clock = _Clock()
    missing = {"logs": Baseline(unusable="the baseline 9.9 was never deployed here")}
    outcome = _run([_log_source()], [_metric_source()], clock=clock, watch={"baselines": missing})
    assert outcome.judgement.verdict is Verdict.INCONCLUSIVE
    assert outcome.policy_key == "inconclusive"
    assert outcome.judgement.looks == 1
    assert clock.now == START
    assert "the baseline 9.9 was never deployed here" in outcome.judgement.sentence


def test_where_inconclusive_passes_the_metrics_are_still_watched_to_the_end() -> None:
    missing = {"logs": Baseline(unusable="the baseline 9.9 was never deployed here")}
    options: dict[str, Any] = {"watch": {"baselines": missing}, "on_inconclusive": "pass", "every": "20s"}
    good, bad = (_run([_log_source()], [_metric_source(slower=slower)], **options) for slower in (1.0, 2.0))
    assert (good.judgement.verdict, good.policy_key) == (Verdict.INCONCLUSIVE, "inconclusive")
    assert good.judgement.looks > 3
    assert bad.judgement.verdict is Verdict.FAIL


def test_what_was_learned_has_its_names() -> None:
    quality = _run([_log_source()]).judgement.quality
    assert quality is not None
    assert quality.baseline == ["1.0", "1.1"]


def test_feedback_given_meanwhile_counts_from_the_next_look_on() -> None:
    first = _run([_log_source(broken=True)], minimum="60s").judgement
    assert first.quality is not None
    statements = [Statement(event.id, Feedback("not_a_risk", "ada", "known")) for event in first.quality.risks]
    said: list[Statement] = []
    looks: list[Judgement] = []

    def opinions() -> Opinions:
        if len(looks) == 1:
            said.extend(statements)
        return Opinions(said)

    outcome = _run([_log_source(broken=True)], looks=looks, watch={"opinions": opinions})
    assert outcome.judgement.verdict is Verdict.PASS
    assert outcome.judgement.quality is not None
    assert {event.feedback.who for event in outcome.judgement.quality.events if event.feedback} == {"ada"}


def test_what_the_pipeline_expects_is_no_risk() -> None:
    expected = ["KeyError", "ZeroDivisionError", "ExportError", "TypeError"]
    assert _run([_log_source(broken=True)], expected=expected).judgement.verdict is Verdict.PASS
    assert _run([_log_source(broken=True)], expected=expected[1:]).judgement.verdict is Verdict.FAIL


def test_what_the_running_release_logged_is_kept_beside_it() -> None:
    source = _log_source()
    outcome = _run([source])
    inside = source._frame[source._frame["time"] < START + timedelta(seconds=60)]
    theirs = inside[inside["instance"].isin(CONTROL)]
    assert outcome.running["logs"] == LogProfile.of(theirs, watched=60 * len(CONTROL))
