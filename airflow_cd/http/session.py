"""Sessions of requests: their own credentials and cookies, connections shared by all of a process."""

from __future__ import annotations

import functools
import os

import requests
from requests.auth import AuthBase

from airflow_cd.http.sockets import InTimeAdapter

_HOSTS = 16
_CONNECTIONS_A_HOST = 16


class SharedAdapter(InTimeAdapter):
    """Keeps its connections when a session is closed.

    Reading the system's CA bundle takes longer than most requests, and every handshake some round trips: a
    verification that looks every few seconds need not pay for them each time.
    """

    def close(self) -> None:
        """Do nothing: the connections belong to no session."""


@functools.lru_cache(maxsize=1)
def _shared(process: int) -> SharedAdapter:
    """One for each process: a forked one must not write to its parent's connections."""
    return SharedAdapter(pool_connections=_HOSTS, pool_maxsize=_CONNECTIONS_A_HOST)


def new_session(auth: AuthBase, verify: bool | str) -> requests.Session:
    """Return a session that asks for JSON.

    :param auth: how requests are authenticated.
    :param verify: how TLS is checked: True, False, or the path of a CA bundle.
    """
    session = requests.Session()
    session.auth = auth
    session.verify = verify
    session.headers["Accept"] = "application/json"
    for scheme in ("http://", "https://"):
        session.mount(scheme, _shared(os.getpid()))
    return session
