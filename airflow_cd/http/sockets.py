"""Connections that keep to one deadline by the clock, from the name's lookup to the last byte of the answer.

The time-outs of :mod:`requests`, and of every client over sockets, are for each single wait: a server that sends a byte
every half second never meets one, in the status line, in a header, or between chunks. So each wait of these sockets
ends at the deadline of the request under way, whatever it has waited for before.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

_Address = tuple[Any, ...]
_under_way = threading.local()


@contextlib.contextmanager
def ending_after(seconds: float) -> Iterator[None]:
    """Let everything that this thread does over these connections end in time.

    :param seconds: from now on.
    """
    _under_way.ends = time.monotonic() + seconds
    try:
        yield
    finally:
        _under_way.ends = None


def _remaining(default: float | None = None) -> float | None:
    """Seconds until the deadline of this thread's request; the default where it has none.

    :raises TimeoutError: it is over.
    """
    ends = getattr(_under_way, "ends", None)
    if ends is None:
        return default
    left = float(ends - time.monotonic())
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _InTime:
    """The waiting methods of a socket, each until the deadline."""

    def _wait_no_longer(self: Any) -> None:
        left = _remaining()
        if left is not None:
            self.settimeout(left)

    def recv_into(self: Any, *arguments: Any) -> int:
        self._wait_no_longer()
        return super().recv_into(*arguments)  # type: ignore[misc, no-any-return]

    def recv(self: Any, *arguments: Any) -> bytes:
        self._wait_no_longer()
        return super().recv(*arguments)  # type: ignore[misc, no-any-return]

    def send(self: Any, *arguments: Any) -> int:
        self._wait_no_longer()
        return super().send(*arguments)  # type: ignore[misc, no-any-return]

    def sendall(self: Any, *arguments: Any) -> None:
        self._wait_no_longer()
        super().sendall(*arguments)  # type: ignore[misc]


class _Socket(_InTime, socket.socket):
    pass


class _TlsSocket(_InTime, ssl.SSLSocket):
    pass


class _Connecting:
    """Connects within the deadline, however many addresses a name has."""

    def _new_conn(self: Any) -> socket.socket:
        try:
            return _connected(self._dns_host, self.port, self.timeout, self.source_address, self.socket_options)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out.") from error
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error


class _Connection(_Connecting, HTTPConnection):
    pass


class _TlsConnection(_Connecting, HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        # Made by the context of whoever configured TLS, which cannot be told to make another kind.
        if type(self.sock) is ssl.SSLSocket:
            self.sock.__class__ = _TlsSocket


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class InTimeAdapter(HTTPAdapter):
    """Sends requests of :mod:`requests` over connections that keep to :func:`ending_after`, through proxies too."""

    def init_poolmanager(self, *arguments: Any, **settings: Any) -> None:
        """Make the pools."""
        super().init_poolmanager(*arguments, **settings)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        """Make the pools of a proxy."""
        manager = super().proxy_manager_for(proxy, **settings)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


def _connected(host: str, port: int, timeout: Any, source: Any, options: Any) -> socket.socket:
    default = timeout if isinstance(timeout, (int, float)) else None
    last: OSError | None = None
    for family, kind, protocol, _, address in _addresses(host.strip("[]"), port, default):
        made = _Socket(family, kind, protocol)
        try:
            for option in options or ():
                made.setsockopt(*option)
            made.settimeout(_remaining(default))
            if source:
                made.bind(source)
            made.connect(address)
            made.settimeout(_remaining(default))
        except OSError as error:
            made.close()
            last = error
        else:
            return made
    raise last or OSError("the name has no address")


def _addresses(host: str, port: int, default: float | None) -> list[_Address]:
    """The addresses of a name; the resolver of the system knows no time-out, so a thread waits for it."""
    seconds = _remaining(default)
    look_up = functools.partial(socket.getaddrinfo, host, port, allowed_gai_family(), socket.SOCK_STREAM)
    found: list[list[_Address]] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(look_up())
        except (OSError, UnicodeError) as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="airflow-cd-resolver", daemon=True)
    thread.start()
    thread.join(seconds)
    if found:
        return found[0]
    if not failed:
        raise TimeoutError("the name's lookup timed out")
    if isinstance(failed[0], UnicodeError):
        raise OSError("the host's name cannot be looked up") from failed[0]
    raise failed[0]
