"""What says how much less or more than an instance of the other side an instance of the canary has to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from airflow_cd.verification.metrics.load import ALIKE, CONNECTED, Load, is_asked, is_of_each
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.samples import Metric

_VISITED = frozenset(("view", "pageview", "visit", "visitor", "impression", "session"))  # by users, who then do more
_FEWEST = 20.0  # requests on either side to know by
_SMALL_SHARE = 0.5  # of the other side's work: so much of it is not lost in step with all else
_SIGMAS = 2.0  # by which numbers of events differ by chance


def load_of(sides: Sequence[Sides]) -> Load | None:
    """The load as the metrics say it; None where none does.

    :param sides: of all metrics.
    """
    over_time = [one for one in sides if not one.paired and is_asked(one.metric) and len(one.canary)]
    if over_time:
        busiest = max(over_time, key=lambda one: float(one.control.value.sum()))
        rates = [float(np.mean(rows.value)) if len(rows) else 0.0 for rows in (busiest.canary, busiest.control)]
        return Load(rates[0] / rates[1], busiest.metric.name, busiest) if min(rates) > 0 else None
    known = [one for one in sides if one.paired and len(one.canary) and len(one.control)]
    asked = [one for one in known if is_asked(one.metric)]
    if asked:
        largest = max(asked, key=lambda one: float(one.control.value.sum()))
        return _load(largest, largest.canary.value, largest.control.value, largest.metric.name)
    counted = [one for one in known if one.metric.kind in ("latency", "errors", "apdex")]
    most = max(counted, key=lambda one: one.control.requests, default=None)
    by_rows = None if most is None else _load(most, most.canary.count, most.control.count, "")
    if most is not None and most.control.requests > len(most.control):
        return by_rows
    return _by_visits(known) or _by_connections(known) or _in_step(known) or by_rows


def _by_visits(known: Sequence[Sides]) -> Load | None:
    """The load as visits say it: what users do is done on them.

    :param known: of all metrics that both sides have.
    """
    counted = [one for one in known if one.metric.kind == "count" and one.metric.direction == "lower_is_worse"]
    visits = [one for one in counted if _VISITED & set(words_of(one.metric.name)) and not one.groups]
    most = max(visits, key=lambda one: float(one.control.value.sum()), default=None)
    return None if most is None else _load(most, most.canary.value, most.control.value, most.metric.name)


def _by_connections(known: Sequence[Sides]) -> Load | None:
    """The load as open connections say it, where nobody counts requests; None unless all that is done goes with them.

    :param known: of all metrics that both sides have.
    """
    held = [one for one in known if one.metric.kind == "gauge" and CONNECTED & set(words_of(one.metric.name))]
    done = [one for one in known if _is_done(one.metric)]
    # Of few connections chance makes more or less than of what is done on them.
    ordered = sorted(done, key=lambda one: -float(one.control.value.sum())) + held
    loads = [load for one in ordered if (load := _load(one, one.canary.value, one.control.value, ""))]
    if not held or not done or len(loads) < len(ordered) or not loads[0].unequal:
        return None
    apart = [abs(math.log(load.ratio / loads[0].ratio)) if load.ratio > 0 else math.inf for load in loads]
    return loads[0] if max(apart) <= ALIKE else None


def _in_step(known: Sequence[Sides]) -> Load | None:
    """The load as all that is counted says it, where nobody counts what is asked; None unless all of it goes along.

    Work that is lost would leave the failures and the bytes where they were. Nobody is sure of it where several
    instances are compared, which mostly get as much each, nor where the share is no small one.

    :param known: of all metrics that both sides have.
    """
    counted = [one for one in known if _is_done(one.metric)]
    done = counted + [one for one in known if _is_flow(one.metric)] or [one for one in known if _may_be_work(one)]
    largest = max(done, key=lambda one: float(one.control.value.sum()), default=None)
    if largest is None or any(one.groups for one in done):
        return None
    load = _load(largest, largest.canary.value, largest.control.value, "")
    if load is None or not load.unequal:
        return None
    failed = [one for one in known if one.metric.kind in ("count", "errors") and _is_known(one, load.ratio)]
    failed = [one for one in failed if one.metric.direction == "higher_is_worse" and not is_of_each(one.metric)]
    held = [one for one in known if one.metric.kind == "gauge" and CONNECTED & set(words_of(one.metric.name))]
    together = [*done, *held, *failed]
    # Of a number whose name says nothing, failures have to say that it is work.
    told = failed or (len(together) > 1 and any(one.metric.kind != "gauge" or _is_flow(one.metric) for one in done))
    if not told or not all(_stands_at(one, load.ratio, later=one in failed) for one in together):
        return None
    whole = all(len(rows.instances()) == 1 for rows in (largest.canary, largest.control))
    return replace(load, sure=load.ratio > 1.0 or (whole and load.ratio <= _SMALL_SHARE))


def _is_done(metric: Metric) -> bool:
    """Whether it is work that gets done."""
    return metric.kind in ("count", "throughput") and metric.direction == "lower_is_worse" and not is_of_each(metric)


def _is_flow(metric: Metric) -> bool:
    """Whether it is how many bytes go in and out."""
    return metric.kind == "gauge" and metric.direction == "either" and metric.unit.endswith("/s")


def _may_be_work(sides: Sides) -> bool:
    """Whether it is a number whose name says nothing, and far from that of the other side."""
    if sides.metric.kind != "gauge" or sides.metric.direction != "either" or is_of_each(sides.metric):
        return False
    whole = all(bool(np.all(rows.value == np.round(rows.value))) for rows in (sides.canary, sides.control))
    load = _load(sides, sides.canary.value, sides.control.value, "") if whole and not sides.metric.unit else None
    return load is not None and load.unequal


def _is_known(sides: Sides, ratio: float) -> bool:
    """Whether there is so much of it that its share says something."""
    return float(sides.control.value.sum()) * min(ratio, 1.0) >= _FEWEST


def _stands_at(sides: Sides, ratio: float, *, later: bool) -> bool:
    """Whether there is so many times as much as on the other side, chance aside.

    :param sides: of one metric.
    :param ratio: how many times as much.
    :param later: whether the second half of the time suffices: a process that starts fails more; else each half counts.
    """
    times = np.unique(sides.control.time)
    half = times[len(times) // 2]
    for first in (False,) if later else (True, False):
        parts = [rows.where((rows.time < half) == first) for rows in (sides.canary, sides.control)]
        if not all(map(len, parts)):
            return False
        ours, theirs = (float(part.value.sum()) for part in parts)
        cells = [len(np.unique(np.stack([part.time, part.instance]), axis=1).T) for part in parts]
        expected = ratio * theirs * cells[0] / cells[1]
        if ours <= 0.0 or expected <= 0.0:
            return False
        counted = sides.metric.kind != "gauge" or bool(np.all(sides.canary.value == np.round(sides.canary.value)))
        chance = _SIGMAS * math.sqrt(1.0 / max(min(ours, expected), 1.0) + 1.0 / max(theirs, 1.0)) if counted else 0.0
        if abs(math.log(ours / expected)) > ALIKE + chance:
            return False
    return True


def _load(sides: Sides, ours: np.ndarray, theirs: np.ndarray, name: str) -> Load | None:
    """From what either side had to do in the buckets that both have, per instance and bucket."""
    common = np.intersect1d(sides.canary.time, sides.control.time)
    rates = []
    for rows, work in ((sides.canary, ours), (sides.control, theirs)):
        there = np.isin(rows.time, common)
        cells = len(np.unique(np.stack([rows.time[there], rows.instance[there]]), axis=1).T)
        total = float(work[there].sum())
        if total < _FEWEST or not cells:
            return None
        rates.append(total / cells)
    return Load(rates[0] / rates[1], name)
