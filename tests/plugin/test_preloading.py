"""What a scheduler imports ahead of the tasks that its executor forks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_cd.demo.world import example_dags
from airflow_cd.plugin import preloading

WHAT_A_TASK_IMPORTS = """
import runpy, sys
from airflow_cd.plugin import preloading
for module in preloading.MODULES:
    __import__(module)
ahead = set(sys.modules)
runpy.run_path(sys.argv[1])
import airflow_cd.targets.http
print("", *sorted(module for module in set(sys.modules) - ahead if module.startswith("airflow_cd.")))
"""


@pytest.fixture
def imported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that were imported ahead; none is for real."""
    found: list[str] = []
    monkeypatch.setattr(preloading.importlib, "import_module", found.append)
    return found


def start(monkeypatch: pytest.MonkeyPatch, component: str, executor: str) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    monkeypatch.setattr(sys, "argv", ["airflow", component])
    preloading.on_starting(object())


@pytest.mark.parametrize(
    ("component", "executor", "ahead"),
    [
        ("scheduler", "LocalExecutor", True),
        ("scheduler", "CeleryExecutor,airflow.executors.local_executor.LocalExecutor", True),
        ("scheduler", "CeleryExecutor", False),
        ("triggerer", "LocalExecutor", False),
        ("api-server", "LocalExecutor", False),
    ],
)
def test_a_scheduler_that_forks_tasks_spares_them_their_imports(
    imported: list[str], monkeypatch: pytest.MonkeyPatch, component: str, executor: str, ahead: bool
) -> None:
    start(monkeypatch, component, executor)
    assert ("airflow_cd.pipeline.dag" in imported) is ahead


def test_what_cannot_be_imported_stops_no_scheduler(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preloading, "MODULES", ("airflow_cd.is_not_there", "airflow_cd.pipeline"))
    start(monkeypatch, "scheduler", "LocalExecutor")
    assert "airflow_cd.is_not_there could not be imported ahead" in caplog.text


def test_what_is_imported_ahead_is_there() -> None:
    for module in preloading.MODULES:
        preloading.importlib.import_module(module)


def test_nothing_of_ours_is_left_to_import_for_a_task_of_the_story() -> None:
    command = [sys.executable, "-W", "ignore", "-c", WHAT_A_TASK_IMPORTS, str(example_dags() / "build_com.py")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1].split() == []
