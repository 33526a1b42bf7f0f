"""How sure are we that the canary is worse? Intervals that stay valid at every look.

A verification looks every few seconds and stops when it knows, so an ordinary interval, good for one look, would
raise false alarms. Both intervals here are confidence sequences: with probability ``1 - alpha`` they hold the truth
at *all* looks together.

:func:`ratio_of_levels` (latency, gauges) compares the canary's total with what the control lets expect of the same
requests in the same bucket, so that shared load and another mix of transactions cancel. Its sampling error is Robbins'
normal mixture (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic
confidence sequences"), its variance learned from control against control and the canary itself. That instances differ
by nature does not shrink with time and is added on top.

:func:`ratio_of_rates` (errors, apdex) asks on which side each error fell: under equal rates on the canary with the
canary's share of the requests. The interval inverts the beta-binomial mixture of that likelihood, divided by how much
the errors come in bursts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from airflow_cd.verification.rows import Rows, summed

EXPECTED_EFFECT = 0.4  # on the log scale; where the mixture is most powerful, about +50 %
HOST_SPREAD = 0.03  # prior standard deviation between instances, as a share
_HOST_PRIOR_WEIGHT = 4.0  # in instances
DRIFT = 0.08  # the same instances at another time: standard deviation between two windows, as a share
CAP = 3.0  # times what is usual: beyond it a value says "far too long", no longer how long
_SHRINK_LEVEL = 5.0  # requests by which a bucket's level is drawn to the overall one
_GRID = 2001
_LEAST_FREEDOM = 3
_ENOUGH_NEIGHBOURS = 20


@dataclass(frozen=True)
class Estimate:
    """A relative change of the canary with its interval.

    :param effect: relative change, 0.25 for 25 % more.
    :param lower: of the interval, -1 at the least.
    :param upper: of the interval, infinite when nothing bounds it.
    :param smallest: smallest relative increase that this much data would have shown.
    """

    effect: float
    lower: float
    upper: float
    smallest: float


def mixture_half_width(variance: float, alpha: float) -> float:
    """Half the width of a confidence sequence for a mean whose estimate has this variance now (Robbins 1970)."""
    if variance <= 0:
        return 0.0
    prior = EXPECTED_EFFECT**2
    total = variance + prior
    return math.sqrt(2.0 * variance * total / prior * math.log(math.sqrt(total / variance) / alpha))


def ratio_of_levels(canary: Rows, control: Rows, alpha: float, *, paired: bool) -> Estimate | None:
    """Compare levels (means), weighted by requests.

    :param canary: rows of the canary; ``control`` likewise, with the same positions for the same groups.
    :param alpha: chance that the interval ever misses the truth.
    :param paired: whether both are of the same time, so that buckets can be compared one by one.
    :returns: None when there is nothing in common to compare.
    """
    groups = len(control.group_names)
    counts = summed(control.group, control.count, groups)
    totals = summed(control.group, control.total, groups)
    level = np.divide(totals, counts, out=np.zeros(groups), where=counts > 0)
    known = [side.where((level[side.group] > 0) & (side.count > 0)) for side in (canary, control)]
    if not len(known[0]) or not len(known[1]):
        return None
    expected = [side.count * level[side.group] for side in known]
    if paired:
        factors = _bucket_levels(known[1], expected[1])
        for number, side in enumerate(known):
            factor = factors(side.time)
            known[number] = side.where(factor > 0)
            expected[number] = (expected[number] * factor)[factor > 0]
    known = [_capped(side, wanted) for side, wanted in zip(known, expected, strict=True)]
    if not len(known[0]) or not len(known[1]) or known[0].total.sum() <= 0:
        return None
    ours, theirs = (_Side(side, wanted, paired) for side, wanted in zip(known, expected, strict=True))
    freedom = ours.freedom + theirs.freedom
    if freedom < _LEAST_FREEDOM:
        return None
    spread = max((ours.squares + theirs.squares) / freedom, ours.spread, theirs.spread)
    variance = spread * (ours.correlation / ours.requests + theirs.correlation / theirs.requests)
    from scipy.special import ndtri, stdtrit

    # Few cells know their own variance badly: widen as Student's t is wider than the normal.
    quantile = float(ndtri(1 - alpha / 2))
    width = mixture_half_width(variance, alpha) * float(stdtrit(freedom, 1 - alpha / 2)) / quantile
    if paired:
        hosts = _host_variance(theirs, spread)
        width += quantile * math.sqrt(hosts * (1.0 / ours.instances + 1.0 / theirs.instances))
    else:
        width += quantile * DRIFT
    centre = math.log(ours.ratio / theirs.ratio)
    return Estimate(math.expm1(centre), math.expm1(centre - width), _expm1(centre + width), _expm1(width))


def _capped(rows: Rows, expected: np.ndarray) -> Rows:
    """The rows with values of at most :data:`CAP` times what was to be expected.

    A single request that hangs would otherwise be the mean. Both sides are cut alike, so nothing is invented; what
    lies beyond is judged by :func:`beyond_cap`.
    """
    usual = np.divide(expected, rows.count, out=np.zeros(len(rows)), where=rows.count > 0)
    return replace(rows, value=np.minimum(rows.value, CAP * usual))


def beyond_cap(rows: Rows, usual_of: Rows) -> tuple[float, float]:
    """How many rows lie beyond :data:`CAP` times their group's usual level, and how many rows there are.

    Rows are counted and not their requests: what one bucket holds is late together or not at all.

    :param usual_of: the rows that say what is usual.
    """
    groups = len(usual_of.group_names)
    counts = summed(usual_of.group, usual_of.count, groups)
    totals = summed(usual_of.group, usual_of.total, groups)
    level = np.divide(totals, counts, out=np.zeros(groups), where=counts > 0)[rows.group]
    known = (level > 0) & (rows.count > 0)
    return float((rows.value[known] > CAP * level[known]).sum()), float(known.sum())


def _expm1(value: float) -> float:
    return math.expm1(value) if value < 700 else math.inf


def _bucket_levels(control: Rows, expected: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """For times how much higher than usual the control's level was in that bucket; 0 where it has no rows."""
    times, codes = np.unique(control.time, return_inverse=True)
    # A bucket with few requests is drawn to the usual level.
    extra = _SHRINK_LEVEL * float(control.total.sum()) / control.requests
    factors = (summed(codes, control.total, len(times)) + extra) / (summed(codes, expected, len(times)) + extra)

    def factor(moments: np.ndarray) -> np.ndarray:
        places = np.minimum(np.searchsorted(times, moments), len(times) - 1)
        return np.where(times[places] == moments, factors[places], 0.0)

    return factor


