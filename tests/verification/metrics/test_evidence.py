from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.verification.metrics.cells import Cells, compare, compare_times
from airflow_cd.verification.metrics.evidence import (
    level_evidence,
    level_interval,
    rate_evidence,
    rate_interval,
    regressed,
    smallest_level_change,
    smallest_rate_change,
)
from airflow_cd.verification.metrics.null import NOTHING_TAUGHT, Taught, inflation, null_of
from airflow_cd.verification.metrics.shape import Moments, far_out
from airflow_cd.verification.samples import Direction

DIRECTIONS: tuple[Direction, ...] = ("higher_is_worse", "lower_is_worse", "either")


def test_levels_hold_at_all_looks_together() -> None:
    rng = np.random.default_rng(1)
    runs, looks, alpha, hosts, noise = 3000, 200, 0.05, 0.03, 0.2
    drift = rng.normal(0, hosts, (runs, 1)) + np.cumsum(rng.normal(0, noise, (runs, looks)), axis=1) / np.arange(
        1, looks + 1
    )
    variance = hosts**2 + noise**2 / np.arange(1, looks + 1)
    for direction in DIRECTIONS:
        alarms = (level_evidence(drift, variance, direction) >= -math.log(alpha)).any(axis=1).mean()
        assert 0.0 < alarms <= alpha


def test_rates_hold_at_all_looks_together() -> None:
    rng = np.random.default_rng(2)
    runs, looks, alpha, offset = 2000, 60, 0.05, 0.05**2
    share = 1.0 / (1.0 + 4.0 * np.exp(-rng.normal(0, math.sqrt(offset), (runs, 1))))
    total = rng.poisson(20.0, (runs, looks))
    ours = rng.binomial(total, np.broadcast_to(share, total.shape))
    canary, control = np.cumsum(ours, axis=1), np.cumsum(total - ours, axis=1)
    alarms = rate_evidence(canary, control, 0.2, offset, "higher_is_worse") >= -math.log(alpha)
    assert 0.0 < alarms.any(axis=1).mean() <= alpha


@given(st.floats(-1.0, 1.0), st.floats(1e-5, 0.5), st.floats(1e-5, 0.2), st.sampled_from(DIRECTIONS), st.booleans())
def test_the_interval_of_levels_holds_what_is_not_ruled_out(
    log_ratio: float, variance: float, alpha: float, direction: Direction, inside: bool
) -> None:
    lower, upper = level_interval(log_ratio, variance, alpha, direction)
    assert lower < log_ratio < upper
    excluded = level_evidence(log_ratio, variance, direction) >= -math.log(alpha)
    if abs(lower) > 1e-9 and abs(upper) > 1e-9:
        assert excluded == (lower > 0 or upper < 0)


@given(st.integers(0, 400), st.integers(0, 800), st.floats(0.05, 0.9), st.sampled_from(DIRECTIONS))
def test_the_interval_of_rates_holds_what_is_not_ruled_out(
    canary: int, control: int, share: float, direction: Direction
) -> None:
    lower, upper = rate_interval(canary, control, share, 0.0025, 0.01, direction)
    assert lower <= upper
    for change in (lower, upper):
        if math.isfinite(change) and lower < upper:
            against = rate_evidence(canary, control, share, 0.0025, direction, change)
            assert float(against) == pytest.approx(-math.log(0.01), abs=0.3)


def test_rates_of_nothing_are_bounded_by_nothing() -> None:
    lower, upper = rate_interval(0, 0, 0.2, 0.0025, 0.01, "higher_is_worse")
    assert (lower, upper) == (-math.inf, math.inf)


def test_more_data_rules_more_out() -> None:
    smallest = [smallest_level_change(variance, 0.01, "higher_is_worse") for variance in (0.3, 0.1, 0.01, 0.001)]
    assert smallest == sorted(smallest, reverse=True)
    assert smallest[-1] < 0.25
    counts = [smallest_rate_change(control, 0.2, 0.0025, 0.01, "higher_is_worse") for control in (1, 10, 100, 1000)]
    assert counts == sorted(counts, reverse=True)
    assert level_evidence(smallest[1] + 0.01, 0.1, "higher_is_worse") >= -math.log(0.01)


def test_the_worse_side_shows_earlier() -> None:
    assert level_evidence(0.5, 0.02, "higher_is_worse") > level_evidence(0.5, 0.02, "either")
    assert level_evidence(0.5, 0.02, "either") > level_evidence(0.5, 0.02, "lower_is_worse")
    assert level_evidence(-0.5, 0.02, "lower_is_worse") == pytest.approx(level_evidence(0.5, 0.02, "higher_is_worse"))


@pytest.mark.parametrize(
    ("effect", "direction", "failed"),
    [
        (0.3, "higher_is_worse", True),
        (-0.3, "higher_is_worse", False),
        (-0.3, "lower_is_worse", True),
        (-0.18, "lower_is_worse", True),  # 1 / 1.2 and no 1 - 0.2
        (0.3, "lower_is_worse", False),
        (0.3, "either", True),
        (-0.3, "either", True),
        (0.19, "either", False),
    ],
)
def test_only_a_change_for_the_worse_of_some_size_counts(effect: float, direction: Direction, failed: bool) -> None:
    assert bool(regressed(10.0, effect, 0.01, 0.2, direction)) is failed
    assert not regressed(1.0, effect, 0.01, 0.2, direction)


