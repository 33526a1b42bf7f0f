"""What becomes of counters, shares, rates and rows that are not there before anything is judged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.metrics.series.reading import Series
from airflow_cd.verification.verdict import Verdict
from tests.verification.metrics.series.tables import counts, frame, judged, noisy, of, read


def _values(series: Series, name: str, side: str = "canary") -> list[float]:
    rows = series.frames[side]
    return list(rows.loc[rows["metric"] == name, "value"])


def _growing(seed: int, mean: float, start: float) -> list[float]:
    return list(start + np.cumsum(counts(seed, mean)))


def test_a_counter_is_read_by_its_increases_and_begins_again_with_a_new_process() -> None:
    old = {"jobs_done_total": [5000.0, 5010.0, 5022.0, 5030.0]}
    new = {"jobs_done_total": [70.0, 79.0, 4.0, 15.0]}
    series = read(frame(new), frame(old, instance="b"))
    assert _values(series, "jobs_done_total") == [9.0, 4.0, 11.0]
    assert _values(series, "jobs_done_total", "control") == [10.0, 12.0, 8.0]
    assert "only grows" in series.metrics[0].assumed


def test_a_counter_needs_no_ending_to_be_known() -> None:
    old, new = {"requests": _growing(1, 50, 90_000)}, {"requests": _growing(2, 50, 0)}
    assert np.mean(_values(read(frame(new), frame(old, instance="b")), "requests")) == pytest.approx(50, rel=0.1)


def test_an_increase_over_a_measurement_that_is_missing_counts_for_both() -> None:
    new = {"mails_sent_total": [0.0, 10.0, 20.0, None, 40.0, 50.0]}
    old = {"mails_sent_total": [100.0, 110.0, 120.0, 130.0, 140.0, 150.0]}
    assert _values(read(frame(new), frame(old, instance="b")), "mails_sent_total") == [10.0] * 4


def test_seconds_of_a_cpu_become_cores() -> None:
    new, old = {"app_cpu_seconds_total": [0.0, 15.0, 30.0]}, {"app_cpu_seconds_total": [900.0, 915.0, 930.0]}
    series = read(frame(new), frame(old, instance="b"))
    assert _values(series, "app_cpu_seconds_total") == [0.5, 0.5]
    assert series.metrics[0].unit == "cores"


@pytest.mark.parametrize("name", ["requests_total", "requests", "memory_bytes"])
def test_what_goes_up_and_down_is_no_counter(name: str) -> None:
    values = counts(3, 200)
    assert _values(read(frame({name: values}), frame({name: counts(4, 200)}, instance="b")), name) == values


def test_a_leak_is_no_counter() -> None:
    values = [float(1000 + 20 * place) for place in range(30)]
    assert _values(read(frame({"heap_mb": values}), frame({"heap_mb": values}, instance="b")), "heap_mb") == values


def test_rates_are_numbers_of_a_bucket() -> None:
    series = read(frame({"orders_per_minute": [60.0] * 5}), frame({"orders_per_minute": [40.0] * 5}, instance="b"))
    assert _values(series, "orders_per_minute") == [30.0] * 5


def test_what_is_written_only_where_it_happens_is_zero_elsewhere() -> None:
    requests = counts(5, 900)
    rare: list[float | None] = [None] * 40
    ours, theirs = list(rare), list(rare)
    ours[12], theirs[3], theirs[30] = 2.0, 1.0, 1.0
    series = read(
        frame({"RequestCount": requests, "FaultCount": ours}),  # type: ignore[dict-item]
        frame({"RequestCount": requests, "FaultCount": theirs}, instance="b"),  # type: ignore[dict-item]
    )
    assert sum(_values(series, "FaultCount")) == 2.0
    assert len(_values(series, "FaultCount")) == len(_values(series, "FaultCount", "control")) == 40


def test_a_metric_that_writes_zeros_and_is_gone_is_not_zero() -> None:
    requests = counts(5, 900)
    ours = frame({"requests": requests})
    theirs = frame({"requests": requests, "failures": [0.0, 1.0] * 20}, instance="b")
    assert _values(read(ours, theirs), "failures") == []
    assert of(judged(ours, theirs), "failures").verdict is Verdict.INCONCLUSIVE


def test_a_share_is_a_share_in_either_unit_on_both_sides() -> None:
    series = read(frame({"error_pct": [0.9, 1.2]}), frame({"error_pct": [0.8, 0.7]}, instance="b"))
    assert _values(series, "error_pct", "control") == pytest.approx([0.008, 0.007])
    series = read(frame({"hit_ratio": [0.9, 0.8]}), frame({"hit_ratio": [0.7, 0.9]}, instance="b"))
    assert _values(series, "hit_ratio") == pytest.approx([0.9, 0.8])


def test_per_cent_that_are_never_above_one_are_per_cent() -> None:
    def side(failed: list[int], instance: str) -> pd.DataFrame:
        asked = counts(3, 230.0)
        rates = [round(100.0 * bad / all_of_them, 4) for bad, all_of_them in zip(failed, asked, strict=True)]
        return frame({"requests": asked, "error_rate": rates}, instance=instance)

    seldom = [1 if place % 9 == 4 else 0 for place in range(40)]
    result = of(judged(side(seldom[::-1], "a"), side(seldom, "b")), "error_rate")
    assert result.canary["mean"] < 0.001
    assert "in per cent" in result.assumed
    parts = frame({"requests": [200.0] * 40, "error_rate": [0.005 * place for place in seldom]})
    assert "a part of" in of(judged(parts, parts.assign(instance="b")), "error_rate").assumed


def test_shares_of_failures_are_numbers_where_requests_are_known() -> None:
    ours = frame({"api_requests": [200.0, 100.0], "api_error_rate": [0.01, 0.05]})
    theirs = frame({"api_requests": [200.0, 100.0], "api_error_rate": [0.0, 0.0]}, instance="b")
    series = read(ours, theirs)
    assert _values(series, "api_error_rate") == pytest.approx([2.0, 5.0])
    assert [metric.kind for metric in series.metrics] == ["throughput", "errors"]


@pytest.mark.parametrize(("there", "verdict"), [([0, 1, 0, 0, 1, 0, 0, 0], "INCONCLUSIVE"), ([1, 1, 1, 0], "PASS")])
def test_mostly_missing_never_passes(there: list[int], verdict: str) -> None:
    ours, theirs = noisy(1, 90), noisy(2, 90)
    holes = [value if there[place % len(there)] else np.nan for place, value in enumerate(ours)]
    result = of(judged(frame({"search_ms": holes}), frame({"search_ms": theirs}, instance="b")), "search_ms")
    assert str(result.verdict) == verdict


def test_what_both_sides_measure_less_often_misses_nothing() -> None:
    def every_third(seed: int) -> list[float]:
        return [value if place % 3 == 0 else np.nan for place, value in enumerate(noisy(seed, 700, rows=60))]

    ours, theirs = frame({"rss_mb": every_third(1)}), frame({"rss_mb": every_third(2)}, instance="b")
    assert of(judged(ours, theirs), "rss_mb").verdict is Verdict.PASS


def test_a_ratio_without_a_request_is_not_missing() -> None:
    def idle(seed: int) -> dict[str, list[float]]:
        requests = [30.0, 0.0, 0.0] * 20
        ratio = [0.02 if number else np.nan for number in requests]
        return {
            "requests": requests,
            "latency_ms": [80.0 + seed if number else np.nan for number in requests],
            "error_ratio": ratio,
        }

    performance = judged(frame(idle(1)), frame(idle(2), instance="b"))
    assert of(performance, "error_ratio").verdict is Verdict.PASS
    assert of(performance, "latency_ms").reason.code != "not_numbers"


def test_times_of_the_calendar_are_not_judged() -> None:
    ours, theirs = frame({"cache_created": [1.7725e9] * 20}), frame({"cache_created": [1.7721e9] * 20}, instance="b")
    performance = judged(ours, theirs)
    assert of(performance, "cache_created").reason.code == "not_judged"
    # Nothing that could get worse is no reason to pass.
    assert performance.verdict is Verdict.INCONCLUSIVE


def test_numbers_from_before_are_for_buckets_as_wide_as_now() -> None:
    before = frame({"orders_total": counts(6, 120, 60)}, step=60.0, start=pd.Timestamp("2026-03-02T08:00:00Z"))
    now = frame({"orders_total": counts(7, 60, 40)}, step=30.0)
    assert of(judged(now, None, before), "orders_total").verdict is not Verdict.FAIL
    fewer = frame({"orders_total": counts(7, 30, 40)}, step=30.0)
    assert of(judged(fewer, None, before), "orders_total").verdict is Verdict.FAIL


def test_what_was_assumed_is_said_of_each() -> None:
    ours = frame({"checkout_ms": noisy(1, 80), "signups": counts(2, 30)})
    theirs = frame({"checkout_ms": noisy(3, 80), "signups": counts(4, 30)}, instance="b")
    performance = judged(ours, theirs)
    assert of(performance, "checkout_ms").assumed == "a duration in ms, more is worse"
    assert of(performance, "signups").assumed == "a count, less is worse"


@pytest.mark.parametrize(
    ("name", "usual", "now"),
    [
        ("broker_offline", 0.0, 1.0),
        ("index_status_green", 1.0, 0.0),
        ("alert_firing", 0.0, 1.0),
        ("circuit_breaker_open", 0.0, 1.0),
    ],
)
def test_a_state_that_has_changed_fails(name: str, usual: float, now: float) -> None:
    theirs = frame({name: [usual] * 30}, instance="b")
    assert of(judged(frame({name: [usual] * 4 + [now] * 26}), theirs), name).verdict is Verdict.FAIL
    assert of(judged(frame({name: [usual] * 30}), theirs), name).verdict is Verdict.PASS


def test_what_is_authorized_is_a_share_that_should_not_fall() -> None:
    usual = frame({"card_authorization_rate": noisy(1, 0.92, 0.01)}, instance="b")
    assert (
        of(judged(frame({"card_authorization_rate": noisy(2, 0.78, 0.01)}), usual), "card_authorization_rate").verdict
        is Verdict.FAIL
    )
    assert (
        of(judged(frame({"card_authorization_rate": noisy(2, 0.96, 0.01)}), usual), "card_authorization_rate").verdict
        is Verdict.PASS
    )


@pytest.mark.parametrize(("last", "verdict"), [(0.0, Verdict.PASS), (3.0, Verdict.INCONCLUSIVE)])
def test_what_is_measured_only_while_a_process_starts_holds_nothing_up(last: float, verdict: Verdict) -> None:
    rows = [
        frame({"boot_seconds": [4.0, 3.5, *[last] * 28]}, step=60.0),
        frame({"boot_seconds": [0.0] * 30}, instance="b", step=60.0),
    ]
    assert of(judged(*rows), "boot_seconds").verdict is verdict


@pytest.mark.parametrize(
    ("name", "level", "times"),
    [("retries_per_call", 0.08, 3.0), ("failures_per_1000_requests", 1.8, 4.0), ("spend_per_call_usd", 0.002, 2.2)],
)
def test_what_each_request_takes_goes_with_no_load(name: str, level: float, times: float) -> None:
    theirs = frame({name: noisy(1, level, 0.2), "requests": counts(2, 3600)}, instance="b")
    for now, passes in ((1.0, True), (times, False)):
        ours = frame({name: noisy(3, level * now, 0.2), "requests": counts(4, 400)})
        assert (of(judged(ours, theirs), name).verdict is Verdict.PASS) is passes


@pytest.mark.parametrize("name", ["failed_percent", "Error rate (%)"])
def test_a_name_that_says_per_cent_is_believed(name: str) -> None:
    ours, theirs = (
        frame({name: [0.3 * number for number in counts(seed, 0.2)], "calls": counts(seed + 2, 330)}, instance=on)
        for seed, on in ((1, "a"), (2, "b"))
    )
    result = of(judged(ours, theirs), name)
    assert result.verdict is Verdict.PASS
    assert result.canary["mean"] < 0.002
