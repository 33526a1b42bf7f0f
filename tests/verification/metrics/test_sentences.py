"""What results say of themselves: figures that agree with each other, and no riddles."""

from __future__ import annotations

import pytest

from airflow_cd.verification.metrics.kinds import guessed
from airflow_cd.verification.metrics.words import change, number
from airflow_cd.verification.verdict import Verdict
from tests.verification.metrics.series.tables import counts, frame, judged, noisy, of


def test_nothing_at_all_is_no_small_change() -> None:
    assert change(-1.0) == "none any more"
    assert change(-0.9999) == "next to nothing"


@pytest.mark.parametrize(("seconds", "said"), [(-3.7e-05, "-0.037 ms"), (0.0004, "0.0004 s"), (0.0, "0 s")])
def test_tiny_times(seconds: float, said: str) -> None:
    assert number(seconds, "s") == said


@pytest.mark.parametrize(("step", "said"), [(60.0, "per instance and minute"), (30.0, "per instance and 30 s")])
def test_requests_are_of_a_length_of_time(step: float, said: str) -> None:
    sides = [frame({"requests": counts(seed, 300.0)}, instance=name, step=step) for seed, name in ((1, "a"), (2, "b"))]
    assert said in of(judged(*sides), "requests").reason.text


def test_either_way_needs_a_large_change() -> None:
    assert "a large change either way counts" in guessed("rooms").assumed


def test_a_level_that_swings_says_beyond_what() -> None:
    swinging = [value * (3.0 if place % 4 == 0 else 1.0) for place, value in enumerate(noisy(1, 100.0, 0.02))]
    sides = frame({"rooms": swinging}), frame({"rooms": noisy(2, 100.0, 0.02)}, instance="b")
    said = of(judged(*sides), "rooms").reason.text
    assert "below 7" in said
    assert "or above 14" in said


def test_a_metric_that_only_the_canary_has_holds_nothing_up() -> None:
    ours = frame({"requests": counts(1, 300.0), "p95_ms": noisy(2, 80.0), "price_cache_entries": noisy(3, 50.0)})
    performance = judged(ours, frame({"requests": counts(4, 300.0), "p95_ms": noisy(5, 80.0)}, instance="b"))
    assert performance.verdict is Verdict.PASS
    assert "only the canary has it" in of(performance, "price_cache_entries").reason.text


def test_rows_without_a_number_are_counted_in_words() -> None:
    ours = frame({"requests": counts(1, 300.0), "p95_ms": [float("nan")] * 40})
    result = of(judged(ours, frame({"requests": counts(4, 300.0), "p95_ms": noisy(5, 80.0)}, instance="b")), "p95_ms")
    assert "none of the canary's rows and all of the other side's hold a number" in result.reason.text
