from __future__ import annotations

import json
from datetime import datetime, timezone

import numpy as np
import pytest

from airflow_cd.errors import VerificationError
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


def _judgement() -> Judgement:
    metric = MetricResult(
        name="response_time",
        group="",
        kind="latency",
        unit="ms",
        direction="higher_is_worse",
        verdict=Verdict.FAIL,
        reason=Reason("metric_regressed", "slower", {"effect": np.float64(0.8), "requests": np.int64(7)}),
        effect=np.float64(0.8),
        interval=(0.5, float("inf")),
        threshold=0.2,
        canary={"mean": np.float32(2.0)},
        series={"canary": [("2026-11-23T08:00:00.000+00:00", np.float64(3.0))]},
    )
    event = Event(
        id="0123",
        kind=EventKind.UNKNOWN,
        severity="error",
        risk=True,
        template="ERROR KeyError in gift.redeem",
        samples=("a", "b"),
        exception="KeyError",
        frames=("gift.redeem",),
        counts={"canary": np.int64(4)},
        instances={"p0": 4},
        p_value=float("nan"),
    )
    return Judgement(
        verdict=Verdict.FAIL,
        reasons=(Reason("unknown_events", "1 event is unknown"),),
        performance=Performance(Verdict.FAIL, [metric.reason], [metric], {"nr": "SELECT 1"}),
        quality=Quality(Verdict.FAIL, [], [event], {"canary": 4}, ["1.0"]),
        canary=("p0",),
        looks=3,
    )


def test_survives_json_and_back() -> None:
    content = json.loads(json.dumps(_judgement().as_dict(), allow_nan=False))
    read = Judgement.from_dict(content)
    assert read.as_dict() == content
    assert read.verdict is Verdict.FAIL
    assert read.quality is not None
    assert read.performance is not None
    assert read.quality.risks[0].kind is EventKind.UNKNOWN
    assert read.performance.metrics[0].verdict is Verdict.FAIL
    assert read.performance.metrics[0].series["canary"][0] == ("2026-11-23T08:00:00.000+00:00", 3.0)


def test_what_json_cannot_say_becomes_null() -> None:
    content = _judgement().as_dict()
    assert content["quality"]["events"][0]["p_value"] is None
    assert content["performance"]["metrics"][0]["interval"] == [0.5, None]
    assert content["performance"]["metrics"][0]["effect"] == 0.8


def test_numbers_of_numpy_become_plain_ones() -> None:
    numbers = _judgement().as_dict()["performance"]["reasons"][0]["numbers"]
    assert type(numbers["effect"]) is float
    assert type(numbers["requests"]) is int


def test_missing_and_additional_fields_are_borne() -> None:
    read = Judgement.from_dict({"version": 1, "verdict": "PASS", "reasons": [], "colour": "green"})
    assert read.verdict is Verdict.PASS
    assert read.quality is None


def test_newer_versions_are_refused_by_name() -> None:
    with pytest.raises(VerificationError, match="version 99"):
        Judgement.from_dict({"version": 99, "verdict": "PASS"})


@pytest.mark.parametrize(
    "content",
    [{}, {"version": 1}, {"version": 1, "verdict": "MAYBE", "reasons": []}, {"version": 1, "verdict": "PASS"}],
)
def test_what_is_no_judgement_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(VerificationError):
        Judgement.from_dict(content)


def test_what_evidence_cannot_hold_is_named() -> None:
    judgement = Judgement(Verdict.PASS, [Reason("x", "x", {"when": object()})])  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="object"):
        judgement.as_dict()


def test_times_are_written_as_iso() -> None:
    moment = datetime(2026, 11, 23, tzinfo=timezone.utc)
    judgement = Judgement(Verdict.PASS, [Reason("x", "x", {"when": moment})])  # type: ignore[dict-item]
    assert judgement.as_dict()["reasons"][0]["numbers"]["when"] == "2026-11-23T00:00:00+00:00"


def test_the_sentence_is_the_first_reason() -> None:
    assert _judgement().sentence == "FAIL: 1 event is unknown"
