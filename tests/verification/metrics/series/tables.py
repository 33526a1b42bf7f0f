"""Tables of metrics as exporters write them, made for tests of how they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from airflow_cd.verification.metrics.kinds import guessed
from airflow_cd.verification.metrics.performance import judge_performance
from airflow_cd.verification.metrics.series.reading import Series, read_series
from airflow_cd.verification.samples import METRIC_COLUMNS
from airflow_cd.verification.verdict import MetricResult, Performance

START = pd.Timestamp("2026-03-02T10:00:00Z")
Values = Mapping[str, Sequence[float]]


def frame(values: Values, *, instance: str = "a", step: float = 30.0, start: pd.Timestamp = START) -> pd.DataFrame:
    """Rows of one instance, a value every so many seconds; those that are None are not there."""
    rows = [
        (start + pd.Timedelta(seconds=step * place), instance, name, "", value, np.nan)
        for name, series in values.items()
        for place, value in enumerate(series)
        if value is not None
    ]
    return pd.DataFrame(rows, columns=list(METRIC_COLUMNS)).astype({"value": float, "count": float})


def read(canary: pd.DataFrame, control: pd.DataFrame) -> Series:
    """Both sides read, their metrics as their names suggest."""
    names = dict.fromkeys([*canary["metric"], *control["metric"]])
    return read_series({"canary": canary, "control": control}, [guessed(name) for name in names])


def judged(canary: pd.DataFrame, control: pd.DataFrame | None, before: pd.DataFrame | None = None) -> Performance:
    """The verdict on both sides, their metrics as their names suggest."""
    frames = [one for one in (canary, control, before) if one is not None]
    names = dict.fromkeys(name for one in frames for name in one["metric"])
    return judge_performance(canary, control, before, [guessed(name) for name in names], min_requests=None)


def of(performance: Performance, name: str) -> MetricResult:
    """The result of one metric."""
    return next(result for result in performance.metrics if result.name == name and not result.group)


def noisy(seed: int, level: float, spread: float = 0.05, rows: int = 40) -> list[float]:
    """A level that scatters by so much of itself."""
    return list(level * (1.0 + spread * np.random.default_rng(seed).standard_normal(rows)))


def counts(seed: int, mean: float, rows: int = 40) -> list[float]:
    """Numbers of events that happen by chance."""
    return [float(number) for number in np.random.default_rng(seed).poisson(mean, rows)]
