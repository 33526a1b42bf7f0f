"""The peers that metrics are measured against, written anew from their published descriptions; many runs at once.

Both see what they would see in production: one series for each side, its hosts' mean of each minute.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np

from benchmarks.metric_model import Side

KAYENTA_CONFIDENCE = 0.98
KAYENTA_TOLERANCE = 0.25  # of the estimated shift
KAYENTA_LEAST = 3  # points of either side
_EXACT = 10_000  # pairs of points
MSPRT_ALPHA = 0.05  # of each metric: the textbook has one
MSPRT_EFFECT = 0.4  # standard deviation of the mixture, on the log scale


def series(side: Side, kind: str) -> np.ndarray:
    """A side as one series: runs and minutes."""
    if kind == "errors":
        return side.value.sum(axis=1) / np.maximum(side.count.sum(axis=1), 1.0)
    return side.value.mean(axis=1)


def kayenta(canary: np.ndarray, control: np.ndarray, direction: str) -> np.ndarray:
    """Whether Kayenta's judge fails the metric, for each run.

    A 98 % Mann-Whitney interval of the shift; the metric fails where the interval lies beyond the tolerance, which
    is a share of the *estimated shift* itself. No correction for looks, metrics or correlation.
    """
    runs, points = canary.shape
    if points < KAYENTA_LEAST:
        return np.zeros(runs, dtype=bool)
    shifts = (canary[:, :, None] - control[:, None, :]).reshape(runs, -1)
    ends = _rank(points, control.shape[1])
    middle = shifts.shape[1] // 2
    shifts = np.partition(shifts, sorted({ends - 1, middle, shifts.shape[1] - ends}), axis=1)
    tolerance = KAYENTA_TOLERANCE * np.abs(shifts[:, middle])
    high, low = shifts[:, ends - 1] > tolerance, shifts[:, -ends] < -tolerance
    return {"higher_is_worse": high, "lower_is_worse": low}.get(direction, high | low)


@lru_cache
def _rank(ours: int, theirs: int) -> int:
    """Which of the sorted differences ends the interval: the exact quantile of the rank-sum statistic.

    Of more pairs than :data:`_EXACT`, the normal distribution's, which differs by less than one in a thousand there.
    """
    if ours * theirs > _EXACT:
        deviation = (ours * theirs * (ours + theirs + 1) / 12) ** 0.5
        return int(ours * theirs / 2 + NormalDist().inv_cdf((1 - KAYENTA_CONFIDENCE) / 2) * deviation)
    ways = np.zeros((ours + 1, ours * theirs + 1))
    ways[0, 0] = 1.0
    for step in range(1, ours + theirs + 1):
        for chosen in range(min(step, ours), 0, -1):
            shift = step - chosen  # how many of the other side are smaller than this one
            if shift <= theirs:
                moved = np.zeros_like(ways[chosen])
                moved[shift:] = ways[chosen - 1][: len(moved) - shift] if shift else ways[chosen - 1]
                ways[chosen] += moved
    chance = np.cumsum(ways[ours]) / ways[ours].sum()
    return max(1, int(np.searchsorted(chance, (1 - KAYENTA_CONFIDENCE) / 2)))


def msprt(canary: np.ndarray, control: np.ndarray, variance: np.ndarray, direction: str) -> np.ndarray:
    """Whether a mixture SPRT rejects, for each run: log ratios of minutes as independent normal values.

    :param variance: of one log ratio, which the textbook takes as known; of each run.
    """
    tiny = np.maximum(np.where(control > 0, control, np.inf).min(axis=1, keepdims=True) / 2, 1e-9)
    values = np.log(np.maximum(canary, tiny) / np.maximum(control, tiny))
    points, mean, prior = values.shape[1], values.mean(axis=1), MSPRT_EFFECT**2
    variance = np.maximum(variance, 1e-12)
    evidence = 0.5 * np.log(variance / (variance + points * prior))
    evidence += (points * mean) ** 2 * prior / (2 * variance * (variance + points * prior))
    worse = {"higher_is_worse": mean > 0, "lower_is_worse": mean < 0}.get(direction, np.ones(len(mean), dtype=bool))
    return np.asarray((evidence >= np.log(1 / MSPRT_ALPHA)) & worse)
