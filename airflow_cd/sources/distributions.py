"""How measurements are distributed, in buckets of whatever bounds: what of that can be judged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass
class Distribution:
    """Measurements by the buckets that they fell into; those of several instances or times may be added up.

    :param count: how many there are.
    :param total: their sum; NaN where nobody has summed them up.
    :param buckets: how many are in each bucket, by its lower and upper end.
    :param values: the measurements themselves, where they are known.
    :param ends: upper ends of buckets that an application has chosen; none where the buckets follow a rule.
    """

    count: float = 0.0
    total: float = 0.0
    buckets: dict[tuple[float, float], float] = field(default_factory=dict)
    values: list[float] = field(default_factory=list)
    ends: frozenset[float] = frozenset()

    def add(self, other: Distribution) -> None:
        """Add the measurements of another one.

        :param other: of buckets that are the same, do not overlap, or have ends in common.
        """
        self.ends = self.ends & other.ends if self.count else other.ends
        self.count += other.count
        self.total += other.total
        self.values = self.values + other.values
        for ends, number in other.buckets.items():
            self.buckets[ends] = self.buckets.get(ends, 0.0) + number

    def less(self, earlier: Distribution) -> Distribution | None:
        """What was measured since an earlier state of the same counters; all of it where they began again.

        :param earlier: what they held then.
        :returns: None where the buckets have other ends since: then nobody knows.
        """
        if self.count < earlier.count:
            return self
        if not earlier.buckets.keys() <= self.buckets.keys():
            return None
        grown = {ends: number - earlier.buckets.get(ends, 0.0) for ends, number in self.buckets.items()}
        return Distribution(
            self.count - earlier.count,
            self.total - earlier.total,
            {ends: number for ends, number in grown.items() if number > 0},
            ends=self.ends,
        )

    def shape_by(self, ends: Iterable[float]) -> tuple[float, float]:
        """As :attr:`shape`, by some of the ends of its buckets alone.

        :param ends: ends that it has.
        """
        cumulative = {end: sum(number for (_, high), number in self.buckets.items() if high <= end) for end in ends}
        return shape_of({**cumulative, math.inf: sum(self.buckets.values())})

    @property
    def mean(self) -> float:
        """Of the measurements; NaN where there are none, or nobody has summed them up."""
        return self.total / self.count if self.count else math.nan

    @property
    def shape(self) -> tuple[float, float]:
        """The 95th percentile and the standard deviation, in the unit of the measurements; NaN where nothing tells."""
        if self.values and len(self.values) >= self.count:
            import numpy as np

            return float(np.quantile(self.values, 0.95)), float(np.std(self.values))
        edges: dict[float, float] = {}
        below = 0.0
        for (lower, upper), number in sorted(self.buckets.items()):
            edges.setdefault(lower, below)
            below += number
            edges[upper] = below
        edges.setdefault(math.inf, below)
        edges.pop(-math.inf, None)
        return shape_of(edges)


def shape_of(cumulative: Mapping[float, float]) -> tuple[float, float]:
    """The 95th percentile and the standard deviation of measurements; NaN where nothing tells.

    :param cumulative: how many are at most so long, by the bound; the greatest bound holds all of them.
    """
    import numpy as np

    from airflow_cd.verification.metrics.series.histograms import deviation_of, quantile_of

    bounds = np.array(sorted(cumulative))
    if len(bounds) < 2 or not cumulative[bounds[-1]]:
        return math.nan, math.nan
    rows = np.array([[cumulative[bound] for bound in bounds]])
    return float(quantile_of(bounds, rows)[0]), float(deviation_of(bounds, rows, rows[:, -1])[0])


def shared_ends(histograms: Iterable[Mapping[float, float]]) -> list[float]:
    """The ends of buckets that all of some histograms have: by others they do not say the same of the same durations.

    :param histograms: each cumulative, by the upper ends of its buckets.
    :returns: in ascending order.
    """
    ends = [one.keys() for one in histograms]
    return sorted(set(ends[0]).intersection(*ends)) if ends else []


def differing(name: str, shared: Iterable[float]) -> str:
    """What is said of histograms whose buckets end otherwise.

    :param name: of what they measure.
    :param shared: the ends that all of them have.
    """
    listed = ", ".join(f"{end:g}" for end in shared if math.isfinite(end)) or "none"
    return (
        f"Buckets of {name} end otherwise on some instances or at some times: its scatter and 95th percentile are by "
        f"the ends that all have ({listed})."
    )


def explicit(counts: Iterable[float], bounds: Iterable[float], lowest: float = 0.0) -> dict[tuple[float, float], float]:
    """Buckets between given bounds.

    :param counts: of each bucket: below the first bound, between two, and above the last one.
    :param bounds: ascending.
    :param lowest: where the first bucket begins, if its bound is above it.
    """
    ends = list(bounds)
    lower = [min(lowest, *ends[:1]) if ends else -math.inf, *ends]
    pairs = zip(lower, [*ends, math.inf], counts, strict=False)
    return {(low, high): number for low, high, number in pairs if number}


def exponential(
    counts: Iterable[float], first: int, growth: float, scale: float = 1.0
) -> dict[tuple[float, float], float]:
    """Buckets each of which ends so many times higher than it begins.

    :param counts: of each bucket, in order.
    :param first: the power of ``growth`` at which the first one begins.
    :param growth: above 1.
    :param scale: by which the powers are multiplied.
    """
    return {
        (scale * growth ** (first + place), scale * growth ** (first + place + 1)): number
        for place, number in enumerate(counts)
        if number
    }
