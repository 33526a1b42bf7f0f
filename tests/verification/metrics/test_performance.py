"""How the judge decides on modelled traffic. The model's figures are in :mod:`traffic_model`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.metrics.performance import judge_performance
from airflow_cd.verification.metrics.together import FALSE_ALARMS
from airflow_cd.verification.samples import METRIC_COLUMNS, Metric
from airflow_cd.verification.sensitivity import Sensitivity
from airflow_cd.verification.verdict import Performance, Verdict
from tests.verification.traffic_model import METRICS, START, Model, metric_rows, shared_load, until

_CANARY = ("shop-00", "shop-01")
_CONTROL = tuple(f"shop-{number:02}" for number in range(2, 10))


def _verify(
    seed: int,
    canary: Model,
    control: Model | None = None,
    looks: Sequence[int] = (15, 30, 45, 60),
    sensitivity: Sensitivity = "medium",
) -> tuple[Performance, int]:
    """Look several times, as a watch does, and stop at a FAIL; also the bucket it stopped at."""
    control = control or Model(canary.buckets, canary.bucket, canary.rate, spread=canary.spread)
    rng = np.random.default_rng(seed)
    load = shared_load(rng, canary.buckets)
    ours, theirs = metric_rows(rng, _CANARY, load, canary), metric_rows(rng, _CONTROL, load, control)
    for look in looks:
        seconds = look * canary.bucket
        performance = judge_performance(
            until(ours, seconds), until(theirs, seconds), None, METRICS, sensitivity=sensitivity
        )
        if performance.verdict is Verdict.FAIL:
            break
    return performance, look


@pytest.mark.parametrize(
    ("model", "looks"),
    [
        (Model(60, 1.0), (20, 60)),  # a short demonstration: 1 s buckets, a minute
        (Model(10, 60.0, 1.0), (4, 10)),  # production: 1 min buckets, ten minutes
        (Model(30, 1.0, spread=1.0), (15, 30)),  # heavy tails
    ],
)
def test_no_change_is_no_failure(model: Model, looks: Sequence[int]) -> None:
    # High sensitivity allows several times the false alarms of medium: so many fewer runs show as much as 25.
    runs = math.ceil(25 * FALSE_ALARMS["medium"] / FALSE_ALARMS["high"])
    verdicts = [_verify(seed, model, looks=looks, sensitivity="high")[0].verdict for seed in range(runs)]
    assert verdicts.count(Verdict.FAIL) == 0


@pytest.mark.parametrize(
    ("model", "looks", "at_most"),
    [
        (Model(60, 1.0, slower=1.6), (10, 20, 30, 40, 60), 40),
        (Model(60, 1.0, slower=2.0), (10, 20, 30, 40, 60), 20),
        (Model(6, 5.0, slower=2.0), (1, 2, 3, 4, 5, 6), 6),
        (Model(10, 60.0, 1.0, slower=1.6), (2, 3, 4, 6, 8, 10), 6),
    ],
)
def test_a_slow_release_fails_in_time(model: Model, looks: Sequence[int], at_most: int) -> None:
    for seed in range(4):
        performance, look = _verify(seed, model, looks=looks)
        assert performance.verdict is Verdict.FAIL
        assert look <= at_most
        assert {reason.code for reason in performance.reasons} <= {"metric_regressed", "far_out"}
        assert performance.reasons[0].text.startswith(("response_time", "apdex"))


def test_errors_are_judged_as_counts() -> None:
    performance, _ = _verify(1, Model(60, 1.0, errors=0.1))
    assert performance.verdict is Verdict.FAIL
    assert performance.reasons[0].text.startswith("error_rate")
    failed = [result for result in performance.metrics if result.verdict is Verdict.FAIL and not result.group]
    assert [result.kind for result in failed] == ["errors"]
    assert failed[0].interval is not None
    assert failed[0].interval[0] > 0


def test_apdex_falls() -> None:
    performance, _ = _verify(1, Model(60, 1.0, slower=4.0))
    apdex = next(result for result in performance.metrics if result.name == "apdex" and not result.group)
    assert apdex.verdict is Verdict.FAIL
    assert apdex.effect is not None
    assert apdex.effect < -0.1


def test_one_bad_instance_shows() -> None:
    performance, _ = _verify(3, Model(60, 1.0, slower=(1.0, 1.9)))
    assert performance.verdict is Verdict.FAIL
    latency = performance.metrics[0]
    assert latency.instances["shop-01"] > 1.4 * latency.instances["shop-00"]


def test_a_single_outlier_is_no_regression() -> None:
    rng = np.random.default_rng(2)
    load = shared_load(rng, 60)
    ours, theirs = metric_rows(rng, _CANARY, load, Model()), metric_rows(rng, _CONTROL, load, Model())
    row = ours.index[ours["metric"] == "response_time"][100]
    ours.loc[row, "value"] = 5000.0
    assert judge_performance(ours, theirs, None, METRICS).verdict is not Verdict.FAIL


def test_a_few_requests_that_hang_show_in_the_tail() -> None:
    rng = np.random.default_rng(2)
    load = shared_load(rng, 60)
    ours, theirs = metric_rows(rng, _CANARY, load, Model()), metric_rows(rng, _CONTROL, load, Model())
    latency = ours.index[ours["metric"] == "response_time"]
    ours.loc[rng.choice(latency, len(latency) // 12, replace=False), "value"] *= 100.0
    performance = judge_performance(ours, theirs, None, METRICS[:1])
    assert performance.verdict is Verdict.FAIL
    assert performance.reasons[0].code in ("far_out", "metric_regressed")


def test_another_mix_of_pages_is_no_regression() -> None:
    rng = np.random.default_rng(4)
    load = shared_load(rng, 60)
    ours, theirs = metric_rows(rng, _CANARY, load, Model()), metric_rows(rng, _CONTROL, load, Model())
    # The canary is asked for slow pages far more often.
    rare = ours["group"].isin(["admin", "checkout", "returns"])
    ours = pd.concat([ours[rare], ours[~rare].sample(frac=0.2, random_state=1)])
    latency = judge_performance(ours, theirs, None, METRICS[:1]).metrics[0]
    means = [float(side.loc[side["metric"] == "response_time", "value"].mean()) for side in (ours, theirs)]
    assert means[0] > 1.2 * means[1]
    assert latency.verdict is not Verdict.FAIL
    # What is shown beside the canary is the control's figure for the same mix.
    assert latency.canary["mean"] == pytest.approx(latency.control["mean"], rel=0.2)


def test_pass_says_what_would_have_shown() -> None:
    performance, _ = _verify(0, Model())
    assert performance.verdict is Verdict.PASS
    latency = performance.metrics[0]
    assert latency.interval is not None
    assert latency.interval[0] < 0 < latency.interval[1]
    assert latency.smallest_detectable is not None
    assert 0.2 <= latency.smallest_detectable <= 0.6
    assert len(latency.series["canary"]) == 60
    assert set(latency.instances) == set(_CANARY)
    assert performance.reasons[0].code == "no_regression"


def test_little_traffic_is_inconclusive() -> None:
    performance, _ = _verify(0, Model(10, 1.0, rate=1.0), looks=(10,))
    assert performance.verdict is Verdict.INCONCLUSIVE
    assert {reason.code for reason in performance.reasons} == {"few_requests"}


def _without(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.iloc[:0]


def test_no_data() -> None:
    rng = np.random.default_rng(0)
    rows = metric_rows(rng, _CONTROL, shared_load(rng, 20), Model(20))
    for control in (rows, _without(rows), None):
        performance = judge_performance(_without(rows), control, None, METRICS, learn=True)
        assert performance.verdict is Verdict.INCONCLUSIVE
        assert performance.reasons[0].code == "no_data"


def test_nothing_to_compare_with() -> None:
    rng = np.random.default_rng(0)
    rows = metric_rows(rng, _CANARY, shared_load(rng, 20), Model(20))
    assert judge_performance(rows, None, None, METRICS).reasons[0].code == "no_baseline"
    assert judge_performance(rows, _without(rows), None, METRICS).verdict is Verdict.INCONCLUSIVE
    learned = judge_performance(rows, None, None, METRICS, learn=True)
    assert (learned.verdict, learned.reasons[0].code) == (Verdict.PASS, "learning")


def test_without_control_the_time_before_is_compared_with() -> None:
    same, slow = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        before = metric_rows(rng, _CANARY, shared_load(rng, 60), Model())
        same.append(judge_performance(metric_rows(rng, _CANARY, shared_load(rng, 60), Model()), None, before, METRICS))
        rows = metric_rows(rng, _CANARY, shared_load(rng, 60), Model(slower=2.2))
        slow.append(judge_performance(rows, None, before, METRICS))
    assert all(performance.verdict is Verdict.PASS for performance in same)
    assert all(performance.verdict is Verdict.FAIL for performance in slow)
    assert {result.compared_with for result in slow[0].metrics} == {"before"}


def test_throughput_fails_on_collapse_only() -> None:
    rng = np.random.default_rng(0)
    load = shared_load(rng, 60)
    theirs = metric_rows(rng, _CONTROL, load, Model())
    few = metric_rows(rng, _CANARY, load, Model(rate=1.0))
    throughput = METRICS[3:4]
    assert judge_performance(few, theirs, None, throughput).verdict is Verdict.PASS
    ours = metric_rows(rng, _CANARY, load, Model())
    stopped = ours[ours["time"] < START + pd.Timedelta(seconds=38)]
    performance = judge_performance(stopped, theirs, None, throughput)
    assert performance.verdict is Verdict.FAIL
    assert "collapsed" in performance.reasons[0].text


def _gauge(names: Sequence[str], level: float, direction: str = "higher_is_worse") -> tuple[pd.DataFrame, Metric]:
    rng = np.random.default_rng(len(names))
    rows = [
        (START + pd.Timedelta(minutes=minute), name, "heap", "", level * (1 + rng.normal(0, 0.02)), 0)
        for minute in range(30)
        for name in names
    ]
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS)), Metric("heap", "gauge", direction, "MB")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("level", "direction", "verdict"),
    [
        (200.0, "higher_is_worse", Verdict.FAIL),
        (200.0, "lower_is_worse", Verdict.PASS),
        (50.0, "lower_is_worse", Verdict.FAIL),
        (50.0, "either", Verdict.FAIL),
        (100.0, "either", Verdict.PASS),
    ],
)
def test_gauges_and_directions(level: float, direction: str, verdict: Verdict) -> None:
    theirs, metric = _gauge(_CONTROL, 100.0, direction)
    ours, _ = _gauge(_CANARY, level, direction)
    assert judge_performance(ours, theirs, None, [metric]).verdict is verdict


def test_a_gauge_at_nothing_on_both_sides_passes() -> None:
    theirs, metric = _gauge(_CONTROL, 0.0)
    ours, _ = _gauge(_CANARY, 0.0)
    assert judge_performance(ours, theirs, None, [metric]).verdict is Verdict.PASS


def test_values_that_are_no_numbers_are_left_out() -> None:
    rng = np.random.default_rng(0)
    load = shared_load(rng, 60)
    ours, theirs = metric_rows(rng, _CANARY, load, Model()), metric_rows(rng, _CONTROL, load, Model())
    ours.loc[ours.index[::50], "value"] = np.nan
    theirs.loc[theirs.index[::70], "value"] = np.inf
    performance = judge_performance(ours, theirs, None, METRICS)
    assert performance.verdict is Verdict.PASS


def test_more_sensitive_means_a_narrower_interval() -> None:
    rng = np.random.default_rng(0)
    load = shared_load(rng, 60)
    ours, theirs = metric_rows(rng, _CANARY, load, Model()), metric_rows(rng, _CONTROL, load, Model())
    widths = []
    for sensitivity in ("low", "medium", "high"):
        performance = judge_performance(ours, theirs, None, METRICS, sensitivity=sensitivity)  # type: ignore[arg-type]
        interval = performance.metrics[0].interval
        assert interval is not None
        widths.append(interval[1] - interval[0])
    assert widths == sorted(widths, reverse=True)


def test_an_author_names_the_metrics_that_decide() -> None:
    rng = np.random.default_rng(0)
    load = shared_load(rng, 60)
    ours = metric_rows(rng, _CANARY, load, Model(slower=2.5))
    theirs = metric_rows(rng, _CONTROL, load, Model())
    by_errors = judge_performance(ours, theirs, None, METRICS, decisive=["error_rate"])
    assert by_errors.verdict is Verdict.PASS
    slow = next(result for result in by_errors.metrics if result.name == "response_time")
    assert (slow.verdict, slow.decides) == (Verdict.FAIL, False)
    assert judge_performance(ours, theirs, None, METRICS, decisive=["response_time"]).verdict is Verdict.FAIL
    missing = judge_performance(ours, theirs, None, METRICS, decisive=["error_rate", "orders"])
    assert (missing.verdict, missing.reasons[0].code) == (Verdict.INCONCLUSIVE, "no_data")
    assert missing.reasons[0].text.startswith("orders is to decide")


def test_errors_are_told_as_shares_of_requests() -> None:
    performance, _ = _verify(1, Model(60, 1.0, errors=0.1))
    text = performance.reasons[0].text
    assert "% of requests failed (" in text
    assert "on the control (" in text
    assert "no bound" not in text
