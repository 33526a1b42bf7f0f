"""What a verification has handed over beside the ledger, as the guard reads it from Airflow's database."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cd import Approval, Environment, Pipeline
from airflow_cd.delivery.late_verdict import HANDED_VERDICT, HandedVerdict
from airflow_cd.guard.handed_over import handed_verdicts
from airflow_cd.verification.verdict import Judgement, Reason, Verdict
from tests.plugin.audit.airflow_server import DAG_ID, RUN_ID, running

VERDICT = HandedVerdict("all", Judgement(Verdict.FAIL, [Reason("new", "KeyError, 4 times")]).as_dict(), "dev", "verify")


def handed(*contents: Any) -> list[HandedVerdict]:
    from airflow.models.xcom import XComModel
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.utils.session import create_session

    stages = [Environment("dev"), Approval(), Environment("production")]
    with running(Pipeline(DAG_ID, service="shop", stages=stages).dag()):
        with create_session() as session:
            for task_id, content in zip(("dev.deploy", "production.deploy"), contents, strict=False):
                place = {"task_id": task_id, "dag_id": DAG_ID, "run_id": RUN_ID}
                # As a task's process writes it.
                value = BaseXCom.serialize_value(content)
                XComModel.set(key=HANDED_VERDICT, value=value, **place, serialize=False, session=session)
        return handed_verdicts((DAG_ID, RUN_ID))


@pytest.mark.usefixtures("metadata")
def test_a_verdict_is_read_as_it_was_handed_over() -> None:
    assert handed(VERDICT.as_dict()) == [VERDICT]


@pytest.mark.usefixtures("metadata")
@pytest.mark.parametrize("contents", [(), ("nonsense",), ({"phase": "all"},)])
def test_what_is_no_verdict_is_left_out(contents: tuple[Any, ...]) -> None:
    assert handed(*contents) == []


@pytest.mark.usefixtures("metadata")
def test_one_that_cannot_be_read_does_not_hide_another() -> None:
    assert handed({"phase": "all"}, VERDICT.as_dict()) == [VERDICT]
