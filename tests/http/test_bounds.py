"""Every answer is bounded: in time by the clock, in memory whatever its compression."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest

from airflow_cd.errors import TargetUnavailable
from airflow_cd.http.exchange import Request
from airflow_cd.http.retry import RetryPolicy
from tests.http.certificates import server_context
from tests.http.conftest import MakeClient
from tests.http.scripted_server import Answer, ScriptedServer

READ = Request("GET", "/v1/things")
ONCE = RetryPolicy(attempts=1)
SECONDS = 0.3
LONGEST = 5.0
"""Seconds that a busy machine may take; without a deadline each of these takes ten times as long, or for ever."""
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def runs_out_of_time(client_of: MakeClient, **settings: object) -> None:
    began = time.monotonic()
    with pytest.raises(TargetUnavailable, match="timed out"):
        client_of(timeout=SECONDS, retry=ONCE, **settings).json(READ)
    assert time.monotonic() - began < LONGEST


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 " + b"O" * 2000,
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 2000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
        CHUNKED + b"00000000000000000" * 100,
        CHUNKED + b"1\r\n \r\n" * 400,
        CHUNKED + b"2\r\n{}\r\n0\r\n" + b"Trailer: x\r\n" * 200,
    ],
    ids=["status", "header", "continue", "size of a chunk", "chunks", "trailers"],
)
def test_a_byte_now_and_then_does_not_outlast_the_deadline(
    client_of: MakeClient, server: ScriptedServer, raw: bytes
) -> None:
    server.answer_with(Answer(raw=raw, trickle=0.05))
    runs_out_of_time(client_of)


def test_nor_does_it_over_tls(client_of: MakeClient, server: ScriptedServer, certificate: tuple[str, str]) -> None:
    server.use_tls(server_context(certificate))
    server.answer_with(Answer(raw=b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 2000, trickle=0.05))
    runs_out_of_time(client_of, verify=certificate[0])


@pytest.fixture
def silent() -> Iterator[str]:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_says_nothing(client_of: MakeClient, silent: str, scheme: str) -> None:
    runs_out_of_time(client_of, base_url=f"{scheme}://{silent}")


def test_a_name_that_nobody_resolves(client_of: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, over = threading.Event(), threading.Event()

    def resolve(*_: object) -> list[object]:
        asked.set()
        over.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    try:
        runs_out_of_time(client_of, base_url="http://shop.invalid")
    finally:
        over.set()
    assert asked.is_set()


def test_a_name_with_many_dead_addresses(client_of: MakeClient, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each address may take the whole time; together they may not take more."""
    waits: list[float | None] = []

    class Hanging(socket.socket):
        def connect(self, address: object) -> None:
            waits.append(self.gettimeout())
            time.sleep(self.gettimeout() or 0)
            raise TimeoutError("timed out")

    monkeypatch.setattr("airflow_cd.http.sockets._Socket", Hanging)
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))] * 40
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: addresses)
    runs_out_of_time(client_of, base_url="http://shop.invalid")
    assert len(waits) < 5


def test_connections_are_used_again_after_a_slow_answer(client_of: MakeClient, server: ScriptedServer) -> None:
    client = client_of(timeout=5.0)
    server.answer_with(Answer(200, {"n": 1}, trickle=0.01), Answer(200, {"n": 2}))
    assert [client.json(READ), client.json(READ)] == [{"n": 1}, {"n": 2}]
    assert len({asked.port for asked in server.asked}) == 1


# -- memory ----------------------------------------------------------------------------------------------------------

MOST = 1_000_000


def too_large(client_of: MakeClient) -> int:
    """The most memory, in bytes, that was in use while the answer was refused."""
    client = client_of(max_bytes=MOST, timeout=60.0, retry=ONCE)
    tracemalloc.start()
    try:
        with pytest.raises(TargetUnavailable, match="more than 1000000 bytes"):
            client.json(READ)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_bomb_is_refused_in_bounded_memory(client_of: MakeClient, server: ScriptedServer) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(4_000_000)) for _ in range(50)) + packer.flush()
    assert len(bomb) < MOST
    server.answer_with(Answer(200, bomb, {"Content-Encoding": "gzip"}))
    assert too_large(client_of) < 8 * MOST


def test_an_endless_answer_is_refused_in_bounded_memory(client_of: MakeClient, server: ScriptedServer) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    server.answer_with(Answer(raw=CHUNKED + chunk * 100))
    # The server's own copy of what it sends is in this process, too.
    assert too_large(client_of) < 8 * MOST + len(chunk) * 100


def test_an_answer_that_says_it_is_too_large_is_not_read(client_of: MakeClient, server: ScriptedServer) -> None:
    server.answer_with(Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 700000000\r\n\r\n{"))
    assert too_large(client_of) < MOST


def test_encodings_nobody_asked_for_are_not_unpacked(client_of: MakeClient, server: ScriptedServer) -> None:
    twice = gzip.compress(gzip.compress(b"{}"))
    for encoding, body in (
        ("gzip, gzip", twice),
        ("br", b"\x8b\x00\x80{}\x03"),
        ("zstd", b"(\xb5/\xfd"),
        ("what", b""),
    ):
        server.answer_with(Answer(200, body, {"Content-Encoding": encoding}))
        with pytest.raises(TargetUnavailable, match="not asked for"):
            client_of(retry=ONCE).json(READ)
    assert server.asked[0].headers["Accept-Encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b'{"a":') + gzip.compress(b" 1}")),
        ("x-gzip", gzip.compress(b'{"a": 1}')),
        ("deflate", zlib.compress(b'{"a": 1}')),
        ("deflate", zlib.compress(b'{"a": 1}')[2:-4]),
        ("identity", b'{"a": 1}'),
    ],
    ids=["gzip in two members", "x-gzip", "deflate", "deflate without a header", "as it is"],
)
def test_usual_encodings_are_unpacked(
    client_of: MakeClient, server: ScriptedServer, encoding: str, body: bytes
) -> None:
    server.answer_with(Answer(200, body, {"Content-Encoding": encoding}))
    assert client_of().json(READ) == {"a": 1}


@pytest.mark.parametrize("body", [gzip.compress(b"{}")[:-9], b"no gzip at all"], ids=["cut", "foreign"])
def test_a_broken_compression_is_a_broken_answer(client_of: MakeClient, server: ScriptedServer, body: bytes) -> None:
    server.answer_with(Answer(200, body, {"Content-Encoding": "gzip"}))
    with pytest.raises(TargetUnavailable, match="cannot be decompressed"):
        client_of(retry=ONCE).json(READ)
