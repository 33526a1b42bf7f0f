"""What becomes of data that is not as it should be; the rules are in the docstring of ``performance``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.metrics.performance import judge_performance, learn_performance
from airflow_cd.verification.samples import METRIC_COLUMNS, Direction, Metric
from airflow_cd.verification.verdict import MetricResult, Verdict
from tests.verification.traffic_model import START

TIME = Metric("response_time", "latency", unit="ms")
ERRORS = Metric("error_rate", "errors")
HEAP = Metric("heap", "gauge", "either", "MB")
_OURS, _THEIRS = ("c0", "c1"), ("k0", "k1", "k2", "k3")


def _rows(
    names: Sequence[str],
    metric: Metric = TIME,
    *,
    level: float = 100.0,
    minutes: int = 20,
    noise: float = 0.05,
    count: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    rng = np.random.default_rng([seed, len(names)])
    rows = [
        (
            START + pd.Timedelta(minutes=minute),
            name,
            metric.name,
            "",
            level * float(np.exp(rng.normal(0, noise))),
            count,
        )
        for minute in range(minutes)
        for name in names
    ]
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS))


def _minute(frame: pd.DataFrame) -> pd.Series:
    return (frame["time"] - START) // pd.Timedelta(minutes=1)


def _judged(ours: pd.DataFrame, theirs: pd.DataFrame, metric: Metric = TIME) -> MetricResult:
    return judge_performance(ours, theirs, None, [metric]).metrics[0]


def test_nothing_wrong_passes() -> None:
    assert _judged(_rows(_OURS), _rows(_THEIRS)).verdict is Verdict.PASS


@pytest.mark.parametrize("value", [np.nan, -np.inf, -5.0])
def test_values_that_are_no_measurement_are_left_out(value: float) -> None:
    ours = _rows(_OURS)
    ours.loc[ours.index[::4], "value"] = value
    result = _judged(ours, _rows(_THEIRS))
    assert result.verdict is Verdict.PASS
    assert result.canary["mean"] == pytest.approx(100.0, rel=0.05)


def test_what_never_ended_is_too_long_and_not_absent() -> None:
    ours = _rows(_OURS)
    ours.loc[ours.index[::4], "value"] = np.inf
    result = _judged(ours, _rows(_THEIRS))
    assert result.verdict is Verdict.FAIL
    assert "+Inf" in result.assumed


@pytest.mark.parametrize("side", ["canary", "control"])
def test_mostly_no_measurements_are_nothing_to_judge_by(side: str) -> None:
    ours, theirs = _rows(_OURS, count=3000), _rows(_THEIRS, count=3000)
    broken = ours if side == "canary" else theirs
    broken.loc[broken.index[: int(0.6 * len(broken))], "value"] = np.nan
    result = _judged(ours, theirs)
    assert (result.verdict, result.reason.code) == (Verdict.INCONCLUSIVE, "not_numbers")
    assert result.reason.numbers[side] == pytest.approx(0.6)


def test_a_counter_reset_is_no_measurement() -> None:
    ours, theirs = _rows(_OURS, ERRORS, level=3.0), _rows(_THEIRS, ERRORS, level=3.0)
    ours.loc[ours.index[10], "value"] = -40_000.0
    result = _judged(ours, theirs, ERRORS)
    assert result.verdict is Verdict.PASS
    assert result.canary["errors"] > 0
    worse = _rows(_OURS, ERRORS, level=12.0)
    worse.loc[worse.index[10], "value"] = -40_000.0
    assert _judged(worse, theirs, ERRORS).verdict is Verdict.FAIL


def test_a_gauge_may_be_negative() -> None:
    frames = [_rows(names, HEAP, level=-5.0) for names in (_OURS, _THEIRS)]
    assert _judged(*frames, HEAP).canary["mean"] == pytest.approx(-5.0, rel=0.1)


def test_a_canary_that_starts_late_does_not_pass_but_may_fail() -> None:
    theirs = _rows(_THEIRS)
    for level, minute, verdict in (
        (100.0, 5, Verdict.PASS),
        (100.0, 13, Verdict.INCONCLUSIVE),
        (300.0, 13, Verdict.FAIL),
    ):
        ours = _rows(_OURS, level=level)
        result = _judged(ours[_minute(ours) >= minute], theirs)
        assert result.verdict is verdict
        if verdict is Verdict.INCONCLUSIVE:
            assert result.reason.code == "started_late"


def test_what_the_control_went_through_before_the_canary_came_does_not_matter() -> None:
    ours, theirs = _rows(_OURS), _rows(_THEIRS)
    theirs.loc[_minute(theirs) < 8, "value"] *= 8.0
    assert _judged(ours[_minute(ours) >= 8], theirs).verdict is Verdict.PASS


def test_a_restart_in_the_middle_is_slow_for_reasons_of_its_own() -> None:
    ours, theirs = _rows(_OURS, noise=0.01), _rows(_THEIRS, noise=0.01)
    away = (ours["instance"] == "c0") & _minute(ours).between(5, 7)
    ours.loc[(ours["instance"] == "c0") & (_minute(ours) == 8), "value"] *= 20.0
    result = _judged(ours[~away], theirs)
    assert result.verdict is Verdict.PASS
    assert result.canary["gaps"] == 1
    assert result.effect == pytest.approx(0.0, abs=0.05)
    always = ours.copy()
    always.loc[(ours["instance"] == "c0") & (_minute(ours) >= 8), "value"] = 300.0
    assert _judged(always[~away], theirs).verdict is Verdict.FAIL


def test_errors_of_a_restart_count() -> None:
    ours, theirs = _rows(_OURS, ERRORS, level=1.0), _rows(_THEIRS, ERRORS, level=1.0)
    ours.loc[(ours["instance"] == "c0") & (_minute(ours) == 8), "value"] = 250.0
    away = (ours["instance"] == "c0") & _minute(ours).between(5, 7)
    assert _judged(ours[~away], theirs, ERRORS).canary["errors"] > 250


def test_gaps_of_rare_requests_are_no_restart() -> None:
    rng = np.random.default_rng(1)
    ours = _rows(_OURS, count=1, minutes=200)
    ours = ours[rng.random(len(ours)) < 0.4]
    assert "gaps" not in _judged(ours, _rows(_THEIRS, minutes=200)).canary


def test_scatter_at_the_same_level_fails() -> None:
    ours, theirs = _rows(_OURS, noise=0.35, seed=3), _rows(_THEIRS, noise=0.05)
    ours["value"] *= 100.0 / ours["value"].mean()
    result = _judged(ours, theirs)
    assert (result.verdict, result.reason.code) == (Verdict.FAIL, "variance_regressed")
    times = result.reason.numbers["times"]
    assert isinstance(times, float)
    assert times > 3
    assert _judged(theirs, ours).verdict is not Verdict.FAIL  # calmer than the control
    # Means of three requests scatter as the slowest of the three does.
    few = [frame.assign(count=3) for frame in (ours, theirs)]
    assert _judged(*few).reason.code != "variance_regressed"


@pytest.mark.parametrize(
    ("direction", "change", "verdict"),
    [
        ("lower_is_worse", 0.5, Verdict.FAIL),
        ("lower_is_worse", 2.0, Verdict.PASS),
        ("higher_is_worse", 2.0, Verdict.FAIL),
        ("either", 0.5, Verdict.PASS),
    ],
)
def test_throughput_is_judged_where_a_direction_says_so(direction: Direction, change: float, verdict: Verdict) -> None:
    """What share of the traffic an instance gets is the router's business unless the author says otherwise."""
    metric = Metric("orders", "throughput", direction)
    ours, theirs = _rows(_OURS, metric, level=100.0 * change), _rows(_THEIRS, metric, level=100.0)
    assert _judged(ours, theirs, metric).verdict is verdict


