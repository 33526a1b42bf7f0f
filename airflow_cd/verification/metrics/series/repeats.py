"""Rows that are there more than once: the same time, instance, metric and group counts once.

Exports overlap, files are named twice, a query returns a series by two names of it. Where the rows of one place are
equal, one of them is kept. Where they differ nobody knows which is right, or whether they are parts of a whole whose
name was left out: they are all kept, and it is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_cd.verification.metrics.series.finding import Finding
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.verdict import Reason, Verdict

if TYPE_CHECKING:
    import pandas as pd

_PLACE = ("time", "instance", "metric", "group", "le")
_HOLDS = ("value", "count", "deviation")
_MOSTLY = 0.5  # of the places with several rows: where fewer hold equal ones, rows are measurements of their own
_OF = {"canary": "on the canary", "control": "on the control", "before": "before"}


@dataclass(frozen=True)
class Once:
    """Rows, each of them once.

    :param frame: what is left.
    :param repeated: how many equal rows were left out.
    :param differing: by the name of a metric, at how many times and instances several rows are left that differ.
    """

    frame: pd.DataFrame
    repeated: int
    differing: dict[str, int]


def once(frame: pd.DataFrame) -> Once:
    """Leave out rows that say again what another one says.

    :param frame: rows of one side and any metrics, with the columns of
        :data:`~airflow_cd.verification.samples.METRIC_COLUMNS`; ``le`` of a histogram's bucket where there is one.
    """
    place = [name for name in _PLACE if name in frame.columns]
    if not frame.duplicated(place).any():
        return Once(frame, 0, {})
    frame = frame.reset_index(drop=True)
    rows = frame[frame.duplicated(place, keep=False)]
    equal = rows.duplicated([*place, *(name for name in _HOLDS if name in frame.columns)])
    places = rows.drop_duplicates(place)
    unequal = rows[~equal]
    unequal = unequal[unequal.duplicated(place)].drop_duplicates(place)
    if len(unequal) > (1.0 - _MOSTLY) * len(places):
        equal &= False
    left = frame.drop(index=rows.index[equal]).reset_index(drop=True)
    differing = {str(name): int(number) for name, number in unequal["metric"].value_counts().items()}
    return Once(left, int(equal.sum()), differing)


def differing_rows(metric: Metric, differing: Mapping[str, int], *, measured: bool) -> Finding | None:
    """That rows of one time and instance differ; None where they do not, or are measurements of their own.

    :param metric: which metric.
    :param differing: by side, at how many times and instances.
    :param measured: whether nobody knows of how many requests rows are: each duration is then one measurement.
    """
    there = {side: number for side, number in differing.items() if number}
    if not there or (metric.kind == "latency" and measured):
        return None
    where = " and ".join(f"{number:,} {_OF[side]}" for side, number in there.items())
    text = (
        f"{metric.name}: several rows of one time and instance hold different values ({where}): parts of a whole that "
        "lack a label, or exports that overlap?"
    )
    return Finding(Verdict.INCONCLUSIVE, Reason("rows_differ", text, {side: float(n) for side, n in there.items()}))
