"""What a Docker host has rotated away, or has not handed out, is never taken for silence."""

from __future__ import annotations

import datetime as dt
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from airflow_cd.errors import SourceUnavailable
from airflow_cd.sources import DockerLogs
from airflow_cd.verification.samples import Window

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=1))
ROTATED = {"Type": "json-file", "Config": {"max-size": "10k", "max-file": "3"}}
LOCAL = {"Type": "local", "Config": {}}
UNLIMITED = {"Type": "json-file", "Config": {}}


def at(seconds: float) -> str:
    return f"{BEGIN + dt.timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%f}000Z"


def lines(begin: int, end: int, length: int, letter: str = "x") -> list[bytes]:
    return [f"{at(second + 0.5)} {letter * length}\n".encode() for second in range(begin, end)]


class Client:
    """A Docker host with a container whose log begins at some second."""

    def __init__(self, content: list[bytes], config: dict[str, Any], created: float) -> None:
        self.content = content
        self.state = {"Created": at(created), "HostConfig": {"LogConfig": config}}
        self.inspected = 0

    def containers(self, all: bool) -> Any:  # noqa: A002 - Docker's own name
        return [{"Id": "c" * 64, "Names": ["/web-1"]}]

    def logs(self, _: str, *, stdout: bool, since: int = 0, until: int = 2**40, **__: Any) -> Any:
        def moment(line: bytes) -> float:
            return dt.datetime.fromisoformat(f"{line[:26].decode()}+00:00").timestamp()

        return (line for line in self.content if stdout and since <= moment(line) < until)

    def inspect_container(self, _: str) -> Any:
        self.inspected += 1
        return self.state


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Any:
    def made(client: Client) -> DockerLogs:
        engine = type("Engine", (), {"read": classmethod(lambda cls, _: cls()), "client": lambda _: client})
        monkeypatch.setattr("airflow_cd.sources.docker_logs.DockerConnection", engine)
        return DockerLogs()

    return made


@pytest.mark.parametrize(
    ("begins", "length", "config", "created", "lost"),
    [
        (20, 1000, ROTATED, -600, "05:00:20 UTC is lost: its Docker host keeps 3 files of 10,240 bytes"),
        (90, 1000, ROTATED, -600, "05:01:30 UTC is lost"),  # everything of the window
        (20, 1000, {"Type": "json-file", "Config": {"max-size": "5k"}}, -600, "keeps a file of 5,120 bytes"),
        (20, 60_000, {"Type": "local", "Config": {"max-size": "1m"}}, -600, "5 files of 1,048,576 bytes"),
        (20, 1000, {"Type": "syslog", "Config": {"cache-max-size": "10k"}}, -600, "5 files of 10,240 bytes"),
        (-20, 1000, ROTATED, -600, ""),  # it reaches back before the window
        (0, 1000, ROTATED, -600, ""),
        (20, 1000, UNLIMITED, -600, ""),
        (20, 1, ROTATED, -60, ""),  # writes so little that nothing can have been rotated
        (20, 50_000, LOCAL, -600, ""),  # four files of 20 MiB would be there
        (20, 1000, ROTATED, 5, ""),  # a new container, which was quiet at first
        (20, 1000, {"Type": "journald", "Config": {}}, -600, ""),
    ],
)
def test_what_was_rotated_away_makes_a_window_incomplete(
    host: Any, begins: int, length: int, config: dict[str, Any], created: float, lost: str
) -> None:
    sample = host(Client(lines(begins, begins + 40, length), config, created)).read(WINDOW, ["web-1"])
    assert sample.truncated == bool(lost)
    assert not sample.cut  # in parts it would be no more
    warnings = [warning for warning in sample.warnings if warning.startswith("A part of what web-1 wrote before")]
    assert bool(warnings) == bool(lost)
    assert all(lost in warning for warning in warnings)


@pytest.mark.parametrize(("letter", "lost"), [("x", False), ("ж", True)])
def test_a_file_is_full_by_its_bytes_not_by_its_letters(host: Any, letter: str, lost: bool) -> None:
    config = {"Type": "json-file", "Config": {"max-size": "1m"}}
    sample = host(Client(lines(20, 60, 1000, letter), config, -600)).read(WINDOW, ["web-1"])
    assert sample.truncated == lost


@pytest.mark.parametrize(("files", "incomplete"), [("2", True), ("1", False)])
def test_what_was_rotated_away_before_silence_is_said(host: Any, files: str, incomplete: bool) -> None:
    # A burst right at the beginning, of which the rest is left, and nothing since.
    options = {"Type": "json-file", "Config": {"max-size": "10k", "max-file": files}}
    sample = host(Client(lines(1, 12, 1000), options, -31)).read(WINDOW, ["web-1"])
    assert sample.truncated == incomplete
    [warning] = sample.warnings
    assert warning.startswith("A part of what web-1 wrote before 05:00:01 UTC may be lost: its Docker host keeps")


def test_a_log_that_begins_before_the_window_costs_no_further_request(host: Any) -> None:
    client = Client(lines(-60, 60, 100), ROTATED, -600)
    assert len(host(client).read(WINDOW, ["web-1"]).frame) == 60
    assert not client.inspected


class _Breaking(BaseHTTPRequestHandler):
    """A daemon that dies in the middle of a log."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "/logs" not in self.path:
            named = {
                "/version": {"ApiVersion": "1.41"},
                "/_ping": "OK",
                "/containers/json": [{"Id": "c" * 64, "Names": ["/web-1"]}],
            }
            found = next((body for name, body in named.items() if name in self.path), {"Config": {"Tty": False}})
            content = (found if isinstance(found, str) else json.dumps(found)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines(0, 3, 10):
            frame = b"\x01\0\0\0" + len(line).to_bytes(4, "big") + line
            self.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerLogs]:
    pytest.importorskip("airflow.providers.docker.hooks.docker")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Breaking)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    extra = {"docker_url": f"tcp://127.0.0.1:{server.server_address[1]}"}
    monkeypatch.setenv("AIRFLOW_CONN_DOCKER_DEFAULT", json.dumps({"conn_type": "docker", "extra": extra}))
    yield DockerLogs()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_connection_that_breaks_is_not_the_end_of_a_log(breaking: DockerLogs) -> None:
    with pytest.raises(SourceUnavailable, match="logs cannot be read over connection 'docker_default'"):
        breaking.read(WINDOW, ["web-1"])


def test_a_host_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("airflow.providers.docker.hooks.docker")
    connection = {"conn_type": "docker", "extra": {"docker_url": "tcp://127.0.0.1:1"}}
    monkeypatch.setenv("AIRFLOW_CONN_DOCKER_DEFAULT", json.dumps(connection))
    says = r"connection 'docker_default' \(tcp://127\.0\.0\.1:1\) does not answer.*See whether the daemon runs"
    with pytest.raises(SourceUnavailable, match=says):
        DockerLogs().read(WINDOW, ["web-1"])
