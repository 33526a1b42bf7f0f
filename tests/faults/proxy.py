"""A door in front of a server: what is on the other side of it may hang, be reset, drip, or be gone."""

from __future__ import annotations

import contextlib
import enum
import socket
import struct
import threading
import time
from urllib.parse import urlsplit

from airflow_cd.demo.serving import listen

DRIP_SECONDS = 0.25


class Trouble(enum.Enum):
    """What is wrong with the way to the server."""

    HANGS = "hangs"  # a connection is taken, and nothing ever comes back
    RESETS = "resets"  # the request arrives; its answer is cut off
    DRIPS = "drips"  # the answer comes byte by byte
    GONE = "gone"  # nobody listens, and what was open is reset


class Proxy:
    """Forwards connections to a server, with trouble on the way when asked for; a context manager.

    :param url: of the server.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._to = (str(parts.hostname), int(parts.port or 80))
        self._listener = listen(0)
        self._port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._trouble: Trouble | None = None
        self._ended = False

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended = True
        self._listener.close()
        self._reset_all()

    def trouble(self, kind: Trouble | None) -> None:
        """Let something be wrong from now on, for connections that are open as well; None lets all be well again."""
        before, self._trouble = self._trouble, kind
        if kind is Trouble.GONE:
            # Closed alone, it goes on listening for the thread that waits for the next connection.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._reset_all()
        elif before is Trouble.GONE:
            self._listener = listen(self._port)
        if kind is None and before is Trouble.HANGS:
            self._reset_all()

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                time.sleep(0.02)
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), socket.create_connection(self._to, timeout=10) as server:
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            back = threading.Thread(target=self._pump, args=(server, client, True), daemon=True)
            back.start()
            self._pump(client, server, False)
            back.join()
        with self._lock:
            self._open -= {client}
        client.close()

    def _pump(self, source: socket.socket, sink: socket.socket, answers: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                while self._trouble is Trouble.HANGS:
                    time.sleep(0.05)
                if answers and self._trouble is Trouble.RESETS:
                    _reset(sink)
                    return
                if answers and self._trouble is Trouble.DRIPS:
                    self._drip(data, sink)
                else:
                    sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _drip(self, data: bytes, sink: socket.socket) -> None:
        for number in range(len(data)):
            if self._trouble is not Trouble.DRIPS:
                sink.sendall(data[number:])
                return
            sink.sendall(data[number : number + 1])
            time.sleep(DRIP_SECONDS)

    def _reset_all(self) -> None:
        with self._lock:
            found, self._open = self._open, set()
        for one in found:
            _reset(one)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # A shutdown wakes whoever waits for it in another thread; closing alone does not.
        connection.shutdown(socket.SHUT_RD)
        connection.close()
