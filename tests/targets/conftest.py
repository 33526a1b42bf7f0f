"""Connections to a server that gives the answers a test has prepared."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_cd.hooks.deployment_api import DeploymentApiHook
from tests.http.certificates import certificate
from tests.http.scripted_server import ScriptedServer, server
from tests.targets.hook_on_server import TOKEN, Connect, quick

__all__ = ["certificate", "server"]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Define an Airflow connection in the environment; gives its id."""

    def define(conn_id: str = "http_test", **fields: Any) -> str:
        content = {"conn_type": "deployment_api", "password": TOKEN, **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(content))
        return conn_id

    return define


@pytest.fixture
def hook(server: ScriptedServer, connect: Connect) -> DeploymentApiHook:
    """A hook on the scripted server that waits for nothing."""
    return quick(DeploymentApiHook(connect(host=server.url)))
