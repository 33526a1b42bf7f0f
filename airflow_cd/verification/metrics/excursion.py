"""Excursions: moments in a row far beyond everything that the other side and the past had.

A mean over all the time dilutes them, and what ends by itself looks like a process that has warmed up. But minutes in
which a canary is twice as slow as its like have ever been, after its start, are none of it. What becomes of them is in
:mod:`~airflow_cd.verification.metrics.excursion_rules`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from airflow_cd.verification.metrics.cells import middle_of
from airflow_cd.verification.metrics.highest import NOTHING_SEEN, Highest
from airflow_cd.verification.metrics.layout import series_codes
from airflow_cd.verification.metrics.least_change import least_change
from airflow_cd.verification.metrics.null import COUNTED
from airflow_cd.verification.metrics.rows import Rows
from airflow_cd.verification.metrics.series.scale import AS_IT_IS
from airflow_cd.verification.metrics.shape import BEYOND, Moments
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.samples import Direction, MetricKind

_LARGEST = 700.0  # a logarithm: beyond it there is no number
_KNOWN = 3  # moments of the other side
_SIGMAS = 3.0  # of its moments, for as many in a row as lasts
_BACK = 0.5  # of the limit, on the log scale: a run ends below it, so that noise around the limit is one
_NORMAL = 1.4826  # standard deviations to a median absolute deviation
_STEPS = 5.0  # events put to counts, so that a few of them are nothing
_REQUESTS = 1000.0  # that a share of failures is taken to be of, where nobody counts them


@dataclass(frozen=True)
class Excursion:
    """The largest excursion of a metric.

    :param moments: in a row that are measurements of their own; ``part`` of all the time.
    :param known: moments that the other side has.
    :param reach: how far above the highest that lasted on the other side, on the log scale; ``above`` any moment there,
        ``rise`` above what is usual there.
    :param first: milliseconds since 1970 at which it began; ``last`` of its last moment.
    :param over: whether it has ended.
    :param level: in it, on the metric's own scale; ``highest`` the worst that the other side had.
    """

    moments: int
    part: float
    known: int
    reach: float
    above: float
    rise: float
    first: int
    last: int
    over: bool
    level: float
    highest: float

    @property
    def adds(self) -> float:
        """What it adds to the mean over all the time, as a part of what is usual."""
        return self.part * math.expm1(min(self.rise, _LARGEST))


def excursion(sides: Sides, minimum_effect: float, warm_up: float) -> Excursion | None:
    """The canary's largest excursion for the worse, its start aside; None if there is none.

    :param sides: the rows of one metric.
    :param minimum_effect: smallest relative change that counts.
    :param warm_up: time after a start that is left out, in milliseconds.
    """
    grown = _comparable(sides.older_than(warm_up))
    if not len(grown.canary) or not len(grown.control):
        return None
    ours, theirs, usual = grown.moments()
    seen = _worse(_logs(theirs, theirs.usual(), 0.0), grown)
    known = int((~np.isnan(seen)).any(axis=0).sum())
    if known < _KNOWN:
        return None
    if is_routed(sides):
        usual = ours.usual()
    least = least_change(sides.metric, sides.canary.value, sides.control.value)
    spread = _NORMAL * float(np.nan_to_num(middle_of(np.abs(seen).reshape(-1))))
    past = Highest.of(seen).or_higher(sides.seen)
    times = np.unique(grown.canary.time)
    found: Excursion | None = None
    for series, row in enumerate(_worse(_logs(ours, usual, least), grown)):
        there = np.flatnonzero(~np.isnan(row))
        top = past.or_higher(_highest(theirs, float(usual[series]), grown))
        limit = max(top.lasting, _SIGMAS * spread) + math.log1p(BEYOND * minimum_effect)
        for begin, end in _runs(row[there], limit):
            run = there[begin:end]
            far = run[row[run] > limit]
            rise = float(np.median(row[run]))
            # A percentile that stays the same to the last digit is one slow request in several windows.
            moments = len(np.unique(ours.value[series, far])) if sides.tailed else len(far)
            smaller = found is not None and found.moments * found.rise >= moments * rise
            if smaller or (begin == 0 and is_routed(sides)):
                continue
            span = int(times[run[0]]), int(times[run[-1]])
            level, highest = _figures(sides, int(np.unique(series_codes(grown.canary))[series]), span)
            found = Excursion(
                moments,
                len(run) / len(there),
                known,
                rise - top.lasting,
                rise - top.any,
                rise,
                *span,
                end < len(there),
                level,
                highest,
            )
    return found


def highest_before(sides: Sides) -> Highest:
    """How far above what is usual for them the same instances got before the deployment.

    :param sides: of one metric, the control's rows those from before.
    """
    if not len(sides.control):
        return NOTHING_SEEN
    sides = _comparable(sides)
    _, theirs, _ = sides.moments()
    return Highest.of(_worse(_logs(theirs, theirs.usual(), 0.0), sides))


def is_routed(sides: Sides) -> bool:
    """Whether the router decides how much there is of it: then only the canary's own usual level says what is usual.

    :param sides: of one metric.
    """
    return sides.paired and sides.metric.kind == "throughput"


def _comparable(sides: Sides) -> Sides:
    """The sides, counts as numbers of events of as many requests each, with a few more events: few say little."""
    metric = sides.metric
    if metric.kind not in COUNTED:
        return sides
    usual = float(np.mean(sides.control.count)) if metric.kind in ("errors", "apdex") and len(sides.control) else 0.0

    def events(rows: Rows) -> Rows:
        value = rows.value
        if metric.kind == "errors":
            value = np.divide(value, rows.count, out=np.zeros(len(rows)), where=rows.count > 0)
        elif metric.kind == "apdex":
            value = 1.0 - value.clip(0.0, 1.0)
        if metric.kind in ("errors", "apdex"):
            value = value * (usual if usual > 1.0 else _REQUESTS)
        return replace(rows, value=value + _STEPS, count=np.ones(len(rows)))

    direction: Direction = "higher_is_worse" if metric.kind in ("errors", "apdex") else metric.direction
    return replace(
        sides,
        metric=replace(metric, direction=direction),
        canary=events(sides.canary),
        control=events(sides.control),
        scale=AS_IT_IS,
    )


def _figures(sides: Sides, code: int, span: tuple[int, int]) -> tuple[float, float]:
    """The middle value of a series of the canary in a span of time, and the worst of the other side, as they are."""
    rows = sides.canary
    chosen = (series_codes(rows) == code) & (rows.time >= span[0]) & (rows.time <= span[1])
    values, theirs = (_as_shown(one, sides.metric.kind) for one in (rows.where(chosen), sides.control))
    level = float(np.median(values))
    falls = sides.metric.direction == "lower_is_worse"
    if sides.metric.direction == "either":
        falls = level < float(np.median(theirs))
    return level, float(theirs.min() if falls else theirs.max())


def _as_shown(rows: Rows, kind: MetricKind) -> np.ndarray:
    if kind != "errors":
        return rows.value
    return np.asarray(np.divide(rows.value, rows.count, out=np.zeros(len(rows)), where=rows.count > 0))


def _worse(logs: np.ndarray, sides: Sides) -> np.ndarray:
    if sides.direction == "either":
        return np.asarray(np.abs(logs))
    return np.asarray(-logs if sides.direction == "lower_is_worse" else logs)


def _highest(theirs: Moments, usual: float, sides: Sides) -> Highest:
    """How far above a level the other side's values got: instances need not be at the same one."""
    if sides.groups or not usual > 0:
        return NOTHING_SEEN
    return Highest.of(_worse(_logs(theirs, np.full(len(theirs.value), usual), 0.0), sides))


def _logs(side: Moments, usual: np.ndarray, least: float) -> np.ndarray:
    """Logarithm of each value over what is usual, 0 where it is nearer than the least change that counts."""
    known = side.present & (usual[..., None] > 0)
    far = known & (np.abs(side.value - usual[..., None]) >= least)
    ratio = np.divide(side.value, usual[..., None], out=np.ones_like(side.value), where=far)
    return np.asarray(np.where(known, np.log(np.maximum(ratio, np.finfo(float).tiny)), np.nan))


def _runs(values: np.ndarray, limit: float) -> list[tuple[int, int]]:
    """Where values are beyond a limit, from the first such moment to the last; those in between are near to it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], values > _BACK * limit, [False]]).astype(int)))
    runs = []
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        beyond = begin + np.flatnonzero(values[begin:end] > limit)
        if len(beyond):
            runs.append((int(beyond[0]), int(beyond[-1]) + 1))
    return runs
