"""The API that tasks call is built before Airflow's API server answers anybody."""

from __future__ import annotations

import gc
import logging

import pytest
from airflow.api_fastapi.execution_api.app import create_task_execution_api_app
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_cd.plugin import AirflowCdPlugin
from airflow_cd.plugin.task_api import TaskApiMiddleware


def served(tasks: ASGIApp, *, path: str = "/execution") -> Starlette:
    """An API server with what all plugins' middlewares add, and an API of the tasks."""
    server = FastAPI()
    server.mount(path, tasks)
    for given in AirflowCdPlugin.fastapi_root_middlewares:
        server.add_middleware(given["middleware"])  # type: ignore[arg-type]
    return server


class Asked:
    """An API that notes what it is asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.paths: list[str] = []
        self.collecting: list[bool] = []
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        self.collecting.append(gc.isenabled())
        if self._error:
            raise self._error


def test_airflow_s_own_is_built_when_the_server_has_started() -> None:
    tasks = create_task_execution_api_app()
    with TestClient(served(tasks)) as client:
        assert len(tasks.router.versioned_routers) > 1  # type: ignore[attr-defined]
        assert client.get("/execution/health").json() == {"status": "healthy"}


def test_it_is_asked_once_and_garbage_is_collected_again() -> None:
    tasks = Asked()
    with TestClient(served(tasks)):
        assert tasks.paths == ["/execution/health"]
    assert tasks.paths == ["/execution/health"]
    assert tasks.collecting == [False]
    assert gc.isenabled()


def test_a_server_starts_whatever_becomes_of_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), TestClient(served(Asked(RuntimeError("no version")))) as client:
        assert client.get("/docs").status_code == 200
    assert "could not be built" in caplog.text
    assert gc.isenabled()


def test_a_server_without_one_starts() -> None:
    other = Asked()
    with TestClient(served(other, path="/api")) as client:
        assert client.get("/docs").status_code == 200
    assert other.paths == []


def test_what_passes_is_left_as_it_is() -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"short and stout"})

    assert TestClient(TaskApiMiddleware(answer)).get("/").text == "short and stout"
