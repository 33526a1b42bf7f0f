"""The grammar of task ids: what builds an id reads it back."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_cd.states import Role
from airflow_cd.task_ids import (
    TaskId,
    phase_name,
    phase_of,
    read_task_id,
    share_of_phase,
    stage_of,
    verify_task,
)

IDS = {
    "dev.lease": TaskId("dev", Role.LEASE),
    "dev.deploy": TaskId("dev", Role.DEPLOY),
    "production.promote": TaskId("production", Role.PROMOTE),
    "production.settle": TaskId("production", Role.SETTLE),
    "production.phase_20.deploy": TaskId("production", Role.DEPLOY, "phase_20"),
    "production.phase_20.mark": TaskId("production", Role.MARK, "phase_20"),
    "production.phase_20.verify": TaskId("production", Role.VERIFY, "phase_20"),
    "production.phase_20.rollback": TaskId("production", Role.ROLLBACK, "phase_20"),
    "rollback.deploy": TaskId("rollback", Role.ROLLBACK_TO),
}


@pytest.mark.parametrize("task_id", IDS)
def test_an_id_says_environment_phase_and_role_and_is_built_from_them(task_id: str) -> None:
    assert read_task_id(task_id) == IDS[task_id]
    assert str(IDS[task_id]) == task_id


@pytest.mark.parametrize(
    "task_id", ["approve", "deploy", "notify.mail", "dev.verify", "dev.phase_20.lease", ".deploy", "a.b.c.verify", ""]
)
def test_another_id_says_nothing(task_id: str) -> None:
    assert read_task_id(task_id) is None


def test_groups_are_read_of_any_id() -> None:
    assert [stage_of(one) for one in ("approve", "dev.deploy", "a.b.c.d")] == ["approve", "dev", "a"]
    assert [phase_of(one) for one in ("approve", "dev.deploy", "dev.phase_20.verify", "a.b.c.d")] == [
        "",
        "",
        "phase_20",
        "b",
    ]


def test_a_phase_is_named_after_its_share() -> None:
    assert verify_task("production", phase_name(20)) == "production.phase_20.verify"
    assert [share_of_phase(name) for name in ("phase_20", "half", "phase_", "phase_two", "20")] == [
        20,
        None,
        None,
        None,
        None,
    ]


def test_the_grammar_needs_no_airflow() -> None:
    program = "import sys, airflow_cd.task_ids; sys.exit('airflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
