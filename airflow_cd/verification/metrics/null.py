"""What the two sides may differ by although nothing changed: the null that evidence is held against.

It is put together from what earlier good deployments taught (:class:`Taught`), from control against control in this
very window, and, where neither says enough, from a conservative floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from airflow_cd.verification.metrics.cells import Comparison
from airflow_cd.verification.samples import MetricKind

COUNTED = ("errors", "apdex", "throughput", "count")  # kinds that are numbers of events
HOST_SPREAD = 0.03  # between like instances, as a share; the least without a history
RATE_HOST_SPREAD = 0.05  # the same of rates
LEAST_TAUGHT_SPREAD, LEAST_TAUGHT_DRIFT = 0.01, 0.03  # whatever history says
_HOST_WEIGHT = 12.0  # degrees of freedom that the floor is worth
DRIFT = 0.08  # the same instances at another time: standard deviation between two windows, as a share
RATE_DRIFT = 0.15
CORRELATION: dict[MetricKind, float] = {
    "gauge": 0.8
}  # between neighbouring buckets, until more is known; of other kinds:
_CORRELATION = 0.65
_CORRELATION_WEIGHT = 30.0  # buckets that this is worth
_MOST_HIDDEN = 4.0
_OWN_WEIGHT = 2.0  # degrees of freedom that what both sides show is worth beside the canary's own scatter
_TOO_SHORT = 6.0  # buckets that say nothing of correlation yet
_BURST, _BURST_WEIGHT = 1.2, 10.0  # the same for how counts come in bursts
_MOST_TAUGHT = 80.0  # degrees of freedom that history is worth: the load of today has the last word
_MOST_TAUGHT_HOSTS = 40.0


@dataclass(frozen=True)
class Taught:
    """What earlier good deployments taught about one metric.

    :param spread: relative variance of one measurement; for counts, by how much it exceeds chance.
    :param spread_freedom: how many degrees of freedom that rests on.
    :param correlation: between neighbouring buckets; rests on as many.
    :param host_variance: between like instances, on the log scale.
    :param host_freedom: how many degrees of freedom that rests on.
    """

    spread: float | np.ndarray = 0.0
    spread_freedom: float | np.ndarray = 0.0
    correlation: float | np.ndarray = 0.0
    host_variance: float | np.ndarray = 0.0
    host_freedom: float | np.ndarray = 0.0


NOTHING_TAUGHT = Taught()


@dataclass(frozen=True)
class Null:
    """The null of one comparison.

    :param noise: variance of the log ratio that more data makes smaller.
    :param offset: variance of it that no data makes smaller.
    :param burst: long-run variance of one measurement: counts divided by it behave like chance.
    :param freedom: degrees of freedom the noise is known with.
    :param correlation: between neighbouring buckets.
    """

    noise: np.ndarray
    offset: np.ndarray
    burst: np.ndarray
    freedom: np.ndarray
    correlation: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        """Of the log ratio, all together."""
        return np.asarray(self.noise + self.offset)


def null_of(comparison: Comparison, taught: Taught, alpha: float, *, kind: MetricKind, paired: bool = True) -> Null:
    """The null of a comparison, widened for being estimated itself.

    :param comparison: what both sides together show.
    :param taught: what earlier good deployments showed to be normal.
    :param kind: the metric's kind.
    :param alpha: chance of a false alarm it will be used with.
    :param paired: whether both sides are of the same time.
    """
    counts = kind in COUNTED
    history = np.minimum(taught.spread_freedom, _MOST_TAUGHT)
    floor, floor_weight = (_BURST, np.where(history > 0, 0.0, _BURST_WEIGHT)) if counts else (0.0, 0.0)
    freedom = comparison.freedom + history + floor_weight
    prior = np.where(history > 0, 0.0, _CORRELATION_WEIGHT)
    told = comparison.freedom
    if paired:
        told = told * np.clip(1.0 - _TOO_SHORT / np.maximum(comparison.buckets, 1.0), 0.0, 1.0)
    correlation = _over(
        comparison.lag * told + taught.correlation * history + CORRELATION.get(kind, _CORRELATION) * prior,
        told + history + prior,
    )
    correlation = np.clip(correlation, 0.0, 0.95)
    longer = inflation(correlation, comparison.buckets)
    # A short time varies less than a long one: its neighbours are alike.
    seen = comparison.squares * (1.0 if counts else _hidden(longer, comparison.buckets))
    spread = _over(seen + taught.spread * history + floor * floor_weight, freedom)
    if paired and not counts:
        # Whatever history and the other side say, a canary that jumps about is no surer than it is itself.
        own = comparison.canary_squares + _OWN_WEIGHT * spread
        spread = np.maximum(spread, own / (comparison.canary_freedom + _OWN_WEIGHT))
    burst = spread * longer * _uncertain(freedom, alpha)
    if counts:
        burst = np.maximum(burst, 1.0)
    if paired:
        offset = _offset(comparison, taught, spread * longer, alpha, counts=counts)
    else:
        offset = np.broadcast_to(_drift(taught, alpha, RATE_DRIFT if counts else DRIFT), burst.shape)
    return Null(burst * comparison.sampling, offset, burst, freedom, correlation)


def inflation(correlation: np.ndarray, buckets: np.ndarray) -> np.ndarray:
    """By how much correlation between neighbours makes the variance of the mean of so many buckets larger.

    :param correlation: between neighbouring buckets.
    :param buckets: how many there are.
    """
    buckets = np.maximum(buckets, 1.0)
    endless = (1.0 + correlation) / (1.0 - correlation)
    return np.asarray(endless - 2.0 * correlation * (1.0 - correlation**buckets) / (buckets * (1.0 - correlation) ** 2))


def _hidden(longer: np.ndarray, buckets: np.ndarray) -> np.ndarray:
    """How many times as large the variance is as deviations from the mean of so few correlated buckets say."""
    buckets = np.maximum(buckets, 2.0)
    return np.asarray(np.clip((buckets - 1.0) / np.maximum(buckets - longer, 1e-9), 1.0, _MOST_HIDDEN))


def _offset(comparison: Comparison, taught: Taught, spread: np.ndarray, alpha: float, *, counts: bool) -> np.ndarray:
    """Variance between the sides because instances differ: the more there are of them, the less."""
    least = RATE_HOST_SPREAD if counts else HOST_SPREAD
    history = np.minimum(taught.host_freedom, _MOST_TAUGHT_HOSTS)
    prior = np.maximum(_HOST_WEIGHT - history, 0.0)
    beyond = comparison.control_host_squares - comparison.control_host_noise * spread
    # Two or three instances say little, and of counts sampling is most of it.
    own = np.where(comparison.control_host_freedom >= 2, comparison.control_host_freedom, 0.0)
    squares = taught.host_variance * history + least**2 * prior + np.where(own > 0, np.maximum(beyond, 0.0), 0.0)
    freedom = history + prior + own
    variance = squares / freedom
    # Instances of today that are unlike have the last word: the prior holds for like ones.
    variance = np.maximum(variance, np.where(own > 0, np.maximum(beyond, 0.0), 0.0) / (own + 2.0))
    variance = np.maximum(variance, np.where(history >= _HOST_WEIGHT, LEAST_TAUGHT_SPREAD, least) ** 2)
    # Nobody to compare the control with: its one instance may be the odd one.
    lonely = (comparison.control_instances < 3) & (history < _HOST_WEIGHT)
    variance = np.where(lonely, np.maximum(variance, (2.0 * least) ** 2), variance)
    instances = 1.0 / np.maximum(comparison.instances, 1.0) + 1.0 / np.maximum(comparison.control_instances, 1.0)
    return np.asarray(variance * instances * _uncertain(freedom, alpha))


def _drift(taught: Taught, alpha: float, least: float) -> np.ndarray:
    """Variance between two times; ``least`` is the standard deviation to be expected until history says more."""
    history = np.minimum(taught.host_freedom, _MOST_TAUGHT_HOSTS)
    prior = np.maximum(_HOST_WEIGHT - history, 0.0)
    # A lesson speaks of one side, and there are two.
    variance = (2.0 * taught.host_variance * history + least**2 * prior) / (history + prior)
    wider = np.where(history > 0, _uncertain(history + prior, alpha), 1.0)
    return np.asarray(np.maximum(variance, LEAST_TAUGHT_DRIFT**2) * wider)


def _uncertain(freedom: np.ndarray, alpha: float) -> np.ndarray:
    """A variance known with few degrees of freedom counts for more, as Student's t is wider than the normal."""
    from scipy.special import ndtri, stdtrit

    wider = stdtrit(np.maximum(freedom, 1.0), 1.0 - alpha / 2.0) / ndtri(1.0 - alpha / 2.0)
    return np.asarray(wider**2)


def _over(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    upper, lower = np.broadcast_arrays(np.asarray(upper, dtype=float), np.asarray(lower, dtype=float))
    return np.asarray(np.divide(upper, lower, out=np.zeros(upper.shape), where=lower > 0))
