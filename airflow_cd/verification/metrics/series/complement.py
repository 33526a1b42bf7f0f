"""What is missing to a share that is nearly everything as a rule, where its name does not say that less is worse."""

from __future__ import annotations

import numpy as np

from airflow_cd.verification.metrics.series.finding import Finding
from airflow_cd.verification.metrics.series.side import Side
from airflow_cd.verification.metrics.series.tables import Table
from airflow_cd.verification.metrics.words import share
from airflow_cd.verification.verdict import Reason, Verdict

_NEARLY_ALL = 0.8
_TIMES = 2.0
_POINT = 0.01  # that nobody notices
_STEADY, _EDGE = 0.75, 0.05  # of the canary's values: below all but this part of the other side's


def more_missing(table: Table, canary: Side, other: Side) -> Finding | None:
    """That twice as much is missing on the canary; None if not.

    From 94 to 79 per cent is a small change of what is there. Whether it matters depends on what it is a share of.

    :param table: one metric on all sides, read.
    :param canary: its rows there; ``other`` those that they are compared with.
    """
    metric = table.metric
    if metric.kind != "share" or metric.direction != "either":
        return None
    ours, theirs = canary.finite, other.finite
    if not len(ours) or not len(theirs) or np.median(theirs) < _NEARLY_ALL:
        return None
    missing, usual = (1.0 - float(np.mean(values)) for values in (ours, theirs))
    if missing + _POINT < _TIMES * (usual + _POINT) or np.quantile(ours, _STEADY) >= np.quantile(theirs, _EDGE):
        return None
    text = (
        f"{metric.name}: {share(1.0 - missing)}, {share(1.0 - usual)} on the other side: {share(missing)} against "
        f"{share(usual)} are missing."
    )
    numbers = {"canary": 1.0 - missing, "control": 1.0 - usual}
    return Finding(Verdict.INCONCLUSIVE, Reason("not_certain", text, numbers))
