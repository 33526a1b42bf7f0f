"""Metrics of files as the two sides of a judgement: their kinds, their requests, their times side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from airflow_cd.verification.files.metrics import MetricTable
from airflow_cd.verification.metrics.kinds import guessed, is_share, resolved
from airflow_cd.verification.samples import Metric

if TYPE_CHECKING:
    import pandas as pd

ENOUGH_REQUESTS = 50
ENOUGH_ROWS = 10
"""Rows of either side to judge by where nobody says how many requests they hold."""
_SHARED = 0.5  # of the canary's times that the control must have to be of the same time


@dataclass(frozen=True)
class MetricSides:
    """What :func:`~airflow_cd.verification.metrics.performance.judge_performance` is given.

    :param metrics: to be judged.
    :param frames: rows by side: ``canary``, ``control`` and ``baseline``, as far as there are any.
    :param least: fewest requests to judge by.
    :param notes: what was taken for granted, one sentence each.
    """

    frames: Mapping[str, pd.DataFrame]
    metrics: Sequence[Metric]
    least: int
    notes: Sequence[str] = field(default=())


def sides_of(
    sides: Mapping[str, MetricTable], kinds: Mapping[str, str], directions: Mapping[str, str], least: int | None = None
) -> MetricSides:
    """The tables of each side, made comparable.

    Requests that a row does not count come from the throughput of the same time, instance and group. Errors that are
    a share become a number; where the number of requests is unknown, they are judged as a gauge, and that is noted.

    :param sides: by side, what its files hold.
    :param kinds: by the name of a metric, what it is; overrides what the name suggests. ``directions``: likewise, which
        way is worse.
    :param least: fewest requests to judge by; by default :data:`ENOUGH_REQUESTS`, or :data:`ENOUGH_ROWS` rows where
        nothing is counted.
    :raises airflow_cd.errors.VerificationError: a kind or a direction is given for a metric that is not there.
    """
    metrics = _metrics_in(sides.values(), kinds, directions)
    notes = [note for table in sides.values() for note in table.notes]
    frames = {side: _with_requests(table.frame, metrics) for side, table in sides.items()}
    judged = []
    for metric in metrics:
        if metric.kind == "errors":
            frames, metric, note = _errors(frames, metric)
            notes += note
        judged.append(metric)
    uncounted = all(bool(frame["count"].isna().all()) for frame in frames.values())
    if uncounted and any(metric.kind in ("latency", "apdex") for metric in judged):
        notes.append("No column `count`: each row counts as one measurement, however many requests it holds.")
    frames = {side: frame.fillna({"count": 1.0}) for side, frame in frames.items()}
    if "control" in frames and "canary" in frames:
        frames, note = _side_by_side(frames)
        notes += note
    return MetricSides(frames, judged, least or (ENOUGH_ROWS if uncounted else ENOUGH_REQUESTS), notes)


def _metrics_in(tables: Iterable[MetricTable], kinds: Mapping[str, str], directions: Mapping[str, str]) -> list[Metric]:
    names = dict.fromkeys(name for table in tables for name in table.metrics)
    return resolved([guessed(name) for name in names], kinds, directions)


def _errors(frames: dict[str, pd.DataFrame], metric: Metric) -> tuple[dict[str, pd.DataFrame], Metric, list[str]]:
    """The rows with a metric of errors as numbers; where those are unknown, the metric as a gauge and a note of it."""
    if any(_lacks_requests(frame, metric.name) for frame in frames.values()):
        note = (
            f"{metric.name} is judged as a gauge: a column `count`, or a metric of requests, "
            "would say of how many requests the errors are."
        )
        return frames, replace(metric, kind="gauge", unit=""), [note]
    if is_share(metric.name):
        frames = {side: _counted(frame, metric.name) for side, frame in frames.items()}
    return frames, metric, []


def _side_by_side(frames: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The times of canary and control on one grid; a control of another time is a baseline."""
    if _overlap(frames) >= _SHARED:
        return frames, []
    width = _usual_gap(frames["canary"])
    gridded = {side: frame.assign(time=frame["time"].dt.floor(width)) for side, frame in frames.items()}
    if _overlap(gridded) >= _SHARED:
        return gridded, []
    import pandas as pd

    before = [frames[side] for side in ("control", "baseline") if side in frames]
    return {"canary": frames["canary"], "baseline": pd.concat(before, ignore_index=True)}, [
        "The control's metrics are of another time than the canary's: they are compared as a baseline."
    ]


def _overlap(frames: Mapping[str, pd.DataFrame]) -> float:
    """Share of the canary's times that the control has too."""
    times = frames["canary"]["time"].drop_duplicates()
    return float(times.isin(frames["control"]["time"]).mean()) if len(times) else 0.0


def _usual_gap(frame: pd.DataFrame) -> str:
    """Time between two neighbouring times, at least a second, as pandas writes it."""
    times = frame["time"].dt.floor("s").drop_duplicates().sort_values()
    gaps = times.diff().dropna().dt.total_seconds()
    return f"{max(1, round(float(gaps.median())))}s" if len(gaps) else "1s"


def _with_requests(frame: pd.DataFrame, metrics: Sequence[Metric]) -> pd.DataFrame:
    """Where a row does not say how many requests it holds, what a throughput beside it says."""
    counters = [metric.name for metric in metrics if metric.kind == "throughput"]
    if not counters or not frame["count"].isna().any():
        return frame
    keys = ["time", "instance", "group"]
    requests = frame[frame["metric"] == counters[0]].groupby(keys)["value"].sum().rename("requests").reset_index()
    known = frame.merge(requests, on=keys, how="left")["requests"].to_numpy()
    counted = ~frame["metric"].isin([metric.name for metric in metrics if metric.kind == "gauge"])
    filled: pd.DataFrame = frame.assign(count=frame["count"].where(frame["count"].notna() | ~counted, known))
    return filled


def _lacks_requests(frame: pd.DataFrame, metric: str) -> bool:
    return bool(frame.loc[frame["metric"] == metric, "count"].isna().any())


def _counted(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Shares of a metric as numbers out of its requests; above 1 they are per cent."""
    chosen = frame["metric"] == metric
    values = frame.loc[chosen, "value"]
    whole = 100.0 if re.search(r"percent|pct|%", metric.lower()) or values.max() > 1.0 else 1.0
    numbered: pd.DataFrame = frame.assign(value=frame["value"].where(~chosen, frame["value"] / whole * frame["count"]))
    return numbered
