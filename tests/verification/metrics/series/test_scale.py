"""Shares that should be large and are small as a rule."""

from __future__ import annotations

import pytest

from airflow_cd.verification.verdict import Verdict
from tests.verification.metrics.series.tables import frame, judged, noisy, of

FAIL, PASS = Verdict.FAIL, Verdict.PASS


@pytest.mark.parametrize(
    ("name", "usual", "now", "verdict"),
    [
        ("checkout_conversion_rate", 0.062, 0.044, FAIL),  # of the rest it is two points
        ("checkout_conversion_rate", 0.062, 0.060, PASS),
        ("signup_success_ratio", 0.4, 0.2, FAIL),
        ("signup_success_ratio", 0.999, 0.95, FAIL),
        ("cpu_idle_ratio", 0.30, 0.25, PASS),  # what is left over is judged by what is used
    ],
)
def test_a_share_that_is_seldom_is_judged_by_itself(name: str, usual: float, now: float, verdict: Verdict) -> None:
    spread = 0.002 if usual > 0.9 else 0.02
    ours, theirs = frame({name: noisy(1, now, spread)}), frame({name: noisy(2, usual, spread / 10)}, instance="b")
    assert of(judged(ours, theirs), name).verdict is verdict


def test_it_says_how_much_less_there_is_and_not_how_much_more_is_missing() -> None:
    ours, theirs = (frame({"conversion_rate": noisy(1, level, 0.02)}, instance=str(level)) for level in (0.04, 0.06))
    text = of(judged(ours, theirs), "conversion_rate").reason.text
    assert "33 % less" in text
    assert "missing" not in text
