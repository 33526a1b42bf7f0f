"""As many metrics as a wide file has columns: the rows of each are found in one pass over all of them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from airflow_cd.verification.metrics import sides
from airflow_cd.verification.metrics.performance import judge_performance
from airflow_cd.verification.samples import Metric

METRICS, MINUTES = 40, 12


def rows(day: int) -> pd.DataFrame:
    times = pd.date_range(f"2026-11-{day}T08:00:00Z", periods=MINUTES, freq="min")
    return pd.DataFrame(
        [
            {"time": time, "instance": "a", "metric": f"m{number}", "group": "", "value": 5.0 + number, "count": 10.0}
            for number in range(METRICS)
            for time in times
        ]
    )


def test_no_metric_looks_at_the_rows_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    real = sides.pair_of_rows

    def counting(canary: pd.DataFrame, control: pd.DataFrame, *more: Any, **settings: Any) -> Any:
        looked.append(len(canary) + len(control))
        return real(canary, control, *more, **settings)

    monkeypatch.setattr(sides, "pair_of_rows", counting)
    metrics = [Metric(f"m{number}", "gauge", "", "neutral") for number in range(METRICS)]
    judge_performance(rows(2), rows(1), None, metrics)
    assert looked
    assert max(looked) <= 2 * MINUTES
