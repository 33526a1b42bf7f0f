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
_SERVER = Metric("server_p95", "latency", unit="s")
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


def _uncounted(values: Sequence[float]) -> pd.DataFrame:
    """A duration a minute in seconds, of nobody knows how many requests."""
    times = [START + pd.Timedelta(minutes=minute) for minute in range(len(values))]
    return pd.DataFrame(
        {"time": times, "instance": "c0", "metric": _SERVER.name, "group": "", "value": values, "count": np.nan}
    )


def _since(now: pd.DataFrame, before: pd.DataFrame) -> MetricResult:
    earlier = before.assign(time=before["time"] - pd.Timedelta(minutes=len(before)))
    return judge_performance(now, None, earlier, [_SERVER], min_requests=None).metrics[0]


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


def test_what_is_measured_nowhere_says_nothing_against_a_release() -> None:
    ours, theirs = (
        pd.concat([_rows(names), _rows(names, HEAP), _rows(names, _SERVER).assign(value=np.nan)])
        for names in (_OURS, _THEIRS)
    )
    performance = judge_performance(ours, theirs, None, [TIME, HEAP, _SERVER])
    assert performance.verdict is Verdict.PASS
    assert "not_measured" in {reason.code for reason in performance.reasons}


def test_five_buckets_of_a_duration_are_enough_where_nobody_counts_requests() -> None:
    before, now = _uncounted([0.2, 0.21, 0.19, 0.2, 0.22] * 4), _uncounted([0.21, 0.2, 0.2, 0.19, 0.2])
    assert _since(now, before).verdict is Verdict.PASS
    slow = _uncounted([2.1, 2.0, 2.2, 1.9, 2.0])
    assert _since(slow, before).verdict is Verdict.FAIL


# The 95th percentile of a few requests over a window of five minutes: one slow request is five values.
_QUIET = [0.0048] * 4 + [0.045] + [0.0048] * 12 + [0.022] + [0.0048] * 2


def test_one_slow_request_of_a_quiet_service_is_no_regression() -> None:
    assert _since(_uncounted([0.0048, 19.0, 19.0, 19.0, 19.0]), _uncounted(_QUIET)).verdict is not Verdict.FAIL
    assert _since(_uncounted([0.0048] * 14 + [7.5]), _uncounted(_QUIET * 3)).verdict is Verdict.PASS


def test_requests_that_hung_before_do_not_hide_a_slow_release() -> None:
    before = [0.2, 0.22, 0.19, 0.21, 0.2, 30.0, 0.2, 0.18, 0.21, 0.2] * 3
    assert (
        _since(_uncounted([1.9, 2.2, 2.0, 2.1, 1.8, 2.0, 2.3, 1.9, 2.0, 2.1]), _uncounted(before)).verdict
        is Verdict.FAIL
    )


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


def test_values_that_jump_about_the_same_level_fail() -> None:
    ours, theirs = _rows(_OURS, noise=0.7, seed=3), _rows(_THEIRS, noise=0.05)
    ours["value"] *= 100.0 / ours["value"].median()
    result = _judged(ours, theirs)
    assert result.verdict is Verdict.FAIL
    assert _judged(theirs, ours).verdict is not Verdict.FAIL  # calmer than the control


def _second_mode(share: float, times: float = 5.0, seed: int = 1) -> pd.DataFrame:
    ours = _rows(("c0",), minutes=40, seed=seed)
    slow = np.random.default_rng(seed).random(len(ours)) < share
    ours.loc[slow, "value"] *= times
    return ours


def test_a_second_mode_of_slow_minutes_fails_in_figures_that_a_person_can_check() -> None:
    result = _judged(_second_mode(0.35), _rows(_THEIRS, minutes=40))
    assert result.verdict is Verdict.FAIL
    assert result.reason.code == "far_out"
    assert "in 14 of 38 moments" in result.reason.text
    assert "in 0 of 160 on the control" in result.reason.text