class _Side:
    """One side of a comparison, as its totals and the spread of its cells about its instances' own levels.

    A cell is an instance's bucket; without pairing a bucket of all instances, since what they share varies too.
    """

    def __init__(self, rows: Rows, expected: np.ndarray, paired: bool) -> None:
        _, instance = np.unique(rows.instance, return_inverse=True)
        self.instances = int(instance.max()) + 1
        by_instance = summed(instance, rows.total, self.instances) / summed(instance, expected, self.instances)
        self.host_ratio = by_instance
        self.host_requests = summed(instance, rows.count, self.instances)
        self.requests = rows.requests
        self.ratio = float(rows.total.sum() / expected.sum())
        times, bucket = np.unique(rows.time, return_inverse=True)
        owner = instance if paired else np.zeros_like(instance)
        cells, cell = np.unique(owner * len(times) + bucket, return_inverse=True)
        owners = cells // len(times)
        own = by_instance[owners] if paired else np.full(len(cells), self.ratio)
        ratio = summed(cell, rows.total, len(cells)) / summed(cell, expected, len(cells))
        count = summed(cell, rows.count, len(cells))
        residual = (ratio / np.where(own > 0, own, 1.0) - 1.0) * np.sqrt(count)
        self.freedom = len(cells) - (self.instances if paired else 1)
        self.squares = float((residual**2).sum())
        self.spread = self.squares / self.freedom if self.freedom > 0 else 0.0
        self.correlation = _inflation(residual, owners)


