"""Bursts that both sides have alike: a cron job that fills a queue, a batch that slows what is measured meanwhile.

Of a level that is calm but for a few bursts the mean is little more than their number, and no time that a canary is
watched for makes it precise. What it is at all other times can be compared, once the bursts are as frequent and as
high on both sides.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from airflow_cd.verification.metrics.rows import Rows
from airflow_cd.verification.metrics.sides import Sides

_CALM = 3.0  # times the usual level of the other side: beyond it is a burst
_MOST = 0.25  # of the time: what takes more of it is no burst
_MORE = 1.25  # times as frequent, or as high, on the canary: then they are not alike
_FEWEST = 2  # bursts of the other side, to know that it has any


def without_bursts(sides: Sides) -> Sides | None:
    """The rows beside the bursts; None where there are none, or where the canary's are not like the other side's.

    :param sides: the rows of one metric that gets worse by growing.
    """
    if sides.metric.direction != "higher_is_worse":
        return None
    usual = float(np.median(sides.control.value)) if len(sides.control) else 0.0
    if usual <= 0 or not len(sides.canary):
        return None
    ours, theirs = (side.value > _CALM * usual for side in (sides.canary, sides.control))
    # One more or less is chance.
    allowed = _MORE * theirs.mean() + 2.0 / len(ours)
    if theirs.sum() < _FEWEST or max(theirs.mean(), ours.mean()) > _MOST or ours.mean() > allowed:
        return None
    if _high(sides.canary, ours) > _MORE * float(sides.control.value.max()):
        return None
    return replace(sides, canary=sides.canary.where(~ours), control=sides.control.where(~theirs))


def _high(rows: Rows, bursts: np.ndarray) -> float:
    return float(rows.value[bursts].max(initial=0.0))
