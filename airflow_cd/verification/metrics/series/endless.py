"""Durations beyond what can be measured: ``+Inf``, which a quantile is where requests fell into the last bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.metrics.series.finding import Finding
from airflow_cd.verification.metrics.series.findings import again_and_again
from airflow_cd.verification.metrics.series.tables import Table, runs

if TYPE_CHECKING:
    import pandas as pd


def endless(table: Table, *, paired: bool) -> Finding | None:
    """That a duration is endless more often than chance would have it; None if not.

    Neighbours are one: requests that hang are slow for as long as they hang.

    :param table: one metric on all sides, as it was written.
    :param paired: whether the other side is of the same time.
    """
    canary, other = table.frames["canary"], table.frames.get("control" if paired else "before")
    if table.metric.kind != "latency" or other is None or not len(canary) or not len(other):
        return None
    ours, theirs = (_endless(frame) for frame in (canary, other))
    if not ours[0]:
        return None
    where = "on the control" if paired else "before"
    text = (
        f"{table.metric.name}: longer than can be measured (+Inf) in {ours[1]} of {len(canary)} moments, "
        f"in {theirs[1]} of {len(other)} {where}."
    )
    return again_and_again(ours[0], theirs[0], len(canary) / (len(canary) + len(other)), text)


def _endless(frame: pd.DataFrame) -> tuple[float, int]:
    """How many times it began, and at how many moments it was."""
    infinite = np.isposinf(frame["value"].to_numpy(dtype=float))
    began = sum(int((np.diff(infinite[run].astype(int), prepend=0) > 0).sum()) for run in runs(frame))
    return float(began), int(infinite.sum())
