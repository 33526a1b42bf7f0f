"""The demo in two halves: what surrounds an Airflow, and the story on an Airflow that others started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from airflow_cd.cli import main
from airflow_cd.demo.remote_airflow import RemoteAirflow
from airflow_cd.demo.surroundings import Surroundings
from airflow_cd.errors import AirflowCdError
from tests.demo.fleet_client import wait_for


def free_ports() -> int:
    """The first of three ports that are free, one after the other."""
    while True:
        with socket.socket() as first, socket.socket() as second, socket.socket() as third:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                third.bind(("127.0.0.1", port + 2))
            except (OSError, OverflowError):
                continue
            return port


def listens_on(pid: int) -> set[tuple[str, int]]:
    connections = psutil.Process(pid).net_connections("inet")
    return {tuple(one.laddr) for one in connections if one.status == psutil.CONN_LISTEN}


@pytest.mark.server
def test_other_machines_reach_what_is_asked_for_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_ports()
    given = {"port": port, "all_interfaces": True, "token": "-shared", "repository": tmp_path / "shop.git"}
    with Surroundings(environments={"dev": 1, "production": 2}, rates={"production": 5.0}, **given) as around:
        servers = (around.fleet, around.new_relic, around.sumo_logic)
        open_to_all = {address for server in servers for address in listens_on(server.pid) if address[0] != "127.0.0.1"}
        assert open_to_all == {("0.0.0.0", port), ("0.0.0.0", port + 1), ("0.0.0.0", port + 2)}
        assert around.no_commits == ""
        assert (tmp_path / "shop.git" / "HEAD").is_file()
        for name, connection in around.connections().items():
            monkeypatch.setenv(name, connection)
        remote = RemoteAirflow("http://127.0.0.1:1/", "admin", "unused")
        assert remote.running("production") == around.running("production")
        assert set(remote.running("dev")) == {"shop-dev-01"}
        assert around.dead() == remote.dead() == []
    assert (tmp_path / "shop.git").exists()
    assert not around.root.exists()


@pytest.mark.server
def test_the_command_says_where_everything_is_and_ends_it_all_when_told_to(tmp_path: Path) -> None:
    port = free_ports()
    output = tmp_path / "output"
    command = [sys.executable, "-m", "airflow_cd.cli", "demo", "--surroundings", str(port)]
    with output.open("wb") as written:
        started = subprocess.Popen(
            command, stdout=written, stderr=written, env={**os.environ, "AIRFLOW_CD_DEMO_TOKEN": "given"}
        )
    try:
        wait_for(lambda: "AIRFLOW_CONN_GIT_SHOP=" in output.read_text() or started.poll() is not None, "it is up")
        said = output.read_text()
        assert (
            f'AIRFLOW_CONN_HTTP_PRODUCTION={{"conn_type": "deployment_api", "host": "http://127.0.0.1:{port}"' in said
        )
        assert '"password": "given"' in said
        processes = psutil.Process(started.pid).children(recursive=True)
        assert processes
        started.send_signal(signal.SIGTERM)
        assert started.wait(20) == 0
    finally:
        started.kill()
        started.wait()
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive


def test_a_fleet_that_cannot_be_found_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_HTTP_PRODUCTION", raising=False)
    remote = RemoteAirflow("http://127.0.0.1:1", "admin", "unused")
    for value in (None, "http://fleet:8101", '{"host": "http://fleet:8101"}'):
        if value is not None:
            monkeypatch.setenv("AIRFLOW_CONN_HTTP_PRODUCTION", value)
        with pytest.raises(AirflowCdError, match="Set AIRFLOW_CONN_HTTP_PRODUCTION"):
            remote.running("production")


def test_no_story_without_a_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("AIRFLOW_CD_DEMO_PASSWORD", raising=False)
    assert main(["demo", "--on", "http://127.0.0.1:1"]) == 3
    assert "AIRFLOW_CD_DEMO_PASSWORD" in capsys.readouterr().err
