from __future__ import annotations

import re

import pytest

from airflow_cd.demo.airflow_client import AirflowClient
from airflow_cd.errors import AirflowCdError


class Stuck(AirflowClient):
    """A user of an Airflow in which a run goes no further."""

    def __init__(self) -> None: ...

    def run_state(self, dag_id: str, run_id: str) -> str:
        return "running"

    def task_state(self, dag_id: str, run_id: str, task_id: str) -> str | None:
        return self.tasks(dag_id, run_id)[task_id]

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        return {"dev.deploy": "success", "dev.verify": "up_for_retry", "dev.promote": None, "smoke": "failed"}

    def why_failed(self, dag_id: str, run_id: str, task_id: str) -> str:
        return "AssertionError: 1 of 12"


def test_who_waits_in_vain_for_a_run_is_told_where_it_stands() -> None:
    states = "dev.deploy success, dev.verify up_for_retry, dev.promote not begun, smoke failed"
    stands = re.escape(f"Its tasks: {states}. smoke: AssertionError: 1 of 12")
    with pytest.raises(AirflowCdError, match=f"build_com r1 ends.*{stands}"):
        Stuck().wait_for_run("build_com", "r1", seconds=-1)
    with pytest.raises(AirflowCdError, match=stands):
        Stuck().wait_for_task("build_com", "r1", "dev.promote", "success", seconds=-1)


class Away(Stuck):
    """The same, whose Airflow has gone away meanwhile."""

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        raise AirflowCdError("Airflow does not answer.")


def test_an_airflow_that_is_away_does_not_hide_what_was_waited_for() -> None:
    with pytest.raises(AirflowCdError, match="build_com r1 ends"):
        Away().wait_for_run("build_com", "r1", seconds=-1)
