"""Rows for figures over many deployments: which count, with which times, and which FAIL was a false alarm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_cd.ledger import Ledger
from airflow_cd.ledger.insights import EndedDeployment, FailVerdict, Reach, is_false_alarm
from airflow_cd.verification.verdict import Event, EventKind, Judgement, Performance, Quality, Verdict
from tests.ledger.ledger_runs import Clock, Run, shop

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
FAR = datetime(2030, 1, 1, tzinfo=timezone.utc)

MakeRun = Callable[..., Run]


def ended(ledger: Ledger, since: datetime = LONG_AGO, until: datetime = FAR, **more: Any) -> list[EndedDeployment]:
    return sorted(
        ledger.insights.ended_deployments("production", since=since, until=until, **more), key=lambda one: one.ended
    )


def fails(ledger: Ledger, since: datetime = LONG_AGO, until: datetime = FAR, **more: Any) -> list[FailVerdict]:
    return ledger.insights.fail_verdicts("production", since=since, until=until, **more)


def judgement(
    risks: Sequence[str] = ("e1",), *, kind: EventKind = EventKind.UNKNOWN, metrics: Verdict = Verdict.PASS
) -> dict[str, Any]:
    """Evidence as a verification writes it, with an event that is no risk beside the risks."""
    events = [Event(risk, kind, "error", risk=True, template="ERROR <*>") for risk in risks]
    quality = Quality(
        Verdict.FAIL if risks else Verdict.PASS, events=[*events, Event("known", EventKind.KNOWN, "info", False, "hi")]
    )
    return Judgement(Verdict.FAIL, [], Performance(metrics), quality).as_dict()


def failed(
    run: Run, evidence: dict[str, Any] | None, *, verdict: str = "FAIL", final: bool = True, end: bool = True
) -> None:
    deployment = run.open(shop(run.run_id))
    if evidence is not None:
        run.ledger.verdicts.record(
            deployment.id, "phase_20", token=run.token, verdict=verdict, evidence=evidence, final=final
        )
    if end:
        run.ledger.settlement.begin_rollback(deployment.id, token=run.token, outcome="bad")
        run.ledger.settlement.finish_rollback(deployment.id, token=run.token, restored=True, outcome="bad")
        run.release()


def say(ledger: Ledger, event: str, says: str, *, environment: str | None = None, service: str = "shop") -> int:
    return ledger.feedback.record(service, event, says, environment=environment, who="ada", why="a reason").id


def test_reached_counts_where_runs_went_on_and_where_they_ended(ledger: Ledger, run: MakeRun) -> None:
    assert list(ledger.insights.reached()) == []
    run("run-1", environment="staging").promoted(shop("1.1.0"))
    run("run-1").promoted(shop("1.1.0"))
    run("run-2", environment="staging").rolled_back(shop("1.2.0"))
    run("run-3", environment="staging").promoted(shop("1.3.0"))
    run("run-3").rolled_back(shop("1.3.0"))
    assert sorted(ledger.insights.reached(), key=lambda one: one.environment) == [
        Reach("storefront", "shop", "production", deployments=2, last=2),
        Reach("storefront", "shop", "staging", deployments=3, last=1),
    ]


def test_a_promoted_deployment_is_timed_from_its_request(ledger: Ledger, run: MakeRun, clock: Clock) -> None:
    first = run()
    deployment = first.open(shop("1.1.0"), requested_at=clock.time - timedelta(minutes=7))
    clock.forward(seconds=30.5)
    ledger.settlement.promote(deployment.id, token=first.token, outcome="all good")
    (found,) = ended(ledger)
    assert (found.pipeline, found.service, found.state) == ("storefront", "shop", "promoted")
    assert found.ended == pytest.approx(clock.time.timestamp(), abs=0.001)
    assert found.lead == pytest.approx(450.5, abs=0.001)
    assert (found.to_verdict, found.to_safe, found.to_restored) == (None, None, None)


def test_a_rollback_is_timed_by_its_clocks(ledger: Ledger, run: MakeRun, clock: Clock) -> None:
    first = run()
    deployment = first.open(shop("1.1.0"))
    at = clock.time
    ledger.deployments.set_clock(deployment.id, first_bad_at=at, verdict_at=at + timedelta(seconds=21))
    ledger.settlement.begin_rollback(deployment.id, token=first.token, outcome="bad")
    ledger.deployments.set_clock(deployment.id, safe_at=at + timedelta(seconds=21, milliseconds=12))
    clock.forward(seconds=33)
    ledger.settlement.finish_rollback(deployment.id, token=first.token, restored=True, outcome="bad")
    (found,) = ended(ledger)
    assert found.state == "rolled_back"
    # SQLite keeps its day numbers to the millisecond.
    assert found.to_verdict == pytest.approx(21, abs=0.002)
    assert found.to_safe == pytest.approx(0.012, abs=0.002)
    assert found.to_restored == pytest.approx(12, abs=0.002)


def test_a_rollback_that_failed_counts_when_its_verdict_stood(ledger: Ledger, run: MakeRun, clock: Clock) -> None:
    first = run()
    deployment = first.open(shop("1.1.0"))
    verdict = clock.forward(minutes=2)
    ledger.deployments.set_clock(deployment.id, verdict_at=verdict)
    ledger.settlement.begin_rollback(deployment.id, token=first.token, outcome="bad")
    clock.forward(minutes=3)
    ledger.settlement.finish_rollback(deployment.id, token=first.token, restored=False, outcome="no artifact")
    (found,) = ended(ledger)
    assert found.state == "rollback_failed"
    assert found.ended == pytest.approx(verdict.timestamp(), abs=0.002)
    assert found.to_restored is None


def test_what_has_not_ended_does_not_count(ledger: Ledger, run: MakeRun) -> None:
    first = run()
    deployment = first.open(shop("1.1.0"))
    assert ended(ledger) == []
    ledger.settlement.begin_rollback(deployment.id, token=first.token, outcome="bad")
    assert ended(ledger) == []


def test_time_environment_and_service_choose(ledger: Ledger, run: MakeRun, clock: Clock) -> None:
    run("run-0", environment="staging").promoted(shop("1.0.1"))
    run("run-1").promoted(shop("1.1.0"))
    first = clock.time
    second = clock.forward(hours=1)
    run("run-2").promoted(shop("1.2.0"))
    assert len(ended(ledger)) == 2
    assert len(ended(ledger, first, second)) == 1
    assert len(ended(ledger, first, second + timedelta(microseconds=1))) == 2
    assert len(ended(ledger, first + timedelta(microseconds=1))) == 1
    assert len(ended(ledger, service="shop")) == 2
    assert ended(ledger, service="billing") == []


def test_final_fails_of_ended_deployments_are_counted(ledger: Ledger, run: MakeRun, clock: Clock) -> None:
    failed(run("run-1"), judgement(), final=False)
    failed(run("run-2"), judgement(), verdict="INCONCLUSIVE")
    failed(run("run-3", environment="staging"), judgement())
    assert fails(ledger) == []
    failed(run("run-4"), judgement())
    (found,) = fails(ledger)
    assert (found.pipeline, found.service, found.false_alarm) == ("storefront", "shop", False)
    assert found.ended == pytest.approx(clock.time.timestamp(), abs=0.002)
    assert fails(ledger, until=clock.time) == []
    assert fails(ledger, service="billing") == []
    failed(run("run-5"), judgement(), end=False)
    assert len(fails(ledger)) == 1


def test_a_fail_is_a_false_alarm_once_all_its_events_are_no_risk(ledger: Ledger, run: MakeRun) -> None:
    failed(run(), judgement(["e1", "e2"]))
    say(ledger, "e1", "not_a_risk")
    assert not fails(ledger)[0].false_alarm
    number = say(ledger, "e2", "not_a_risk_at_any_frequency", environment="production")
    assert fails(ledger)[0].false_alarm
    ledger.feedback.undo(number, who="bob", why="it is one")
    assert not fails(ledger)[0].false_alarm


def test_what_is_in_force_there_decides(ledger: Ledger, run: MakeRun) -> None:
    failed(run(), judgement())
    say(ledger, "e1", "not_a_risk", service="billing")
    say(ledger, "e1", "not_a_risk", environment="staging")
    assert not fails(ledger)[0].false_alarm
    say(ledger, "e1", "not_a_risk", environment="production")
    say(ledger, "e1", "always_a_risk")
    assert fails(ledger)[0].false_alarm
    say(ledger, "e1", "default", environment="production")
    assert not fails(ledger)[0].false_alarm


def test_a_metric_that_failed_too_makes_it_a_true_alarm(ledger: Ledger, run: MakeRun) -> None:
    failed(run(), judgement(metrics=Verdict.FAIL))
    say(ledger, "e1", "not_a_risk")
    assert not fails(ledger)[0].false_alarm


def test_no_risk_says_nothing_of_a_frequency() -> None:
    for kind in (EventKind.UNEXPECTED_FREQUENCY, EventKind.WENT_SILENT):
        assert not is_false_alarm(judgement(kind=kind), {"e1": "not_a_risk"})
        assert is_false_alarm(judgement(kind=kind), {"e1": "not_a_risk_at_any_frequency"})


@pytest.mark.parametrize("evidence", [None, {}, {"quality": None}, judgement([])])
def test_without_an_event_that_decided_nothing_is_a_false_alarm(evidence: dict[str, Any] | None) -> None:
    assert not is_false_alarm(evidence, {"e1": "not_a_risk", "known": "not_a_risk"})
