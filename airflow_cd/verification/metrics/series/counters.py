"""Counters that only grow: how they are told from numbers of each bucket, and read by their increases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.metrics.kinds import is_counter
from airflow_cd.verification.metrics.names.units import SIZES, TIMES
from airflow_cd.verification.metrics.names.vocabulary import GRAVE, LYING, RESOURCES
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.series.tables import Table, milliseconds, runs, usual_gap
from airflow_cd.verification.samples import SUMMED, MetricKind

if TYPE_CHECKING:
    import pandas as pd

_RESET = 0.5  # of the value before: what falls to less began again
_RESETS = 0.2  # of the steps: what falls more often is no counter
_RESETS_LARGE, _LARGE = 0.4, 20.0  # the same where each beginning had got so far: a process that dies again and again
_WRAPS = (2.0**31, 2.0**32)  # where counters of 31 and 32 bits begin at 0 again
_PLAUSIBLE, _SLOW = 4.0, 6.0  # usual increases that one across such an end may be, and that fit below it
_ENOUGH = 8  # steps of each series that all rise, where the name does not say so
_LONG, _RISES = 12, 2 / 3  # steps of each series none of which falls, and the part that rises, where no start is seen
_NEAR, _FAR = 3.0, 30.0  # usual increases from 0
_TRAFFIC = frozenset(("octet", "packet", "pkt", "datagram", "rx", "tx", "in", "out", "sent", "received", "receive"))
_HELD = RESOURCES - {"cpu", "load", "queue"}
_HIGHER = 1.2  # times the other side's highest tooth
_MOMENTS = 1.5  # usual gaps between two counters of one process that begin again

Begun = Mapping[str, Mapping[str, np.ndarray]]
"""By side and instance, when its processes are known to have begun anew, in milliseconds."""


@dataclass(frozen=True)
class Steps:
    """The steps of one series.

    :param increases: of each step, as if the counter had no end; a fall is negative.
    :param resets: where it began again at 0.
    :param falls: where it fell otherwise, which counters do not.
    """

    increases: np.ndarray
    resets: np.ndarray
    falls: np.ndarray


def steps_of(values: np.ndarray) -> Steps:
    """The steps from each value to the next.

    :param values: of one series, finite, in the order of time.
    """
    change = np.diff(values)
    again = change < 0
    if again.any() and (change > 0).any():
        usual = float(np.median(change[change > 0]))
        for end in _WRAPS:
            if values.max() < end and usual * _SLOW < end:
                wrapped = again & (change + end <= _PLAUSIBLE * usual)
                change, again = np.where(wrapped, change + end, change), again & ~wrapped
    resets = again & (values[1:] < _RESET * values[:-1])
    return Steps(change, resets, again & ~resets)


def differenced(table: Table, begun: Begun | None = None) -> Table:
    """A counter by its increases in each bucket; everything else as it is.

    A value that falls to less than half began again at 0: the process was new. Increases over a longer time, where a
    measurement is missing, count as so much in each bucket. Levels (``cpu_seconds_total``) become rates per second.

    :param table: one metric on all sides.
    :param begun: by side and instance, when processes began anew; None (the default) where nothing tells.
    """
    metric = table.metric
    if metric.cumulative is False or not (metric.cumulative or grows(table, begun)):
        return table
    level = metric.kind not in SUMMED
    gap = usual_gap(table.frames["canary"])
    each = 1.0 if level else gap
    first = {side: milliseconds(frame).min(initial=2**62) for side, frame in table.frames.items()}
    frames = {side: _increases(frame, each or 1.0, int(first[side])) for side, frame in table.frames.items()}
    unit = metric.unit
    if level:
        unit = "cores" if unit == "s" and "cpu" in metric.name.lower() else f"{unit}/s" if unit else ""
    kind: MetricKind = "gauge" if metric.kind == "latency" else metric.kind
    return table.read_as(
        frames, "a counter that only grows, read by its increases", kind=kind, cumulative=False, unit=unit, period=0.0
    )


def grows(table: Table, begun: Begun | None = None) -> bool:
    """Whether every series only grows, but for new beginnings.

    :param table: one metric on all sides.
    :param begun: by side and instance, when processes began anew; None (the default) where nothing tells.
    """
    ends_so = is_counter(table.metric.name)
    named = ends_so or _began_again(table) or _never_falls(table)
    if not named and table.metric.kind not in SUMMED:
        return False
    if not ends_so and (_is_drained(table, begun or {}) or set(table.values()) <= {0.0, 1.0}):
        return False
    number = rises = series = 0
    for frame in table.frames.values():
        values = frame["value"].to_numpy(dtype=float)
        for run in runs(frame):
            own = values[run][np.isfinite(values[run])]
            steps = steps_of(own)
            if steps.falls.any() or _too_many_resets(own, steps) or (own < 0).any():
                return False
            if not named and len(steps.increases) < _ENOUGH:
                return False
            number, series = number + len(steps.increases), series + 1
            rises += int((steps.increases > 0).sum())
    if not rises:
        return _stands_still(table)
    # What only rose once or twice is the same whether one takes differences or not.
    return number >= 2 and (named or rises >= 2 * series)


def _stands_still(table: Table) -> bool:
    """Whether a counter of what rarely happens stands where it stood before anybody looked.

    How often a new process has died by then is worth knowing.
    """
    name = table.metric.name
    if table.metric.kind not in ("errors", "count") or not is_counter(name) or GRAVE & set(words_of(name)):
        return False
    return all(len(frame) > 2 * len(runs(frame)) for frame in table.frames.values() if len(frame))


def _too_many_resets(values: np.ndarray, steps: Steps) -> bool:
    tops = values[:-1][steps.resets]
    part = _RESETS_LARGE if len(tops) and tops.min() > _LARGE else _RESETS
    return bool(len(tops) > max(1.0, part * len(steps.increases)))


def _is_drained(table: Table, begun: Begun) -> bool:
    """Whether what falls is a level that somebody empties, and no counter of a process that begins anew.

    That a canary's process dies again and again is possible, that the others' do so unnoticed by any counter is not.
    Teeth that are no higher than on the other side may be read either way, and their slope hangs less on chance.
    """
    lies = bool(set(words_of(table.metric.name)) & LYING)
    falls = {side: _unexplained(frame, begun.get(side, {})) for side, frame in table.frames.items()}
    others = max((number for side, number in falls.items() if side != "canary"), default=0)
    if not others:
        return lies and falls["canary"] > 0
    highest = {side: frame["value"].max() for side, frame in table.frames.items()}
    higher = bool(highest["canary"] > _HIGHER * max(highest[side] for side in highest if side != "canary"))
    return higher and (lies or others > 1)


def _unexplained(frame: pd.DataFrame, begun: Mapping[str, np.ndarray]) -> int:
    """How often, at most, a series fell to its beginning when no process is known to have begun."""
    values, times = frame["value"].to_numpy(dtype=float), milliseconds(frame)
    instances = frame["instance"].astype(str).to_numpy()
    near = _MOMENTS * 1000.0 * usual_gap(frame)
    most = 0
    for run in runs(frame):
        run = run[np.isfinite(values[run])]
        if len(run) < 2:
            continue
        fell = times[run[1:]][steps_of(values[run]).resets]
        known = begun.get(str(instances[run[0]]), np.zeros(0))
        alone = [moment for moment in fell if not len(known) or np.abs(known - moment).min() > near]
        most = max(most, len(alone))
    return most


def _never_falls(table: Table) -> bool:
    """Whether a duration or a level is a counter by its values: on no side does it ever fall, for long.

    Durations are a sum of them then, numbers count something. Sizes and what a process holds do grow for long as well.
    """
    metric, words = table.metric, set(words_of(table.metric.name))
    if metric.kind not in ("latency", "gauge") or metric.part or len(table.frames) < 2:
        return False
    if metric.kind == "gauge":
        values = table.values()
        whole = metric.unit in TIMES or bool(len(values) and np.all(values == np.round(values)))
        if not whole or words & _HELD or (metric.unit in SIZES and not words & _TRAFFIC):
            return False
    for frame in table.frames.values():
        values = frame["value"].to_numpy(dtype=float)
        for run in runs(frame):
            own = values[run][np.isfinite(values[run])]
            steps = steps_of(own)
            rises = int((steps.increases > 0).sum())
            if len(steps.increases) < _LONG or steps.falls.any() or rises < _RISES * len(steps.increases):
                return False
            if (own < 0).any() or _too_many_resets(own, steps):
                return False
    return True


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
        steps, seconds = steps_of(values[run]), np.maximum(np.diff(times[run]) / 1000.0, 1e-3)
        change = np.where(steps.increases < 0, values[run][1:], steps.increases)
        increases[run[1:]] = change / seconds * each
        kept[run[1:]] = True
        if times[run[0]] > began and len(run) > 1:
            # It was not there before: as labels are that have not happened yet.
            increases[run[0]], kept[run[0]] = values[run[0]], values[run[0]] <= np.abs(change).max(initial=0.0) * 2 + 1
    read: pd.DataFrame = frame.assign(value=increases)[kept].reset_index(drop=True)
    return read
