"""Time that was spent, beside how often: two counters of which one asks for the mean, whatever they are called.

``query_time_seconds`` and ``query_total``, ``commands_duration_seconds_total`` and ``commands_processed_total``: how
much time all of it took goes with the load, how long one of them took does not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.metrics.kinds import described
from airflow_cd.verification.metrics.names.units import TIMES, suffix_of
from airflow_cd.verification.metrics.names.vocabulary import SPENT
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.series.tables import Table, milliseconds, usual_gap

if TYPE_CHECKING:
    import pandas as pd

_LABELS = re.compile(r"\{.*\}$")
_TIMED = frozenset(("time", "duration", "latency"))
_NUMBERED = frozenset(("call", "op", "operation", "completed", "processed", "success", "executed", "count"))


def averaged(tables: Mapping[str, Table], counters: Collection[str]) -> dict[str, Table]:
    """The tables, time that was spent as the mean of each where it is known how often.

    :param tables: every metric on all sides, by name, counters differenced.
    :param counters: names of the metrics that are counters.
    """
    read = dict(tables)
    numbers = {
        _thing(name): table
        for name, table in tables.items()
        if name in counters and table.metric.kind in ("throughput", "count", "errors")
    }
    for name, table in tables.items():
        number = numbers.get(_thing(name))
        if name not in counters or number is None or not _is_time(table):
            continue
        read[name] = _mean(table, number)
    return read


def _thing(name: str) -> tuple[frozenset[str], str]:
    """What a name is about, beside how long and how often, and its labels."""
    labels = _LABELS.search(name)
    words = suffix_of(words_of(_LABELS.sub("", name))).words
    return frozenset(words) - _TIMED - _NUMBERED, labels[0] if labels else ""


def _is_time(table: Table) -> bool:
    words = set(words_of(table.metric.name))
    timed = bool(words & _TIMED) or table.metric.unit.removesuffix("/s") in TIMES
    return table.metric.kind == "gauge" and timed and not words & SPENT


def _mean(table: Table, number: Table) -> Table:
    gap = usual_gap(number.frames["canary"]) or 1.0
    frames = {side: _divided(frame, number.frames.get(side), gap) for side, frame in table.frames.items()}
    if not all(len(frame) for frame in frames.values()):
        return table
    unit = table.metric.unit.removesuffix("/s")
    metric = replace(table.metric, kind="latency", direction="higher_is_worse", unit=unit)
    words = (*table.assumed, f"how long each of {number.metric.name} took")
    return Table(replace(metric, assumed=described(metric)), frames, words, table.factor)


def _divided(frame: pd.DataFrame, number: pd.DataFrame | None, gap: float) -> pd.DataFrame:
    """Time per second by numbers of each bucket, where there are any."""
    import pandas as pd

    if number is None or not len(number):
        nothing: pd.DataFrame = frame.iloc[:0]
        return nothing
    places = [pd.MultiIndex.from_arrays([milliseconds(one), one["instance"], one["group"]]) for one in (frame, number)]
    known = pd.Series(number["value"].to_numpy(dtype=float), places[1]).groupby(level=[0, 1, 2]).sum()
    often = known.reindex(places[0]).to_numpy()
    there = np.isfinite(often) & (often > 0)
    spent = frame["value"].to_numpy(dtype=float)[there] * gap / often[there]
    divided: pd.DataFrame = frame[there].assign(value=spent, count=often[there]).reset_index(drop=True)
    return divided
