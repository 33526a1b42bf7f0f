"""A model of what the hosts of a service measure each minute, many runs at once.

Every minute of every host holds some hundred requests. Hosts that do the same differ by 3 % for as long as they live;
what all share (load) moves together; what is left is correlated from minute to minute. The figures are chosen so that
the peers come out where they were measured elsewhere on such a model.

:data:`HARD` is what real metrics have beside that and what is no regression either: noise that hardly forgets, minutes
in which one host is several times as slow, processes that warm up, hosts on busy nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from airflow_cd.verification.samples import Direction, Metric, MetricKind

MINUTES = 30
CONTROL_HOSTS = 4
REQUESTS = 500.0  # a minute and host
HOSTS_DIFFER = 0.03  # standard deviation of the logarithm
ERRORS = 0.01  # share of the requests
DISSATISFIED = 0.1  # of the requests, for apdex


@dataclass(frozen=True)
class Profile:
    """How one kind of metric behaves.

    :param noise: standard deviation of the logarithm of one host's minute, beside what counting itself adds.
    :param correlation: of that noise with the minute before.
    :param shared: standard deviation of what all hosts have in common.
    :param spikes: share of a host's minutes that are :data:`SPIKE` times as high.
    """

    kind: MetricKind
    direction: Direction
    noise: float
    correlation: float
    shared: float
    spikes: float = 0.0


PROFILES = {
    "latency": Profile("latency", "higher_is_worse", 0.2, 0.3, 0.15),
    "errors": Profile("errors", "higher_is_worse", 0.1, 0.3, 0.2),
    "gauge": Profile("gauge", "either", 0.1, 0.6, 0.1),
    "throughput": Profile("throughput", "lower_is_worse", 0.1, 0.3, 0.2),
    "apdex": Profile("apdex", "lower_is_worse", 0.1, 0.3, 0.2),
}
SPIKE = 4.0
# Nothing of this is a regression; tables of levels and of power are of the profiles above.
HARD = {
    "AR(.8)": Profile("latency", "higher_is_worse", 0.2, 0.8, 0.15),
    "gauges, AR(.8)": Profile("gauge", "either", 0.2, 0.8, 0.1),
    "spikes": Profile("latency", "higher_is_worse", 0.1, 0.3, 0.15, 0.02),
    "AR(.8) and spikes": Profile("latency", "higher_is_worse", 0.2, 0.8, 0.15, 0.02),
    "gauges, spikes": Profile("gauge", "higher_is_worse", 0.1, 0.3, 0.1, 0.02),
}
# Of twenty metrics: eight latencies, four of errors, four gauges, two of throughput, two of apdex.
MIX = ("latency", "errors", "latency", "gauge", "latency", "throughput", "latency", "errors", "gauge", "apdex")


def metric_of(name: str, number: int = 0) -> Metric:
    """The metric as a source would describe it."""
    profile = profile_of(name)
    return Metric(f"{name}_{number}", profile.kind, profile.direction)


def profile_of(name: str) -> Profile:
    """The profile of this name, of :data:`PROFILES` or :data:`HARD`."""
    return PROFILES.get(name) or HARD[name]


@dataclass(frozen=True)
class Side:
    """Values and counts of some hosts; arrays of runs, hosts and minutes.

    Values are as in :class:`~airflow_cd.verification.samples.MetricSample`.
    """

    value: np.ndarray
    count: np.ndarray

    def until(self, minutes: int) -> Side:
        """What is there after so many minutes."""
        return Side(self.value[..., :minutes], self.count[..., :minutes])

    def after(self, minutes: int) -> Side:
        """What is there without the first minutes."""
        return Side(self.value[..., minutes:], self.count[..., minutes:])


def drawn(
    rng: np.random.Generator,
    name: str,
    runs: int,
    hosts: Sequence[int],
    *,
    factor: float | np.ndarray = 1.0,
    minutes: int = MINUTES,
    warm_up: Sequence[float] = (),
    hosts_differ: float = HOSTS_DIFFER,
) -> list[Side]:
    """Draw sides that share their load.

    :param hosts: how many hosts each side has.
    :param factor: how much worse the first side is: times longer, times as many errors or dissatisfied, the inverse
        of it in throughput; an array has one for each of its hosts.
    :param warm_up: how much worse the first side is in its first minutes, one after another, beside ``factor``.
    :param hosts_differ: standard deviation of the logarithm between hosts.
    """
    profile = profile_of(name)
    start = np.ones(minutes)
    start[: len(warm_up)] = warm_up[:minutes]
    load = _correlated(rng, (runs, 1, minutes), 0.8) * profile.shared
    traffic = REQUESTS * np.exp(_correlated(rng, (runs, 1, minutes), 0.8) * 0.15)
    sides = []
    for number, size in enumerate(hosts):
        shape = (runs, size, minutes)
        worse = np.reshape(factor, (1, -1, 1)) * start if number == 0 else np.ones((1, 1, 1))
        host = rng.normal(0.0, hosts_differ, (runs, size, 1))
        level = np.exp(load + host + _correlated(rng, shape, profile.correlation) * profile.noise)
        if profile.spikes:
            level = level * np.where(rng.random(shape) < profile.spikes, SPIKE, 1.0)
        requests = rng.poisson(np.broadcast_to(traffic, shape)).astype(float)
        sides.append(_side(rng, profile.kind, level, worse, requests))
    return sides


def _side(
    rng: np.random.Generator, kind: MetricKind, level: np.ndarray, worse: np.ndarray, requests: np.ndarray
) -> Side:
    if kind == "latency":
        return Side(100.0 * level * worse, requests)
    if kind == "gauge":
        return Side(400.0 * level * worse, np.zeros_like(requests))
    if kind == "throughput":
        served = rng.poisson(REQUESTS * level / worse).astype(float)
        return Side(served, served)
    if kind == "errors":
        return Side(rng.poisson(requests * ERRORS * level * worse).astype(float), requests)
    wrong = rng.binomial(requests.astype(int), np.minimum(DISSATISFIED * level * worse, 1.0))
    return Side(1.0 - wrong / np.maximum(requests, 1.0), requests)


def _correlated(rng: np.random.Generator, shape: tuple[int, ...], correlation: float) -> np.ndarray:
    """Standard normal values, each correlated with the one before along the last axis."""
    fresh = rng.normal(size=shape)
    values = np.empty(shape)
    values[..., 0] = fresh[..., 0]
    for step in range(1, shape[-1]):
        values[..., step] = correlation * values[..., step - 1] + np.sqrt(1 - correlation**2) * fresh[..., step]
    return values
