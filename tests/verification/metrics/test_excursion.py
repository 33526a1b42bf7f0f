"""What happens for some minutes and ends by itself: no mean shows it, and no warm-up is like it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.metrics.excursion_rules import EXCURSION
from airflow_cd.verification.verdict import MetricResult, Performance, Verdict
from tests.verification.metrics.series.tables import START, counts, frame, judged, noisy, of

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE
YESTERDAY = START - pd.Timedelta("1D")
Series = list[float]


def sides(
    name: str, ours: Series, theirs: Series, *, with_past: Series | None = None, old: bool = False
) -> Performance:
    """The verdict beside a control of the same minutes, or against the day before, with traffic as steady on both."""

    def one(values: Series, instance: str = "a", start: pd.Timestamp = START) -> pd.DataFrame:
        traffic = counts(ord(instance) + start.day, 300.0, len(values))
        return frame({name: values, "requests": traffic}, instance=instance, step=60.0, start=start)

    past = one(with_past, start=YESTERDAY) if with_past is not None else None
    if old:
        return judged(one(ours), None, one(theirs, start=YESTERDAY))
    return judged(one(ours), one(theirs, "b"), past)


def with_minutes(values: Series, begin: int, end: int, change: Callable[[float], float]) -> Series:
    return [change(value) if begin <= place < end else value for place, value in enumerate(values)]


def times(factor: float) -> Callable[[float], float]:
    return lambda value: factor * value


LEVELS: dict[str, tuple[Callable[[int], Series], Callable[[float], float]]] = {
    "render_p90_ms": (lambda seed: noisy(seed, 75.0, 0.1), times(30.0)),
    "rss_bytes": (lambda seed: noisy(seed, 5e8, 0.03), times(30.0)),
    "outbox_depth": (lambda seed: counts(seed, 14.0), times(30.0)),
    "cpu_utilization_percent": (lambda seed: noisy(seed, 3.0, 0.1), times(30.0)),
    "availability_percent": (lambda seed: [100.0 - value for value in noisy(seed, 0.2, 0.2)], lambda _: 91.0),
    "failed_logins": (lambda seed: counts(seed, 3.0), times(30.0)),
    "bookings": (lambda seed: counts(seed, 90.0), times(1 / 30.0)),
    "apdex": (lambda seed: noisy(seed, 0.93, 0.01), lambda _: 0.2),
    "ready_replicas": (lambda _: [12.0] * 40, lambda _: 0.0),
    "egress_bytes": (lambda seed: noisy(seed, 2e6, 0.1), times(30.0)),
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(("begin", "end"), [(12, 20), (25, 28)])
@pytest.mark.parametrize("name", LEVELS)
def test_minutes_like_none_before_never_pass(name: str, begin: int, end: int, old: bool) -> None:
    usual, change = LEVELS[name]
    bad = with_minutes(usual(1), begin, end, change)
    assert sides(name, bad, usual(2), old=old).verdict is not PASS
    assert sides(name, usual(1), usual(2), old=old).verdict is PASS


def test_a_slow_spell_is_told_as_a_person_would() -> None:
    slow = with_minutes(noisy(1, 75.0, 0.02), 12, 20, times(30.0))
    result = of(sides("render_p90_ms", slow, noisy(2, 75.0, 0.02)), "render_p90_ms")
    assert (result.verdict, result.reason.code) == (FAIL, EXCURSION)
    assert "for 8 min, over since; at most 7" in result.reason.text
    assert result.reason.numbers["moments"] == 8


@pytest.mark.parametrize(("begin", "end", "factor"), [(0, 2, 12.0), (30, 31, 12.0), (18, 22, 4.0)])
def test_a_start_a_single_moment_and_a_hiccup_hold_nothing_up(begin: int, end: int, factor: float) -> None:
    slow = with_minutes(noisy(1, 75.0, 0.1), begin, end, times(factor))
    assert sides("render_p90_ms", slow, noisy(2, 75.0, 0.1)).verdict is PASS


@pytest.mark.parametrize("where", ["control", "past"])
def test_spells_that_the_control_or_the_past_has_too_are_none_of_the_release(where: str) -> None:
    spell = [with_minutes(noisy(seed, 75.0, 0.1), 10 + seed, 13 + seed, times(12.0)) for seed in (1, 2, 3)]
    calm = noisy(4, 75.0, 0.1)
    theirs, past = (spell[1], None) if where == "control" else (calm, spell[2])
    codes = [reason.code for reason in sides("render_p90_ms", spell[0], theirs, with_past=past).reasons]
    assert EXCURSION not in codes
    assert EXCURSION in [reason.code for reason in sides("render_p90_ms", spell[0], calm).reasons]


def test_a_percentile_that_does_not_move_is_one_slow_request() -> None:
    quiet = noisy(1, 0.02, 0.1, 20)

    def result(values: Series) -> MetricResult:
        rows = [frame({"p95_seconds": some}, step=60.0, start=at) for some, at in ((values, START), (quiet, YESTERDAY))]
        return of(judged(rows[0], None, rows[1]), "p95_seconds")

    stuck, moving = ([0.02, 0.021, *some, 0.02, 0.022, 0.02] for some in ([9.0] * 4, [9.0, 7.5, 8.1, 9.6]))
    assert result(stuck).verdict is not FAIL
    assert result(moving).verdict is FAIL


@pytest.mark.parametrize("busy", [False, True])
def test_two_slow_minutes_fail_while_the_process_is_busier_than_ever(busy: bool) -> None:
    def rows(seed: int, instance: str, bad: bool) -> pd.DataFrame:
        slow, cpu = noisy(seed, 75.0, 0.1), noisy(seed + 9, 0.2, 0.1)
        if bad:
            slow = with_minutes(slow, 20, 22, times(16.0))
            cpu = with_minutes(cpu, 20, 22, times(16.0)) if busy else cpu
        return frame({"render_p90_ms": slow, "cpu_cores_used": cpu}, instance=instance, step=60.0)

    performance = judged(rows(1, "a", True), rows(2, "b", False))
    assert performance.verdict is (FAIL if busy else INCONCLUSIVE)
    assert ("while cpu_cores_used was higher than ever" in performance.reasons[0].text) is busy


def test_two_minutes_of_failures_fail() -> None:
    def rows(failed: Series, instance: str, seed: int) -> pd.DataFrame:
        return frame({"requests": counts(seed, 700.0), "errors": failed}, instance=instance, step=60.0)

    burst = with_minutes(counts(1, 1.0), 21, 23, lambda _: 120.0)
    assert judged(rows(burst, "a", 3), rows(counts(2, 1.0), "b", 4)).verdict is FAIL


def test_one_of_several_canaries_shows() -> None:
    names = ("a1", "a2", "a3")
    usual = {name: noisy(seed, 75.0, 0.1) for seed, name in enumerate(names)}
    usual["a2"] = with_minutes(usual["a2"], 15, 21, times(10.0))
    canary = pd.concat([frame({"render_p90_ms": usual[name]}, instance=name, step=60.0) for name in names])
    control = pd.concat(
        [frame({"render_p90_ms": noisy(seed, 75.0, 0.1)}, instance=f"c{seed}", step=60.0) for seed in (7, 8)]
    )
    assert judged(canary, control).verdict is FAIL


def test_instances_at_other_levels_do_not_hide_and_do_not_make_one() -> None:
    control = pd.concat(
        [
            frame({"render_p90_ms": noisy(seed, level, 0.1)}, instance=f"c{seed}", step=60.0)
            for seed, level in ((7, 40.0), (8, 240.0))
        ]
    )
    level = frame({"render_p90_ms": noisy(1, 150.0, 0.1)}, step=60.0)
    assert of(judged(level, control), "render_p90_ms").reason.code != EXCURSION


def test_a_canary_that_gets_more_traffic_uses_more() -> None:
    def rows(instance: str, share: float, seed: int) -> pd.DataFrame:
        traffic = [share * value for value in noisy(seed, 900.0)]
        return frame(
            {"requests": traffic, "open_connections": [value / 9 for value in traffic]}, instance=instance, step=60.0
        )

    assert judged(rows("a", 4.0, 1), rows("b", 1.0, 2)).verdict is PASS


def test_healthy_hosts_that_are_gone_fail() -> None:
    hosts = {"HealthyHostCount": [6.0] * 4 + [2.0] * 26}
    performance = judged(
        frame(hosts, step=60.0), None, frame({"HealthyHostCount": [6.0] * 30}, step=60.0, start=YESTERDAY)
    )
    assert performance.verdict is FAIL


@pytest.mark.parametrize(("factor", "verdict"), [(0.4, PASS), (1.0, INCONCLUSIVE), (1.6, INCONCLUSIVE)])
def test_what_is_vague_but_better_holds_nothing_up(factor: float, verdict: Verdict) -> None:
    def vague(seed: int, level: float) -> Series:
        return list(level * np.exp(0.6 * np.random.default_rng(seed).standard_normal(10)))

    rows = [
        frame({"search_p99_ms": vague(seed, level)}, instance=name)
        for seed, level, name in ((1, 300 * factor, "a"), (1, 300.0, "b"))
    ]
    rows[1] = frame({"search_p99_ms": vague(2, 300.0)}, instance="b")
    assert judged(*rows).verdict is verdict


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(("name", "usual"), [("signups", 2.5), ("refunds_paid", 14.0)])
def test_minutes_without_any_of_few_events_never_pass(name: str, usual: float, old: bool) -> None:
    ours, theirs = counts(1, usual, 30), counts(2, usual, 30)
    gone = with_minutes(ours, 14, 23, lambda _: 0.0)
    result = of(sides(name, gone, theirs, old=old), name)
    assert (result.verdict, result.reason.code) == (INCONCLUSIVE, EXCURSION)
    assert "0 for 9 min, over since" in result.reason.text
    assert of(sides(name, ours, theirs, old=old), name).verdict is PASS


def test_events_that_come_in_bursts_have_no_drought() -> None:
    def bursts(seed: int) -> Series:
        return [40.0 * (place % 10 < 2) + value for place, value in enumerate(counts(seed, 0.2, 40), start=seed)]

    assert of(sides("signups", bursts(1), bursts(2)), "signups").verdict is PASS


def test_a_slow_spell_of_a_noisy_metric_is_one() -> None:
    def noise(seed: int) -> Series:
        return list(60.0 * np.exp(0.9 * np.random.default_rng(seed).standard_normal(40)))

    slow = with_minutes(noise(4), 13, 24, times(40.0))
    assert sides("export_ms", slow, noise(5), old=True).verdict is not PASS


def test_single_slow_minutes_of_the_past_do_not_excuse_slow_ones_in_a_row() -> None:
    def spiky(seed: int) -> Series:
        return [value * (9.0 if place % 13 == 5 else 1.0) for place, value in enumerate(noisy(seed, 60.0, 0.05))]

    slow = with_minutes(spiky(1), 20, 26, times(10.0))
    assert sides("export_ms", slow, spiky(2)).verdict is not PASS
    assert sides("export_ms", spiky(1), spiky(2)).verdict is PASS


def test_a_ratio_of_two_rates_is_a_part_of_one_though_it_is_a_little_more_at_times() -> None:
    def ratio(seed: int) -> Series:
        return [1.0 - value for value in noisy(seed, 0.004, 1.5)]

    assert max(ratio(1)) > 1.0
    result = of(
        sides("delivery_success_ratio", with_minutes(ratio(1), 14, 22, lambda _: 0.6), ratio(2)),
        "delivery_success_ratio",
    )
    assert result.verdict is FAIL


@pytest.mark.parametrize(
    ("name", "since", "still_asked", "verdict"),
    [
        ("audit_rows_written", 24, True, Verdict.FAIL),
        ("audit_rows_written", 34, True, Verdict.INCONCLUSIVE),  # six moments
        ("audit_rows_written", 24, False, Verdict.INCONCLUSIVE),
        ("connections_opened", 24, True, Verdict.INCONCLUSIVE),  # they may be kept
    ],
)
def test_what_ends_for_good_while_requests_go_on(name: str, since: int, still_asked: bool, verdict: Verdict) -> None:
    part = np.where(np.arange(40) < since, 1.0, 0.0)
    asked = 1.0 if still_asked else np.where(part > 0, 1.0, 0.5)
    ours = {"requests": list(np.array(counts(1, 500.0)) * asked), name: list(np.array(counts(2, 200.0)) * part)}
    theirs = frame({"requests": counts(3, 500.0), name: counts(4, 200.0)}, instance="b")
    assert of(judged(frame(ours), theirs), name).verdict is verdict
