"""What a watch makes of numbers of the release as a whole, beside metrics that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from airflow_cd.sources.frames import partly_counted_metric_frame
from airflow_cd.verification.metrics.thresholds import Threshold
from airflow_cd.verification.samples import Metric, MetricSample, Window
from airflow_cd.verification.verdict import Verdict

from .test_watch import CANARY, START, _metric_source, _run

FAILED = Metric("failed checks", "count")


@dataclass
class Results:
    """A source of one number, from some second on; it remembers whom it was asked for."""

    values: Mapping[int, float]
    limits: Sequence[Threshold] = (Threshold("failed checks", above=0),)
    name: str = "smoke tests"
    delay: timedelta = timedelta(0)
    bucket: timedelta = timedelta(seconds=1)
    of_release: bool = True
    asked: list[tuple[Window, tuple[str, ...]]] = field(default_factory=list)

    def read(self, window: Window, instances: Sequence[str]) -> MetricSample:
        self.asked.append((window, tuple(instances)))
        rows = [
            (START + timedelta(seconds=second), name, FAILED.name, "", value, float("nan"))
            for second, value in self.values.items()
            for name in instances
            if window.since <= START + timedelta(seconds=second) < window.until
        ]
        return MetricSample(partly_counted_metric_frame(rows), (FAILED,), "smoke", self.bucket)


def test_one_beyond_its_limit_fails_as_soon_as_it_comes() -> None:
    outcome = _run(metrics=[_metric_source(), Results({12: 2.0})])
    assert outcome.judgement.verdict is Verdict.FAIL
    assert outcome.judgement.reasons[0].text == "failed checks: 2, above the limit of 0."
    assert outcome.judgement.looks <= 4


@pytest.mark.parametrize("beside", [True, False])
def test_one_within_its_limits_passes_alone_and_beside_others(beside: bool) -> None:
    outcome = _run(metrics=[*([_metric_source()] if beside else []), Results({12: 0.0})], every="20s")
    assert outcome.judgement.verdict is Verdict.PASS
    performance = outcome.judgement.performance
    assert performance is not None
    assert performance.metrics[-1].reason.text == "failed checks: 0, within its limits."
    assert set(outcome.metric_profiles) == ({"metrics"} if beside else set())


def test_one_that_never_comes_holds_the_release_up() -> None:
    outcome = _run(metrics=[_metric_source(), Results({})], every="20s")
    assert outcome.judgement.verdict is Verdict.INCONCLUSIVE
    assert "failed checks: there is no result." in outcome.judgement.reasons[0].text


def test_the_newest_of_several_counts() -> None:
    assert _run(metrics=[Results({12: 0.0, 40: 1.0})]).judgement.verdict is Verdict.FAIL


def test_a_regression_fails_beside_good_results() -> None:
    outcome = _run(metrics=[_metric_source(slower=3.0), Results({12: 0.0})])
    assert outcome.judgement.verdict is Verdict.FAIL
    assert "response_time" in outcome.judgement.reasons[0].text


def test_an_authors_threshold_counts_and_is_of_no_other_metric() -> None:
    loose = Results({12: 4.0}, limits=())
    limits = [Threshold("failed checks", above=5), Threshold("response_time", above=10_000.0)]
    tight = [Threshold("failed checks", above=3)]
    for thresholds, verdict in ((limits, Verdict.PASS), (tight, Verdict.FAIL)):
        outcome = _run(metrics=[_metric_source(), loose], thresholds=thresholds, every="20s")
        assert outcome.judgement.verdict is verdict


def test_it_is_asked_for_the_canary_and_for_nothing_before() -> None:
    source = Results({12: 0.0})
    before = Window(START - timedelta(minutes=10), START)
    _run(metrics=[source], watch={"before": before})
    assert {names for _, names in source.asked} == {tuple(CANARY)}
    assert all(window.since >= START for window, _ in source.asked)
