"""Of how many requests a row speaks, where it does not say so itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.metrics.kinds import described
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.series.tables import Table, milliseconds
from airflow_cd.verification.metrics.series.values import whole_of
from airflow_cd.verification.samples import Metric

if TYPE_CHECKING:
    import pandas as pd

_KNOWN = 0.9  # of the rows must say of how many requests they are, for the others to be taken for usual ones
_ROUNDED = 0.02  # of a request: by how much a share that was rounded may miss a whole number of them
_ASKED = ("latency", "errors", "apdex", "share")


def with_requests(tables: Mapping[str, Table]) -> dict[str, Table]:
    """Rows with the requests that a throughput of the same time, instance and group counts.

    :param tables: every metric on all sides, by name.
    """
    counters = [table for table in tables.values() if table.metric.kind == "throughput"]
    filled = dict(tables)
    for name, table in tables.items():
        if table.metric.kind not in _ASKED or not counters:
            continue
        if not any(frame["count"].isna().any() for frame in table.frames.values()):
            continue
        counter = max(counters, key=lambda other: _likeness(table.metric, other.metric))
        frames = {side: _filled(frame, counter.frames.get(side)) for side, frame in table.frames.items()}
        filled[name] = replace(table, frames=frames)
    return filled


def as_numbers(table: Table) -> Table:
    """Errors as numbers of failed requests; where nobody knows of how many, as a share or a count of its own.

    Shares of a good part (``success_rate``) are errors of what is missing, where requests are known.

    :param table: one metric on all sides.
    """
    metric = table.metric
    if metric.kind != "errors":
        return table
    unknown = _unknown(table)
    shared = metric.part or (not unknown and _is_part(table))
    if unknown:
        other = replace(metric, kind="share" if shared and whole_of(table) else "count")
        return replace(table, metric=replace(other, assumed=described(other)))
    usual = {side: frame["count"].fillna(frame["count"].median()) for side, frame in table.frames.items()}
    frames = {side: frame.assign(count=usual[side]) for side, frame in table.frames.items()}
    whole = whole_of(table) if shared else 0.0
    if not whole:
        return replace(table, frames=frames)
    if whole == 1.0 and _in_hundreds(list(frames.values())):
        whole = 100.0
    numbers = {side: frame.assign(value=frame["value"] / whole * frame["count"]) for side, frame in frames.items()}
    words = {1.0: "a part of the requests", 100.0: "in per cent of the requests"}.get(whole, "of 1,000 requests")
    return table.read_as(numbers, words, factor=1.0 / whole)


def _is_part(table: Table) -> bool:
    """Whether failures that should be numbers are parts of 1: fractions, beside requests in whole numbers."""
    if table.metric.period or table.metric.cumulative is False:
        return False
    values = table.values()
    counts = np.concatenate([frame["count"].to_numpy(dtype=float) for frame in table.frames.values()])
    happened = values[values > 0]
    if not len(happened) or values.min() < 0 or values.max() > 1.0:
        return False
    whole = float(np.mean(counts[np.isfinite(counts)] % 1.0 == 0.0))
    return whole > _KNOWN and float(np.mean(happened % 1.0 > 0.0)) > _KNOWN


def _in_hundreds(frames: Sequence[pd.DataFrame]) -> bool:
    """Whether parts of 1 would come to whole hundreds of failed requests in every row: then they are in per cent.

    Where less than one per cent fails all the time no value is above 1.
    """
    values, counts = (
        np.concatenate([frame[column].to_numpy(dtype=float) for frame in frames]) for column in ("value", "count")
    )
    failed = values[(values > 0) & (values < 1.0)] * counts[(values > 0) & (values < 1.0)] / 100.0
    return bool(len(failed)) and bool(np.all(np.abs(failed - np.maximum(np.round(failed), 1.0)) <= _ROUNDED))


def _unknown(table: Table) -> bool:
    """Whether on any side too many rows do not say of how many requests they are."""
    known = [frame["count"].notna().mean() for frame in table.frames.values() if len(frame)]
    return not known or min(known) < _KNOWN


def _likeness(metric: Metric, counter: Metric) -> int:
    """How many words from their beginning on two names share."""
    shared = 0
    for one, other in zip(words_of(metric.name), words_of(counter.name), strict=False):
        if one != other:
            break
        shared += 1
    return shared


def _filled(frame: pd.DataFrame, counter: pd.DataFrame | None) -> pd.DataFrame:
    import pandas as pd

    if counter is None or not len(counter) or not frame["count"].isna().any():
        return frame
    keys = _keys(counter)
    requests = pd.Series(counter["value"].to_numpy(dtype=float)).groupby(keys).sum()
    places = _keys(frame)
    # Several rows of one time and instance are parts of its requests.
    known = requests.reindex(places).to_numpy() / pd.Series(1.0, places).groupby(places).transform("sum").to_numpy()
    known = np.where(known >= 0, known, np.nan)
    filled: pd.DataFrame = frame.assign(count=frame["count"].where(frame["count"].notna(), known))
    # A ratio without a request is no number, and none is missing.
    measured: pd.DataFrame = filled[filled["value"].notna() | (filled["count"] != 0)]
    return measured


def _keys(frame: pd.DataFrame) -> pd.MultiIndex:
    import pandas as pd

    keys: pd.MultiIndex = pd.MultiIndex.from_arrays(
        [milliseconds(frame), frame["instance"].astype(str), frame["group"].astype(str)]
    )
    return keys


def uncounted(tables: Sequence[Table]) -> bool:
    """Whether no row of any metric says of how many requests it speaks.

    :param tables: every metric on all sides.
    """
    return all(bool(frame["count"].isna().all()) for table in tables for frame in table.frames.values())
