"""One instance as a process: handshake, telemetry, ending."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.demo.fleet_client import wait_for
from tests.pace import slowness
from tests.tiers import starts

HEAD = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARN|ERROR|CRITICAL) [\w.]+ - .+")
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
@starts("server")
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(artifact: str = "shop:1.1", configuration: str = "{}", *options: str) -> subprocess.Popen[str]:
        place = ["--instance", "shop-dev-01", "--environment", "dev", "--telemetry", str(tmp_path)]
        release = ["--artifact", artifact, "--version", artifact[5:], "--configuration", configuration]
        command = [sys.executable, "-m", "airflow_cd.demo.shop", *release, *place, *options]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"


def transactions(telemetry: Path) -> list[dict[str, Any]]:
    file = telemetry / "transactions/dev/shop-dev-01.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_leaves_transactions_and_logs_as_agreed(start: Start, tmp_path: Path) -> None:
    process = start("shop:1.1", '{"banner": "Sale"}')
    with httpx.Client(base_url=url_of(process), trust_env=False) as client:
        health = client.get("/health").json()
        page = client.get("/product/poster-009")
        before = time.time()
        broken = client.get('/search?q="oak')
        client.get("/shipping?postcode=IS1")
    assert health == {
        "status": "ok",
        "artifact": "shop:1.1",
        "version": "1.1",
        "configuration": {"banner": "Sale"},
        "instance": "shop-dev-01",
    }
    assert (page.status_code, page.headers["X-Shop-Version"], broken.status_code) == (200, "1.1", 500)
    wait_for(lambda: len(transactions(tmp_path)) == 3, "three transactions, and none for /health")

    failed = transactions(tmp_path)[1]
    assert abs(failed.pop("timestamp") / 1000 - before) < 2
    assert 0.003 < failed.pop("duration") < 2
    assert failed == {
        "appName": "shop",
        "environment": "dev",
        "host": "shop-dev-01",
        "name": "WebTransaction/search",
        "error": True,
        "error.class": "QuerySyntaxError",
        "httpResponseCode": "500",
        "version": "1.1",
    }
    lines = (tmp_path / "logs/dev/shop-dev-01.log").read_text().splitlines()
    heads = [line for line in lines if HEAD.match(line)]
    assert HEAD.match(lines[0])
    assert [line.split()[1:3] for line in heads] == [
        ["INFO", "shop.boot"],
        ["WARN", "shop.catalogue"],
        ["INFO", "shop.recommendations"],
        ["ERROR", "shop.web"],
        ["ERROR", "shop.shipping"],
    ]
    assert lines.count("Traceback (most recent call last):") == 3
    assert "ConnectionResetError: the carrier closed the connection" in lines


def test_ends_within_a_second_and_answers_what_it_has_begun(start: Start, tmp_path: Path) -> None:
    process = start("shop:1.3")
    body = b'{"product": "chair-017"}'
    with socket.create_connection(("127.0.0.1", httpx.URL(url_of(process)).port or 0), timeout=10) as connection:
        connection.sendall(
            b"POST /checkout HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert process.wait(5) == 0
    assert time.monotonic() - began < 1.5 * slowness()
    assert [request["name"] for request in transactions(tmp_path)] == ["WebTransaction/checkout"]


def test_1_4_ends_at_once_with_a_traceback(start: Start) -> None:
    process = start("shop:1.4")
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (1, "")
    assert errors.startswith("Traceback (most recent call last):")
    assert "SchemaMismatch: the database has schema 7, shop 1.4 needs 8" in errors


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("shop:9.9",), "invalid choice: 'shop:9.9'"),
        (("shop:1.1", "not JSON"), "argument --configuration: invalid loads value"),
        (("shop:1.1", '{"inventory_timeout_ms": "soon"}'), "could not convert string to float: 'soon'"),
    ],
)
def test_refuses_what_it_cannot_run(start: Start, options: tuple[str, ...], complaint: str) -> None:
    process = start(*options)
    assert complaint in process.communicate(timeout=20)[1]
    assert process.returncode in (1, 2)


def test_ends_when_its_lifeline_is_cut(start: Start) -> None:
    process = start("shop:1.0", "{}", "--lifeline")
    url_of(process)
    assert process.stdin is not None
    process.stdin.close()
    process.stdin = None
    assert process.wait(5) == 0
    assert not psutil.pid_exists(process.pid)
