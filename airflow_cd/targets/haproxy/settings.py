"""How an HAProxy is reached, and which of its backends serves an environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KNOWN = ("socket", "backend", "server", "drain_seconds", "timeout")
DRAIN_SECONDS = 10.0
TIMEOUT = 5.0


@dataclass(frozen=True)
class HaproxySettings:
    """One backend of an HAProxy, or of several that share the traffic.

    :param sockets: runtime sockets of each process, with level admin: a path, or ``host:port``.
    :param backend: name of the backend.
    :param server: name of an instance's server; ``{instance}`` is filled in.
    :param drain_seconds: how long requests under way may take to end before their sessions are ended.
    :param timeout: seconds to wait for an answer.
    """

    sockets: tuple[str, ...]
    backend: str
    server: str = "{instance}"
    drain_seconds: float = DRAIN_SECONDS
    timeout: float = TIMEOUT

    @classmethod
    def read(cls, given: Any) -> HaproxySettings:
        """Read them from the extra of a connection.

        :param given: an object with ``socket`` (a text, or a list of them) and ``backend``, and the others if any.
        :raises ValueError: they cannot be used; the message says why.
        """
        if not isinstance(given, Mapping):
            raise ValueError('"haproxy" is not an object with "socket" and "backend"')
        if unknown := sorted(set(given) - set(KNOWN)):
            raise ValueError(
                f'"haproxy" has {", ".join(unknown)}, which it does not know; known are {", ".join(KNOWN)}'
            )
        sockets: list[Any] = given["socket"] if isinstance(given.get("socket"), list) else [given.get("socket")]
        if not sockets or not all(isinstance(socket, str) and socket.strip() for socket in sockets):
            raise ValueError('"haproxy" needs a "socket": a path, host:port, or a list of these')
        backend, server = given.get("backend"), given.get("server", "{instance}")
        if not isinstance(backend, str) or not backend.strip() or any(letter in backend for letter in " ;/\n"):
            raise ValueError('"haproxy" needs the name of a "backend"')
        if not isinstance(server, str) or "{instance}" not in server:
            raise ValueError('"server" of "haproxy" must contain {instance}')
        numbers = {name: _number(given, name, default) for name, default in _NUMBERS.items()}
        return cls(tuple(socket.strip() for socket in sockets), backend.strip(), server, **numbers)

    def server_of(self, instance: str) -> str:
        """The name of an instance's server.

        :param instance: its name.
        """
        return self.server.replace("{instance}", instance)


_NUMBERS = {"drain_seconds": DRAIN_SECONDS, "timeout": TIMEOUT}


def _number(given: Mapping[str, Any], name: str, default: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 3600:
        raise ValueError(f'"{name}" of "haproxy" is {value!r}, not a number of seconds')
    return float(value)
