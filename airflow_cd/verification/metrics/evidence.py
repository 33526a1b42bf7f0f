"""How sure are we that the canary is worse? Evidence and intervals that stay valid at every look.

A verification looks every few seconds and stops when it knows, so an ordinary interval, good for one look, would
raise false alarms. What is used here are e-values: the likelihood of what was seen if the release changed something,
over its likelihood if it changed nothing. Without a change such a ratio exceeds ``1 / alpha`` at any look ever with
a chance of at most ``alpha`` (Ville 1939; Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021, "Time-uniform,
nonparametric, nonasymptotic confidence sequences").

"Changed nothing" is a distribution and no point: instances that do the same differ by nature, and that does not shrink
with time. "Changed something" is a mixture of changes as releases make them, most of it on the side that is worse.

Levels (latency, gauges) are ratios of sums, normal on the log scale. Rates (errors, apdex, throughput) ask on which
side each count fell: beta-binomial around the canary's share of the requests, both counts divided by how much they
come in bursts. All functions take arrays as well as numbers, of any common shape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from airflow_cd.verification.samples import Direction

Numbers: TypeAlias = "float | np.ndarray"
# Changes of a release on the log scale: weight, mean, standard deviation. The first are on the worse side.
_WORSE = ((0.40, 0.35, 0.12), (0.30, 0.70, 0.25), (0.10, 1.60, 0.80))
_ANY = ((0.12, 0.0, 0.10), (0.08, 0.0, 0.60))
_SIDES: dict[Direction, tuple[tuple[float, float], ...]] = {
    "higher_is_worse": ((1.0, 0.95), (-1.0, 0.05)),
    "lower_is_worse": ((-1.0, 0.95), (1.0, 0.05)),
    "either": ((1.0, 0.5), (-1.0, 0.5)),
}
_FAR = (np.array([0.7, 1.6, 3.0]), np.array([0.3, 0.6, 1.0]))  # means and standard deviations beyond what is ruled out
_FARTHEST = 9.0  # logarithm beyond which a ratio counts as unbounded
_GRID = _FARTHEST * np.sinh(np.linspace(-6.0, 6.0, 241)) / math.sinh(6.0)  # dense where it begins


@dataclass(frozen=True)
class Estimate:
    """A relative change of the canary with its interval.

    :param effect: relative change, 0.25 for 25 % more.
    :param lower: of the interval, -1 at the least.
    :param upper: of the interval, infinite when nothing bounds it.
    :param smallest: smallest relative change for the worse that this much data would have shown.
    """

    effect: float
    lower: float
    upper: float
    smallest: float


def regressed(
    evidence: Numbers, effect: Numbers, alpha: Numbers, threshold: Numbers, direction: Direction
) -> np.ndarray:
    """Whether a metric got worse: surely changed, and by at least the threshold in the wrong direction.

    :param alpha: chance of a false alarm that is allowed.
    :param direction: which way is worse.
    :param evidence: logarithm of the e-value that it changed.
    :param effect: relative change.
    :param threshold: smallest relative change that counts. Halving is as large a change as doubling.
    """
    effect = np.asarray(effect)
    higher, lower = effect >= threshold, effect <= -np.asarray(threshold) / (1.0 + np.asarray(threshold))
    wrong = {"higher_is_worse": higher, "lower_is_worse": lower, "either": higher | lower}[direction]
    return np.asarray((np.asarray(evidence) >= -np.log(alpha)) & wrong)


def changes(direction: Direction) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mixture of changes: logarithms of the weights, means and standard deviations.

    :param direction: which way is worse.
    """
    parts = [
        (weight * share, side * mean, spread) for side, share in _SIDES[direction] for weight, mean, spread in _WORSE
    ]
    weight, mean, spread = np.array([*parts, *_ANY]).T
    return np.log(weight), mean, spread


def level_evidence(log_ratio: Numbers, variance: Numbers, direction: Direction) -> np.ndarray:
    """Logarithm of the e-value that a level changed.

    :param direction: which way is worse.
    :param log_ratio: of the canary's level to the other side's.
    :param variance: of it, as it is now and without any change; what instances differ by is part of it.
    """
    log_ratio, variance = np.asarray(log_ratio, dtype=float), np.asarray(variance, dtype=float)
    return np.asarray(_mixed_levels(log_ratio, variance, direction) - _normal(log_ratio, variance))


def level_interval(log_ratio: float, variance: float, alpha: float, direction: Direction) -> tuple[float, float]:
    """Changes (on the log scale) that are not ruled out; ``alpha`` is the chance to ever miss the truth.

    :param log_ratio: logarithm of the canary's level over the other side's.
    :param variance: of it, without any change.
    :param direction: which way is worse.
    """
    mixed = float(_mixed_levels(np.asarray(log_ratio), np.asarray(variance), direction))
    square = 2.0 * variance * (-math.log(alpha) - mixed - 0.5 * math.log(2.0 * math.pi * variance))
    width = math.sqrt(max(0.0, square))
    return log_ratio - width, log_ratio + width


def smallest_level_change(variance: float, alpha: float, direction: Direction) -> float:
    """The smallest change for the worse, on the log scale and without its sign, that would have been evidence.

    :param variance: of the log ratio, without any change.
    :param alpha: chance of a false alarm that is allowed.
    :param direction: which way is worse.
    """
    sign = -1.0 if direction == "lower_is_worse" else 1.0
    ratios = _GRID[_GRID > 0]
    shown = level_evidence(sign * ratios, variance, direction) >= -math.log(alpha)
    # Beyond the last change in the mixture evidence never falls again.
    return float(ratios[int(np.argmax(shown))]) if shown.any() else math.inf


