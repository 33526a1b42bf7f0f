"""The demo's story where a verification cannot decide, as on a busy machine, and where a task fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_cd.demo import story as telling
from airflow_cd.demo.story import PIPELINE, Story
from airflow_cd.errors import AirflowCdError
from airflow_cd.ledger import Ledger, open_ledger

VERIFY = "production.phase_100.verify"


class AskedAgainAndAgain:
    """An Airflow with one run, whose verification asks a person so many times before it passes."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.answers: list[str] = []

    def trigger(self, dag_id: str, conf: dict[str, Any], *, run_id: str) -> str:
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        return "running" if self.left else "success"

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        return {VERIFY: "awaiting_input" if self.left else "success"}

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, reason: str) -> None:
        assert (dag_id, task_id) == (PIPELINE, VERIFY)
        self.answers.append(option)
        self.left -= 1

    def wait_for_task(self, dag_id: str, run_id: str, task_id: str, *states: str) -> str:
        return "running"


class Stage:
    def __init__(self, airflow: AskedAgainAndAgain, folder: Path) -> None:
        self.airflow, self._ledger = airflow, open_ledger(f"sqlite:///{folder / 'ledger.db'}")

    def client(self) -> Any:
        return self.airflow

    def ledger(self) -> Ledger:
        return self._ledger

    def running(self, environment: str) -> dict[str, dict[str, Any]]:
        return {}

    def dead(self) -> list[str]:
        return []


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling.time, "sleep", lambda seconds: None)


def test_a_phase_that_could_not_be_decided_is_watched_on(tmp_path: Path) -> None:
    said: list[str] = []
    airflow = AskedAgainAndAgain(2)
    assert Story(Stage(airflow, tmp_path), said.append).deploy("1.1").state == "success"
    assert airflow.answers == ["Keep watching", "Keep watching"]
    assert sum(f"{VERIFY} could not decide: INCONCLUSIVE; watched on" in line for line in said) == 2


def test_a_story_that_is_asked_for_ever_ends_and_says_what_is_open(tmp_path: Path) -> None:
    airflow = AskedAgainAndAgain(99)
    with pytest.raises(AirflowCdError, match=f"{VERIFY} could not decide: INCONCLUSIVE"):
        Story(Stage(airflow, tmp_path), lambda line: None).deploy("1.1")
    assert len(airflow.answers) == 2


class FailsAtOnce(AskedAgainAndAgain):
    """An Airflow in which the first task of a run fails."""

    def __init__(self) -> None:
        super().__init__(0)

    def run_state(self, dag_id: str, run_id: str) -> str:
        return "failed"

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        return {"dev.deploy": "failed"}

    def why_failed(self, dag_id: str, run_id: str, task_id: str) -> str:
        return f"{task_id}: the fleet does not answer"


def test_a_task_that_fails_says_why(tmp_path: Path) -> None:
    said: list[str] = []
    assert Story(Stage(FailsAtOnce(), tmp_path), said.append).deploy("1.1").state == "failed"
    failed = next(number for number, line in enumerate(said) if "dev.deploy" in line)
    assert "dev.deploy: the fleet does not answer" in said[failed + 1]
