"""Changes that are nothing to anybody, however large a share of a small number they are."""

from __future__ import annotations

import numpy as np

from airflow_cd.verification.samples import Metric

_LEAST_SECONDS = 0.002
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0}
_SECONDS_AT_MOST = 10.0
_POINT = 1.0  # of a value in per cent
_STEPS = 2.0  # of what is counted in whole numbers: one more or less is the grid
_FEW_VALUES = 3


def least_change(metric: Metric, values: np.ndarray, control: np.ndarray) -> float:
    """The smallest absolute change that counts, beside the relative one; in the metric's unit.

    Two milliseconds of latency, a percentage point, two of what comes in whole numbers; else nothing.

    :param metric: which metric.
    :param values: of the canary; ``control`` those of the other side.
    """
    if metric.kind not in ("latency", "gauge") or not len(values) or not len(control):
        return 0.0
    if metric.kind == "latency":
        # Without a unit: durations of a few are seconds, of many milliseconds, and so are those in whole numbers.
        whole = all(np.all(side == np.round(side)) for side in (values, control))
        guess = 1.0 if float(np.median(control)) < _SECONDS_AT_MOST and not whole else 1e-3
        return _LEAST_SECONDS / _SECONDS.get(metric.unit, guess)
    if metric.unit in ("%", "percent"):
        return _POINT
    both = np.concatenate([values, control])
    whole = len(both) >= _FEW_VALUES and bool(np.all(both == np.round(both))) and float(np.abs(both).max()) > 0
    return _STEPS if whole and float(np.median(control)) > 0 else 0.0
