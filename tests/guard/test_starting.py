"""Beside which parts of Airflow a guard is started, and that one of them works on a machine."""

from __future__ import annotations

import fcntl
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.guard import __main__ as process
from airflow_cd.guard import starting


class Started:
    """A process that is not started."""

    def __init__(self, command: list[str], **options: Any) -> None:
        self.command, self.options, self.ended = command, options, False
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self.returncode

    def terminate(self) -> None:
        self.ended = True


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Started]:
    found: list[Started] = []

    def start(command: list[str], **options: Any) -> Started:
        found.append(Started(command, **options))
        return found[-1]

    monkeypatch.setattr(starting.subprocess, "Popen", start)
    monkeypatch.setattr(starting, "_started", [])
    return found


@pytest.mark.parametrize(
    ("command", "guards"), [("scheduler", 1), ("triggerer", 1), ("dag-processor", 0), ("api-server", 0), ("tasks", 0)]
)
def test_a_guard_is_started_beside_what_schedules(
    started: list[Started], monkeypatch: pytest.MonkeyPatch, command: str, guards: int
) -> None:
    monkeypatch.setattr(sys, "argv", ["airflow", command])
    starting.on_starting(component=None)
    starting.on_starting(component=None)
    assert len(started) == guards
    starting.before_stopping(component=None)
    assert all(one.ended for one in started)
    assert all(one.options["start_new_session"] for one in started)


def test_one_that_was_killed_is_there_again_when_a_run_begins(
    started: list[Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["airflow", "scheduler"])
    starting.on_dag_run_running(dag_run=None, msg="")
    assert started == []  # where none was started, in an API server say, none is
    starting.on_starting(component=None)
    starting.on_dag_run_running(dag_run=None, msg="")
    assert len(started) == 1
    started[0].returncode = -9
    starting.on_dag_run_running(dag_run=None, msg="")
    starting.on_dag_run_running(dag_run=None, msg="")
    assert [one.returncode for one in started] == [-9, None]


def test_it_can_be_switched_off(started: list[Started], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["airflow", "scheduler"])
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__GUARD", "False")
    starting.on_starting(component=None)
    assert started == []


def test_a_second_guard_of_a_machine_stands_by_until_the_first_is_gone(tmp_path: Path) -> None:
    path, stopping, said = tmp_path / "guard.lock", threading.Event(), []
    first = process._lock(path, stopping, lambda: False, said.append)
    assert first is not None

    def then(line: str) -> None:
        said.append(line)
        first.close()

    second = process._lock(path, stopping, lambda: False, then)
    assert second is not None
    assert said == ["Another guard works on this machine; this one stands by."]
    with pytest.raises(BlockingIOError), path.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    second.close()


def test_one_that_stands_by_ends_when_it_is_told_to(tmp_path: Path) -> None:
    path, stopping = tmp_path / "guard.lock", threading.Event()
    first = process._lock(path, stopping, lambda: False, lambda line: None)
    assert first is not None
    assert process._lock(path, stopping, lambda: False, lambda line: stopping.set()) is None
    first.close()


def test_a_guard_that_is_killed_is_started_again_and_one_that_ends_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []

    class Child:
        def __init__(self, command: list[str], **options: Any) -> None:
            runs.append(options["pass_fds"][0])
            self.returncode = 0 if len(runs) == 3 else -9

        def poll(self) -> int:
            return self.returncode

    monkeypatch.setattr(process.subprocess, "Popen", Child)
    monkeypatch.setattr(process, "RESTART", 0.0)
    with (tmp_path / "guard.lock").open("w") as lock:
        process._keep_alive(["guard"], lock, threading.Event())
        assert runs == [lock.fileno()] * 3


def test_a_guard_that_is_told_to_end_ends_its_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = threading.Event()

    class Child:
        returncode: int | None = None

        def __init__(self, command: list[str], **options: Any) -> None:
            stopping.set()

        def poll(self) -> int | None:
            return self.returncode

        def terminate(self) -> None:
            self.returncode = -15

        def wait(self) -> None:
            assert self.returncode == -15

    monkeypatch.setattr(process.subprocess, "Popen", Child)
    with (tmp_path / "guard.lock").open("w") as lock:
        process._keep_alive(["guard"], lock, stopping)
