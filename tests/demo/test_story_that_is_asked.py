"""The demo's story where a verification cannot decide, as on a busy machine, and where a task fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_cd.demo import story as telling
from airflow_cd.demo.story import PIPELINE, Story, run_story
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


class Listening(FailsAtOnce):
    """The same, which remembers what it was asked to deploy."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: list[str] = []

    def wait_for_dag(self, dag_id: str) -> None: ...

    def trigger(self, dag_id: str, conf: dict[str, Any], *, run_id: str) -> str:
        self.versions.append(conf["version"])
        return run_id


@pytest.mark.parametrize(("brief", "versions"), [(False, ["1.0", "1.1", "1.2"]), (True, ["1.0", "1.2"])])
def test_told_in_brief_it_learns_from_one_release(tmp_path: Path, brief: bool, versions: list[str]) -> None:
    airflow = Listening()
    story, last = run_story(Stage(airflow, tmp_path), lambda line: None, brief=brief)
    assert airflow.versions == versions
    assert last.run_id.startswith("1.2-")
    assert story.failures, "nothing of it was deployed"
