from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from airflow_cd.verification.logs.frequency import Reference, discoveries, expectations, recency, volume_factor


def test_volume_is_the_median_of_ratios() -> None:
    reference = {"a": 100, "b": 200, "c": 300, "d": 400, "e": 50}
    canary = {"a": 20, "b": 40, "c": 60, "d": 80, "e": 500}
    assert volume_factor(canary, reference, 0.9) == pytest.approx(0.2, rel=0.03)


def test_without_shared_events_the_exposure_decides() -> None:
    assert volume_factor({"a": 1}, {"b": 100}, 0.25) == 0.25
    assert volume_factor({"a": 10}, {"b": 100}, None) == pytest.approx(0.1)


ASKED, REFUSED = "GET /orders 200", "order refused"


def test_of_few_kinds_of_lines_the_requests_are_the_traffic() -> None:
    before, now = {ASKED: 105, REFUSED: 9}, {ASKED: 346, REFUSED: 28}
    result = expectations(now, 90.0, [Reference(before, 80.0)], [REFUSED])
    assert result[REFUSED].expected == pytest.approx(28, rel=0.1)
    assert result[REFUSED].p_value > 0.5
    # Four times as many of the same requests are refused.
    assert expectations(now, 90.0, [Reference({ASKED: 346, REFUSED: 7}, 80.0)], [REFUSED])[REFUSED].p_value < 0.05


def test_what_comes_with_the_time_is_not_gone_where_requests_are_more() -> None:
    before, now = {ASKED: 100, "beat": 20}, {ASKED: 1_000, "beat": 20}
    result = expectations(now, 60.0, [Reference(before, 60.0)], ["beat"])
    assert result["beat"].expected == pytest.approx(20)


def test_retries_explain_no_losses() -> None:
    before, now = {"asking again": 80, "order lost": 10}, {"asking again": 800, "order lost": 100}
    result = expectations(now, 60.0, [Reference(before, 60.0)], ["order lost"])
    assert result["order lost"].expected == pytest.approx(10)
    assert result["order lost"].p_value < 1e-4


def test_what_is_expected_scales_with_exposure() -> None:
    result = expectations({"a": 2}, 60.0, [Reference({"a": 8}, 240.0), Reference({"a": 4}, 120.0)], ["a"])
    assert result["a"].expected == pytest.approx(2.0)
    assert result["a"].p_value > 0.5


def test_ten_times_as_many_stands_out_and_twice_does_not() -> None:
    usual = {f"e{number}": 100 for number in range(10)}
    references = [Reference(usual, 100.0)] * 4
    counts = {**usual, "e0": 1000, "e1": 200}
    result = expectations(counts, 100.0, references, list(usual))
    assert result["e0"].p_value < 1e-5
    assert result["e1"].p_value > 0.005
    assert discoveries({event: item.p_value for event, item in result.items()}, 0.005) == {"e0"}


def test_a_rare_known_event_may_come_twice() -> None:
    result = expectations({"rare": 2}, 60.0, [Reference({"rare": 1}, 240.0)], ["rare"])
    assert result["rare"].p_value > 0.05


def test_false_discoveries_are_rare_when_nothing_changed() -> None:
    rng = np.random.default_rng(5)
    false = 0
    for _ in range(100):
        usual = rng.gamma(1.0, 60.0, 40)
        spread = np.where(rng.random(40) < 0.1, 0.8, 0.04)
        deployments = [rng.poisson(usual * rng.gamma(1 / spread, spread) * rng.uniform(0.3, 1.4)) for _ in range(9)]
        profiles = [{f"e{row}": int(count) for row, count in enumerate(counts)} for counts in deployments]
        result = expectations(
            profiles[0], 0.0, [Reference(profile, 0.0) for profile in profiles[1:]], list(profiles[0])
        )
        false += len(discoveries({event: item.p_value for event, item in result.items()}, 0.005))
    assert false <= 20


def test_the_procedure_of_benjamini_and_hochberg() -> None:
    # Their own example (1995, section 3.2): at 0.05 four of fifteen are rejected.
    p_values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240]
    p_values += [0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    found = discoveries({str(number): value for number, value in enumerate(p_values)}, 0.05)
    assert found == {"0", "1", "2", "3"}


def test_nothing_to_refer_to_says_nothing() -> None:
    assert expectations({"a": 3}, 1.0, [], ["a"]) == {}
    assert discoveries({}, 0.05) == set()


def test_recent_deployments_count_more() -> None:
    rising = [Reference({"a": count}, 60.0, recency(age)) for age, count in enumerate([40, 30, 20, 10])]
    alike = [replace(reference, weight=1.0) for reference in rising]
    assert expectations({"a": 40}, 60.0, alike, ["a"])["a"].expected == pytest.approx(25.0)
    assert expectations({"a": 40}, 60.0, rising, ["a"])["a"].expected > 26.0
    assert recency(0) == 1.0
    assert recency(4) == 0.5
