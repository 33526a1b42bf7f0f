"""The quality of the metrics' judge, within loose bounds: a small selection of ``python -m benchmarks.metrics``."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.metrics.performance import judge_performance
from airflow_cd.verification.samples import METRIC_COLUMNS, Metric
from airflow_cd.verification.verdict import Verdict
from benchmarks.metric_judges import Watched, results_at, verdicts
from benchmarks.metric_model import MIX, PROFILES, Side, metric_of
from benchmarks.metrics import Case, ever_alarmed
from tests.verification.traffic_model import START

_RUNS, _FEW = 12, 6


def test_nothing_changed_and_hardly_ever_an_alarm() -> None:
    cases = [Case.of((10, number), MIX[number % len(MIX)], _FEW, 1) for number in range(20)]
    watched = [case.watched("ours", number) for number, case in enumerate(cases)]
    looks = [verdicts(watched, minutes) for minutes in (4, 30)]
    assert sum(Verdict.FAIL in run for run in zip(*looks, strict=True)) <= 1
    assert looks[-1].count(Verdict.PASS) >= 0.8 * _FEW
    assert ever_alarmed(cases, "Kayenta").mean() > 0.5  # the model is no easy one


@pytest.mark.parametrize(
    ("name", "hosts", "effect", "least_power", "minutes"),
    [
        ("latency", 1, 2.0, 0.97, 5),
        ("latency", 4, 2.0, 0.97, 4),
        ("latency", 1, 1.5, 0.85, 15),
        ("latency", 4, 1.5, 0.97, 7),
        ("latency", 4, 1.25, 0.5, 30),
        ("errors", 1, 2.0, 0.95, 8),
        ("errors", 4, 1.5, 0.9, 12),
        ("throughput", 1, 2.0, 0.97, 4),
        ("gauge", 1, 2.0, 0.97, 5),
        ("apdex", 1, 2.0, 0.97, 5),
    ],
)
def test_a_bad_release_shows_in_time(name: str, hosts: int, effect: float, least_power: float, minutes: int) -> None:
    runs = _FEW if minutes == 30 else _RUNS  # who looks until the end takes long for each
    found = Case.of((11, hosts, int(effect * 100)), name, runs, hosts, effect).alarms("ours", 20)
    assert np.isfinite(found).mean() >= least_power
    assert np.median(found) <= minutes


def _frame(side: Side, run: int, metric: Metric, prefix: str) -> pd.DataFrame:
    value = side.value[run]
    host, minute = (index.ravel() for index in np.indices(value.shape))
    columns = {
        "time": START + pd.to_timedelta(minute, unit="min"),
        "instance": [f"{prefix}{number}" for number in host],
        "metric": metric.name,
        "group": "",
        "value": value.ravel(),
        "count": side.count[run].ravel(),
    }
    return pd.DataFrame(columns, columns=list(METRIC_COLUMNS))


@pytest.mark.parametrize("name", list(PROFILES))
def test_the_benchmark_judges_as_the_judge_does(name: str) -> None:
    runs, minutes = 8, 8
    case = Case.of((12,), name, runs, 2, 1.4)
    metric = metric_of(name)
    sides = [side.until(minutes) for side in (case.canary, case.control)]
    frames = [
        [_frame(side, run, metric, prefix) for side, prefix in zip(sides, "ck", strict=True)] for run in range(runs)
    ]
    watched = [Watched(metric, *sides)]
    for run, pair in enumerate(frames):
        [judged] = judge_performance(*pair, None, [metric], warm_up=120).metrics
        [result] = results_at(watched, run, minutes, 1)
        assert (judged.verdict, judged.reason) == (result.verdict, result.reason)
