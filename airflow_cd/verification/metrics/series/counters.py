"""Counters that only grow: how they are told from numbers of each bucket, and read by their increases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.metrics.kinds import is_counter
from airflow_cd.verification.metrics.series.tables import Table, milliseconds, runs, usual_gap

if TYPE_CHECKING:
    import pandas as pd

_RESET = 0.5  # of the value before: what falls to less began again
_RESETS = 0.2  # of the steps: what falls more often is no counter
_ENOUGH = 8  # steps of each series that all rise, where the name does not say so
_NEAR, _FAR = 3.0, 30.0  # usual increases from 0
_COUNTABLE = ("throughput", "errors", "count")


def differenced(table: Table) -> Table:
    """A counter by its increases in each bucket; everything else as it is.

    A value that falls to less than half began again at 0: the process was new. Increases over a longer time, where a
    measurement is missing, count as so much in each bucket. Levels (``cpu_seconds_total``) become rates per second.

    :param table: one metric on all sides.
    """
    metric = table.metric
    if metric.cumulative is False or not (metric.cumulative or grows(table)):
        return table
    level = metric.kind not in _COUNTABLE
    gap = usual_gap(table.frames["canary"])
    each = 1.0 if level else gap
    first = {side: milliseconds(frame).min(initial=2**62) for side, frame in table.frames.items()}
    frames = {side: _increases(frame, each or 1.0, int(first[side])) for side, frame in table.frames.items()}
    unit = metric.unit
    if level:
        unit = "cores" if unit == "s" and "cpu" in metric.name.lower() else f"{unit}/s" if unit else ""
    return table.read_as(
        frames, "a counter that only grows, read by its increases", cumulative=False, unit=unit, period=0.0
    )


def grows(table: Table) -> bool:
    """Whether every series only grows, but for new beginnings.

    :param table: one metric on all sides.
    """
    named = is_counter(table.metric.name) or _began_again(table)
    if not named and table.metric.kind not in _COUNTABLE:
        return False
    steps = rises = series = 0
    for frame in table.frames.values():
        values = frame["value"].to_numpy(dtype=float)
        for run in runs(frame):
            own = values[run][np.isfinite(values[run])]
            change = np.diff(own)
            falls = change < 0
            resets = falls & (own[1:] < _RESET * own[:-1])
            if (falls & ~resets).any() or resets.sum() > max(1.0, _RESETS * len(change)) or (own < 0).any():
                return False
            if not named and len(change) < _ENOUGH:
                return False
            steps, rises, series = steps + len(change), rises + int((change > 0).sum()), series + 1
    # What only rose once or twice is the same whether one takes differences or not.
    return rises > 0 and steps >= 2 and (named or rises >= 2 * series)


def _began_again(table: Table) -> bool:
    """Whether a level is a counter by its values: all of it rises, near 0 on the canary and far from it elsewhere."""
    if table.metric.kind != "gauge" or table.metric.part or len(table.frames) < 2:
        return False
    first = {}
    for side, frame in table.frames.items():
        values = frame["value"].to_numpy(dtype=float)
        starts = []
        for run in runs(frame):
            own = values[run][np.isfinite(values[run])]
            change = np.diff(own)
            if len(change) < _ENOUGH or (change <= 0).any():
                return False
            starts.append(float(own[0] / change.mean()))
        first[side] = starts
    others = [start for side, starts in first.items() if side != "canary" for start in starts]
    return max(first["canary"], default=np.inf) < _NEAR < _FAR < min(others, default=0.0)


def _increases(frame: pd.DataFrame, each: float, began: int) -> pd.DataFrame:
    """Rows with increases over ``each`` seconds.

    :param began: when the first series of this side began; one that appears later started at 0.
    """
    values, times = frame["value"].to_numpy(dtype=float).copy(), milliseconds(frame)
    kept = np.zeros(len(frame), dtype=bool)
    increases = np.full(len(frame), np.nan)
    for run in runs(frame):
        run = run[np.isfinite(values[run])]
        if not len(run):
            continue
        change, seconds = np.diff(values[run]), np.maximum(np.diff(times[run]) / 1000.0, 1e-3)
        again = change < 0
        change[again] = values[run][1:][again]
        increases[run[1:]] = change / seconds * each
        kept[run[1:]] = True
        if times[run[0]] > began and len(run) > 1:
            # It was not there before: as labels are that have not happened yet.
            increases[run[0]], kept[run[0]] = values[run[0]], values[run[0]] <= np.abs(change).max(initial=0.0) * 2 + 1
    read: pd.DataFrame = frame.assign(value=increases)[kept].reset_index(drop=True)
    return read
