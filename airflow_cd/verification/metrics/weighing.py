"""A comparison held against its null: how sure a change is, how large, and what would have shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from airflow_cd.verification.metrics.cells import Comparison
from airflow_cd.verification.metrics.evidence import (
    Estimate,
    level_evidence,
    level_interval,
    rate_evidence,
    rate_interval,
    smallest_level_change,
    smallest_rate_change,
)
from airflow_cd.verification.metrics.null import COUNTED, Null, Taught, null_of
from airflow_cd.verification.samples import Direction, MetricKind

_LARGEST = 700.0  # a logarithm: beyond it there is no number
_UNLIKELY, _IMPROBABLE = 1.5, 2.0  # standard deviations: farther out once in fifteen, and in fifty times


@dataclass(frozen=True)
class Weighed:
    """A comparison with its null.

    :param comparison: what both sides together show.
    :param null: what they may differ by although nothing changed.
    :param kind: the metric's kind.
    :param direction: which way is worse for what was compared: for apdex, that is dissatisfaction.
    :param alpha: chance of a false alarm allowed to it.
    """

    comparison: Comparison
    null: Null
    kind: MetricKind
    direction: Direction
    alpha: float

    @classmethod
    def of(
        cls,
        comparison: Comparison,
        taught: Taught,
        kind: MetricKind,
        direction: Direction,
        alpha: float,
        *,
        paired: bool = True,
    ) -> Weighed:
        """Weigh a comparison.

        :param comparison: what both sides together show.
        :param kind: the metric's kind.
        :param alpha: chance of a false alarm allowed to it.
        :param paired: whether both sides are of the same time.
        :param taught: what earlier deployments taught about the metric.
        :param direction: which way is worse for the metric; of an apdex its score.
        """
        if kind == "apdex":
            opposite: dict[Direction, Direction] = {"higher_is_worse": "lower_is_worse"}
            direction = opposite.get(direction, "either" if direction == "either" else "higher_is_worse")
        null = null_of(comparison, taught, alpha, kind=kind, paired=paired)
        return cls(comparison, null, kind, direction, alpha)

    @cached_property
    def evidence(self) -> np.ndarray:
        """Logarithm of the e-value that something changed."""
        if self.kind in COUNTED:
            return rate_evidence(*self._counts, self.null.offset, self.direction)
        return level_evidence(self.comparison.log_ratio, self.null.variance, self.direction)

    @cached_property
    def effect(self) -> np.ndarray:
        """Relative change of what was compared."""
        return np.asarray(np.expm1(np.minimum(self.comparison.log_ratio, _LARGEST)))

    @property
    def is_likely(self) -> bool:
        """Whether chance alone, as little as is known of it, would bring so large a change once in fifteen times."""
        return abs(float(self.comparison.log_ratio)) >= _UNLIKELY * math.sqrt(float(self.null.variance))

    def is_surely_no_worse(self, change: float) -> bool:
        """Whether a level is better, and worse by so much only if chance hid it once in fifty times.

        :param change: relative, without its sign.
        """
        ratio, spread = float(self.comparison.log_ratio), math.sqrt(float(self.null.variance))
        sign = {"higher_is_worse": 1.0, "lower_is_worse": -1.0}.get(self.direction, 0.0)
        return sign * ratio < 0 and sign * ratio + _IMPROBABLE * spread < math.log1p(change)

    @property
    def _counts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What happened on either side, by bursts, and the canary's share of what was to be expected."""
        comparison = self.comparison
        ours = comparison.ratio * comparison.exposure / self.null.burst
        theirs = comparison.control_ratio * comparison.control_exposure / self.null.burst
        return ours, theirs, comparison.exposure / (comparison.exposure + comparison.control_exposure)

    def estimate(self) -> Estimate:
        """Effect and interval of a single case."""
        comparison, offset = self.comparison, float(self.null.offset)
        if self.kind in COUNTED:
            ours, theirs, share = (float(number) for number in self._counts)
            lower, upper = rate_interval(ours, theirs, share, offset, self.alpha, self.direction)
            burst = float(self.null.burst)
            smallest = smallest_rate_change(theirs, share, offset, self.alpha, self.direction, burst)
            half = 0.5 / burst  # nothing at all is taken for half an event, so that a ratio exists
            seen = math.log((ours or (half if theirs else 1.0)) / (theirs or (half if ours else 1.0)))
            effect = math.expm1(seen - math.log(share / (1.0 - share))) if ours or theirs else 0.0
            if not ours and theirs:
                effect = -1.0
        else:
            variance, seen = float(self.null.variance), float(comparison.log_ratio)
            lower, upper = level_interval(seen, variance, self.alpha, self.direction)
            smallest = smallest_level_change(variance, self.alpha, self.direction)
            effect = math.expm1(seen)
        if self.direction == "lower_is_worse":
            return Estimate(effect, _change(lower), _change(upper), -_change(-smallest))
        return Estimate(effect, _change(lower), _change(upper), _change(smallest))


def _change(log_ratio: float) -> float:
    """A relative change from its logarithm."""
    return math.expm1(log_ratio) if log_ratio < 700 else math.inf
