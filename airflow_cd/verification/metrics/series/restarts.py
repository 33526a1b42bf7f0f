"""That a process began anew again and again: its start time moves, its uptime falls, its counters begin at 0.

A deployment starts a process once. One that crashes after some minutes serves in between, and its rates look as they
always did: only what it says of its own age tells it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.series.counters import steps_of
from airflow_cd.verification.metrics.series.finding import Finding
from airflow_cd.verification.metrics.series.findings import again_and_again
from airflow_cd.verification.metrics.series.tables import Table, runs

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


def _beginnings(name: str, frame: pd.DataFrame, *, of_age: bool, counter: bool) -> dict[str, int]:
    """How often the process of each instance began anew, as a metric of it shows."""
    words = words_of(name)
    begins = of_age and bool(set(pairwise(words)) & _BEGINS)
    uptime = of_age and ("uptime" in words or ("up", "time") in pairwise(words))
    if not (begins or uptime or counter):
        return {}
    values, instances = frame["value"].to_numpy(dtype=float), frame["instance"].astype(str).to_numpy()
    found: dict[str, int] = {}
    for run in runs(frame):
        own = values[run][np.isfinite(values[run])]
        if begins:
            number = int((np.abs(np.diff(own)) > _SECOND).sum())
        elif uptime:
            number = int((np.diff(own) < 0).sum())
        else:
            number = int((steps_of(own).resets & (own[:-1] > _COUNTED)).sum())
        instance = str(instances[run[0]]) if len(run) else ""
        found[instance] = max(found.get(instance, 0), number)
    return found
