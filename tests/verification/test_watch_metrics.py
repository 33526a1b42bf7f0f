"""What a watch makes of metrics beside judging them: thresholds, and what earlier deployments taught."""

from __future__ import annotations

from typing import Any

from airflow_cd.verification.metrics.profile import MetricProfile
from airflow_cd.verification.metrics.thresholds import Threshold
from airflow_cd.verification.verdict import Verdict

from .shop_logs import CANARY
from .test_watch import _metric_source, _run


def _normal(outcome_of_good: MetricProfile, host_squares: float) -> MetricProfile:
    """The same, with instances that differ by that much."""
    sums = {
        name: (*values[:3], round(host_squares * values[4]), values[4]) for name, values in outcome_of_good.sums.items()
    }
    return MetricProfile(sums, outcome_of_good.deployments, outcome_of_good.bucket_ms)


def test_a_good_deployment_teaches_and_what_it_taught_is_used() -> None:
    good = _run(metrics=[_metric_source()], every="20s")
    profile = good.metric_profiles["metrics"]
    assert good.judgement.verdict is Verdict.PASS
    assert (profile.deployments, profile.bucket_ms) == (1, 2_000)
    assert {"response_time", "error_rate"} <= set(profile.sums)
    slow: dict[str, Any] = {"metrics": [_metric_source(slower=1.6)], "every": "20s"}
    calm, wild = (_normal(profile, variance) for variance in (0.01**2, 0.4**2))
    for lesson, verdict in ((calm, Verdict.FAIL), (wild, Verdict.INCONCLUSIVE)):
        outcome = _run(**slow, thresholds=[], watch={"metric_baselines": {"metrics": [lesson] * 20}})
        named = [result for result in outcome.judgement.performance.metrics if result.name == "response_time"]  # type: ignore[union-attr]
        assert next(result for result in named if not result.group).verdict is verdict
    other_width = MetricProfile(wild.sums, wild.deployments, 60_000)
    outcome = _run(**slow, watch={"metric_baselines": {"metrics": [other_width] * 20}})
    assert outcome.judgement.verdict is Verdict.FAIL


def test_a_threshold_fails_at_the_first_look_that_may() -> None:
    outcome = _run(metrics=[_metric_source()], thresholds=[Threshold("response_time", above=1.0, in_a_row=3)])
    assert outcome.judgement.verdict is Verdict.FAIL
    assert outcome.judgement.reasons[0].code == "threshold_crossed"
    assert outcome.judgement.looks < 8


def test_of_two_sources_each_teaches_under_its_own_name() -> None:
    first, second = _metric_source(), _metric_source()
    second.name = "other"
    outcome = _run(metrics=[first, second], every="30s")
    assert outcome.judgement.verdict is Verdict.PASS
    assert set(outcome.metric_profiles) == {"metrics", "other"}
    assert outcome.metric_profiles["metrics"] == outcome.metric_profiles["other"]


def test_without_a_control_nothing_is_learned() -> None:
    outcome = _run(metrics=[_metric_source()], watch={"control": (), "learn": True})
    assert outcome.metric_profiles["metrics"].deployments == 0


def test_a_label_that_tells_the_sides_apart_leaves_nothing_to_compare() -> None:
    source = _metric_source()
    source._frame["group"] = ["v2" if name in CANARY else "v1" for name in source._frame["instance"]]
    outcome = _run(metrics=[source], every="20s")
    assert outcome.judgement.verdict is Verdict.INCONCLUSIVE
    assert "not_comparable" in {reason.code for reason in outcome.judgement.reasons}
