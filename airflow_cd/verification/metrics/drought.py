"""Droughts: minutes in which next to nothing happened of what should not get less, however few it usually is.

A single minute without any of two logins a minute is nothing, eight in a row are like none before. So numbers are
summed over moments in a row, and held against the least that the other side had in as many.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from airflow_cd.verification.metrics.excursion import Excursion, is_routed
from airflow_cd.verification.metrics.layout import moments_of
from airflow_cd.verification.metrics.rows import Rows
from airflow_cd.verification.metrics.sides import Sides

_STEPS = 5.0  # events put to sums, so that a few of them are nothing
_LESS = math.log(3.0)  # than usual
_LESS_THAN_EVER = math.log(2.0)  # than the other side ever had in as many moments
_FEWEST = 2  # moments in a row
_LARGEST_PART = 0.5  # of the time: what takes more of it is a level


def drought(sides: Sides, warm_up: float) -> Excursion | None:
    """The canary's worst drought, its start aside; None if there is none.

    :param sides: the rows of one metric.
    :param warm_up: time after a start that is left out, in milliseconds.
    """
    if sides.metric.kind not in ("count", "throughput") or sides.metric.direction != "lower_is_worse":
        return None
    grown = sides.older_than(warm_up)
    if is_routed(sides) or sides.groups or not len(grown.canary) or not len(grown.control):
        return None
    ours, theirs = (_numbers(rows) for rows in (grown.canary, grown.control))
    times = np.unique(grown.canary.time)
    usual = float(np.nanmean(theirs))
    found: Excursion | None = None
    for length in range(_FEWEST, int(_LARGEST_PART * ours.shape[1]) + 1):
        sums, least = _sums(ours, length), _least(theirs, length)
        if least is None or not np.isfinite(sums).any():
            continue
        place = int(np.nanargmin(sums)) % sums.shape[1]
        events = float(np.nanmin(sums))
        fall = math.log((usual * length + _STEPS) / (events + _STEPS))
        reach = math.log((least + _STEPS) / (events + _STEPS))
        if fall < _LESS or reach < _LESS_THAN_EVER or (found is not None and fall <= found.rise):
            continue
        end = place + length
        span = int(times[place]), int(times[end - 1])
        part, known = length / ours.shape[1], int(np.isfinite(theirs).any(axis=0).sum())
        over = end < ours.shape[1]
        found = Excursion(length, part, known, reach, reach, fall, *span, over, events / length, least / length)
    return found


def _numbers(rows: Rows) -> np.ndarray:
    """Numbers of each instance over time, NaN where there is no row."""
    moments, _ = moments_of(replace(rows, value=rows.value + 1.0, count=np.ones(len(rows))))
    return np.where(moments.present, moments.value - 1.0, np.nan)


def _sums(numbers: np.ndarray, length: int) -> np.ndarray:
    return np.asarray(np.lib.stride_tricks.sliding_window_view(numbers, length, axis=1).sum(axis=-1))


def _least(numbers: np.ndarray, length: int) -> float | None:
    if numbers.shape[1] < 2 * length:
        return None
    sums = _sums(numbers, length)
    return float(np.nanmin(sums)) if np.isfinite(sums).any() else None
