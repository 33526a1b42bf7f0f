"""What containers write, read from their Docker host."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone

import pytest

from airflow_cd.demo.airflow_client import wait_until
from airflow_cd.sources import DockerLogs
from airflow_cd.sources.contract import LogSourceContract
from airflow_cd.verification.samples import Window

from .site import Site, release

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

TALKS = (
    'import time\nn = 0\nwhile True:\n    n += 1\n    print(f"order {n} placed", flush=True)\n    time.sleep(0.05)\n'
)
SECONDS = 2


@pytest.fixture(scope="module")
def talking(site: Site) -> tuple[DockerLogs, Window]:
    for name in ("web-1", "web-2"):
        site.engine("docker", "run", "--detach", "--name", name, "--network", "none", "web:1.0", "python3", "-c", TALKS)
    time.sleep(SECONDS + 1)
    until = datetime.now(timezone.utc)
    return DockerLogs(site.connection()), Window(until - timedelta(seconds=SECONDS), until)


class TestDockerLogs(LogSourceContract):
    @pytest.fixture
    def source(self, talking: tuple[DockerLogs, Window]) -> DockerLogs:
        return talking[0]

    @pytest.fixture
    def window(self, talking: tuple[DockerLogs, Window]) -> Window:
        return talking[1]

    @pytest.fixture
    def instances(self) -> Sequence[str]:
        return ["web-1", "web-2"]

    @pytest.fixture
    def broken(self, site: Site) -> DockerLogs:
        return DockerLogs(site.connection("docker_away", docker_url="tcp://127.0.0.1:1"))


def test_what_the_container_before_wrote_is_read_too(site: Site, tokens: Iterator[int]) -> None:
    site.clear()
    site.run(1)
    target, token = site.target(), next(tokens)
    began = datetime.now(timezone.utc) - timedelta(seconds=30)
    target.deploy(release("1.1"), ["web-1"], key="logs", token=token)
    found: list[str] = []

    def both() -> bool:
        read = DockerLogs(target.conn_id).read(Window(began, datetime.now(timezone.utc)), ["web-1"])
        found[:] = read.frame["message"]
        return len(found) > 1

    wait_until(both, "what both wrote is read", seconds=60)
    assert found == ["web 1.0 serves", "web 1.1 serves"]


def test_a_long_line_is_one_record(site: Site) -> None:
    """Docker keeps it in pieces of 16 KiB, each with a stamp, and what the other output says between them."""
    code = (
        "import json, sys; line = json.dumps({'level': 'error', 'message': 'ä' * 20000}, ensure_ascii=False)\n"
        "print(line, flush=True); print('meanwhile', file=sys.stderr, flush=True); print(line, flush=True)"
    )
    began = datetime.now(timezone.utc) - timedelta(seconds=5)
    site.engine(
        "docker",
        "run",
        "--name",
        "long-1",
        "--network",
        "none",
        "--env",
        "PYTHONIOENCODING=utf-8",
        "web:1.0",
        "python3",
        "-c",
        code,
    )
    frame = DockerLogs(site.connection()).read(Window(began, datetime.now(timezone.utc)), ["long-1"]).frame
    lengths = sorted(map(len, frame["message"]))
    # Each of two seams cuts a character in two, of which Docker keeps two signs that there was one.
    assert lengths == [len("meanwhile"), *[20000 + 2 + len('{"level": "error", "message": ""}')] * 2]
    assert all(json.loads(text)["level"] == "error" for text in frame["message"] if text != "meanwhile")


def test_what_was_rotated_away_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_cd.sources.rotation.QUIET", timedelta(0))
    code = "import time\nfor n in range(300): print('order', n, 'x' * 500, flush=True); time.sleep(0.005)"
    began = datetime.now(timezone.utc) - timedelta(seconds=5)
    kept = ("--log-opt", "max-size=20k", "--log-opt", "max-file=2")
    site.engine("docker", "run", "--name", "many-1", *kept, "--network", "none", "web:1.0", "python3", "-c", code)
    sample = DockerLogs(site.connection()).read(Window(began, datetime.now(timezone.utc)), ["many-1"])
    assert sample.frame["message"].iloc[-1].startswith("order 299 ")
    assert not sample.frame["message"].str.startswith("order 0 ").any()
    assert sample.truncated
    assert "its Docker host keeps 2 files of 20,480 bytes of its log" in sample.warnings[0]
