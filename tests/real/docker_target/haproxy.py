"""An HAProxy of the tests' own, before containers."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from airflow_cd.demo.serving import listen

START_SECONDS = 10.0

FILE = """
global
    stats socket {socket} mode 600 level admin
    maxconn 500
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    retries 0
frontend front
    bind 127.0.0.1:{port}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    default_backend web
backend web
    balance roundrobin
    {more}
{servers}
"""


def program() -> str | None:
    """Where HAProxy is; None where there is none."""
    return shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Haproxy:
    """A running HAProxy.

    :param folder: of its socket and its file.
    :param servers: address of each server of its backend.
    :param more: further lines of the backend.
    """

    def __init__(self, folder: Path, servers: Mapping[str, str], more: str = "") -> None:
        listener = listen(0)
        self.port: int = listener.getsockname()[1]
        listener.close()
        self.folder, self.socket = folder, folder / "admin.sock"
        self._file = folder / "haproxy.cfg"
        lines = "\n".join(
            f"    server {name} {address} check inter 200ms rise 1 fall 2 cookie {name}"
            for name, address in servers.items()
        )
        self._file.write_text(FILE.format(socket=self.socket, port=self.port, servers=lines, more=more))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where requests are answered."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [program() or "haproxy", "-db", "-f", str(self._file)]
        with (self.folder / "haproxy.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        ends = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            if time.monotonic() > ends or self._process.poll() is not None:
                raise AssertionError(f"HAProxy did not start: {(self.folder / 'haproxy.log').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def reload(self) -> None:
        """What somebody else does to it: it begins again from its file, and has forgotten everything."""
        self.stop()
        self.start()


@contextlib.contextmanager
def haproxy(folder: Path, servers: Mapping[str, str], more: str = "") -> Iterator[Haproxy]:
    """A running one, which ends with the block."""
    made = Haproxy(folder, servers, more)
    made.start()
    try:
        yield made
    finally:
        made.stop()