@pytest.mark.parametrize("name", ["once", "both", "climbs and settles", "wobbles beside a flat control"])
def test_what_happens_once_or_to_all_is_no_scatter(name: str) -> None:
    ours, theirs = _rows(("c0",), minutes=40), _rows(_THEIRS, minutes=40, noise=0.05)
    if name == "once":
        ours.loc[_minute(ours).between(20, 23), "value"] *= 4.0
    elif name == "both":
        ours, theirs = (_with_slow_minutes(side, 0.05) for side in (ours, theirs))
    elif name == "climbs and settles":
        ours["value"] *= 1.0 - 0.6 * np.exp(-_minute(ours) / 4.0)
    else:
        theirs["value"] = 100.0
        ours["value"] = 100.0 * (1.0 + 0.02 * np.sin(_minute(ours)))
    assert _judged(ours, theirs).verdict is Verdict.PASS


def _with_slow_minutes(frame: pd.DataFrame, share: float) -> pd.DataFrame:
    slow = np.random.default_rng(len(frame)).random(len(frame)) < share
    return frame.assign(value=frame["value"].where(~slow, 4.0 * frame["value"]))


@pytest.mark.parametrize("metric", [TIME, HEAP], ids=lambda metric: metric.name)
def test_a_process_that_warms_up_is_no_regression_and_hides_none(metric: Metric) -> None:
    theirs = _rows(_THEIRS, metric)
    warm = _rows(_OURS, metric, seed=1)
    warm["value"] *= 1.0 + 3.0 * np.exp(-_minute(warm) / 1.2)
    assert _judged(warm, theirs, metric).verdict is Verdict.PASS
    for since in (0, 8):  # always slow, and slow once it is warm
        bad = warm.assign(value=warm["value"].where(_minute(warm) < since, 1.8 * warm["value"]))
        assert _judged(bad, theirs, metric).verdict is Verdict.FAIL


def test_slow_in_the_time_that_an_author_gives_for_warming_up_is_no_failure_yet() -> None:
    ours, theirs = _rows(_OURS, level=300.0, minutes=4, noise=0.02), _rows(_THEIRS, minutes=4, noise=0.02)
    verdicts = [
        judge_performance(ours, theirs, None, [TIME], warm_up=seconds).verdict is Verdict.FAIL for seconds in (0, 300)
    ]
    assert verdicts == [True, False]


def test_a_straight_leak_fails_before_its_mean_does_and_one_that_levels_off_passes() -> None:
    before = _rows(("c0",), HEAP, level=600.0, noise=0.01, seed=1)
    before = before.assign(time=before["time"] - pd.Timedelta(hours=1))
    leak = _rows(("c0",), HEAP, level=600.0, noise=0.01, seed=2)
    leak["value"] *= 1.0 + 0.35 * _minute(leak) / 20.0
    result = judge_performance(leak, None, before, [HEAP]).metrics[0]
    assert (result.verdict, result.reason.code) == (Verdict.FAIL, "climbs")
    settled = _rows(("c0",), HEAP, level=600.0, noise=0.01, seed=2)
    settled["value"] *= 0.5 + 0.55 * (1.0 - np.exp(-_minute(settled) / 3.0))
    assert judge_performance(settled, None, before, [HEAP]).verdict is Verdict.PASS


def test_what_climbs_on_both_sides_is_no_leak() -> None:
    sides = [_rows(names, HEAP, level=600.0, noise=0.01) for names in (("c0",), _THEIRS)]
    for side in sides:
        side["value"] *= 1.0 + 0.5 * _minute(side) / 20.0
    assert _judged(*sides, HEAP).verdict is Verdict.PASS


def test_a_canary_with_a_tenth_of_the_traffic_counts_and_uses_less() -> None:
    requests = Metric("requests", "throughput", "lower_is_worse")
    orders = Metric("orders", "count", "lower_is_worse")
    sockets = Metric("open_sockets", "gauge", "either")
    metrics = [requests, orders, sockets]

    def side(names: Sequence[str], load: float, sold: float = 1.0) -> pd.DataFrame:
        levels = ((requests, 3000.0 * load), (orders, 400.0 * load * sold), (sockets, 60.0 + 200.0 * load))
        return pd.concat([_rows(names, metric, level=level, count=1) for metric, level in levels], ignore_index=True)

    theirs = side(_THEIRS, 1.0)
    judged = judge_performance(side(("c0",), 0.1), theirs, None, metrics)
    assert judged.verdict is Verdict.PASS
    fewer = judge_performance(side(("c0",), 0.1, sold=0.5), theirs, None, metrics)
    assert [result.name for result in fewer.metrics if result.verdict is Verdict.FAIL] == ["orders"]
    assert "of a control's load" in fewer.reasons[0].text


