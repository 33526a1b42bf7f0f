"""Metrics of files as the two sides of a judgement: their kinds, their requests, their times side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_cd.verification.files.metric_instances import with_instances
from airflow_cd.verification.files.metrics import MetricTable
from airflow_cd.verification.metrics.kinds import guessed, resolved
from airflow_cd.verification.metrics.series.histograms import unfolded
from airflow_cd.verification.metrics.series.repeats import once
from airflow_cd.verification.samples import Metric

if TYPE_CHECKING:
    import pandas as pd

_SHARED = 0.5  # of the canary's times that the control must have to be of the same time


@dataclass(frozen=True)
class MetricSides:
    """What :func:`~airflow_cd.verification.metrics.performance.judge_performance` is given.

    :param metrics: to be judged.
    :param frames: rows by side: ``canary``, ``control`` and ``baseline``, as far as there are any.
    :param least: fewest requests to judge by; None for the default.
    :param notes: what was taken for granted, one sentence each.
    """

    frames: Mapping[str, pd.DataFrame]
    metrics: Sequence[Metric]
    least: int | None
    notes: Sequence[str] = field(default=())


def sides_of(
    sides: Mapping[str, MetricTable], kinds: Mapping[str, str], directions: Mapping[str, str], least: int | None = None
) -> MetricSides:
    """The tables of each side, made comparable.

    Their kinds are what their names suggest or what was given, and their times are on one grid.

    :param sides: by side, what its files hold.
    :param kinds: by the name of a metric, what it is; overrides what the name suggests. ``directions``: likewise, which
        way is worse.
    :param least: fewest requests to judge by; by default what
        :func:`~airflow_cd.verification.metrics.performance.judge_performance` takes.
    :raises airflow_cd.errors.VerificationError: a kind or a direction is given for a metric that is not there.
    """
    sides = with_instances(sides)
    notes = [note for table in sides.values() for note in table.notes]
    kept = {side: once(table.frame) for side, table in sides.items()}
    notes += [
        f"{one.repeated:,} values of the {side} are there more than once, for the same time and instance: "
        "each counts once."
        for side, one in kept.items()
        if one.repeated
    ]
    frames = unfolded({side: one.frame for side, one in kept.items()})
    metrics = _metrics_in(sides.values(), frames, kinds, directions)
    nobody = all(bool(frame["count"].isna().all()) for frame in frames.values())
    found = {metric.kind for metric in metrics}
    if nobody and "throughput" not in found and found & {"latency", "apdex"}:
        notes.append("No column `count`: each row counts as one measurement, however many requests it holds.")
    if "control" in frames and "canary" in frames:
        frames, note = _side_by_side(frames)
        notes += note
    return MetricSides(frames, metrics, least, notes)


def _metrics_in(
    tables: Iterable[MetricTable],
    frames: Mapping[str, pd.DataFrame],
    kinds: Mapping[str, str],
    directions: Mapping[str, str],
) -> list[Metric]:
    """The metrics in the order of the files, and those that were made of their parts."""
    there = {name for frame in frames.values() for name in frame["metric"].unique()}
    given = {name for table in tables for name in table.metrics}
    names = dict.fromkeys(name for table in tables for name in table.metrics if name in there or len(table.frame) == 0)
    names |= dict.fromkeys(sorted(there - given))
    return resolved([guessed(name) for name in names], kinds, directions)


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
