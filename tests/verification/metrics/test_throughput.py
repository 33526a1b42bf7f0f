"""Requests that get fewer: the router's business, the users', or lost by the release."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.verdict import MetricResult, Verdict
from tests.verification.metrics.series.tables import START, counts, frame, judged, of

FAIL, PASS, INCONCLUSIVE = Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE


def instances(rates: dict[str, float], seed: int = 1, rows: int = 20, start: pd.Timestamp = START) -> pd.DataFrame:
    frames = [
        frame({"requests": counts(seed + place, rate, rows)}, instance=name, step=60.0, start=start)
        for place, (name, rate) in enumerate(rates.items())
    ]
    return pd.concat(frames, ignore_index=True)


def without_control(ours: dict[str, float], theirs: dict[str, float]) -> MetricResult:
    before = instances(theirs, 11, 60, START - pd.Timedelta("65min"))
    return of(judged(instances(ours), None, before), "requests")


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ({"a": 300.0, "b": 300.0}, INCONCLUSIVE),
        ({"a": 500.0, "b": 500.0}, PASS),
        ({"a": 300.0, "b": 300.0, "c": 300.0, "d": 300.0}, PASS),  # as many by more instances
        ({"a": 600.0}, PASS),  # one of two has the release
    ],
)
def test_far_fewer_than_ever_before_without_a_control(ours: dict[str, float], verdict: Verdict) -> None:
    assert without_control(ours, {"a": 600.0, "b": 600.0}).verdict is verdict


def test_as_few_as_in_some_hour_before() -> None:
    hours = np.concatenate([np.full(30, 600.0), np.full(30, 300.0)])
    before = frame({"requests": list(hours)}, step=60.0, start=START - pd.Timedelta("65min"))
    ours = frame({"requests": counts(1, 300.0, 20)}, step=60.0)
    assert of(judged(ours, None, before), "requests").verdict is PASS


@pytest.mark.parametrize(
    ("course", "verdict"),
    [
        (np.linspace(1.0, 0.3, 30), INCONCLUSIVE),
        (np.repeat([1.0, 0.4], 15), PASS),  # a router that was set to less
        (np.linspace(0.3, 1.0, 30), PASS),
    ],
)
def test_a_share_of_the_traffic_that_falls_all_the_time(course: np.ndarray, verdict: Verdict) -> None:
    ours = frame({"requests": [float(value) for value in np.random.default_rng(1).poisson(600.0 * course)]})
    theirs = frame({"requests": counts(2, 600.0, 30)}, instance="b")
    assert of(judged(ours, theirs), "requests").verdict is verdict


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ({"a": 500.0, "b": 500.0, "c": 2.0}, {"x": 500.0, "y": 500.0}, INCONCLUSIVE),
        ({"a": 500.0, "b": 500.0, "c": 100.0}, {"x": 500.0, "y": 500.0}, PASS),
        ({"a": 500.0, "b": 500.0, "c": 2.0}, {"x": 500.0, "y": 2.0}, PASS),  # one stands by on either side
        ({"a": 500.0, "b": 2.0, "c": 2.0}, {"x": 500.0, "y": 500.0}, PASS),  # one leads
    ],
)
def test_an_instance_that_gets_no_requests(ours: dict[str, float], theirs: dict[str, float], verdict: Verdict) -> None:
    assert of(judged(instances(ours), instances(theirs, 11)), "requests").verdict is verdict