def _mixed_levels(log_ratio: np.ndarray, variance: np.ndarray, direction: Direction) -> np.ndarray:
    weight, mean, spread = changes(direction)
    parts = weight + _normal(log_ratio[..., None] - mean, variance[..., None] + spread**2)
    return np.asarray(np.logaddexp.reduce(parts, axis=-1))


def _normal(value: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Logarithm of the normal density around 0."""
    return np.asarray(-0.5 * (np.log(2.0 * np.pi * variance) + value**2 / variance))


def rate_evidence(
    canary: Numbers, control: Numbers, share: Numbers, offset: Numbers, direction: Direction, change: Numbers = 0.0
) -> np.ndarray:
    """Logarithm of the e-value that something happens more or less often than a change of ``change`` would explain.

    :param direction: which way is worse.
    :param canary: how often it happened on the canary, by bursts; may be a fraction. ``control`` likewise.
    :param share: the canary's share of the requests.
    :param offset: variance of the logarithm of the two sides' ratio that is by nature.
    :param change: what is ruled out, on the log scale.
    """
    canary, control, share, offset = (np.asarray(number, dtype=float) for number in (canary, control, share, offset))
    weight, mean, spread = changes(direction)
    ours, theirs, part, differ = (number[..., None] for number in (canary, control, share, offset))
    mixed = np.logaddexp.reduce(weight + _beta_binomial(ours, theirs, part, differ, mean, spread), axis=-1)
    return np.asarray(mixed - _beta_binomial(canary, control, share, offset, np.asarray(change), np.zeros(())))


def excess_evidence(canary: Numbers, control: Numbers, share: Numbers, offset: float, change: float) -> np.ndarray:
    """Logarithm of the e-value that something happens far more often than a change of ``change`` would explain.

    The alternatives are farther away than :func:`rate_evidence`'s: twice to thirty times that change.

    :param canary: how often it happened on the canary; may be a fraction. ``control`` likewise.
    :param share: the canary's share of the opportunities.
    :param offset: variance of the logarithm of the two sides' ratio that is by nature.
    :param change: what is ruled out, on the log scale.
    """
    ours, theirs, part = (np.asarray(number, dtype=float) for number in (canary, control, share))
    mean, spread = _FAR
    first, second, third = (number[..., None] for number in (ours, theirs, part))
    mixed = np.logaddexp.reduce(
        _beta_binomial(first, second, third, np.asarray(offset), change + mean, spread), axis=-1
    )
    usual = _beta_binomial(ours, theirs, part, np.asarray(offset), np.asarray(change), np.zeros(()))
    return np.asarray(mixed - math.log(len(mean)) - usual)


def _beta_binomial(
    canary: np.ndarray, control: np.ndarray, share: np.ndarray, offset: np.ndarray, mean: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    """Logarithm of the likelihood of counts, a constant aside, with the log ratio around ``mean``."""
    from scipy.special import betaln, expit, logit

    inside = np.clip(expit(logit(share) + mean), 1e-12, 1.0 - 1e-12)
    # A beta distribution whose logarithm of odds has about this variance.
    strength = 1.0 / ((offset + spread**2) * inside * (1.0 - inside))
    first, second = strength * inside, strength * (1.0 - inside)
    return np.asarray(betaln(first + canary, second + control) - betaln(first, second))


def rate_interval(
    canary: float, control: float, share: float, offset: float, alpha: float, direction: Direction
) -> tuple[float, float]:
    """Changes of the rate (on the log scale, infinite where nothing bounds them) that are not ruled out.

    :param canary: how often it happened on the canary, by bursts; ``control`` likewise.
    :param share: the canary's share of the requests.
    :param offset: variance of the logarithm of the two sides' ratio that is by nature.
    :param alpha: chance to ever miss the true change.
    :param direction: which way is worse.
    """
    middle = math.log((canary + 0.5) / (control + 0.5)) - math.log(share / (1.0 - share))
    ratios = middle + _GRID
    against = rate_evidence(canary, control, share, offset, direction, ratios)
    held = np.flatnonzero(against < -math.log(alpha))
    if not len(held):
        return middle, middle
    first, last = int(held[0]), int(held[-1])
    lower = -math.inf if first == 0 else _crossing(ratios, against, first - 1, first, -math.log(alpha))
    upper = math.inf if last == len(ratios) - 1 else _crossing(ratios, against, last, last + 1, -math.log(alpha))
    return lower, upper


def _crossing(ratios: np.ndarray, against: np.ndarray, left: int, right: int, limit: float) -> float:
    """Where evidence crosses the limit between two neighbours."""
    rise = against[right] - against[left]
    part = (limit - against[left]) / rise if rise else 0.5
    return float(ratios[left] + part * (ratios[right] - ratios[left]))


def smallest_rate_change(
    control: float, share: float, offset: float, alpha: float, direction: Direction, burst: float = 1.0
) -> float:
    """The smallest change for the worse, on the log scale and without its sign, that would have been evidence.

    :param share: the canary's share of the requests.
    :param offset: variance of the logarithm of the two sides' ratio that is by nature.
    :param alpha: chance of a false alarm that is allowed.
    :param direction: which way is worse.
    :param burst: how many events come at once.
    :param control: how often it happened on the other side, by bursts.
    """
    sign = -1.0 if direction == "lower_is_worse" else 1.0
    ratios = _GRID[_GRID > 0]
    usual = max(control, 0.5 / burst)
    expected = usual * share / (1.0 - share) * np.exp(sign * ratios)
    shown = rate_evidence(expected, control, share, offset, direction) >= -math.log(alpha)
    return float(ratios[int(np.argmax(shown))]) if shown.any() else math.inf