def test_buckets_without_orders_are_none_and_not_unknown() -> None:
    metric = Metric("orders", "throughput", "lower_is_worse")
    ours, theirs = _rows(_OURS, metric, level=20.0, noise=0.2), _rows(_THEIRS, metric, level=20.0, noise=0.2)
    halved = ours[_minute(ours) % 2 == 0]
    assert _judged(ours, theirs, metric).verdict is Verdict.PASS
    result = _judged(halved, theirs, metric)
    assert result.verdict is Verdict.FAIL
    assert result.effect == pytest.approx(-0.5, abs=0.1)


def test_what_earlier_deployments_taught_decides_what_is_normal() -> None:
    rng = np.random.default_rng(5)

    def deployment(differ: float, number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        sides = [_rows(names, seed=number) for names in (_OURS, _THEIRS)]
        for side in sides:
            factors = {name: float(np.exp(rng.normal(0, differ))) for name in side["instance"].unique()}
            side["value"] *= side["instance"].map(factors)
        return sides[0], sides[1]

    verdicts = []
    ours, theirs = _rows(_OURS, level=140.0, seed=99), _rows(_THEIRS, seed=99)
    for differ in (0.02, 0.25):
        lessons = [learn_performance(*deployment(differ, number), [TIME], 60_000) for number in range(12)]
        merged = type(lessons[0]).merge(*lessons)
        taught = {"response_time": merged.taught("response_time")}
        verdicts.append(judge_performance(ours, theirs, None, [TIME], taught=taught).verdict)
    assert verdicts == [Verdict.FAIL, Verdict.INCONCLUSIVE]


def _drifting(differ: float, number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(number)
    before, after = (_rows(_OURS, level=100.0 * float(np.exp(rng.normal(0, differ))), seed=seed) for seed in (1, 2))
    return after, before.assign(time=before["time"] - pd.Timedelta(hours=1))


def test_what_two_times_differ_by_is_learned_too() -> None:
    after, before = _drifting(0.0, 0)
    after["value"] *= 1.6
    verdicts = []
    for differ in (0.02, 0.3):
        lessons = [
            learn_performance(ours, None, [TIME], 60_000, past)
            for ours, past in (_drifting(differ, number) for number in range(20))
        ]
        merged = type(lessons[0]).merge(*lessons)
        taught = {name: merged.taught(name) for name in merged.sums}
        verdicts.append(judge_performance(after, None, before, [TIME], taught=taught).verdict)
    assert verdicts == [Verdict.FAIL, Verdict.INCONCLUSIVE]


def test_without_anything_beside_the_canary_nothing_is_learned() -> None:
    assert learn_performance(_rows(_OURS), None, [TIME], 60_000).deployments == 0
    assert learn_performance(_rows(_OURS).iloc[:0], _rows(_THEIRS), [TIME], 60_000).deployments == 0


def test_a_gauge_far_beyond_what_is_usual_fails_against_the_time_before() -> None:
    before = _rows(("c0",), HEAP, level=8.0, noise=0.5, seed=1)
    before = before.assign(time=before["time"] - pd.Timedelta(hours=1))
    for level, verdict in ((400.0, Verdict.FAIL), (8.0, Verdict.FAIL)):
        after = _rows(("c0",), HEAP, level=level, noise=0.4, minutes=6, seed=2)
        failed = judge_performance(after, None, before, [HEAP]).verdict is verdict
        assert failed is (level > 100)
