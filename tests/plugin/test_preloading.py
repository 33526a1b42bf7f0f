"""What a scheduler imports ahead of the tasks that its executor forks."""

from __future__ import annotations

import sys

import pytest

from airflow_cd.plugin import preloading


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
    assert ("airflow_cd.pipeline" in imported) is ahead


def test_what_cannot_be_imported_stops_no_scheduler(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preloading, "MODULES", ("airflow_cd.is_not_there", "airflow_cd.pipeline"))
    start(monkeypatch, "scheduler", "LocalExecutor")
    assert "airflow_cd.is_not_there could not be imported ahead" in caplog.text


def test_what_is_imported_ahead_is_there() -> None:
    for module in preloading.MODULES:
        preloading.importlib.import_module(module)
