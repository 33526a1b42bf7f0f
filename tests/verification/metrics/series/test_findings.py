"""Data that say nothing, zeros and shares: what may never pass, and what fails by itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.verdict import Verdict
from tests.verification.metrics.series.tables import START, counts, frame, judged, noisy, of

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("name", "ours", "theirs", "verdict"),
    [
        ("delivery_success_rate", 0.9, 0.998, FAIL),
        ("delivery_success_rate", 99.8, 99.81, PASS),
        ("uptime_percent", 96.0, 99.95, FAIL),
        ("cache_hit_ratio", 0.55, 0.93, FAIL),
        ("cache_hit_ratio", 0.93, 0.55, PASS),
        ("declined_ratio", 0.12, 0.01, FAIL),
        ("disk_used_percent", 61.0, 60.0, PASS),
        ("cpu_throttled_percent", 40.0, 1.0, FAIL),
    ],
)
def test_shares_are_judged_by_the_part_that_is_bad(name: str, ours: float, theirs: float, verdict: Verdict) -> None:
    scatter = 0.02 * min(ours, theirs, (1.0 if theirs <= 1 else 100.0) - theirs)
    chance = np.random.default_rng(8)
    canary, control = ([level + scatter * step for step in chance.standard_normal(40)] for level in (ours, theirs))
    result = of(judged(frame({name: canary}), frame({name: control}, instance="b")), name)
    assert result.verdict is verdict


def test_nothing_at_all_against_everything_fails() -> None:
    ours, theirs = frame({"success_ratio": [0.0] * 30}), frame({"success_ratio": [1.0] * 30}, instance="b")
    assert of(judged(ours, theirs), "success_ratio").verdict is FAIL


def test_a_share_is_said_as_a_person_would() -> None:
    ours, theirs = (
        frame({"login_success": noisy(1, 0.95, 0.003)}),
        frame({"login_success": noisy(2, 0.99, 0.001)}, instance="b"),
    )
    ours, theirs = (side.assign(metric="login_success_ratio") for side in (ours, theirs))
    result = of(judged(ours, theirs), "login_success_ratio")
    assert "95 %, 99 % on the control: 5" in result.reason.text
    assert "are missing, 5" in result.reason.text
    # Change and threshold are those of the figures that are shown.
    assert result.effect == pytest.approx(0.95 / 0.99 - 1.0, abs=0.005)
    assert result.threshold is not None
    assert 0.0 < result.threshold < 0.01


def test_a_level_that_was_nothing_has_no_change_in_per_cent() -> None:
    ours, theirs = frame({"index_lag_seconds": noisy(1, 45)}), frame({"index_lag_seconds": [0.0] * 40}, instance="b")
    result = of(judged(ours, theirs), "index_lag_seconds")
    assert (result.verdict, result.effect, result.threshold) == (FAIL, np.inf, None)
    assert "times" not in result.reason.text


@pytest.mark.parametrize(
    ("name", "ours", "theirs", "verdict"),
    [
        ("dead_letter_backlog", 40.0, 0.0, FAIL),
        ("pool_waiting", 9.0, 0.0, FAIL),
        ("pool_waiting", 0.0, 0.0, PASS),
        ("threads_blocked", 1.0, 0.0, PASS),
        ("tx_rollbacks", 50.0, 0.0, FAIL),
        ("clock_skew_offset", -4.0, -4.0, PASS),
        ("clock_skew_offset", 30.0, -4.0, FAIL),
    ],
)
def test_levels_may_be_zero_or_less(name: str, ours: float, theirs: float, verdict: Verdict) -> None:
    canary, control = ([level] * 40 for level in (ours, theirs))
    if name == "clock_skew_offset":
        canary, control = (
            list(np.array(side) + noisy(seed, 0.0) + np.tile([0.1, -0.1], 20))
            for seed, side in ((1, canary), (2, control))
        )
    assert of(judged(frame({name: canary}), frame({name: control}, instance="b")), name).verdict is verdict


def test_a_flag_that_goes_down_is_no_small_change_of_a_level() -> None:
    down, up = frame({"probe_up": [1.0] * 15 + [0.0] * 25}), frame({"probe_up": [1.0] * 40}, instance="b")
    assert of(judged(down, up), "probe_up").verdict is FAIL
    assert of(judged(up.assign(instance="a"), up), "probe_up").verdict is PASS


def test_traffic_that_ends_beside_a_serving_control_fails() -> None:
    served = counts(1, 80)
    ended = [*served[:30], *[0.0] * 10]
    assert of(judged(frame({"calls": ended}), frame({"calls": counts(2, 80)}, instance="b")), "calls").verdict is FAIL
    # Rows that are not there say the same while other metrics go on.
    cut = frame({"calls": [*served[:30], *[None] * 10], "rss_mb": noisy(3, 200)})  # type: ignore[list-item]
    whole = frame({"calls": counts(2, 80), "rss_mb": noisy(4, 200)}, instance="b")
    assert of(judged(cut, whole), "calls").reason.code == "traffic_ended"


def test_a_quiet_service_has_minutes_without_traffic() -> None:
    ours, theirs = [*counts(1, 1.5, 36), 0.0, 0.0, 0.0, 0.0], counts(2, 1.5)
    assert of(judged(frame({"calls": ours}), frame({"calls": theirs}, instance="b")), "calls").verdict is PASS


def test_no_traffic_at_all_never_passes() -> None:
    ours, theirs = frame({"calls": [0.0] * 40}), frame({"calls": counts(2, 80)}, instance="b")
    assert judged(ours, theirs).verdict is INCONCLUSIVE
    assert judged(ours, None, theirs.assign(instance="a")).verdict is INCONCLUSIVE


def test_a_clock_that_is_farther_behind_is_no_improvement() -> None:
    ours, theirs = frame({"clock_skew_offset": noisy(1, -80.0)}), frame({"clock_skew_offset": noisy(2, -4.0)})
    assert of(judged(ours, theirs.assign(instance="b")), "clock_skew_offset").effect == pytest.approx(19.0, rel=0.05)


def test_a_canary_that_falls_silent_never_passes() -> None:
    metrics = {"latency_ms": noisy(1, 90), "cpu_cores": noisy(2, 1.1)}
    whole = frame(metrics, instance="b")
    short = frame({name: values[:8] for name, values in metrics.items()})
    performance = judged(short, whole)
    assert performance.verdict is INCONCLUSIVE
    assert performance.reasons[0].code in ("went_silent", "few_requests")


def test_one_of_several_canaries_that_falls_silent_is_named() -> None:
    import pandas as pd

    ours = pd.concat([frame({"latency_ms": noisy(1, 90)}), frame({"latency_ms": noisy(2, 90)[:20]}, instance="c")])
    result = of(judged(ours, frame({"latency_ms": noisy(3, 90)}, instance="b")), "latency_ms")
    assert (result.verdict, result.reason.numbers.get("instance")) == (INCONCLUSIVE, "c")


def test_a_series_that_stands_still_beside_one_that_moves_measures_nothing() -> None:
    ours, theirs = frame({"latency_ms": [87.125] * 40}), frame({"latency_ms": noisy(1, 87)}, instance="b")
    assert of(judged(ours, theirs), "latency_ms").reason.code == "frozen"
    best, good = frame({"success_ratio": [1.0] * 40}), frame({"success_ratio": noisy(1, 0.999, 1e-4)}, instance="b")
    assert of(judged(best, good), "success_ratio").verdict is PASS
    still = frame({"latency_ms": [87.125] * 40}, instance="b")
    assert of(judged(ours, still), "latency_ms").verdict is PASS


def test_a_few_that_stand_still_are_no_frozen_gauge() -> None:
    few, many = frame({"pool_connections": [3.0] * 40}), frame({"pool_connections": counts(1, 40)}, instance="b")
    assert of(judged(few, many), "pool_connections").verdict is PASS
    still = frame({"pool_connections": [41.0] * 40})
    assert of(judged(still, many), "pool_connections").reason.code == "frozen"


def test_the_same_instances_on_both_sides_are_no_comparison() -> None:
    both = frame({"latency_ms": noisy(1, 87), "errors": counts(2, 3)})
    performance = judged(both, both)
    assert (performance.verdict, performance.reasons[0].code) == (INCONCLUSIVE, "same_instances")
    # Files of two sides may both count their instances from 0.
    other = frame({"latency_ms": noisy(3, 87), "errors": counts(4, 3)})
    assert judged(both, other).verdict is PASS


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        ("render_duration", 0.18, 180.0),
        ("render_duration", 180.0, 0.18),
        ("heap_mb", 5.1e8, 490.0),
        ("heap_used", 490.0, 5.1e8),
    ],
)
def test_another_unit_is_no_news(name: str, ours: float, theirs: float) -> None:
    result = of(judged(frame({name: noisy(1, ours)}), frame({name: noisy(2, theirs)}, instance="b")), name)
    assert (result.verdict, result.reason.code) == (INCONCLUSIVE, "unit_changed")


def test_times_as_slow_as_a_minute_is_to_a_second_are_no_other_unit() -> None:
    calm = frame({"render_p95_seconds": noisy(1, 0.005, 0.02)}, start=START - pd.Timedelta("1D"))
    for values in (noisy(2, 0.24, 0.5), [*noisy(3, 0.3, 0.02, 30), *noisy(4, 0.005, 0.02, 10)]):
        slow = judged(frame({"render_p95_seconds": values}), None, calm)
        assert slow.verdict is FAIL
        assert "unit" not in slow.reasons[0].text


@pytest.mark.parametrize(("crashes", "verdict"), [(0, PASS), (1, PASS), (4, INCONCLUSIVE), (6, FAIL)])
def test_crashes_come_one_by_one(crashes: int, verdict: Verdict) -> None:
    ours = [float(place * crashes // 40) for place in range(1, 41)]
    theirs = [7.0] * 40
    name = "worker_crashes_total"
    assert of(judged(frame({name: ours}), frame({name: theirs}, instance="b")), name).verdict is verdict


@pytest.mark.parametrize(
    ("every", "theirs", "verdict"),
    [(5, 0, FAIL), (8, 0, FAIL), (5, 5, PASS), (40, 0, PASS), (2, 20, FAIL)],
)
def test_a_quantile_beyond_the_last_bucket_again_and_again_fails(every: int, theirs: int, verdict: Verdict) -> None:
    def endless(seed: int, every: int) -> list[float]:
        values = noisy(seed, 0.4)
        return [np.inf if every and place % every == every - 1 else value for place, value in enumerate(values)]

    ours, control = frame({"render_p99_seconds": endless(1, every)}), frame({"render_p99_seconds": endless(2, theirs)})
    result = of(judged(ours, control.assign(instance="b")), "render_p99_seconds")
    assert (result.verdict is FAIL) == (verdict is FAIL)


@pytest.mark.parametrize(
    ("name", "usual", "now", "verdict"),
    [
        ("wsrep_cluster_size", 3.0, [3.0] * 4 + [2.0] * 26, FAIL),
        ("ready_replicas", 4.0, [3.0] * 30, INCONCLUSIVE),
        ("healthy_hosts", 4.0, [3.0] * 3 + [4.0] * 27, PASS),
        ("healthy_hosts", 4.0, [5.0] * 30, PASS),
        ("worker_slots_available", 20.0, [19.0] * 30, PASS),
    ],
)
def test_a_member_that_is_missing_and_stays_away_fails(
    name: str, usual: float, now: list[float], verdict: Verdict
) -> None:
    theirs = frame({name: [usual] * 40}, start=START - pd.Timedelta("1D"))
    assert of(judged(frame({name: now}), None, theirs), name).verdict is verdict


def test_deaths_that_neither_a_control_nor_the_time_before_had_fail() -> None:
    kills = [float(place // 7) for place in range(28)]  # three of them
    ours, theirs = frame({"worker_oom_kills_total": kills}), frame({"worker_oom_kills_total": [0.0] * 28}, instance="b")
    quiet, deadly = (
        frame({"worker_oom_kills_total": totals}, instance="b", start=START - pd.Timedelta("1h"))
        for totals in ([2.0] * 60, [float(place // 7) for place in range(60)])
    )
    verdicts = [of(judged(ours, theirs, before), "worker_oom_kills_total").verdict for before in (quiet, deadly, None)]
    assert verdicts[0] is FAIL
    assert FAIL not in verdicts[1:]
