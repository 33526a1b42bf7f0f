"""The tab of a task leads to what belongs to the task."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from airflow_cd.ledger import Ledger
from airflow_cd.plugin.dag_runs import tasks as run_tasks
from airflow_cd.plugin.dag_runs.tasks import Run
from tests.plugin.build_com_run import PIPELINE, RUN_ID, VERIFY, run_of
from tests.plugin.conftest import ClientAs
from tests.plugin.deployed import Delivery


def _leads_to(client_as: ClientAs, task_id: str) -> str:
    answer = client_as("viewer").get(f"/airflow-cd/task/{PIPELINE}/{RUN_ID}/{task_id}", follow_redirects=False)
    assert answer.status_code == 307
    return answer.headers["location"].removeprefix("/airflow-cd/")


def _asked(ledger: Ledger, task_id: str) -> Delivery:
    delivery = Delivery(ledger, "shop", "1.2", pipeline=PIPELINE, run_id=RUN_ID)
    delivery.asks("production", task_id=task_id)
    return delivery


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_tasks, "run_of", lambda dag_id, run_id: run_of("running", {}))


@pytest.mark.parametrize(
    ("task_id", "kind"),
    [
        (VERIFY, f"report/{PIPELINE}/{RUN_ID}/{VERIFY}"),
        ("approve", f"approval/{PIPELINE}/{RUN_ID}/approve"),
        ("dev.deploy", f"run/{PIPELINE}/{RUN_ID}"),
    ],
)
def test_each_kind_of_task_has_its_page_before_anything_has_happened(
    client_as: ClientAs, run: None, task_id: str, kind: str
) -> None:
    assert _leads_to(client_as, task_id) == kind


def test_a_verification_that_asks_leads_to_its_question_until_that_is_answered(
    ledger: Ledger, client_as: ClientAs, run: None
) -> None:
    _asked(ledger, VERIFY)
    assert _leads_to(client_as, VERIFY).startswith("approval/")
    ledger.questions.answer(
        PIPELINE, RUN_ID, VERIFY, option="Approve", who="bob", why="", at=datetime.now(timezone.utc)
    )
    assert _leads_to(client_as, VERIFY).startswith("report/")


def test_what_airflow_has_forgotten_the_ledger_still_leads_to(
    ledger: Ledger, client_as: ClientAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: Run | None = None
    monkeypatch.setattr(run_tasks, "run_of", lambda dag_id, run_id: forgotten)
    delivery = _asked(ledger, "approve")
    assert _leads_to(client_as, "approve").startswith("approval/")
    assert _leads_to(client_as, VERIFY).startswith("run/")
    delivery.canary("production", verdict="FAIL")
    assert _leads_to(client_as, VERIFY).startswith("report/")
