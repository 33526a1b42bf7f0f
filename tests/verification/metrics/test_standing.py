"""Hosts that were slower before the deployment and are so now."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.verdict import MetricResult, Verdict
from tests.verification.metrics.series.tables import START, frame, judged, noisy, of

FAIL, PASS = Verdict.FAIL, Verdict.PASS
EARLIER = START - pd.Timedelta("2h")
HOSTS = {"h1": 1.45, "h2": 1.0, "h3": 0.98, "h4": 1.03}


def hosts(names: str, seed: int, times: float = 1.0, **more: pd.Timestamp) -> pd.DataFrame:
    return pd.concat(
        [
            frame({"search_ms": noisy(seed + place, 70.0 * HOSTS[name] * times, 0.04)}, instance=name, **more)
            for place, name in enumerate(names.split())
        ],
        ignore_index=True,
    )


def result(canary: pd.DataFrame, before: pd.DataFrame | None) -> MetricResult:
    return of(judged(canary, hosts("h3 h4", 20), before), "search_ms")


@pytest.mark.parametrize("names", ["h1", "h1 h2"])
def test_a_host_that_was_slow_before_passes(names: str) -> None:
    before = hosts("h1 h2 h3 h4", 40, start=EARLIER)
    assert result(hosts(names, 1), before).verdict is PASS
    assert result(hosts(names, 1), None).verdict is not PASS


def test_what_was_so_before_is_said() -> None:
    text = result(hosts("h1", 1), hosts("h1 h2 h3 h4", 40, start=EARLIER)).reason.text
    assert "on the same instances before the deployment, too" in text


def test_a_slow_host_that_became_slower_fails() -> None:
    assert result(hosts("h1", 1, times=1.8), hosts("h1 h2 h3 h4", 40, start=EARLIER)).verdict is FAIL


def test_a_host_that_was_slow_for_a_while_only_was_not_slow_before() -> None:
    before = hosts("h1 h2 h3 h4", 40, start=EARLIER)
    late = (before["instance"] == "h1") & (before["time"] < before["time"].median())
    before["value"] = np.where(late, before["value"] / HOSTS["h1"], before["value"])
    assert result(hosts("h1", 1), before).reason.code != "stood_so"
