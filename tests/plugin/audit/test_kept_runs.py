"""Whatever makes a run with a secret in its configuration, Airflow keeps none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.models.backfill import Backfill
from airflow.models.dagrun import DagRun
from airflow.models.log import Log
from airflow.utils.session import create_session
from sqlalchemy import delete, select

from airflow_cd.errors import RunRefused
from airflow_cd.plugin import AirflowCdPlugin
from airflow_cd.plugin.audit.kept_runs import _mask_command
from tests.plugin.audit.airflow_server import DAG_ID, states

__all__ = ["states"]

SECRET = {"version": "1.2", "configuration": {"db_password": "tulip99"}}
HARMLESS = {"version": "1.2", "configuration": {"db_password": "secret:shop_db/password"}}


@pytest.mark.parametrize(("model", "field"), [(DagRun, "conf"), (Backfill, "dag_run_conf")])
def test_a_run_with_a_secret_is_not_made(states: Any, model: Any, field: str) -> None:
    assert AirflowCdPlugin.name
    with pytest.raises(RunRefused) as refused:
        model(dag_id=DAG_ID, **{field: SECRET})
    assert "db_password" in str(refused.value)
    assert "tulip99" not in str(refused.value)
    # Airflow takes it for a value that is wrong, and answers so.
    assert isinstance(refused.value, ValueError)


@pytest.mark.parametrize(("model", "field"), [(DagRun, "conf"), (Backfill, "dag_run_conf")])
def test_any_other_run_is_made(states: Any, model: Any, field: str) -> None:
    for dag_id, conf in ((DAG_ID, HARMLESS), (DAG_ID, None), ("somebody_elses", SECRET)):
        assert (getattr(model(dag_id=dag_id, **{field: conf}), field) or None) == conf


TYPED = Log.event == "cli_dag_trigger"


@pytest.fixture
def commands(metadata: None) -> Iterator[list[str]]:
    typed = [
        str(["airflow", "dags", "trigger", DAG_ID, "--conf", json.dumps(SECRET)]),
        str(["airflow", "dags", "trigger", DAG_ID, "--conf", json.dumps(HARMLESS)]),
    ]
    with create_session() as session:
        for command in typed:
            extra = json.dumps({"host_name": "here", "full_command": command})
            session.add(Log(event="cli_dag_trigger", owner="alice", dag_id=DAG_ID, extra=extra))
    yield typed
    with create_session() as session:
        session.execute(delete(Log).where(TYPED))


def test_airflow_s_log_of_commands_forgets_it_and_nothing_else(commands: list[str]) -> None:
    _mask_command(full_command=commands[0], dag_id=DAG_ID, sub_command="dag_trigger")
    with create_session() as session:
        kept = [json.loads(extra) for extra in session.scalars(select(Log.extra).where(TYPED).order_by(Log.id))]
    assert "tulip99" not in str(kept)
    assert kept[0]["host_name"] == "here"
    assert kept[1]["full_command"] == commands[1]
