"""Values that are times of the calendar: when something began, when it was built, when it succeeded last."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.metrics.kinds import described
from airflow_cd.verification.metrics.names.units import suffix_of
from airflow_cd.verification.metrics.names.vocabulary import SUCCEEDED
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.series.tables import Table, milliseconds, runs

if TYPE_CHECKING:
    import pandas as pd

_EPOCHS = ((1.0e9, 4.1e9), (1.0e12, 4.1e12))  # this century in seconds and milliseconds
_AGES = frozenset(("age", "since", "ago"))
_AGAIN = 2  # times of a last success, beside the first, until it is known to come again and again


def dated(table: Table) -> Table:
    """A number of events whose values are all times of the calendar tells when something happened, and is not judged.

    So does a *last success* that is not said to be one or none.

    :param table: one metric on all sides.
    """
    if _last_success(table) and not set(table.values()) <= {0.0, 1.0}:
        return table.read_as(table.frames, "when it succeeded last", kind="info", unit="", direction="either")
    if table.metric.kind not in ("count", "gauge", "throughput") or table.metric.unit in ("bytes", "kB", "MB", "GB"):
        return table
    values = table.values()
    if not any(_within(values, low, high) for low, high in _EPOCHS):
        return table
    if len(np.unique(values)) > 0.5 * len(values) + 1:
        return table
    return table.read_as(table.frames, "times of the calendar", kind="info", unit="", direction="either")


def _within(values: np.ndarray, low: float, high: float) -> bool:
    return bool(len(values) and low < values.min() and values.max() < high)


def _last_success(table: Table) -> bool:
    words = suffix_of(words_of(table.metric.name)).words
    succeeded = "last" in words and words[-1] in SUCCEEDED and not _AGES & set(words)
    return succeeded and table.metric.kind != "info" and table.metric.unit in ("", "requests")


def aged(table: Table) -> Table:
    """Times of the last success as how long ago that is, where on every other side it succeeds again and again.

    What succeeds once a night gets older all the time that anybody looks, and says nothing.

    :param table: one metric on all sides, as it was written.
    """
    words = set(words_of(table.metric.name))
    if table.metric.kind != "info" or "last" not in words or not words & SUCCEEDED or words & _AGES:
        return table
    values = table.values()
    others = [frame for side, frame in table.frames.items() if side != "canary" and len(frame)]
    units = [unit for unit, (low, high) in zip((1.0, 1000.0), _EPOCHS, strict=True) if _within(values, low, high)]
    if not units or not others or not all(_moves(frame) for frame in others):
        return table
    differences = {
        side: milliseconds(frame) / 1000.0 - frame["value"] / units[0] for side, frame in table.frames.items()
    }
    # Two clocks, or two zones, may be hours apart: what is usual is what an age is measured from.
    newest = min(difference.min() for side, difference in differences.items() if side != "canary" and len(difference))
    ages = {
        side: frame.assign(value=(differences[side] - newest).clip(lower=0.0)) for side, frame in table.frames.items()
    }
    metric = replace(table.metric, kind="gauge", unit="s", direction="higher_is_worse")
    metric = replace(metric, assumed=described(metric))
    return Table(metric, ages, (*table.assumed, "how long ago it succeeded"), table.factor)


def _moves(frame: pd.DataFrame) -> bool:
    """Whether in every series something happens again and again."""
    values = frame["value"].to_numpy(dtype=float)
    return all(len(np.unique(values[run][np.isfinite(values[run])])) > _AGAIN for run in runs(frame))
