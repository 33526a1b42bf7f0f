"""What Docker hosts answer in the place of a log, and logs of containers with a terminal."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_cd.errors import SourceRejected, SourceUnavailable
from airflow_cd.sources import DockerLogs
from airflow_cd.verification.samples import LogSample
from tests.sources.test_docker_rotation import BEGIN, WINDOW, at

BROKEN = "Error grabbing logs: invalid character '\\x00' looking for beginning of value"
OCTETS = "application/octet-stream"
TEXT = "text/plain"


def frame(kind: int, text: str) -> bytes:
    content = text.encode()
    return bytes([kind, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


class Host:
    """A Docker host of an old API with one container.

    :ivar outputs: content of each output, framed as it is sent.
    :ivar refusal: status and message in their place.
    """

    def __init__(self) -> None:
        self.outputs = {"stdout": b"", "stderr": b""}
        self.refusal: tuple[int, str] | None = None
        self.terminal = False
        self.content_type = OCTETS
        self.created = -3600
        self.more: list[dict[str, Any]] = []
        self.logs_asked = 0

    def answer(self, path: str, asked: dict[str, list[str]]) -> tuple[int, str, bytes]:
        if path.endswith("/logs"):
            self.logs_asked += 1
            if self.refusal is not None:
                return self.refusal[0], "application/json", json.dumps({"message": self.refusal[1]}).encode()
            content = b"".join(self.outputs[one] for one in self.outputs if asked.get(one) == ["1"])
            return 200, self.content_type, content
        found: Any = {"Created": at(self.created), "Config": {"Tty": self.terminal}, "HostConfig": {"LogConfig": {}}}
        if path.endswith("/_ping"):
            return 200, TEXT, b"OK"
        if path.endswith("/version"):
            found = {"ApiVersion": "1.41"}
        elif path.endswith("/containers/json"):
            made = int(BEGIN.timestamp()) + self.created
            found = [{"Id": "c" * 64, "Names": ["/web-1"], "Created": made}, *self.more]
        return 200, "application/json", json.dumps(found).encode()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    pytest.importorskip("airflow.providers.docker.hooks.docker")
    made = Host()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, content_type, content = made.answer(parts.path, parse_qs(parts.query))
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    extra = {"docker_url": f"tcp://127.0.0.1:{server.server_address[1]}"}
    monkeypatch.setenv("AIRFLOW_CONN_DOCKER_DEFAULT", json.dumps({"conn_type": "docker", "extra": extra}))
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def read() -> LogSample:
    return DockerLogs().read(WINDOW, ["web-1"])


def test_an_error_behind_lines_makes_them_incomplete(host: Host) -> None:
    broken = frame(3, f"{BROKEN}\n")
    host.outputs = {"stdout": frame(1, f"{at(5)} INFO a\n") + broken, "stderr": broken}
    sample = read()
    assert list(sample.frame["message"]) == ["INFO a"]
    assert sample.truncated
    assert sample.warnings == (f"A part of what web-1 wrote is lost: its Docker host ends its log with {BROKEN!r}.",)


def test_a_log_that_is_an_error_alone_cannot_be_read(host: Host) -> None:
    host.outputs = {"stdout": b"", "stderr": frame(3, f"{BROKEN}\n")}
    with pytest.raises(SourceUnavailable, match="the log of web-1 cannot be read; its Docker host says: Error grabb"):
        read()


@pytest.mark.parametrize(
    ("status", "message", "kind", "says"),
    [
        (404, "No such container: c", SourceUnavailable, "web-1 cannot be read: it was removed while it was read; its"),
        (409, "dead or marked for removal", SourceUnavailable, "it is being removed; .* dead or marked for removal"),
        (500, "no space left on device", SourceUnavailable, "web-1 cannot be read: its Docker host says: no space"),
        (501, "driver does not support reading", SourceRejected, "does not support reading.*Give its container a log"),
    ],
)
def test_a_refusal_says_what_it_is(host: Host, status: int, message: str, kind: type[Exception], says: str) -> None:
    host.refusal = status, message
    with pytest.raises(kind, match=says):
        read()


@pytest.mark.parametrize("content_type", [OCTETS, TEXT, f"{TEXT}; charset=utf-8"])
def test_a_terminal_of_an_old_host_is_read(host: Host, content_type: str) -> None:
    texts = [f"WARN {number} žluťoučký" for number in range(3)]
    host.terminal, host.content_type = True, content_type
    host.outputs["stdout"] = "".join(f"{at(second)} {text}\r\n" for second, text in enumerate(texts)).encode()
    sample = read()
    assert list(sample.frame["message"]) == texts
    assert not sample.truncated


def test_a_terminal_is_read_in_blocks(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.terminal, host.content_type = True, OCTETS
    host.outputs["stdout"] = "".join(f"{at(1)} {'x' * 1000}\r\n" for _ in range(200)).encode()
    taken = _counted(monkeypatch, "airflow_cd.sources.docker_reading.blocks")
    assert len(read().frame) == 200
    assert 0 < len(taken) < 20


def _counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[bytes]:
    from airflow_cd.hooks import docker_output

    taken: list[bytes] = []
    original: Callable[..., Iterator[bytes]] = docker_output.blocks

    def counted(*given: Any, **named: Any) -> Iterator[bytes]:
        for block in original(*given, **named):
            taken.append(block)
            yield block

    monkeypatch.setattr(name, counted)
    return taken


def test_without_a_terminal_nothing_is_asked_twice(host: Host) -> None:
    host.outputs["stdout"] = frame(1, f"{at(0)} INFO a\n")
    read()
    assert host.logs_asked == 2  # each output once


@pytest.mark.parametrize(
    ("created", "kept", "said"), [(20, False, True), (20, True, False), (-20, False, False), (90, False, False)]
)
def test_a_container_that_took_the_place_of_another(host: Host, created: int, kept: bool, said: bool) -> None:
    host.created = created
    host.more = [{"Id": "d" * 64, "Names": ["/web-1.airflow-cd.kept"]}] if kept else []
    sample = read()
    assert not sample.truncated
    warning = (
        "web-1 was made at 2026-11-23 05:00:20 UTC: what a container of that name wrote before, if there was one, "
    )
    assert sample.warnings == ((f"{warning}cannot be read any more.",) if said else ())


def test_a_list_of_instances_that_fails_is_the_sources_error(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Host.answer
    refused = 500, TEXT, b"no space left on device"
    monkeypatch.setattr(
        Host, "answer", lambda self, path, _: refused if path.endswith("/json") else answer(self, path, {})
    )
    with pytest.raises(SourceUnavailable, match=r"cannot be read over connection 'docker_default': .* no space left"):
        DockerLogs().instances(WINDOW)