def _inflation(residual: np.ndarray, names: np.ndarray) -> float:
    """By how much correlation between neighbouring buckets makes the variance of their mean larger, at least 1."""
    follows = names[1:] == names[:-1]
    if follows.sum() < _ENOUGH_NEIGHBOURS or not (residual**2).sum():
        return 1.0
    correlation = float((residual[1:] * residual[:-1])[follows].sum() / (residual**2).sum())
    correlation = min(max(correlation - 2.0 / math.sqrt(follows.sum()), 0.0), 0.8)  # less what chance shows
    return (1.0 + correlation) / (1.0 - correlation)


def _host_variance(control: _Side, spread: float) -> float:
    """Variance between instances that do the same, beyond what their few requests explain; never below the prior's."""
    if control.instances < 3:
        return (2.0 * HOST_SPREAD) ** 2
    seen = np.log(np.maximum(control.host_ratio, 1e-9))
    beyond = max(0.0, float(seen.var(ddof=1)) - float((spread / control.host_requests).mean()))
    weight = control.instances - 1.0
    shrunk = (_HOST_PRIOR_WEIGHT * HOST_SPREAD**2 + weight * beyond) / (_HOST_PRIOR_WEIGHT + weight)
    return max(shrunk, HOST_SPREAD**2)


def ratio_of_rates(
    canary: float, canary_requests: float, control: float, control_requests: float, alpha: float, burst: float = 1.0
) -> Estimate:
    """Compare how often something happens per request.

    :param canary: how often it happened on the canary; may be a fraction. ``control`` likewise.
    :param alpha: chance that the interval ever misses the truth.
    :param burst: variance of the counts over their mean, at least 1.
    """
    share = canary_requests / (canary_requests + control_requests)
    lower, upper = _odds(canary / burst, control / burst, share, alpha)
    quiet = control if control > 0 else 0.5
    seen = canary if control > 0 or canary == 0 else canary + 0.5
    effect = (seen / canary_requests) / (quiet / control_requests) - 1.0 if canary or control else 0.0
    return Estimate(effect, lower - 1.0, upper - 1.0, _smallest(control, share, alpha, burst, control_requests))


def _odds(canary: float, control: float, share: float, alpha: float) -> tuple[float, float]:
    """Confidence sequence of the ratio of the two rates."""
    from scipy.special import betaln, expit

    ratios = np.linspace(-9.0, 9.0, _GRID)  # logarithms
    inside = expit(ratios + math.log(share / (1.0 - share)))
    mixture = betaln(share + canary, 1.0 - share + control) - betaln(share, 1.0 - share)
    with np.errstate(divide="ignore"):
        likelihood = canary * np.log(inside) + control * np.log1p(-inside)
    held = np.flatnonzero(mixture - likelihood < math.log(1.0 / alpha))
    if not len(held):
        middle = math.exp(ratios[int(np.argmax(likelihood))])
        return middle, middle
    lower = 0.0 if held[0] == 0 else math.exp(ratios[held[0]])
    upper = math.inf if held[-1] == _GRID - 1 else math.exp(ratios[held[-1]])
    return lower, upper


def _smallest(control: float, share: float, alpha: float, burst: float, control_requests: float) -> float:
    """Smallest increase of the rate that would have put the interval's lower end above equality."""
    expected = max(control, 0.5) * share / (1.0 - share)
    low, high = 1.0, 2.0
    while _odds(expected * high / burst, control / burst, share, alpha)[0] <= 1.0 and high < 1e6:
        low, high = high, high * 2.0
    for _ in range(8):
        middle = math.sqrt(low * high)
        if _odds(expected * middle / burst, control / burst, share, alpha)[0] > 1.0:
            high = middle
        else:
            low = middle
    return high - 1.0


def burst_factor(counts: np.ndarray, requests: np.ndarray) -> float:
    """Variance of counts over what chance alone gives them (Pearson's statistic by degree of freedom), at least 1."""
    known = requests > 0
    counts, requests = counts[known], requests[known]
    if len(counts) < 3 or counts.sum() <= 0:
        return 1.0
    expected = requests * counts.sum() / requests.sum()
    return max(1.0, float(((counts - expected) ** 2 / expected).sum() / (len(counts) - 1)))
