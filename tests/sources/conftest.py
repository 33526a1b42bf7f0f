"""Connections for sources, and the small servers that the hooks are tested with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.hooks.vendor_servers import serving
from tests.http.connections import connect

__all__ = ["connect"]


@pytest.fixture(autouse=True)
def no_rate_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of these tests have no rate limit, and are quick."""
    monkeypatch.setattr("airflow_cd.hooks.sumo_logic._CALLS", 10_000)
    monkeypatch.setattr("airflow_cd.hooks.sumo_job._FIRST_POLL", 0.02)
    monkeypatch.setattr("airflow_cd.http.rate_limit._limiters", {})
    for hook in ("service.ServiceHook", "datadog.DatadogHook"):
        monkeypatch.setattr(f"airflow_cd.hooks.{hook}.calls_per_second", 1e6)


@pytest.fixture
def served(connect: Callable[..., None]) -> Iterator[Callable[..., Any]]:
    """Serve something over a connection until the test is over."""
    with ExitStack() as stack:

        def serve(server: Any, conn_id: str, **fields: Any) -> Any:
            connect(conn_id, conn_type="x", host=stack.enter_context(serving(server)), **fields)
            return server

        yield serve
