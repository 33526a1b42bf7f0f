"""What was rolled back and runs again, put there by somebody else: the environment's page and the run's say so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_cd.ledger import Finding, Ledger
from airflow_cd.states import FindingState, StuckCause
from tests.plugin.conftest import ClientAs
from tests.plugin.deployed import Delivery

PAGE = "/airflow-cd/environment/shop/shop/production"
ALL = "/airflow-cd/deployments"
RUN = "/airflow-cd/run/shop/run-1.2"
SAID = "shop 1.2 runs again on web-1: it was rolled back here &lt;b&gt;"


@pytest.fixture
def told(ledger: Ledger) -> Finding:
    Delivery(ledger, "shop", "1.1").promoted("production")
    deployment = Delivery(ledger, "shop", "1.2").rolled_back("production", "it errs")
    token = ledger.guarding.hold("guard", timedelta(minutes=1))
    assert token is not None
    found = ledger.guarding.tell_put_back(
        ("shop", "production", "shop", "run-1.2"),
        deployment_id=deployment.id,
        detail=SAID.replace("&lt;", "<").replace("&gt;", ">"),
        outcome="A person was told.",
        token=token,
    )
    assert found is not None
    return found


def test_it_stands_on_both_pages_as_text(told: Finding, client_as: ClientAs) -> None:
    page = client_as("viewer").get(PAGE).text
    assert "PUT BACK" in page
    assert SAID in page
    assert SAID in client_as("viewer").get(RUN).text
    assert "it could not go on" not in client_as("viewer").get(RUN).text
    assert "PUT BACK</span> by somebody else" in client_as("viewer").get(ALL).text


def test_what_runs_in_the_place_of_what_was_promoted_is_said_first(ledger: Ledger, client_as: ClientAs) -> None:
    deployment = Delivery(ledger, "shop", "1.2").promoted("production")
    token = ledger.guarding.hold("guard", timedelta(minutes=1))
    assert token is not None
    detail = "shop 1.1 runs on web-1, in the place of shop 1.2, which was promoted here"
    ledger.guarding.tell_put_back(
        ("shop", "production", "shop", "run-1.2"),
        deployment_id=deployment.id,
        detail=detail,
        outcome="A person was told.",
        token=token,
        cause=StuckCause.REPLACED,
    )
    page = client_as("viewer").get(PAGE).text
    assert "shop 1.2 was promoted in production, and something else runs there." in page
    assert "shop 1.2 runs in production." not in page
    assert detail in page
    assert "REPLACED</span> by somebody else" in client_as("viewer").get(ALL).text
    assert "it could not go on" not in client_as("viewer").get(RUN).text


def test_it_is_gone_when_it_has_ended(told: Finding, ledger: Ledger, client_as: ClientAs) -> None:
    ledger.guarding.ended(told.number, FindingState.OVER, "It does not run there any more.")
    for page in (PAGE, ALL):
        assert "PUT BACK" not in client_as("viewer").get(page).text


def test_who_may_not_read_a_pipeline_of_the_environment_does_not_see_it(
    told: Finding, ledger: Ledger, client_as: ClientAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    Delivery(ledger, "shop", "1.0", pipeline="secret").promoted("production")
    client = client_as("user")

    def without_secret(self: Any, *, dag_ids: set[str], **_: Any) -> set[str]:
        return dag_ids - {"secret"}

    monkeypatch.setattr(type(get_auth_manager()), "filter_authorized_dag_ids", without_secret)
    page = client.get(PAGE).text
    assert "A pipeline that you may not read has deployed here, too." in page
    assert "PUT BACK" not in page
