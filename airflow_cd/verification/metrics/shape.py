"""Changes that leave the mean alone: measurements that hang, and measurements that scatter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from airflow_cd.verification.metrics.cells import CAP, Comparison
from airflow_cd.verification.metrics.evidence import rate_interval
from airflow_cd.verification.metrics.null import Null, Taught
from airflow_cd.verification.metrics.rows import Rows, summed

LEAST_TAIL = 0.01  # increase of the share of measurements that are far too long, below which it does not matter
TAIL_GROWS = 0.5  # by which that share surely grows: slow moments cluster, so a small ratio proves little
SCATTERS = 2.0  # times the usual standard deviation: below it does not matter
_TAIL_DIFFERS = 0.05  # variance of the logarithm of that share between like instances
_VARIANCE_RATIOS = np.array([4.0, 9.0, 25.0, 100.0])
_LEAST_FREEDOM = 5.0
_NORMAL_FOURTH, _FOURTH_WEIGHT = 4.0, 20.0  # measurements are rarely quite normal


@dataclass(frozen=True)
class Tail:
    """How many rows are far too long on either side.

    :param canary: share of the canary's rows; ``control`` likewise.
    :param rows: how many rows the canary has.
    """

    canary: float
    control: float
    rows: float


def tail_grown(canary: Rows, control: Rows, alpha: float) -> Tail | None:
    """The tails if measurements are far too long far more often than usual, surely; None if not.

    :param canary: the canary's rows; ``control`` those of the other side.
    :param alpha: chance of a false alarm that is allowed.
    """
    ours, our_rows = _beyond_cap(canary, control)
    theirs, their_rows = _beyond_cap(control, control)
    if not ours or not our_rows or not their_rows:
        return None
    tail = Tail(ours / our_rows, theirs / their_rows, our_rows)
    share = our_rows / (our_rows + their_rows)
    lower, _ = rate_interval(ours, theirs, share, _TAIL_DIFFERS, alpha, "higher_is_worse")
    if lower <= math.log1p(TAIL_GROWS) or tail.canary - tail.control < LEAST_TAIL:
        return None
    return tail


def _beyond_cap(rows: Rows, usual_of: Rows) -> tuple[float, float]:
    """How many rows lie beyond :data:`CAP` times their group's usual level, and how many rows there are.

    Rows are counted and not their requests: what one bucket holds is late together or not at all.
    """
    groups = len(usual_of.group_names)
    counts = summed(usual_of.group, usual_of.count, groups)
    totals = summed(usual_of.group, usual_of.total, groups)
    level = np.divide(totals, counts, out=np.zeros(groups), where=counts > 0)[rows.group]
    known = (level > 0) & (rows.count > 0)
    return float((rows.value[known] > CAP * level[known]).sum()), float(known.sum())


def scatter(comparison: Comparison, taught: Taught, null: Null) -> tuple[np.ndarray, np.ndarray]:
    """Evidence (logarithm of the e-value) that the canary's measurements scatter more, and how many times as much.

    The ratio of two variances does not depend on the level: the evidence is the likelihood of that ratio under
    variances 4 to 100 times as large, over that under equal ones. Heavy tails and correlation make both variances
    worth fewer measurements.

    :param comparison: what both sides together show.
    :param taught: what earlier good deployments showed to be normal.
    :param null: the null of the comparison.
    """
    history = np.minimum(taught.spread_freedom, comparison.within_freedom + 30.0)
    usual_squares = comparison.within + taught.spread * history
    usual_freedom = comparison.within_freedom + history
    enough = (comparison.canary_freedom >= _LEAST_FREEDOM) & (usual_freedom >= _LEAST_FREEDOM) & (usual_squares > 0)
    ours = np.where(enough, comparison.canary_freedom, 1.0)
    usual = np.where(enough, usual_freedom, 1.0)
    variance = np.where(enough, usual_squares, 1.0) / usual
    ratio = np.where(enough, comparison.canary_squares, 1.0) / ours / variance
    weight = ours + usual
    fourth = (comparison.fourth * weight + _NORMAL_FOURTH * _FOURTH_WEIGHT) / (weight + _FOURTH_WEIGHT)
    worth = 2.0 / np.maximum(fourth - 1.0, 2.0) * (1.0 - null.correlation**2) / (1.0 + null.correlation**2)
    ours, usual = ours * worth, usual * worth
    parts = -0.5 * ours[..., None] * np.log(_VARIANCE_RATIOS) - 0.5 * (ours + usual)[..., None] * (
        np.log(ratio[..., None] * ours[..., None] / _VARIANCE_RATIOS + usual[..., None])
        - np.log(ratio * ours + usual)[..., None]
    )
    evidence = np.logaddexp.reduce(parts, axis=-1) - math.log(len(_VARIANCE_RATIOS))
    return np.where(enough, evidence, -np.inf), np.where(enough, np.sqrt(ratio), 1.0)