def test_one_control_on_a_busy_node_is_left_out_and_named() -> None:
    theirs = _rows(_THEIRS)
    busy = theirs.assign(value=theirs["value"].where(theirs["instance"] != "k2", 3.0 * theirs["value"]))
    result = _judged(_rows(_OURS), busy)
    assert result.verdict is Verdict.PASS
    assert result.effect == pytest.approx(0.0, abs=0.05)
    assert "k2 of the control is left out" in result.reason.text
    # It shows that instances differ by where they stand: so may the canary.
    assert _judged(_rows(("c0",), level=170.0), busy).verdict is not Verdict.FAIL


def test_how_much_instances_differed_before_counts_beside_a_control_too() -> None:
    ours, theirs = _rows(("c0",), level=150.0), _rows(_THEIRS[:2])
    unlike = pd.concat([_rows((f"p{level}",), level=float(level)) for level in (70, 90, 100, 130, 150)])
    unlike = unlike.assign(time=unlike["time"] - pd.Timedelta(hours=1))
    alike = unlike.assign(value=_rows(tuple("pqrst"), seed=4)["value"].to_numpy())
    verdicts = [judge_performance(ours, theirs, before, [TIME]).verdict for before in (alike, unlike)]
    assert verdicts[0] is Verdict.FAIL
    assert verdicts[1] is not Verdict.FAIL


def test_a_millisecond_is_nothing_to_anybody() -> None:
    theirs = _rows(_THEIRS, level=2.0)
    assert _judged(_rows(_OURS, level=3.0), theirs).verdict is Verdict.PASS
    assert _judged(_rows(_OURS, level=9.0), theirs).verdict is Verdict.FAIL


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
    assert verdicts[0] is Verdict.FAIL
    assert verdicts[1] is not Verdict.FAIL


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


def test_an_outage_before_the_deployment_is_noticed_and_hides_nothing() -> None:
    before = _rows(("c0",), ERRORS, level=1.0, noise=0.3, minutes=30)
    before.loc[_minute(before).between(10, 14), "value"] = 150.0
    before = before.assign(time=before["time"] - pd.Timedelta(hours=1))
    verdicts = []
    for level in (1.0, 20.0):
        ours = _rows(("c0",), ERRORS, level=level, noise=0.3, seed=1)
        result = judge_performance(ours, None, before, [ERRORS]).metrics[0]
        assert "5 min of an outage before the deployment are left out" in result.reason.text
        verdicts.append(result.verdict)
    assert verdicts == [Verdict.PASS, Verdict.FAIL]


def test_a_busy_node_beside_what_the_pod_uses_itself_only_informs() -> None:
    pod, node = (Metric(name, "gauge", "higher_is_worse", "%") for name in ("cpu_usage", "node_cpu_usage"))
    theirs = pd.concat([_rows(_THEIRS, pod, level=20.0), _rows(_THEIRS, node, level=20.0)])
    ours = pd.concat([_rows(_OURS, pod, level=20.0), _rows(_OURS, node, level=60.0)])
    performance = judge_performance(ours, theirs, None, [pod, node])
    assert performance.verdict is Verdict.PASS
    assert {result.name: result.decides for result in performance.metrics} == {
        "cpu_usage": True,
        "node_cpu_usage": False,
    }
    # Where nothing says it of the pod, the node's figure is the best there is.
    assert judge_performance(ours, theirs, None, [node]).verdict is Verdict.FAIL


def test_success_that_collapses_fails_in_three_buckets_and_passes_in_none() -> None:
    success = Metric("success_rate", "share", "lower_is_worse", "%")
    theirs = _rows(_THEIRS, success, level=99.0, noise=0.003, minutes=3)
    bad, good = (_rows(_OURS[:1], success, level=level, noise=0.003, minutes=3) for level in (40.0, 99.0))
    assert _judged(bad, theirs, success).verdict is Verdict.FAIL
    assert _judged(good, theirs, success).reason.code == "few_requests"
