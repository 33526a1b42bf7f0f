"""Histograms and summaries as exporters write them: counters of buckets, sums and numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.metrics.series.histograms import unfolded
from airflow_cd.verification.samples import METRIC_COLUMNS
from tests.verification.metrics.series.tables import START

_BOUNDS = (0.1, 0.5, 1.0, np.inf)


def _exported(*, start: float = 0.0, in_names: bool = False) -> pd.DataFrame:
    """Three scrapes of a histogram to which 80 times 50 ms, 15 times 300 ms and 5 times 800 ms are added each."""
    rows = []
    for scrape in range(3):
        time, times = START + pd.Timedelta(minutes=scrape), scrape
        for bound, within in zip(_BOUNDS, (80, 95, 100, 100), strict=True):
            text = "+Inf" if np.isinf(bound) else f"{bound:g}"
            name = f'job_duration_seconds_bucket{{le="{text}"}}' if in_names else "job_duration_seconds_bucket"
            rows.append((time, "a", name, "", start + within * times, np.nan, "" if in_names else text))
        rows.append((time, "a", "job_duration_seconds_sum", "", start + 12.5 * times, np.nan, ""))
        rows.append((time, "a", "job_duration_seconds_count", "", start + 100.0 * times, np.nan, ""))
    frame = pd.DataFrame(rows, columns=[*METRIC_COLUMNS, "le"])
    return frame.drop(columns="le") if in_names else frame


@pytest.mark.parametrize("in_names", [True, False])
@pytest.mark.parametrize("start", [0.0, 5e6])
def test_a_histogram_is_the_durations_it_is_of(start: float, in_names: bool) -> None:
    rows = unfolded({"canary": _exported(start=start, in_names=in_names)})["canary"]
    assert "le" not in rows
    mean = rows[rows["metric"] == "job_duration_seconds"]
    assert list(mean["value"]) == pytest.approx([0.125, 0.125])
    assert list(mean["count"]) == [100.0, 100.0]
    assert list(mean["deviation"]) == pytest.approx([0.18, 0.18], abs=0.02)
    assert list(rows.loc[rows["metric"] == "job_duration_seconds.p95", "value"]) == pytest.approx([0.5, 0.5])
    # The traffic stays, still a counter.
    assert "job_duration_seconds_count" in set(rows["metric"])


def test_a_bucket_that_nothing_falls_into_is_a_counter_too() -> None:
    frame = _exported(start=700.0)
    frame.loc[frame["le"] == "0.1", "value"] = 400.0
    rows = unfolded({"canary": frame})["canary"]
    assert list(rows.loc[rows["metric"] == "job_duration_seconds.p95", "value"]) == pytest.approx([0.5, 0.5])


def test_sides_with_other_buckets_are_compared_by_those_that_both_have() -> None:
    control, canary = _exported(), _exported()
    canary = canary[canary["le"] != "0.5"]
    sides = unfolded({"canary": canary, "control": control})
    found = {side: frame.loc[frame["metric"] == "job_duration_seconds.p95", "value"] for side, frame in sides.items()}
    assert list(found["canary"]) == list(found["control"]) == pytest.approx([0.775, 0.775])


def test_a_sum_of_what_is_counted_is_no_duration() -> None:
    rows = [(START, "a", name, "", 5.0, np.nan) for name in ("orders_sum", "orders_count")]
    frame = pd.DataFrame(rows, columns=list(METRIC_COLUMNS))
    assert set(unfolded({"canary": frame})["canary"]["metric"]) == {"orders_sum", "orders_count"}