def _cells(rng: np.random.Generator, hosts: int, buckets: int, *, noise: float = 0.1, level: float = 1.0) -> Cells:
    count = np.full((hosts, buckets), 100.0)
    return Cells(level * (1 + rng.normal(0, noise, (hosts, buckets))) * count, count, count)


def test_shared_load_cancels() -> None:
    rng = np.random.default_rng(3)
    load = np.exp(np.cumsum(rng.normal(0, 0.2, 40)))
    calm = [_cells(rng, hosts, 40, noise=0.01) for hosts in (2, 4)]
    loaded = [Cells(side.total * load, side.expected, side.count) for side in calm]
    paired = compare(loaded[0], loaded[1])
    assert float(paired.log_ratio) == pytest.approx(0.0, abs=0.01)
    assert float(paired.squares / paired.freedom) < 0.1  # of one measurement, 100 of which make a cell
    alone = compare_times(loaded[0], loaded[1])
    assert float(alone.squares / alone.freedom) > 10.0


def test_buckets_that_one_side_lacks_are_left_out() -> None:
    rng = np.random.default_rng(4)
    ours, theirs = _cells(rng, 2, 20), _cells(rng, 4, 20)
    ours.total[:, :8] = ours.expected[:, :8] = ours.count[:, :8] = 0.0
    theirs.total[:, :8] *= 10.0  # a storm before the canary was there
    comparison = compare(ours, theirs)
    assert int(comparison.buckets) == 12
    assert float(comparison.log_ratio) == pytest.approx(0.0, abs=0.1)


def test_the_variance_of_a_measurement_is_found_whatever_the_sizes() -> None:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(200):
        comparison = compare(_cells(rng, 1, 10), _cells(rng, 4, 10))
        found.append(float(comparison.squares / comparison.freedom))
    assert np.mean(found) == pytest.approx(0.1**2 * 100, rel=0.1)


def test_correlation_widens() -> None:
    assert float(inflation(np.asarray(0.0), np.asarray(30.0))) == pytest.approx(1.0)
    assert float(inflation(np.asarray(0.5), np.asarray(1000.0))) == pytest.approx(3.0, rel=0.01)
    assert 1.0 < float(inflation(np.asarray(0.5), np.asarray(3.0))) < 2.0


def test_what_is_taught_makes_the_null_tighter_or_wider() -> None:
    rng = np.random.default_rng(6)
    comparison = compare(_cells(rng, 1, 6), _cells(rng, 4, 6))
    calm = Taught(spread=1.0, spread_freedom=500.0, correlation=0.0, host_variance=0.01**2, host_freedom=50.0)
    wild = Taught(spread=9.0, spread_freedom=500.0, correlation=0.5, host_variance=0.2**2, host_freedom=50.0)
    variances = [
        float(null_of(comparison, taught, 0.01, kind="latency").variance) for taught in (calm, NOTHING_TAUGHT, wild)
    ]
    assert variances == sorted(variances)
    assert variances[2] > 4 * variances[0]


def test_instances_that_differ_by_nature_widen_it() -> None:
    rng = np.random.default_rng(7)
    ours, theirs = _cells(rng, 2, 30), _cells(rng, 8, 30)
    unlike = Cells(
        theirs.total * np.array([0.7, 1.3, 0.8, 1.2, 1.0, 1.0, 0.7, 1.3])[:, None], theirs.expected, theirs.count
    )
    one, other = (
        float(null_of(compare(ours, side), NOTHING_TAUGHT, 0.01, kind="latency").offset) for side in (theirs, unlike)
    )
    assert other > 4 * one


def test_bursts_widen_rates() -> None:
    rng = np.random.default_rng(8)
    chance, bursts = rng.poisson(5.0, (5, 40)).astype(float), rng.poisson(1.0, (5, 40)) * 5.0
    expected = np.full((5, 40), 5.0)
    found = []
    for counts in (chance, bursts):
        sides = [Cells(counts[part], expected[part], expected[part]) for part in (slice(0, 1), slice(1, 5))]
        found.append(float(null_of(compare(*sides, counts=True), NOTHING_TAUGHT, 0.01, kind="errors").burst))
    assert 1.0 <= found[0] < 2.0
    assert found[1] > 3.5


def test_moments_far_out_are_found_and_spikes_of_all_are_not() -> None:
    rng = np.random.default_rng(9)
    alarms = {0.03: 0, 0.4: 0}
    for share in alarms:
        for _ in range(60):
            sides = []
            for hosts, part in ((1, share), (4, 0.03)):
                value = np.exp(rng.normal(0, 0.1, (hosts, 45))) * np.where(rng.random((hosts, 45)) < part, 4.0, 1.0)
                sides.append(Moments(value, value > 0))
            found = far_out(*sides, np.ones(1), "higher_is_worse", 0.2)
            alarms[share] += bool(found.worse and found.evidence >= -math.log(0.01))
    assert alarms[0.03] == 0
    assert alarms[0.4] >= 50
