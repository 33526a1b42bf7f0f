"""What people say of events: in force where it holds, never lost, taken back one by one."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_cd.errors import LedgerError
from airflow_cd.ledger import FeedbackRecord, Ledger
from airflow_cd.verification.logs.feedback import SAYS
from tests.ledger.ledger_runs import Clock

EVENT = "0123456789ab"


def say(
    ledger: Ledger, says: str, *, environment: str | None = None, event: str = EVENT, service: str = "shop"
) -> FeedbackRecord:
    return ledger.feedback.record(service, event, says, environment=environment, who="ada", why="a reason")


def in_force(ledger: Ledger, environment: str = "production") -> dict[str, str]:
    return {said.event_id: said.says for said in ledger.feedback.in_force("shop", environment)}


def test_feedback_is_kept_whole(ledger: Ledger, clock: Clock) -> None:
    said = ledger.feedback.record(
        "shop",
        EVENT,
        "not_a_risk",
        environment="production",
        who="ada",
        why="it is caught and retried",
        template="ERROR job <*> \x00 failed",
        sample="ERROR job 7 failed",
    )
    assert ledger.feedback.in_force("shop", "production") == [said]
    assert (said.who, said.why, said.at) == ("ada", "it is caught and retried", clock.time)
    assert (said.template, said.sample) == ("ERROR job <*> \ufffd failed", "ERROR job 7 failed")
    (action,) = ledger.audit.actions()
    assert (action.who, action.action, action.why) == ("ada", "feedback", "it is caught and retried")
    assert (action.service, action.environment) == ("shop", "production")
    assert (action.detail["event"], action.detail["says"]) == (EVENT, "not_a_risk")


def test_the_newest_statement_counts_and_the_older_one_stays_in_the_history(ledger: Ledger) -> None:
    first, second = say(ledger, "not_a_risk"), say(ledger, "always_a_risk")
    assert in_force(ledger) == {EVENT: "always_a_risk"}
    assert [said.id for said in ledger.feedback.history("shop")] == [second.id, first.id]


def test_one_environment_outranks_all_whenever_it_was_said(ledger: Ledger) -> None:
    say(ledger, "always_a_risk", environment="production")
    say(ledger, "not_a_risk")
    assert in_force(ledger) == {EVENT: "always_a_risk"}
    assert in_force(ledger, "staging") == {EVENT: "not_a_risk"}
    say(ledger, "default", environment="staging")
    assert in_force(ledger, "staging") == {EVENT: "default"}
    assert in_force(ledger, "test") == {EVENT: "not_a_risk"}


def test_services_and_environments_do_not_mix(ledger: Ledger) -> None:
    say(ledger, "not_a_risk", service="billing")
    say(ledger, "always_a_risk", environment="staging")
    assert in_force(ledger) == {}
    say(ledger, "not_a_risk")
    assert len(ledger.feedback.history("shop", "production")) == 1
    assert len(ledger.feedback.history("shop")) == 2
    assert ledger.feedback.history("shop", event_id="another") == []


def test_undoing_brings_back_what_was_said_before(ledger: Ledger, clock: Clock) -> None:
    first, second = say(ledger, "not_a_risk"), say(ledger, "always_a_risk")
    clock.forward(minutes=1)
    undoing = ledger.feedback.undo(second.id, who="bob", why="it was another event")
    assert in_force(ledger) == {EVENT: "not_a_risk"}
    assert [(said.id, said.undoes, said.undone) for said in ledger.feedback.history("shop")] == [
        (undoing.id, second.id, False),
        (second.id, None, True),
        (first.id, None, False),
    ]
    assert (undoing.who, undoing.why, undoing.at) == ("bob", "it was another event", clock.time)
    assert ledger.audit.actions()[0].action == "undo feedback"
    ledger.feedback.undo(first.id, who="bob", why="that, too")
    assert in_force(ledger) == {}


def test_what_cannot_be_said_or_undone_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match=r"'fine' is not feedback on an event.*not_a_risk_at_any_frequency"):
        say(ledger, "fine")
    with pytest.raises(LedgerError, match="feedback requires a reason"):
        ledger.feedback.record("shop", EVENT, "not_a_risk", who="ada", why=" \n")
    with pytest.raises(LedgerError, match="cannot be stored as a name"):
        ledger.feedback.record("shop", EVENT, "not_a_risk", who="", why="because")
    said = say(ledger, "not_a_risk")
    with pytest.raises(LedgerError, match="requires a reason"):
        ledger.feedback.undo(said.id, who="bob", why="")
    undoing = ledger.feedback.undo(said.id, who="bob", why="wrong")
    with pytest.raises(LedgerError, match="was undone already, by bob: wrong"):
        ledger.feedback.undo(said.id, who="bob", why="again")
    for number in (undoing.id, 10_000):
        with pytest.raises(LedgerError, match=f"no feedback with the number {number}"):
            ledger.feedback.undo(number, who="bob", why="what is that")
    assert len(ledger.feedback.history("shop")) == 2
    assert len(ledger.audit.actions()) == 2


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from(SAYS), st.sampled_from([None, "production", "staging"])),
        st.tuples(st.just("undo"), st.integers(0, 5), st.none()),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_in_force_is_the_newest_that_stands(
    real_ledger: Ledger, steps: list[tuple[str, str | int, str | None]]
) -> None:
    service = f"shop-{uuid.uuid4()}"
    standing: list[FeedbackRecord] = []
    for step, what, environment in steps:
        if step == "say":
            standing.append(say(real_ledger, str(what), environment=environment, service=service))
        elif standing:
            undone = standing.pop(int(what) % len(standing))
            real_ledger.feedback.undo(undone.id, who="bob", why="a try")
    for place in ("production", "staging"):
        own = [said.id for said in standing if said.environment == place]
        general = [said.id for said in standing if said.environment is None]
        assert [said.id for said in real_ledger.feedback.in_force(service, place)] == (own or general)[-1:]
