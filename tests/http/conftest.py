"""A scripted server, and clients of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_cd.http.auth import HeaderAuth
from airflow_cd.http.client import HttpClient
from airflow_cd.http.endpoint import Endpoint
from airflow_cd.http.family import TARGET
from airflow_cd.http.redaction import Redactor
from airflow_cd.http.session import new_session
from tests.http.certificates import certificate
from tests.http.clock import Clock, clock
from tests.http.scripted_server import ScriptedServer, server

__all__ = ["certificate", "clock", "server"]

SECRET = "s3cr3t/t0ken+x"

MakeClient = Callable[..., HttpClient]


@pytest.fixture
def client_of(server: ScriptedServer, clock: Clock) -> Iterator[MakeClient]:
    """Make clients of the server; time passes for them by sleeping only."""
    made: list[HttpClient] = []

    def make(verify: bool | str = True, client: dict[str, Any] | None = None, **endpoint: Any) -> HttpClient:
        settings = {"base_url": server.url, "errors": TARGET, "redact": Redactor([SECRET]), **endpoint}
        session = new_session(HeaderAuth("Api-Key", SECRET), verify)
        made.append(
            HttpClient(Endpoint("the shop", "shop_default", **settings), session, sleep=clock.sleep, **client or {})
        )
        return made[-1]

    yield make
    for client in made:
        client.session.close()


@pytest.fixture(autouse=True)
def logged_retries(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
