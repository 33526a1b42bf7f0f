from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_cd.delivery import bounded_evidence
from airflow_cd.delivery.bounded_evidence import SHORTENED, bounded
from airflow_cd.verification.verdict import (
    Event,
    EventKind,
    Judgement,
    MetricResult,
    Performance,
    Quality,
    Reason,
    Verdict,
)

MOST_BYTES = 400_000


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is reached in milliseconds."""
    monkeypatch.setattr(bounded_evidence, "MOST_BYTES", MOST_BYTES)


def judgement(events: int = 0, sample: int = 100, metrics: int = 0, points: int = 0, template: int = 20) -> Judgement:
    reason = Reason("unknown_events", "2 events are unknown.")
    found = [
        Event(
            f"id{number}",
            EventKind.UNKNOWN if number == events - 1 else EventKind.KNOWN,
            "error",
            number == events - 1,
            "t" * template,
            samples=["s" * sample] * 3,
        )
        for number in range(events)
    ]
    results = [
        MetricResult(
            f"m{number}",
            "",
            "latency",
            "ms",
            "lower",
            Verdict.FAIL if number == metrics - 1 else Verdict.PASS,
            reason,
            series={"canary": [("2026-11-01T00:00:00+00:00", 1.0)] * points},
        )
        for number in range(metrics)
    ]
    return Judgement(
        Verdict.FAIL,
        [reason],
        performance=Performance(Verdict.FAIL, [reason], results),
        quality=Quality(Verdict.FAIL, [reason], found),
    )


def test_what_fits_is_kept_as_it_is() -> None:
    evidence = judgement(50, metrics=20, points=50).as_dict()
    assert bounded(evidence) == evidence


@pytest.mark.parametrize(
    "size",
    [
        {"events": 150, "sample": 6_000},
        {"events": 8_000},
        {"events": 20, "template": 300_000},
        {"metrics": 200, "points": 100},
        {"metrics": 4_000},
        {"events": 3_000, "metrics": 3_000, "points": 5},
    ],
    ids=["records", "events", "templates", "points", "metrics", "both"],
)
def test_whatever_there_is_too_much_of_the_verdict_and_its_cause_stay(size: dict[str, int]) -> None:
    whole = judgement(**size)
    assert len(json.dumps(whole.as_dict())) > MOST_BYTES
    kept: dict[str, Any] = bounded(whole.as_dict())
    assert len(json.dumps(kept)) <= MOST_BYTES
    back = Judgement.from_dict(kept)
    assert (back.verdict, back.reasons) == (whole.verdict, whole.reasons)
    assert back.warnings[0] == SHORTENED
    if size.get("events"):
        assert back.quality is not None
        assert [event.id for event in back.quality.events if event.risk] == [f"id{size['events'] - 1}"]
    if size.get("metrics"):
        assert back.performance is not None
        assert [one.name for one in back.performance.metrics if one.verdict is Verdict.FAIL]


def test_even_a_single_absurd_text_costs_no_verdict() -> None:
    quality = {"verdict": "FAIL", "reasons": [], "events": [], "queries": {str(n): "x" * 9 for n in range(50_000)}}
    evidence = judgement().as_dict() | {"quality": quality}
    kept = bounded(evidence)
    assert len(json.dumps(kept)) <= MOST_BYTES
    assert kept["verdict"] == "FAIL"
