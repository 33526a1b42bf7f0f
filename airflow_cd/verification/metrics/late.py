"""A change that begins while the canary is watched, and stays: the mean over all its time dilutes it.

The last part of the time is compared by itself, as everything is, at a small part of the false alarms allowed. What
swings is no change of this kind: it must show in both halves of that part, and in the very last moments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airflow_cd.verification.metrics.evidence import regressed
from airflow_cd.verification.metrics.null import Taught
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.weighing import Weighed

LATE_PART = 0.05  # of the false alarms allowed to a metric
_PART = 1 / 3  # of the time
_ENDS = 0.25  # of that part: its last moments
_FEWEST = 8  # buckets in that part
_HALF = 0.5  # of the minimum effect on the log scale, in each half


@dataclass(frozen=True)
class Late:
    """What the last part of the time shows.

    :param sides: its rows.
    :param weighed: both sides compared in it.
    :param seconds: how long it is.
    """

    sides: Sides
    weighed: Weighed
    seconds: float


def late_change(sides: Sides, taught: Taught, alpha: float, threshold: float) -> Late | None:
    """The change for the worse in the last part of the time; None if there is none that is sure.

    :param sides: the rows of a metric that is a level, without those of warm-ups.
    :param taught: what earlier deployments taught about it.
    :param alpha: chance of a false alarm allowed to the metric.
    :param threshold: smallest relative change that counts.
    """
    part = sides.lately(_PART)
    buckets = np.unique(part.canary.time)
    if len(buckets) < _FEWEST:
        return None
    comparison = part.compare()
    if comparison is None:
        return None
    chance = alpha * LATE_PART
    weighed = Weighed.of(comparison, taught, sides.metric.kind, sides.direction, chance, paired=sides.paired)
    if not regressed(weighed.evidence, weighed.effect, chance, threshold, sides.direction):
        return None
    middle = buckets[len(buckets) // 2]
    last = buckets[-max(2, round(_ENDS * len(buckets)))]
    spans = ((buckets[0], middle), (middle, buckets[-1] + 1), (last, buckets[-1] + 1))
    least = _HALF * math.log1p(threshold)
    sign = _sign(sides, float(weighed.comparison.log_ratio))
    if any(sign * change < least for span in spans for change in _changes(part, *span)):
        return None
    return Late(part, weighed, float(buckets[-1] - buckets[0] + sides.width) / 1000.0)


def _sign(sides: Sides, change: float) -> float:
    if sides.direction == "either":
        return 1.0 if change >= 0 else -1.0
    return -1.0 if sides.direction == "lower_is_worse" else 1.0


def _changes(part: Sides, since: int, until: int) -> list[float]:
    """The change in a span of time, by the mean and by the middle value, on the log scale."""
    ours, theirs = part.canary, part.control
    ours = ours.where((ours.time >= since) & (ours.time < until))
    if part.paired:
        theirs = theirs.where((theirs.time >= since) & (theirs.time < until))
    values = [part.scale.of(rows).value for rows in (ours, theirs)]
    if not all(len(value) for value in values):
        return [-math.inf]
    middles = [float(np.median(value)) for value in values]
    means = [float(np.mean(value)) for value in values]
    return [math.log(a / b) if a > 0 and b > 0 else -math.inf for a, b in (middles, means)]
