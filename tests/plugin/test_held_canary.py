"""A canary that is held because its verification is inconclusive: every page says that it waits, for whom, and why."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_cd.ledger import Ledger
from airflow_cd.plugin.environment import routes
from airflow_cd.states import RollbackCause
from airflow_cd.verification.verdict import Judgement, Reason, Verdict
from tests.plugin.conftest import ClientAs
from tests.plugin.deployed import Delivery

TASK = "production.phase_20.verify"
FEW = "25 requests on the canary, 50 are needed"
SUBJECT = "shop 1.2 in production, phase_20: not enough evidence to decide. Go on, or watch longer?"
BODY = f"INCONCLUSIVE after 10m:\n- {FEW}\n\nNothing points to harm. <b>The canary</b> still serves its share."


@pytest.fixture
def held(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Production's canary of 1.2 waits for a person, in a run that Airflow has."""
    monkeypatch.setattr(routes, "is_over", lambda pipeline, run_id: False)
    Delivery(ledger, "shop", "1.1").promoted("production")
    delivery = Delivery(ledger, "shop", "1.2")
    deployment = delivery.canary("production")
    token = delivery.leases["production"].token
    judgement = Judgement(Verdict.INCONCLUSIVE, [Reason("few_requests", FEW)], decided="2026-11-23T08:10:00+00:00")
    ledger.verdicts.record(
        deployment.id, "phase_20", token=token, verdict="INCONCLUSIVE", evidence=judgement.as_dict(), final=True
    )
    ledger.settlement.blame(
        deployment.id, token=token, cause=RollbackCause.INCONCLUSIVE, outcome=f"INCONCLUSIVE: {FEW}"
    )
    ledger.questions.ask(
        pipeline="shop",
        run_id="run-1.2",
        task_id=TASK,
        options=["Go on", "Keep watching", "Roll back"],
        approvers=[],
        subject=SUBJECT,
        body=BODY,
        deadline=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    return ledger


@pytest.mark.parametrize("page", ["deployments", "environment/shop/shop/production", f"approval/shop/run-1.2/{TASK}"])
def test_every_page_says_what_waits_for_whom_and_what_becomes_of_it(
    held: Ledger, client_as: ClientAs, page: str
) -> None:
    shown = client_as("viewer").get(f"/airflow-cd/{page}").text
    assert SUBJECT in shown
    assert "anyone who may edit the run" in shown
    assert "the release is rolled back" in shown


def test_the_environment_leads_to_the_answer(held: Ledger, client_as: ClientAs) -> None:
    shown = client_as("viewer").get("/airflow-cd/environment/shop/shop/production").text
    assert f'id="answer" href="/airflow-cd/approval/shop/run-1.2/{TASK}"' in shown


def test_its_question_shows_the_numbers_the_three_answers_and_the_report(held: Ledger, client_as: ClientAs) -> None:
    shown = client_as("viewer").get(f"/airflow-cd/approval/shop/run-1.2/{TASK}").text
    assert f"INCONCLUSIVE after 10m:\n- {FEW}" in shown
    assert "&lt;b&gt;The canary&lt;/b&gt;" in shown
    for option in ("Go on", "Keep watching", "Roll back"):
        assert f'value="{option}"' in shown
    assert f'href="/airflow-cd/report/shop/run-1.2/{TASK}"' in shown
    assert "What would change" not in shown


def test_its_report_neither_calls_it_safe_nor_bad(held: Ledger, client_as: ClientAs) -> None:
    shown = client_as("viewer").get(f"/airflow-cd/report/shop/run-1.2/{TASK}").text
    assert "Held where it is" in shown
    assert "Nothing is proven against the canary" in shown
    assert SUBJECT in shown


def test_after_the_time_out_its_report_says_that_it_is_not_vetoed(held: Ledger, client_as: ClientAs) -> None:
    [deployment] = held.deployments.matching(pipeline="shop", run_id="run-1.2")
    for step in (held.settlement.begin_rollback, held.settlement.finish_rollback):
        more = {"restored": True} if step == held.settlement.finish_rollback else {"cause": RollbackCause.INCONCLUSIVE}
        step(deployment.id, token=deployment.token, outcome=f"INCONCLUSIVE: {FEW}", **more)
    shown = client_as("viewer").get(f"/airflow-cd/report/shop/run-1.2/{TASK}").text
    assert "the release is not vetoed" in shown
    assert "VETOED" not in client_as("viewer").get("/airflow-cd/deployments").text


def test_a_first_release_is_called_that_and_its_report_says_why_there_is_none(
    ledger: Ledger, client_as: ClientAs
) -> None:
    delivery = Delivery(ledger, "shop", "1.0")
    delivery.previous = {"web-1": None}
    delivery.promoted("production")
    assert "first release, nothing to compare with" in client_as("viewer").get("/airflow-cd/deployments").text
    shown = client_as("viewer").get(f"/airflow-cd/report/shop/run-1.0/{TASK}").text
    assert "Nothing to compare with: deployed as the first release" in shown
