"""What an INCONCLUSIVE verdict leaves open: signs of harm, and how much longer would decide."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_cd.verification.undecided import longest, points_to_harm, still_open, watched_time
from airflow_cd.verification.verdict import (
    Event,
    EventKind,
    Feedback,
    Judgement,
    MetricResult,
    Performance,
    Quality,
    Reason,
    Verdict,
)

TEN = timedelta(minutes=10)
OPEN = Verdict.INCONCLUSIVE


def _event(**more: Any) -> Event:
    given = {
        "id": "a",
        "kind": EventKind.UNKNOWN,
        "severity": "error",
        "risk": False,
        "template": "no table for region",
    }
    return Event(**{**given, "counts": {"canary": 1.0}, **more})


def _logs(*events: Event, verdict: Verdict = OPEN, code: str = "rare") -> Judgement:
    reasons = [Reason(code, "one new error, too few lines")]
    return Judgement(verdict, [], quality=Quality(verdict, reasons, events))


def _metric(verdict: Verdict = OPEN, **more: Any) -> MetricResult:
    given: dict[str, Any] = {"name": "response_time", "group": "", "kind": "latency", "unit": "ms"}
    given |= {"direction": "higher_is_worse", "threshold": 0.2, "reason": Reason("not_certain", "not certain")}
    return MetricResult(verdict=verdict, **{**given, **more})


def _metrics(*results: MetricResult, verdict: Verdict = OPEN) -> Judgement:
    reasons = [result.reason for result in results] or [Reason("no_data", "no request reached the canary")]
    return Judgement(verdict, reasons, performance=Performance(verdict, reasons, results))


SAFE = Feedback("not_a_risk", "ada", "caught")
HARM: dict[str, tuple[Judgement, list[str]]] = {
    "a new error": (_logs(_event()), ["no table for region"]),
    "a new exception, whatever its level": (_logs(_event(severity="info", exception="KeyError")), ["KeyError"]),
    "a new information": (_logs(_event(severity="info")), []),
    "a known error": (_logs(_event(kind=EventKind.KNOWN)), []),
    "an error that a person calls safe": (_logs(_event(feedback=SAFE)), []),
    "an error in logs that passed": (_logs(_event(), verdict=Verdict.PASS), []),
    "much of the log went silent": (_logs(code="went_silent"), ["one new error, too few lines"]),
    "one instance is slower": (
        _metrics(_metric(reason=Reason("instance_differs", "response_time is 9 ms on web-1"))),
        ["response_time is 9 ms on web-1"],
    ),
    "a metric went silent": (
        _metrics(_metric(reason=Reason("went_silent", "the canary has no data in the last 9 min"))),
        ["the canary has no data in the last 9 min"],
    ),
    "certainly worse, by enough or not": (_metrics(_metric(effect=0.3, interval=(0.05, 0.6))), ["response_time"]),
    "certainly worse, by little": (_metrics(_metric(effect=0.1, interval=(0.05, 0.25))), []),
    "perhaps worse": (_metrics(_metric(effect=0.3, interval=(-0.2, 1.0))), []),
    "better": (_metrics(_metric(effect=-0.3, interval=(-0.6, -0.1))), []),
    "lower is worse": (
        _metrics(_metric(name="apdex", direction="lower_is_worse", effect=-0.3, interval=(-0.6, -0.1))),
        ["apdex"],
    ),
    "either way is worse": (
        _metrics(_metric(direction="either", effect=-0.3, interval=(-0.6, -0.1))),
        ["response_time"],
    ),
    "it passed": (_metrics(_metric(Verdict.PASS, effect=0.3, interval=(0.05, 0.6))), []),
    "no bound": (_metrics(_metric(effect=0.3, interval=(-1.0, math.inf))), []),
    "nothing was read": (Judgement(OPEN, [Reason("source_error", "Sumo Logic could not be read")]), []),
    "no data": (_metrics(), []),
}


@pytest.mark.parametrize("case", HARM)
def test_what_points_to_harm(case: str) -> None:
    judgement, expected = HARM[case]
    assert points_to_harm(judgement) == expected
    # The same after the ledger: JSON has no infinity.
    assert points_to_harm(Judgement.from_dict(judgement.as_dict())) == expected


def _few(canary: int, control: int = 10_000) -> Reason:
    numbers = {"canary_requests": canary, "control_requests": control, "least": 50}
    return Reason("few_requests", f"{canary} requests on the canary", numbers)


LONGER: dict[str, tuple[Judgement, timedelta | None]] = {
    # 25 of 50 requests in ten minutes: ten more.
    "half of the requests": (_metrics(_metric(reason=_few(25))), TEN),
    "the control has fewer": (_metrics(_metric(reason=_few(49, control=10))), timedelta(minutes=40)),
    "no request at all": (_metrics(_metric(reason=_few(0, control=0))), None),
    # Between -20 % and +60 %, estimated at no change: the half width .4 must become .2, in four times the time.
    "an interval twice too wide": (_metrics(_metric(effect=0.0, interval=(-0.4, 0.4))), timedelta(minutes=30)),
    "nearly decided": (_metrics(_metric(effect=0.0, interval=(-0.202, 0.202))), timedelta(seconds=20)),
    "no bound, but what would have shown": (
        _metrics(_metric(effect=0.0, interval=(-1.0, math.inf), smallest_detectable=0.4)),
        timedelta(minutes=30),
    ),
    "exactly at the limit": (_metrics(_metric(effect=0.2, interval=(-0.4, 0.8))), None),
    "nearly at the limit": (_metrics(_metric(effect=0.19, interval=(-0.4, 0.8))), None),
    "the slowest of several": (_metrics(_metric(reason=_few(40)), _metric(reason=_few(25))), TEN),
    "logs": (_logs(_event()), None),
    "a source is away": (Judgement(OPEN, [Reason("source_error", "Sumo Logic could not be read")]), None),
}


@pytest.mark.parametrize("case", LONGER)
def test_how_much_longer_would_decide(case: str) -> None:
    judgement, expected = LONGER[case]
    for read in (judgement, Judgement.from_dict(judgement.as_dict())):
        opens = still_open(read, TEN)
        assert longest(opens) == expected
        assert opens


def test_it_is_said_in_words() -> None:
    judgement = _metrics(_metric(reason=_few(25)))
    assert [one.text for one in still_open(judgement, TEN)] == [
        "response_time: about 10m more would decide it, if traffic stays as it is"
    ]
    assert [one.text for one in still_open(_logs(_event()), TEN)] == [
        "one new error, too few lines: watching longer alone does not decide it"
    ]


def test_the_time_that_was_watched() -> None:
    since = datetime(2026, 5, 1, 8, tzinfo=timezone.utc)
    assert watched_time(Judgement(OPEN, [], decided="2026-05-01T08:10:00.000+00:00"), since) == TEN
    assert watched_time(Judgement(OPEN, []), since) == timedelta(0)
