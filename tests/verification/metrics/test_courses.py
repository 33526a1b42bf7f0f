"""Courses over time that a mean hides: what begins late, a floor that rises, bursts, metrics that are hardly there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.verdict import MetricResult, Verdict
from tests.verification.metrics.series.tables import START, counts, frame, judged, noisy, of

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE
YESTERDAY = START - pd.Timedelta("1D")


def beside(name: str, ours: list[float], theirs: list[float]) -> MetricResult:
    """The result with a control of the same minutes, and traffic on both sides."""
    sides = [
        frame({name: values, "requests": [400.0 + place % 7 for place in range(len(values))]}, instance=instance)
        for instance, values in (("a", ours), ("b", theirs))
    ]
    return of(judged(*sides), name)


def after(name: str, ours: list[float], theirs: list[float]) -> MetricResult:
    """The result against the day before."""
    return of(judged(frame({name: ours}), None, frame({name: theirs}, start=YESTERDAY)), name)


def saw(rows: int, low: float, high: float, period: int, seed: int) -> np.ndarray:
    chance = np.random.default_rng(seed)
    return (low + (high - low) * (np.arange(rows) % period) / period) * np.exp(0.01 * chance.standard_normal(rows))


def test_what_gets_slow_while_one_watches_and_stays_fails() -> None:
    slow = np.array(noisy(1, 80.0, rows=60)) * np.where(np.arange(60) < 38, 1.0, 1.9)
    result = beside("checkout_ms", list(slow), noisy(2, 80.0, rows=60))
    assert result.verdict is FAIL
    assert "in the last" in result.reason.text
    assert "on the control" in result.reason.text


def test_what_was_slow_for_a_while_at_the_end_is_not_taken_for_it() -> None:
    slow = np.array(noisy(3, 80.0, rows=60)) * np.where(np.arange(60) < 54, 1.0, 1.9)
    assert "in the last" not in beside("checkout_ms", list(slow), noisy(4, 80.0, rows=60)).reason.text


def test_a_leak_below_a_saw_tooth_fails() -> None:
    leak = saw(60, 300, 420, 8, 1) + 6.0 * np.arange(60)
    result = after("old_gen_used_mb", list(leak), list(saw(90, 300, 420, 7, 2)))
    assert result.verdict is FAIL


def test_a_leak_below_few_long_teeth_fails() -> None:
    leak = saw(30, 150, 220, 6, 1) + 4.0 * np.arange(30)
    assert after("old_gen_used_mb", list(leak), list(saw(60, 150, 220, 6, 2))).verdict is FAIL
    assert after("old_gen_used_mb", list(saw(30, 150, 220, 6, 1)), list(saw(60, 150, 220, 6, 2))).verdict is PASS


@pytest.mark.parametrize(("last", "verdict"), [(4_000.0, FAIL), (62.0, PASS)])
def test_a_straight_line_from_next_to_nothing_climbs(last: float, verdict: Verdict) -> None:
    handles = np.linspace(60.0, last, 40) + np.array(noisy(1, 0.0)) + np.random.default_rng(2).normal(0, 4, 40)
    usual = list(60.0 + np.random.default_rng(3).normal(0, 4, 60))
    assert after("open_handles", list(np.round(handles)), list(np.round(usual))).verdict is verdict


@pytest.mark.parametrize("climbs", [True, False])
def test_a_queue_of_a_few_that_climbs_to_hundreds_fails(climbs: bool) -> None:
    chance = np.random.default_rng(3)
    waiting = chance.poisson(9, 30) + (np.linspace(10.0, 2400.0, 30) if climbs else 0.0)
    usual = list(np.maximum(chance.poisson(6, 60), 1.0))
    beside = [
        {f"stage_{stage}_ms": noisy(10 * side + stage, 50.0, rows=rows) for stage in range(4)}
        for side, rows in ((1, 30), (2, 60))
    ]
    now = frame({"jobs_waiting": list(waiting), **beside[0]}, step=60.0)
    before = frame({"jobs_waiting": usual, **beside[1]}, start=YESTERDAY, step=60.0)
    assert (of(judged(now, None, before), "jobs_waiting").verdict is FAIL) == climbs


def test_what_climbs_at_first_and_stays_does_not() -> None:
    filled = np.minimum(np.linspace(60.0, 900.0, 40), 75.0) * (1.0 + 0.02 * np.random.default_rng(2).normal(0, 1, 40))
    assert after("cache_connections", list(filled), noisy(3, 74.0, 0.02, 60)).verdict is PASS


def test_a_saw_tooth_of_another_period_does_not() -> None:
    result = after("old_gen_used_mb", list(saw(60, 300, 420, 9, 1)), list(saw(90, 300, 420, 7, 2)))
    assert result.verdict is not FAIL


@pytest.mark.parametrize("more", [False, True])
def test_bursts_of_both_sides_hold_nothing_up(more: bool) -> None:
    def queue(seed: int, rows: int, every: int) -> list[float]:
        calm = np.round(np.array(noisy(seed, 9.0, 0.3, rows)))
        return list(np.where(np.arange(rows) % every == 2, 900.0, calm))

    result = after("mail_queue_size", queue(1, 60, 3 if more else 15), queue(2, 90, 15))
    assert (result.verdict is PASS) is not more


def test_what_is_hardly_there_on_either_side_holds_nothing_up() -> None:
    rare, others = ([3.0 if place in at else float("nan") for place in range(60)] for at in ((3, 17, 44), (4, 29, 41)))
    result = beside("startup_seconds", rare, others)
    assert (result.verdict, result.reason.code) == (INCONCLUSIVE, "few_requests")


def test_what_is_gone_on_the_canary_alone_does() -> None:
    gone = [3.0 if place % 20 == 3 else float("nan") for place in range(60)]
    assert beside("startup_seconds", gone, noisy(1, 3.0, rows=60)).reason.code == "not_numbers"


def test_a_pool_that_is_full_is_no_frozen_gauge() -> None:
    busy = [float(round(value)) for value in noisy(5, 30.0, 0.2)]
    assert beside("pool_threads_busy", [150.0] * 40, busy).verdict is FAIL
    assert beside("pool_free_memory", [31.25] * 40, noisy(6, 30.0)).reason.code == "frozen"


def test_a_backlog_of_a_thousand_times_is_no_change_of_unit() -> None:
    grows = [20.0 + 2500.0 * place for place in range(40)]
    assert after("scheduling_delay_ms", grows, noisy(7, 40.0, 0.4)).reason.code != "unit_changed"
    assert after("scheduling_delay_ms", [1000 * value for value in noisy(8, 40.0)], noisy(9, 40.0)).reason.code == (
        "unit_changed"
    )


def test_a_level_that_only_rises_from_nothing_is_a_counter() -> None:
    sent = [list(start + np.cumsum(noisy(seed, 5e6))) for seed, start in ((1, 0.0), (2, 4e12))]
    result = beside("gateway_traffic_bytes", *sent)
    assert result.verdict is PASS
    assert "read by its increases" in result.assumed


def test_a_success_that_is_no_whole_number_is_a_share() -> None:
    result = beside("success", noisy(1, 0.991, 0.001), noisy(2, 99.1, 0.001))
    assert result.kind == "share"
    assert result.reason.code == "unit_changed"


def test_bytes_of_a_request_have_no_floor_of_a_megabyte() -> None:
    assert beside("bytes_per_response", noisy(1, 9000.0), noisy(2, 2500.0)).verdict is FAIL


@pytest.mark.parametrize("before", [60, 100])
def test_crashes_again_and_again_where_there_was_none_are_a_loop(before: int) -> None:
    every = 10 if before == 60 else 14
    crashes = [1.0 if place % every == 4 else 0.0 for place in range(40)]
    assert after("process_crashes", crashes, [0.0] * before).verdict is FAIL
    assert after("process_crashes", [*crashes[:10], *[0.0] * 30], [0.0] * before).verdict is PASS


@pytest.mark.parametrize(("slow", "verdict"), [(2.0, PASS), (40.0, FAIL)])
def test_durations_in_whole_numbers_are_milliseconds(slow: float, verdict: Verdict) -> None:
    chance = np.random.default_rng(5)
    ours, theirs = (list(np.floor(chance.uniform(0.0, most, 40))) for most in (slow + 1.0, 2.0))
    assert after("broker_avg_latency", ours, theirs).verdict is verdict


@pytest.mark.parametrize(
    ("name", "factor", "verdict"),
    [
        ("disk_read_bytes_total", 0.3, PASS),
        ("heap_allocated_bytes_total", 0.4, PASS),
        ("gc_collections_total", 0.4, PASS),
        ("block_reads_total", 0.3, PASS),
        ("heap_allocated_bytes_total", 3.0, FAIL),
        ("response_bytes_total", 0.3, INCONCLUSIVE),
    ],
)
def test_less_of_what_is_merely_used_is_better(name: str, factor: float, verdict: Verdict) -> None:
    ours, theirs = (list(np.cumsum(noisy(seed, level))) for seed, level in ((1, 9e4 * factor), (2, 9e4)))
    assert beside(name, ours, theirs).verdict is verdict


def test_a_fall_to_two_thirds_is_as_suspicious_as_half_as_much_again() -> None:
    chance = np.random.default_rng(7)
    load = 1.0 + 0.2 * np.sin(np.arange(60) / 4.0)
    fewer, usual = (list(chance.poisson(level * load)) for level in (20.0, 31.0))
    assert after("invoices_sent", fewer, usual).verdict is not PASS


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(("share", "each", "verdict"), [(1.0, 5.0, INCONCLUSIVE), (0.2, 1.0, PASS), (1.0, 0.2, PASS)])
def test_far_more_requests_behind_the_service_for_each_of_its_own_are_asked_about(
    share: float, each: float, verdict: Verdict, paired: bool
) -> None:
    def side(seed: int, on: str, share: float, each: float, start: pd.Timestamp = START) -> pd.DataFrame:
        chance = np.random.default_rng(seed)
        values = {
            "client_requests": chance.poisson(900 * share, 40),
            "backend_req": chance.poisson(90 * share * each, 40),
        }
        return frame({name: list(numbers) for name, numbers in values.items()}, instance=on, start=start)

    ours, theirs = side(1, "a", share, each), side(2, "b", 1.0, 1.0, START if paired else YESTERDAY)
    performance = judged(ours, theirs) if paired else judged(ours, None, theirs.assign(instance="a"))
    assert (of(performance, "backend_req").reason.code == "amplified") == (verdict is INCONCLUSIVE)


@pytest.mark.parametrize("every", [40, 2])
def test_a_rate_that_was_above_nothing_once_holds_nothing_up(every: int) -> None:
    evicted = [3.0 if place % every == every // 2 else 0.0 for place in range(40)]
    assert (after("evicted_keys_per_second", evicted, [0.0] * 60).verdict is PASS) == (every == 40)


@pytest.mark.parametrize(("often", "verdict"), [(0.4, PASS), (1.0, PASS), (3.0, FAIL)])
def test_collections_happen_with_half_of_the_traffic_too(often: float, verdict: Verdict) -> None:
    def side(seed: int, instance: str, share: float, often: float) -> pd.DataFrame:
        chance = np.random.default_rng(seed)
        values = {"requests": chance.poisson(900 * share, 40), "gc_collections": chance.poisson(40 * often, 40)}
        return frame({name: list(numbers) for name, numbers in values.items()}, instance=instance)

    result = of(judged(side(1, "a", 0.5, often), side(2, "b", 1.0, 1.0)), "gc_collections")
    assert result.verdict is verdict


@pytest.mark.parametrize(("sent", "verdict"), [(0.3, PASS), (0.15, FAIL)])
def test_open_connections_say_how_much_a_canary_has_to_do(sent: float, verdict: Verdict) -> None:
    def side(seed: int, instance: str, share: float, messages: float) -> pd.DataFrame:
        chance = np.random.default_rng(seed)
        values = {
            "push_connections": noisy(seed, 3000.0 * share, 0.02),
            "messages_sent": list(chance.poisson(7000.0 * messages, 40)),
            "disconnects": list(chance.poisson(30.0 * share, 40)),
            "push_ms": noisy(seed + 9, 20.0),
        }
        return frame(values, instance=instance)

    assert judged(side(1, "a", 0.3, sent), side(2, "b", 1.0, 1.0)).verdict is verdict


@pytest.mark.parametrize(("part", "verdict"), [(1.0, PASS), (0.64, FAIL)])
def test_fewer_orders_of_as_many_visits_fail_where_nobody_counts_requests(part: float, verdict: Verdict) -> None:
    def side(seed: int, share: float, part: float, instance: str) -> pd.DataFrame:
        orders = counts(seed + 1, 70.0 * share * part)
        return frame({"site_visits": counts(seed, 900.0 * share), "site_orders": orders}, instance=instance)

    found = judged(side(1, 0.5, part, "a"), side(5, 1.0, 1.0, "b"))
    assert of(found, "site_orders").verdict is verdict


@pytest.mark.parametrize(("times", "verdict"), [(2.4, FAIL), (1.5, INCONCLUSIVE), (1.05, PASS)])
def test_a_level_that_went_up_in_steps_and_stayed(times: float, verdict: Verdict) -> None:
    steps = 1.0 + (times - 1.0) * np.clip((np.arange(30) - 4) / 5.0, 0.0, 1.0)
    ours = frame({"resident_memory_mb": list(np.array(noisy(1, 500.0, 0.01, 30)) * steps)}, step=60.0)
    before = frame({"resident_memory_mb": noisy(2, 500.0, 0.01, 90)}, start=YESTERDAY, step=60.0)
    result = of(judged(ours, None, before), "resident_memory_mb")
    assert result.verdict is verdict
    assert ("never above" in result.reason.text) == (verdict is not PASS)


@pytest.mark.parametrize(("level", "verdict"), [(100.0, INCONCLUSIVE), (40.0, PASS)])
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_what_is_far_off_beside_a_control_holds_up_however_vague(seed: int, level: float, verdict: Verdict) -> None:
    def instance(seed: int, level: float, name: str) -> pd.DataFrame:
        chance = np.random.default_rng(seed)
        slow = level * np.exp(0.45 * chance.standard_normal(11))
        calm = {f"{page}_ms": noisy(seed + place, 30.0, rows=11) for place, page in enumerate(("cart", "help"))}
        return frame({"requests": counts(seed, 120.0, 11), "search_ms": list(slow), **calm}, instance=name, step=60.0)

    theirs = pd.concat([instance(50 + seed, 40.0, "b"), instance(90 + seed, 40.0, "c")], ignore_index=True)
    assert judged(instance(seed, level, "a"), theirs).verdict is verdict
