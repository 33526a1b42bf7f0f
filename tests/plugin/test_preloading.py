"""What a scheduler imports ahead of the tasks that its executor forks."""

from __future__ import annotations

import runpy
import subprocess
import sys

import pytest

from airflow_cd import preloaded
from airflow_cd.demo.world import example_dags
from airflow_cd.plugin import preloading

WHAT_A_TASK_IMPORTS = """
import runpy, sys
import airflow_cd.preloaded
ahead = set(sys.modules)
runpy.run_path(sys.argv[1])
import airflow_cd.targets.http
print("", *sorted(module for module in set(sys.modules) - ahead if module.startswith("airflow_cd.")))
"""


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
    monkeypatch: pytest.MonkeyPatch, component: str, executor: str, ahead: bool
) -> None:
    imported: list[str] = []
    monkeypatch.setattr(preloading.importlib, "import_module", imported.append)
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    monkeypatch.setattr(sys, "argv", ["airflow", component])
    preloading.on_starting(object())
    assert imported == ([preloaded.__name__] if ahead else [])


def test_what_cannot_be_imported_stops_no_scheduler(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(module: str) -> None:
        raise ImportError(module)

    monkeypatch.setattr(preloaded.importlib, "import_module", refuse)
    runpy.run_path(preloaded.__file__)
    assert "airflow_cd.sources could not be imported ahead" in caplog.text


def test_nothing_of_ours_is_left_to_import_for_a_task_of_the_story() -> None:
    command = [sys.executable, "-W", "ignore", "-c", WHAT_A_TASK_IMPORTS, str(example_dags() / "build_com.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "could not be imported" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].split() == []
