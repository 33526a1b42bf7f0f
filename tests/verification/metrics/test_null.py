"""What is known to be calm, and a canary that is not."""

from __future__ import annotations

import numpy as np

from airflow_cd.verification.metrics.cells import Cells, compare
from airflow_cd.verification.metrics.null import NOTHING_TAUGHT, Taught, null_of

_CALM = Taught(spread=0.01, spread_freedom=80.0, correlation=0.2, host_variance=0.0009, host_freedom=40.0)


def _noise(values: list[float], taught: Taught = _CALM) -> float:
    ones = np.ones((1, len(values)))
    control = np.ones((4, len(values)))
    comparison = compare(Cells(np.array([values]), ones, ones), Cells(control, control, control), capped=False)
    return float(null_of(comparison, taught, 0.0015, kind="latency").noise)


def test_a_canary_that_jumps_about_is_no_surer_than_it_is_itself() -> None:
    jumpy = [1.0, 4.0, 1.0, 4.0, 4.0, 1.0]
    assert _noise(jumpy) > 3.0 * _noise([2.5] * 6)
    # A step is no scatter: only one pair of neighbours shows it.
    assert _noise([1.0] * 10 + [4.0] * 10) < 0.5 * _noise([1.0, 4.0] * 10)


def test_few_buckets_say_nothing_of_how_long_noise_lasts() -> None:
    rng = np.random.default_rng(5)
    short, long = (np.exp(rng.normal(0.0, 0.1, size)).tolist() for size in (5, 30))
    correlations = []
    for values in (short, long):
        ones = np.ones((1, len(values)))
        control = np.exp(rng.normal(0.0, 0.1, (4, len(values))))
        comparison = compare(
            Cells(np.array([values]), ones, ones), Cells(control, ones.repeat(4, 0), ones.repeat(4, 0))
        )
        correlations.append(float(null_of(comparison, NOTHING_TAUGHT, 0.0015, kind="latency").correlation))
    assert correlations[0] > 0.6 > correlations[1] + 0.2
