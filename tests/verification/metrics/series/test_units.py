"""A unit that changed is no news, good or bad, whatever came with it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from airflow_cd.verification.verdict import Verdict
from tests.verification.metrics.series.tables import START, counts, frame, judged, noisy, of

_EARLIER = START - pd.Timedelta("1D")
_ASKED = (Verdict.INCONCLUSIVE, "unit_changed")


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        *(("search_latency", 180.0, 180.0 * worse / 1e3) for worse in (1.0, 1.7, 2.5, 8.0)),
        *(("search_latency", 0.18, 180.0 * worse) for worse in (0.6, 1.0, 2.0)),
        ("heap_used", 6.2e8, 1240.0),
        ("disk_util_percent", 38.0, 0.38 * 1.9),
        ("search_latency", 2600.0, 52.0),
    ],
)
def test_another_unit_with_a_regression_on_top_is_asked_about(name: str, before: float, after: float) -> None:
    usual = frame({name: noisy(1, before)}, start=_EARLIER)
    result = of(judged(frame({name: noisy(2, after)}), None, usual), name)
    assert (result.verdict, result.reason.code) == _ASKED


@pytest.mark.parametrize(("name", "before", "after"), [("search_latency", 180.0, 12.0), ("search_latency", 18.0, 90.0)])
def test_what_is_merely_better_or_worse_is_judged(name: str, before: float, after: float) -> None:
    usual = frame({name: noisy(1, before)}, start=_EARLIER)
    result = of(judged(frame({name: noisy(2, after)}), None, usual), name)
    assert result.verdict is (Verdict.PASS if after < before else Verdict.FAIL)


def _rates(seed: int, failing: float, **more: pd.Timestamp) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rates = [float(rate) for rate in failing * rng.uniform(0.6, 1.4, 40)]
    return frame({"api_requests": counts(seed, 3_000), "api_error_rate": rates}, **more)


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        (0.3, 0.003, "unit_changed"),
        (0.003, 0.3, "unit_changed"),
        (1.4, 0.014, "unit_changed"),
        (0.3, 0.06, "unit_unknown"),
        (0.3, 0.15, "unit_unknown"),
    ],
)
def test_error_rates_in_per_cent_or_from_0_to_1(before: float, after: float, code: str) -> None:
    result = of(judged(_rates(2, after), None, _rates(1, before, start=_EARLIER)), "api_error_rate")
    assert (result.verdict, result.reason.code) == (Verdict.INCONCLUSIVE, code)


@pytest.mark.parametrize(("before", "after"), [(0.003, 0.003), (0.003, 0.06), (1.4, 1.4), (1.4, 9.0), (0.3, 0.3)])
def test_error_rates_of_one_unit_are_judged(before: float, after: float) -> None:
    performance = judged(_rates(2, after), None, _rates(1, before, start=_EARLIER))
    assert performance.verdict is (Verdict.PASS if after == before else Verdict.FAIL)


def _served(seed: int, per: float, failing: float, **more: pd.Timestamp) -> pd.DataFrame:
    requests = np.array(counts(seed, 4_800))
    failed = np.random.default_rng(seed + 9).poisson(failing * requests)
    return frame({"api_requests": list(requests / per), "api_errors": [float(n) for n in failed]}, **more)


@pytest.mark.parametrize(("before", "after"), [(1.0, 60.0), (60.0, 1.0)])
def test_requests_by_the_second_or_the_minute(before: float, after: float) -> None:
    performance = judged(_served(2, after, 0.003), None, _served(1, before, 0.003, start=_EARLIER))
    assert performance.verdict is Verdict.INCONCLUSIVE
    for name in ("api_requests", "api_errors"):
        assert of(performance, name).reason.code == "unit_changed"


def test_a_small_part_of_the_traffic_is_no_other_unit() -> None:
    part = [float(number) for number in counts(2, 80)]
    failed = [float(number) for number in np.random.default_rng(8).poisson(0.003 * np.array(part))]
    canary = frame({"api_requests": part, "api_errors": failed})
    control = _served(1, 1.0, 0.003).assign(instance="b")
    assert "unit" not in of(judged(canary, control), "api_requests").reason.code


@pytest.mark.parametrize(("failing", "verdict"), [(0.0005, Verdict.PASS), (0.02, Verdict.FAIL)])
def test_failures_in_fractions_beside_whole_requests_are_a_share(failing: float, verdict: Verdict) -> None:
    def averages(seed: int, part: float, **more: pd.Timestamp) -> pd.DataFrame:
        requests = counts(seed, 2_000)
        failed = np.random.default_rng(seed).binomial([int(one) for one in requests], part)
        return frame({"api_requests": requests, "ServerFault": list(failed / np.array(requests))}, **more)

    result = of(judged(averages(1, failing), None, averages(2, 0.0005, start=_EARLIER)), "ServerFault")
    assert (result.verdict, result.kind) == (verdict, "errors")
    assert result.canary["mean"] == pytest.approx(failing, rel=0.3)


def test_failures_a_second_beside_requests_a_second_are_no_share() -> None:
    def rates(seed: int, **more: pd.Timestamp) -> pd.DataFrame:
        return frame({"api_requests": noisy(seed, 40.0), "ServerFault": noisy(seed + 5, 0.3)}, **more)

    result = of(judged(rates(1), None, rates(2, start=_EARLIER)), "ServerFault")
    assert result.canary["mean"] == pytest.approx(0.3 / 40.0, rel=0.1)
