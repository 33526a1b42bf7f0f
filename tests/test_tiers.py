from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests import tiers


@pytest.fixture
@tiers.starts("server")
def pretended() -> None:
    """Declares a server, and starts none."""


@pytest.fixture
def behind(pretended: None) -> None:
    """Takes it on the way."""


def test_a_test_is_marked_by_what_its_fixtures_start(request: pytest.FixtureRequest, behind: None) -> None:
    assert [mark.name for mark in request.node.iter_markers()] == ["server"]


@pytest.mark.parametrize(
    ("command", "marker"),
    [
        ([sys.executable, "-m", "airflow_cd.demo.fleet"], "server"),
        ([sys.executable, "-m", "airflow", "standalone"], "e2e"),
        (["/usr/lib/postgresql/15/bin/postgres", "-D", "data"], "postgres"),
    ],
)
def test_what_no_marker_declares_is_not_started(
    request: pytest.FixtureRequest, command: list[str], marker: str
) -> None:
    with tiers.refuse_unmarked(request.node), pytest.raises(AssertionError, match=rf"fixture that does, {marker}$"):
        subprocess.Popen(command)


def test_other_processes_are_started(request: pytest.FixtureRequest) -> None:
    with tiers.refuse_unmarked(request.node):
        assert subprocess.run([sys.executable, "-c", ""], check=False).returncode == 0


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/ledger/test_records.py::test_a[sqlite]", "tests/ledger/test_records.py"),
        ("tests/e2e/story/test_story.py::test_a", "worlds"),
        ("tests/e2e/story/test_story_in_browser.py::test_b", "worlds"),
        ("tests/e2e/canary/test_leases.py::test_c", "worlds"),
        ("tests/faults/test_faults.py::test_d[paused]", "worlds"),
        ("tests/real/docker_target/test_faults.py::test_e", "docker"),
        ("tests/real/test_docker.py::test_f", "airflows"),
        ("tests/real/test_kubernetes_story.py::test_i", "airflows"),
        ("tests/real/test_kubernetes.py::test_g", "tests/real/test_kubernetes.py"),
        ("tests/real/test_kubernetes.py::TestRoute::test_h", "tests/real/test_kubernetes.py::TestRoute"),
    ],
)
def test_one_process_starts_every_airflow(nodeid: str, group: str) -> None:
    assert tiers.group_of(nodeid) == group


def test_the_longest_begin(request: pytest.FixtureRequest) -> None:
    def one(*markers: str) -> pytest.Function:
        function = pytest.Function.from_parent(request.node.parent, name=".".join(markers), callobj=lambda: None)
        for marker in markers:
            function.add_marker(marker)
        return function

    items: list[pytest.Item] = [one("server"), one(), one("e2e"), one("browser"), one("e2e", "alone")]
    tiers.longest_first(items)
    assert [item.name for item in items] == ["e2e.alone", "e2e", "browser", "", "server"]


@pytest.mark.parametrize(("asked", "outcome"), [("browser,postgres", "failed"), ("postgres", "skipped")])
def test_what_is_required_is_not_skipped(monkeypatch: pytest.MonkeyPatch, asked: str, outcome: str) -> None:
    class Item:
        def iter_markers(self) -> list[pytest.Mark]:
            return [pytest.mark.browser.mark]

    report = pytest.TestReport(
        "tests/a.py::b", ("tests/a.py", 1, "b"), {}, "skipped", (os.devnull, 1, "Skipped: no Chromium"), "setup"
    )
    monkeypatch.setenv("AIRFLOW_CD_REQUIRE", asked)
    tiers.fail_where_required(Item(), report)  # type: ignore[arg-type]
    assert report.outcome == outcome
    assert "no Chromium" in str(report.longrepr)
