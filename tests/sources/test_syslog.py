"""What a real rsyslog collects from hosts, as log files."""

from __future__ import annotations

import datetime as dt
import socket
import time
from pathlib import Path

import pytest

from airflow_cd.sources import FileLogs
from airflow_cd.verification.samples import Window
from tests import tiers
from tests.sources import metric_servers


@pytest.fixture
@tiers.starts("server")
def rsyslog(tmp_path):
    if why := metric_servers.missing("rsyslogd"):
        tiers.unavailable("rsyslog", why)
    port = metric_servers.free_port()
    (tmp_path / "rsyslog.conf").write_text(
        f"""global(workDirectory="{tmp_path}")
module(load="imtcp")
template(name="host" type="string" string="{tmp_path}/%HOSTNAME%/%PROGRAMNAME%.log")
input(type="imtcp" address="127.0.0.1" port="{port}")
*.* action(type="omfile" dynaFile="host" template="RSYSLOG_TraditionalFileFormat")
"""
    )
    command = ["rsyslogd", "-n", "-f", str(tmp_path / "rsyslog.conf"), "-i", str(tmp_path / "pid")]
    with metric_servers.running(command, f"127.0.0.1:{port}", tmp_path):
        yield tmp_path, port


def test_hosts_are_instances_and_stamps_without_a_year_are_of_now(rsyslog: tuple[Path, int]) -> None:
    folder, port = rsyslog
    now = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
    lines = [f"<11>{now:%b %e %H:%M:%S} shop-{n % 2 + 1} shop[7]: ERROR charge {n} failed" for n in range(20)]
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall("\n".join(lines).encode() + b"\n")
    source = FileLogs(f"{folder}/{{instance}}/shop.log*")
    window = Window(now - dt.timedelta(seconds=5), now + dt.timedelta(seconds=5))
    deadline = time.monotonic() + 20
    while not list(folder.glob("shop-*/shop.log")) or len(source.read(window, ["shop-1", "shop-2"]).frame) < 20:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    frame = source.read(window, ["shop-1", "shop-2"]).frame
    assert set(frame["time"]) == {now}
    assert frame["instance"].value_counts().to_dict() == {"shop-1": 10, "shop-2": 10}


def test_what_is_cut_off_a_long_line_is_shown_as_nobodys(rsyslog: tuple[Path, int]) -> None:
    """rsyslog makes a record of its own of it, with another host, program and severity."""
    folder, port = rsyslog
    now = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
    line = f"<11>{now:%b %e %H:%M:%S} shop-1 shop[7]: ERROR charge failed {'part:of it ' * 1200}END"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(line.encode() + b"\n")
    source = FileLogs(f"{folder}/{{instance}}/*.log")
    window = Window(now - dt.timedelta(seconds=5), now + dt.timedelta(seconds=5))
    deadline = time.monotonic() + 20
    while not list(folder.glob("shop-1/*.log")) or source.read(window, ["shop-1"]).unassigned == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    sample = source.read(window, ["shop-1"])
    [record] = sample.frame["message"]
    assert "shop[7]: ERROR charge failed" in record
    assert "END" not in record
    assert sample.unassigned == 1
    assert "is of none of the instances" in sample.warnings[-1]
