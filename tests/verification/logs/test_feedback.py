"""What is said of events: by people, and by the pipeline ahead of a deployment."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_cd.verification.logs.feedback import SAYS, Expected, Opinions, Statement
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.logs.quality import judge_quality
from airflow_cd.verification.logs.signatures import content_id
from airflow_cd.verification.verdict import Event, EventKind, Feedback, Judgement, Quality, Verdict
from tests.verification.log_examples import python_trace

_USUAL = ["INFO home was shown", "INFO basket holds 3 items", "INFO searched in 7 ms", "INFO order taken"]


def _event(
    template: str = "ERROR job <*> failed",
    *,
    kind: EventKind = EventKind.UNKNOWN,
    risk: bool = True,
    exception: str | None = None,
    samples: tuple[str, ...] = (),
    canary: float = 3.0,
) -> Event:
    return Event(content_id(template), kind, "error", risk, template, samples, exception, counts={"canary": canary})


def _said(event: Event, says: str, **more: str) -> Opinions:
    return Opinions([Statement(event.id, Feedback(says, "ada", "because"), **more)])


@pytest.mark.parametrize(
    ("says", "kind", "risk"),
    [
        ("not_a_risk", EventKind.UNKNOWN, False),
        ("not_a_risk", EventKind.UNEXPECTED_FREQUENCY, True),
        ("not_a_risk", EventKind.WENT_SILENT, True),
        ("not_a_risk_at_any_frequency", EventKind.UNKNOWN, False),
        ("not_a_risk_at_any_frequency", EventKind.UNEXPECTED_FREQUENCY, False),
        ("not_a_risk_at_any_frequency", EventKind.WENT_SILENT, False),
        ("always_a_risk", EventKind.UNKNOWN, True),
        ("default", EventKind.UNKNOWN, True),
    ],
)
def test_what_a_person_says_of_a_risk(says: str, kind: EventKind, risk: bool) -> None:
    event = _event(kind=kind)
    judged = _said(event, says).applied(event)
    assert judged.risk is risk
    assert judged.feedback == (None if says == "default" else Feedback(says, "ada", "because"))


@given(says=st.sampled_from(SAYS), kind=st.sampled_from(EventKind))
def test_only_always_a_risk_makes_a_risk_of_what_is_none(says: str, kind: EventKind) -> None:
    event = _event(kind=kind, risk=False)
    assert _said(event, says).applied(event).risk is (says == "always_a_risk")
    absent = _event(kind=kind, risk=False, canary=0.0)
    assert not _said(absent, says).applied(absent).risk


@given(says=st.sampled_from(SAYS))
def test_other_events_are_left_alone(says: str) -> None:
    opinions = _said(_event("ERROR another <*>"), says)
    assert opinions.applied(_event()) == _event()


def test_more_of_an_event_is_a_risk_though_the_event_is_none() -> None:
    error = "ERROR inventory timed out after 7 ms"
    baseline = [LogProfile.of([*_USUAL * 400, *[error] * 5], watched=100) for _ in range(4)]
    canary = LogProfile.of([*_USUAL * 400, *[error] * 60], watched=100)
    (red,) = judge_quality(canary, None, baseline).risks
    verdicts = {
        says: judge_quality(canary, None, baseline, opinions=_said(red, says)).verdict
        for says in ("not_a_risk", "not_a_risk_at_any_frequency")
    }
    assert verdicts == {"not_a_risk": Verdict.FAIL, "not_a_risk_at_any_frequency": Verdict.PASS}


@pytest.mark.parametrize("by", ["template", "sample"])
def test_an_event_is_found_again_when_its_id_has_changed(by: str) -> None:
    usual = LogProfile.of(_USUAL * 100, watched=60)
    line = "ERROR quota of tenant-7 refused after 12 ms"
    (red,) = judge_quality(LogProfile.of([*_USUAL * 20, line, line], watched=12), usual).risks
    text = red.template if by == "template" else "ERROR quota of tenant-9 refused after 1 ms"
    old = Opinions([Statement("an-older-id", Feedback("not_a_risk", "ada", "because"), **{by: text})])
    assert not old.applied(red).risk


def test_what_was_said_of_the_event_itself_comes_before_what_was_said_of_one_like_it() -> None:
    event = _event()
    alike = Statement("an-older-id", Feedback("not_a_risk", "ada", "fine"), template=event.template)
    own = Statement(event.id, Feedback("always_a_risk", "bob", "never"))
    assert Opinions([alike, own]).applied(event).risk


def test_a_part_of_what_was_judged_is_judged_so_too() -> None:
    said = _said(
        _event("ERROR quota of <*> refused for <*>"), "not_a_risk", template="ERROR quota of <*> refused for <*>"
    )
    assert not said.applied(_event("ERROR quota of alpha refused for <*>")).risk
    for other in (
        "ERROR quota of alpha beta refused for <*>",
        "ERROR quota of NullPointerException refused for <*>",
        "ERROR quota of alpha refused for <*> and gone",
        "ERROR quota of <*> granted for <*>",
    ):
        assert said.applied(_event(other)).risk


def test_the_whole_is_judged_by_its_part_only_where_that_always_is_a_risk() -> None:
    whole = _event("ERROR quota of <*> refused", risk=False)
    part = "ERROR quota of alpha refused"
    assert _said(_event(part), "always_a_risk", template=part).applied(whole).risk
    red = replace(whole, risk=True)
    assert _said(_event(part), "not_a_risk_at_any_frequency", template=part).applied(red).risk


@pytest.mark.parametrize(
    ("pattern", "event"),
    [
        ("PaymentRetried*", _event(exception="shop.errors.PaymentRetriedError")),
        ("PaymentRetried", _event(exception="PaymentRetried")),
        ("job * failed", _event()),
        ("ERROR job <*> failed", _event()),
        ("tenant-?", _event(samples=("x\nINFO quota of tenant-7",))),
        ("re:quota of tenant-[0-9]+", _event(samples=("INFO quota of tenant-77 is full",))),
        ("re:^shop", _event(exception="shop.errors.PaymentRetriedError")),
    ],
)
def test_what_is_expected_is_no_risk(pattern: str, event: Event) -> None:
    expected = Expected(pattern, why="the new queue")
    assert expected.mistake() is None
    judged = Opinions(expected=[expected]).applied(event)
    assert not judged.risk
    assert judged.feedback == Feedback("expected", "the pipeline", "the new queue")


@pytest.mark.parametrize(
    ("pattern", "event"),
    [
        ("PaymentRetried", _event(exception="shop.errors.PaymentRetriedError")),
        ("Retried*", _event(exception="shop.errors.PaymentRetriedError")),
        ("paymentretried*", _event(exception="PaymentRetriedError")),
        ("job[12]", _event(samples=("job1",))),
        ("first*second", _event(samples=("first\nsecond",))),
    ],
)
def test_what_is_like_it_only_is_a_risk_still(pattern: str, event: Event) -> None:
    assert Opinions(expected=[Expected(pattern)]).applied(event).risk


def test_only_what_is_unknown_can_be_expected() -> None:
    often = _event(kind=EventKind.UNEXPECTED_FREQUENCY)
    assert Opinions(expected=[Expected("job * failed")]).applied(often) == often


def test_a_person_outranks_the_pipeline() -> None:
    event = _event()
    for says, risk in (("always_a_risk", True), ("default", True), ("not_a_risk", False)):
        opinions = Opinions(_said(event, says).statements, [Expected("job * failed")])
        assert opinions.applied(event).risk is risk


@given(st.text(alphabet="*?. -_<>", max_size=8))
def test_a_pattern_that_names_nothing_is_a_mistake(pattern: str) -> None:
    assert "match nearly everything" in str(Expected(pattern).mistake())


@given(st.text(min_size=3).filter(lambda text: sum(letter.isalnum() for letter in text) >= 3))
def test_a_text_without_stars_matches_itself(text: str) -> None:
    if not text.startswith("re:"):
        assert Expected(text).matches(_event(samples=(text,)))


def test_it_is_kept_in_the_evidence() -> None:
    usual = LogProfile.of(_USUAL * 100, watched=60)
    canary = LogProfile.of([*_USUAL * 20, python_trace("KeyError", "redeem")], watched=12)
    opinions = Opinions(expected=[Expected("KeyError", why="seen in the test")])
    quality = judge_quality(canary, usual, opinions=opinions)
    judgement = Judgement(quality.verdict, quality.reasons, quality=quality)
    read = Judgement.from_dict(judgement.as_dict())
    assert isinstance(read.quality, Quality)
    (told,) = [event.feedback for event in read.quality.events if event.feedback]
    assert told == Feedback("expected", "the pipeline", "seen in the test")
    content = judgement.as_dict()
    for event in content["quality"]["events"]:
        del event["feedback"]
    older = Judgement.from_dict(content)
    assert older.quality is not None
    assert {event.feedback for event in older.quality.events} == {None}
