"""Why Airflow schedules nothing of a run, as its own database says it; and what the Deployments page shows of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_cd.ledger import Ledger
from airflow_cd.plugin.dag_runs.stuck import stopped_pipelines, why_stopped
from tests.plugin.conftest import ClientAs
from tests.plugin.deployed import Delivery

AT = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)
TRACE = "Traceback (most recent call last):\n  File \"/dags/calm.py\", line 9\nNameError: name 'Canry' is not defined\n"
Has = Callable[..., None]


@pytest.fixture
def airflow_has(metadata: None) -> Iterator[Has]:
    """Puts the DAG ``calm`` and its run ``run-1.0`` into Airflow's own tables."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.models.errors import ParseImportError
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType
    from sqlalchemy import delete

    def has(*, state: str = "running", error: bool = False, **dag: Any) -> None:
        given = {"is_paused": False, "is_stale": False, **dag}
        with create_session() as session:
            session.add(DagBundleModel(name="calm"))
            session.flush()
            session.add(DagModel(dag_id="calm", bundle_name="calm", fileloc="", relative_fileloc="calm.py", **given))
            session.flush()
            session.add(DagRun(dag_id="calm", run_id="run-1.0", run_type=DagRunType.MANUAL, run_after=AT, state=state))
            if error:
                session.add(ParseImportError(bundle_name="calm", filename="calm.py", stacktrace=TRACE))

    yield has
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == "calm"))
        session.execute(delete(ParseImportError).where(ParseImportError.bundle_name == "calm"))
        session.execute(delete(DagModel).where(DagModel.dag_id == "calm"))
        session.execute(delete(DagBundleModel).where(DagBundleModel.name == "calm"))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, ""),
        ({"is_paused": True}, "its DAG is paused"),
        ({"is_stale": True}, "its DAG file calm.py is gone, was renamed, or holds the DAG no more"),
        ({"is_stale": True, "error": True}, "NameError: name 'Canry' is not defined"),
        ({"is_stale": True, "state": "failed"}, ""),
    ],
    ids=["goes on", "paused", "gone", "broken", "ended"],
)
def test_why_nothing_of_a_run_is_scheduled(airflow_has: Has, given: dict[str, Any], why: str) -> None:
    airflow_has(**given)
    said = why_stopped("calm", "run-1.0")
    assert said.endswith(why)
    assert bool(said) is bool(why)


def test_the_deployments_page_says_which_file_is_broken_and_which_runs_are_stuck(
    airflow_has: Has, ledger: Ledger, client_as: ClientAs
) -> None:
    airflow_has(is_stale=True, error=True)
    Delivery(ledger, "calm", "1.0").canary("production")
    page = client_as("viewer").get("/airflow-cd/deployments").text
    assert "calm.py has an error" in page
    assert "Canry" in page
    assert ">STUCK</span>" in page
    assert 'href="/airflow-cd/run/calm/run-1.0"' in page


def test_a_pipeline_that_the_reader_may_not_see_is_not_named(airflow_has: Has) -> None:
    airflow_has(is_stale=True)
    assert stopped_pipelines(lambda pipelines: set(), {"calm"}) == []
    assert stopped_pipelines(set, set()) == []
