"""That a process began anew again and again: its start time moves, its uptime falls, its counters begin at 0.

A deployment starts a process once. One that crashes after some minutes serves in between, and its rates look as they
always did: only what it says of its own age tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_cd.verification.metrics.kinds import is_counter
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.series.counters import steps_of
from airflow_cd.verification.metrics.series.finding import Finding
from airflow_cd.verification.metrics.series.findings import again_and_again
from airflow_cd.verification.metrics.series.tables import Table, milliseconds, runs
from airflow_cd.verification.samples import Metric

if TYPE_CHECKING:
    import pandas as pd

_BEGINS = frozenset((("start", "time"), ("started", "time"), ("start", "timestamp"), ("boot", "time")))
_COUNTED = 5.0  # what had counted no more than that may be a number of each moment
_SECOND = 1.5  # a start time that is worked out of an uptime wobbles by less


def restarted(
    tables: Mapping[str, Table], raw: Mapping[str, Mapping[str, pd.DataFrame]], counters: Collection[str]
) -> dict[str, Finding]:
    """The finding, under the name of the metric that shows it best; empty if no process began anew more than once.

    :param tables: every metric on all sides, read.
    :param raw: by side and metric, the rows as they were written.
    :param counters: names of the metrics that are counters.
    """
    other = "control" if raw.get("control") else "before"
    most, named, found = 0, "", (0.0, 0.0, 0.0)
    for name, table in tables.items():
        sides = [raw.get(side, {}).get(name) for side in ("canary", other)]
        frames = [frame for frame in sides if frame is not None and len(frame)]
        if len(frames) < len(sides):
            continue
        of_age = table.metric.kind == "info"
        ours, theirs = (_beginnings(name, frame, of_age=of_age, counter=name in counters) for frame in frames)
        # The deployment itself may be in what is watched.
        again = sum(max(0, number - 1) for number in ours.values())
        if again > most:
            share = len(frames[0]) / (len(frames[0]) + len(frames[1]))
            most, named, found = again, name, (float(again), float(sum(theirs.values())), share)
    if not most:
        return {}
    ours_, theirs_, share = found
    text = f"{named}: the process began anew {ours_:.0f} more times on the canary, {theirs_:.0f} on the other side."
    finding = again_and_again(ours_, theirs_, share, text)
    return {} if finding is None else {named: finding}


def moments(raw: Mapping[str, Mapping[str, pd.DataFrame]], metrics: Collection[Metric]) -> dict[str, dict[str, Any]]:
    """By side and instance, when its process began anew, in milliseconds, as its age and its counters tell.

    An instance of which nothing tells is not there; one whose process went on has no moments.

    :param raw: by side and metric, the rows as they were written.
    :param metrics: which metrics there are.
    """
    begun: dict[str, dict[str, Any]] = {}
    for side, tables in raw.items():
        own: dict[str, list[np.ndarray]] = {}
        for metric in metrics:
            telling = _telling(metric.name, of_age=metric.kind == "info", counter=is_counter(metric.name))
            if telling is None or metric.name not in tables:
                continue
            frame = tables[metric.name]
            times = milliseconds(frame)
            for instance, run, began in _begun(frame, telling):
                own.setdefault(instance, []).append(times[run[1:]][began])
        begun[side] = {instance: np.concatenate(found) for instance, found in own.items()}
    return begun


def _beginnings(name: str, frame: pd.DataFrame, *, of_age: bool, counter: bool) -> dict[str, int]:
    """How often the process of each instance began anew, as a metric of it shows."""
    telling = _telling(name, of_age=of_age, counter=counter)
    found: dict[str, int] = {}
    for instance, _, began in _begun(frame, telling) if telling is not None else ():
        found[instance] = max(found.get(instance, 0), int(began.sum()))
    return found


_Telling = Callable[[np.ndarray], np.ndarray]


def _telling(name: str, *, of_age: bool, counter: bool) -> _Telling | None:
    """What finds, in the values of a metric, the steps at which a process began anew; None where nothing does."""
    words = words_of(name)
    if of_age and set(pairwise(words)) & _BEGINS:
        return lambda values: np.abs(np.diff(values)) > _SECOND
    if of_age and ("uptime" in words or ("up", "time") in pairwise(words)):
        return lambda values: np.diff(values) < 0
    return (lambda values: steps_of(values).resets & (values[:-1] > _COUNTED)) if counter else None


def _begun(frame: pd.DataFrame, telling: _Telling) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Of each series its instance, the positions of its numbers, and of the steps between them which are beginnings."""
    values, instances = frame["value"].to_numpy(dtype=float), frame["instance"].astype(str).to_numpy()
    for run in runs(frame):
        run = run[np.isfinite(values[run])]
        if len(run):
            yield str(instances[run[0]]), run, telling(values[run])
