"""What a test starts decides which tier it belongs to, which tests share a process, and in which order they run.

A fixture that starts something declares it by :func:`starts`; every test that takes it, however indirectly, gets the
marker. ``make quick`` runs what has none of :data:`SLOW`; :func:`refuse_unmarked` fails a test that starts more than
its markers say.
"""

from __future__ import annotations

import inspect
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import pytest

from tests.pace import PATIENCE

Function = TypeVar("Function", bound=Callable[..., Any])

SLOW = ("e2e", "browser", "postgres", "server", "alone", "real")
STARTED = {
    "airflow standalone": "e2e",
    "playwright": "browser",
    "bin/postgres": "postgres",
    "-m airflow_cd.demo.": "server",
    "prometheus --config": "server",
    "victoria-metrics -storage": "server",
    "influxd -config": "server",
    "rsyslogd -n": "server",
}
"""Parts of command lines, and the marker of tests that may run them."""

WORLDS = "worlds"
IN_WORLDS = ("tests/e2e/", "tests/faults/")
"""Folders whose tests start an Airflow each.

One is up at a time. Whatever it is there for, an Airflow with a fleet asks, looks and reports for a third of a
processor; two of them at once each take the longer, and ask and report all that time.
"""

DOCKER = "docker"
ON_THE_DAEMON = ("tests/real/docker_target/",)
"""Folders whose tests share the one Docker daemon; of Kubernetes every process has a cluster of its own."""
AIRFLOWS = "airflows"
WITH_AIRFLOW = (
    "tests/real/test_docker.py",
    "tests/real/test_kubernetes_story.py",
    "tests/real/test_kubernetes_seven_stages.py",
)
"""Those that start an Airflow beside what is real: two processors run one of these at a time."""

UNHURRIED = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "90",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_PRE_PING": "False",
}
"""Settings of an Airflow that shares two processors with another one: a scheduler that looks for work ten times in a
second, as the demo's does, takes a quarter of a processor, and heartbeats of every task in every second are half of
what its API server is asked; on a slow machine they come late, and after the demo's 30 s Airflow takes a worker for
dead that is not. PostgreSQL is there as long as they are, and need not be asked for it before each use of a
connection."""

COVERING = tuple(f"tests/{folder}/" for folder in ("operators", "sensors", "delivery", "pipeline", "dags"))
"""Where the tests of the packages are whose coverage is measured."""


def starts(marker: str) -> Callable[[Function], Function]:
    """Say of a fixture, below ``@pytest.fixture``, that it starts what ``marker`` stands for."""

    def mark(function: Function) -> Function:
        function.starts = marker  # type: ignore[attr-defined]
        return function

    return mark


def unavailable(what: str, why: str) -> NoReturn:
    """Skip the test for want of ``what``, or fail it where AIRFLOW_CD_REQUIRE (a list with commas) asks for that."""
    if required(what):
        pytest.fail(f"{why}, and AIRFLOW_CD_REQUIRE asks for {what}")
    pytest.skip(why)


def required(what: str) -> bool:
    """Whether tests fail, instead of being skipped, where this machine has no ``what``."""
    return what in os.environ.get("AIRFLOW_CD_REQUIRE", "").split(",")


def fail_where_required(item: pytest.Item, report: pytest.TestReport) -> None:
    """Make a skipped test a failed one where AIRFLOW_CD_REQUIRE names one of its markers."""
    asked = sorted(mark.name for mark in item.iter_markers() if required(mark.name))
    if report.skipped and not hasattr(report, "wasxfail") and asked:
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{why}\nAIRFLOW_CD_REQUIRE asks for {', '.join(asked)}: nothing of that may be skipped"


def mark_by_fixtures(items: Iterable[pytest.Item]) -> None:
    """Give each test the markers of what its fixtures start, and those with an Airflow the time that this takes."""
    for item in items:
        known = {mark.name for mark in item.iter_markers()}
        for marker in sorted(_started_by(item) - known):
            item.add_marker(marker)
        if item.get_closest_marker("e2e") and "timeout" not in known:
            item.add_marker(pytest.mark.timeout(3 * PATIENCE))


def _started_by(item: pytest.Item) -> set[str]:
    definitions = getattr(item, "_fixtureinfo", None)
    fixtures = definitions.name2fixturedefs.values() if definitions is not None else ()
    found = {getattr(inspect.unwrap(made[-1].func), "starts", "") for made in fixtures}
    return found - {""}


def longest_first(items: list[pytest.Item]) -> None:
    """Begin with the worlds, which take minutes; end with servers, which are measured while the machine is quieter."""
    items.sort(key=lambda item: next(place for place, holds in enumerate(_places(item)) if holds))


def _places(item: pytest.Item) -> Iterator[bool]:
    marks = {mark.name for mark in item.iter_markers()}
    yield "alone" in marks
    yield "e2e" in marks
    yield "browser" in marks
    yield not marks & set(SLOW)
    yield True


def group_of(nodeid: str) -> str:
    """Tests of one group run in one process: those of a file, and all that start an Airflow.

    On a cluster a contract, which takes minutes, is a group of its own.
    """
    path, _, within = nodeid.partition("::")
    if path.startswith(ON_THE_DAEMON):
        return DOCKER
    if path.startswith(WITH_AIRFLOW):
        return AIRFLOWS
    if path.startswith("tests/real/") and "::" in within:
        return f"{path}::{within.partition('::')[0]}"
    return WORLDS if path.startswith(IN_WORLDS) else path


def give_way(item: pytest.Item) -> None:
    """Leave the processors to tests that measure what a fleet answers, when processes share the tests.

    A worker that runs these begins with them, so it never has to get its priority back. Of what is real every test
    measures something.
    """
    if item.get_closest_marker("real"):
        return
    niceness = 0 if item.get_closest_marker("alone") else 2 if item.get_closest_marker("e2e") else 5
    if "PYTEST_XDIST_WORKER" in os.environ and os.nice(0) < niceness:
        os.nice(niceness - os.nice(0))


def cover(item: pytest.Item) -> None:
    """Trace only the tests of what ``make quick`` measures: tracing makes those of verification half as slow again."""
    controller = getattr(item.config.pluginmanager.getplugin("_cov"), "cov_controller", None)
    wanted = item.nodeid.startswith(COVERING)
    if controller is not None and wanted != controller.started:
        controller.resume() if wanted else controller.pause()


@contextmanager
def refuse_unmarked(item: pytest.Item) -> Iterator[None]:
    """Fail a test that starts what its markers do not say."""
    marks = {mark.name for mark in item.iter_markers()}
    start = subprocess.Popen.__init__

    def checked(self: Any, args: Any, *more: Any, **options: Any) -> None:
        words = [args] if isinstance(args, (str, os.PathLike)) else list(args)
        command = " ".join(map(os.fspath, words)) if all(isinstance(w, (str, os.PathLike)) for w in words) else ""
        for part, marker in STARTED.items():
            if part in command and marker not in marks and not marks & {"e2e"}:
                raise AssertionError(f"{item.nodeid} starts {command!r}: mark it, or the fixture that does, {marker}")
        start(self, args, *more, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess.Popen, "__init__", checked)
        yield
