"""The door in front of the deployment API does what the faults ask of it."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.faults import proxy as proxies
from tests.faults.proxy import Proxy, Trouble


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"fine")

    def log_message(self, *given: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Proxy(f"http://127.0.0.1:{server.server_address[1]}") as found:
            yield found
        server.shutdown()


def _asked(proxy: Proxy, timeout: float = 0.3) -> str:
    return httpx.get(proxy.url, timeout=timeout).text


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (Trouble.HANGS, httpx.ReadTimeout),
        (Trouble.RESETS, (httpx.ReadError, httpx.RemoteProtocolError)),
        (Trouble.GONE, httpx.ConnectError),
    ],
)
def test_trouble_comes_and_goes(proxy: Proxy, trouble: Trouble, error: type[Exception]) -> None:
    assert _asked(proxy, timeout=10) == "fine"
    proxy.trouble(trouble)
    with pytest.raises(error):
        _asked(proxy)
    proxy.trouble(None)
    assert _asked(proxy, timeout=10) == "fine"


def test_an_answer_comes_byte_by_byte(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "DRIP_SECONDS", 0.002)
    proxy.trouble(Trouble.DRIPS)
    began = time.monotonic()
    assert _asked(proxy, timeout=10) == "fine"
    assert time.monotonic() - began > 0.1
