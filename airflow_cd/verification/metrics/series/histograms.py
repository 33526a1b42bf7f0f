"""Histograms and summaries of exporters as the durations they are of: ``_bucket`` with ``le``, ``_sum``, ``_count``.

A histogram is several counters: how many measurements were at most so long, their sum, and their number. What can be
judged is made of them, for each time and instance: the mean, the 95th percentile (a straight line within a bucket, as
Prometheus' ``histogram_quantile`` has it), how far the measurements scatter, and how many they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_cd.verification.metrics.names.reading import read_name
from airflow_cd.verification.metrics.series.counters import differenced, grows
from airflow_cd.verification.metrics.series.tables import Table
from airflow_cd.verification.samples import Metric

if TYPE_CHECKING:
    import pandas as pd

_BOUND = re.compile(r"""[{,\[]\s*le\s*=\s*"?([^",}\]]+)"?""")
_NAME = re.compile(r"^(.*?)[_.](bucket|sum|count|sum_squares|sumsq)(?:\{(.*)\})?$")
_QUANTILE = 0.95
_KEYS = ["time", "instance", "group"]


def unfolded(frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Rows with the parts of histograms and summaries replaced by what they measure.

    Parts are known by their names: ``x_bucket`` (with a column ``le``, or ``{le="0.5"}`` in the name), ``x_sum``,
    ``x_count`` and, where there is one, ``x_sum_squares``. They become ``x`` (the mean, with the number of measurements
    as ``count``) and ``x.p95``; ``x_count`` stays beside them, as it is the traffic. A sum without a number, and sums
    of what is counted (orders), stay what they are.

    :param frames: rows by side, with the columns of a metric sample, and ``le`` where there is one.
    """
    names = dict.fromkeys(name for frame in frames.values() for name in frame["metric"].unique())
    for base, parts in _parts(names).items():
        kind = read_name(base).kind
        if "bucket" in parts or (kind in ("latency", "gauge", "throughput") and {"sum", "count"} <= parts.keys()):
            # What is summed up over requests is how long they took, where no unit says otherwise.
            frames = _unfolded(frames, f"{base}.duration" if kind == "throughput" else base, parts)
    return {side: frame.drop(columns="le", errors="ignore") for side, frame in frames.items()}


def _parts(names: Mapping[str, None]) -> dict[str, dict[str, list[str]]]:
    found: dict[str, dict[str, list[str]]] = {}
    for name in names:
        match = _NAME.match(name)
        if match:
            part = {"sumsq": "sum_squares"}.get(match[2], match[2])
            found.setdefault(match[1], {}).setdefault(part, []).append(name)
    return found


@dataclass(frozen=True)
class _Measured:
    """What was measured at each time on each instance.

    :param count: how many measurements; ``mean``, ``p95`` and ``deviation`` of them, NaN where unknown.
    """

    keys: pd.DataFrame
    count: np.ndarray
    mean: np.ndarray
    p95: np.ndarray
    deviation: np.ndarray


def _unfolded(frames: Mapping[str, pd.DataFrame], base: str, parts: Mapping[str, list[str]]) -> dict[str, pd.DataFrame]:
    import pandas as pd

    wide = _side_by_side(frames, parts)
    used = [name for part, names in parts.items() if part != "count" for name in names]
    made = {}
    for side, frame in frames.items():
        measured = _measured(wide[side])
        rows = [frame[~frame["metric"].isin(used)]]
        unknown = np.full(len(measured.count), np.nan)
        for name, values, deviation in (
            (base, measured.mean, measured.deviation),
            (f"{base}.p95", measured.p95, unknown),
        ):
            if np.isfinite(values).any():
                own = measured.keys.assign(metric=name, value=values, count=measured.count, deviation=deviation)
                rows.append(own[measured.count > 0])
        made[side] = pd.concat(rows, ignore_index=True)
    return made


def _side_by_side(frames: Mapping[str, pd.DataFrame], parts: Mapping[str, list[str]]) -> dict[str, pd.DataFrame]:
    """The increases of all parts, a column for each: ``sum``, ``count``, and the upper bound of each bucket."""
    columns: dict[str, list[tuple[str | float, pd.Series[Any]]]] = {side: [] for side in frames}
    tables = {
        (part if bound is None else bound, name): Table(
            Metric(name, "throughput"), {side: _rows(frame, name, bound) for side, frame in frames.items()}
        )
        for part, bound, name in _columns(frames, parts)
    }
    # One bucket that nothing fell into stands still, and is a counter all the same.
    cumulative = any(map(grows, tables.values()))
    for (column, name), table in tables.items():
        read = differenced(replace(table, metric=Metric(name, "throughput", cumulative=cumulative))).frames
        for side, frame in read.items():
            columns[side].append((column, frame.groupby(_KEYS)["value"].sum()))
    return _alike({side: _summed(named) for side, named in columns.items()})


def _alike(tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Histograms without the bounds that one of the sides does not have: by others they say not the same."""
    held = [{name for name in one if isinstance(name, float) and one[name].notna().any()} for one in tables.values()]
    shared = set.intersection(*filter(None, held)) if any(held) else set()
    others = set().union(*held) - shared
    return {side: table.drop(columns=[name for name in table if name in others]) for side, table in tables.items()}


def _summed(columns: Sequence[tuple[str | float, pd.Series[Any]]]) -> pd.DataFrame:
    import pandas as pd

    named: dict[str | float, pd.Series[Any]] = {}
    for name, column in columns:
        named[name] = named[name].add(column, fill_value=0.0) if name in named else column
    together: pd.DataFrame = pd.concat(named, axis=1).sort_index() if named else pd.DataFrame()
    return together


def _columns(
    frames: Mapping[str, pd.DataFrame], parts: Mapping[str, list[str]]
) -> Iterator[tuple[str, float | None, str]]:
    for part in ("sum", "count", "sum_squares"):
        for name in parts.get(part, ()):
            yield part, None, name
    for name in parts.get("bucket", ()):
        inside = _BOUND.search(name)
        if inside:
            yield "bucket", float(inside[1].replace("+Inf", "inf")), name
            continue
        bounds = {
            str(bound)
            for frame in frames.values()
            if "le" in frame
            for bound in frame.loc[frame["metric"] == name, "le"].dropna().unique()
        }
        for bound in sorted(bounds):
            yield "bucket", float(bound.replace("+Inf", "inf")), name


def _rows(frame: pd.DataFrame, name: str, bound: float | None) -> pd.DataFrame:
    rows: pd.DataFrame = frame[frame["metric"] == name]
    if bound is None or _BOUND.search(name):
        return rows
    chosen: pd.DataFrame = rows[rows["le"].astype(str).str.replace("+Inf", "inf").astype(float) == bound]
    return chosen


def _measured(wide: pd.DataFrame) -> _Measured:
    keys: pd.DataFrame = wide.index.to_frame(index=False)
    bounds = sorted(column for column in wide.columns if isinstance(column, float))
    buckets = wide[bounds].to_numpy(dtype=float) if bounds else np.zeros((len(wide), 0))
    count = wide["count"].to_numpy(dtype=float) if "count" in wide else buckets[:, -1]
    nothing = np.full(len(wide), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = wide["sum"].to_numpy(dtype=float) / count if "sum" in wide else nothing
        deviation = deviation_of(np.array(bounds), buckets, count)
        if "sum_squares" in wide:
            square = wide["sum_squares"].to_numpy(dtype=float) / count - mean**2
            deviation = np.sqrt(np.maximum(square, 0.0))
    return _Measured(keys, count, mean, quantile_of(np.array(bounds), buckets), deviation)


def quantile_of(bounds: np.ndarray, buckets: np.ndarray) -> np.ndarray:
    """The 95th percentile of each row of cumulative buckets; the last finite bound where it is beyond.

    :param bounds: upper ends of the buckets, ascending, the last one infinite.
    :param buckets: how many measurements are at most so long: a row for each time, a column for each bound.
    """
    if len(bounds) < 2:
        return np.full(len(buckets), np.nan)
    wanted = _QUANTILE * buckets[:, -1:]
    place = np.argmax(buckets >= wanted - 1e-9, axis=1)
    rows = np.arange(len(buckets))
    upper = bounds[place]
    lower = np.where(place > 0, bounds[np.maximum(place - 1, 0)], 0.0)
    below = np.where(place > 0, buckets[rows, np.maximum(place - 1, 0)], 0.0)
    inside = buckets[rows, place] - below
    part = np.divide(wanted[:, 0] - below, inside, out=np.ones(len(buckets)), where=inside > 0)
    value = np.where(np.isinf(upper), lower, lower + part * (np.where(np.isinf(upper), lower, upper) - lower))
    return np.where(buckets[:, -1] > 0, value, np.nan)


def deviation_of(bounds: np.ndarray, buckets: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Standard deviation of the measurements, each taken to be in the middle of its bucket.

    :param bounds: as of :func:`quantile_of`; so are ``buckets``.
    :param count: unused where buckets tell.
    """
    finite = np.isfinite(bounds)
    if finite.sum() < 2:
        return np.full(len(buckets), np.nan)
    edges = np.concatenate([[0.0], np.where(finite, bounds, bounds[finite].max())])
    middle = (edges[1:] + edges[:-1]) / 2.0
    within = np.diff(buckets, axis=1, prepend=0.0)
    total = np.maximum(within.sum(axis=1), 1e-12)
    mean = within @ middle / total
    return np.asarray(np.sqrt(np.maximum(within @ middle**2 / total - mean**2, 0.0)))
