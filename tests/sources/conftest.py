"""Connections for sources, and the small servers that the hooks are tested with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def no_rate_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers of these tests have no rate limit, and are quick."""
    monkeypatch.setattr("airflow_cd.hooks.sumo_logic._CALLS", 10_000)
    monkeypatch.setattr("airflow_cd.hooks.sumo_job._FIRST_POLL", 0.02)
    monkeypatch.setattr("airflow_cd.http.rate_limit._limiters", {})


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Define an Airflow connection for the test."""

    def define(conn_id: str, **fields: Any) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    return define
