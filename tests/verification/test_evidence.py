from __future__ import annotations

import math

import numpy as np
import pytest

from airflow_cd.verification.evidence import burst_factor, mixture_half_width, ratio_of_levels, ratio_of_rates
from airflow_cd.verification.rows import Rows


def test_the_mixture_holds_at_all_looks_together() -> None:
    rng = np.random.default_rng(1)
    runs, alpha, missed = 400, 0.05, 0
    for _ in range(runs):
        means = np.cumsum(rng.normal(0, 0.5, 200)) / np.arange(1, 201)
        widths = np.array([mixture_half_width(0.25 / number, alpha) for number in range(1, 201)])
        missed += bool((np.abs(means) > widths).any())
    assert missed <= 0.08 * runs
    assert missed > 0  # it is not merely endless


def test_more_data_narrows_it() -> None:
    widths = [mixture_half_width(variance, 0.01) for variance in (1.0, 0.1, 0.01, 0.001)]
    assert widths == sorted(widths, reverse=True)
    assert mixture_half_width(0.0, 0.01) == 0.0


def test_rates_hold_at_all_looks_together() -> None:
    rng = np.random.default_rng(2)
    runs, missed = 60, 0
    for _ in range(runs):
        ours = np.cumsum(rng.binomial(80, 0.02, 15))
        theirs = np.cumsum(rng.binomial(320, 0.02, 15))
        for look in range(15):
            requests = 80.0 * (look + 1)
            estimate = ratio_of_rates(float(ours[look]), requests, float(theirs[look]), 4 * requests, 0.05)
            if estimate.lower > 0 or estimate.upper < 0:
                missed += 1
                break
    assert missed <= 0.1 * runs


def test_a_multiplied_rate_shows() -> None:
    estimate = ratio_of_rates(50, 1000, 40, 4000, 0.001)
    assert estimate.effect == pytest.approx(4.0)
    assert 0 < estimate.lower < 4 < estimate.upper
    assert estimate.smallest < 4


def test_rates_of_nothing_are_bounded_by_nothing() -> None:
    estimate = ratio_of_rates(0, 100, 0, 400, 0.01)
    assert estimate.effect == 0
    assert (estimate.lower, estimate.upper) == (-1.0, math.inf)


def test_bursts_widen_it() -> None:
    narrow, wide = (ratio_of_rates(50, 1000, 40, 4000, 0.001, burst) for burst in (1.0, 5.0))
    assert wide.lower < narrow.lower
    rng = np.random.default_rng(0)
    requests = np.full(200, 100.0)
    assert burst_factor(rng.poisson(2.0, 200).astype(float), requests) == pytest.approx(1.0, abs=0.3)
    assert burst_factor(rng.poisson(2.0, 200) * 4.0, requests) > 3


def _rows(value: float, *, instances: int = 3, buckets: int = 20, noise: float = 0.05, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    instance, bucket = (index.ravel() for index in np.indices((instances, buckets)))
    values = value * (1 + rng.normal(0, noise, len(instance)))
    names = tuple(f"i{number}" for number in range(instances))
    return Rows(bucket * 1000, instance, np.zeros_like(instance), values, np.full(len(instance), 10.0), names, ("",))


def test_levels_are_compared() -> None:
    estimate = ratio_of_levels(_rows(15.0, seed=1), _rows(10.0), 0.01, paired=True)
    assert estimate is not None
    assert estimate.effect == pytest.approx(0.5, abs=0.05)
    assert 0.2 < estimate.lower < estimate.effect < estimate.upper


def test_instances_that_differ_by_nature_widen_it() -> None:
    alike = _rows(10.0, instances=6)
    unlike = alike.where(np.ones(len(alike), dtype=bool))
    unlike.value[:] *= np.array([0.7, 1.3, 0.8, 1.2, 1.0, 1.0])[unlike.instance]
    one = ratio_of_levels(_rows(10.0, seed=1), _rows(10.0, instances=6), 0.01, paired=True)
    other = ratio_of_levels(_rows(10.0, seed=1), unlike, 0.01, paired=True)
    assert one is not None
    assert other is not None
    assert other.upper - other.lower > 2 * (one.upper - one.lower)


def test_nothing_in_common_is_not_compared() -> None:
    ours, theirs = _rows(10.0), _rows(10.0)
    ours.time[:] += 10**9
    assert ratio_of_levels(ours, theirs, 0.01, paired=True) is None
    assert ratio_of_levels(ours, theirs, 0.01, paired=False) is not None
    assert ratio_of_levels(_rows(0.0, noise=0), theirs, 0.01, paired=True) is None
    assert ratio_of_levels(ours.where(ours.time < 0), theirs, 0.01, paired=True) is None
