"""Has the API that tasks call built before Airflow's API server answers anybody.

Airflow builds it at the first call of a task, in its event loop, which takes several seconds of a processor's time and
a minute of a busy machine's. No page, no task and no health check is answered meanwhile, and workers give up: what
would be late, or fail, is the first delivery or rollback after the server was started.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

PATH = "/execution"
"""Where Airflow mounts it."""


class TaskApiMiddleware:
    """ASGI middleware over Airflow's API server; see the module."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, the server's start after the building."""
        if scope["type"] == "lifespan":
            await build(scope["app"])
        await self.app(scope, receive, send)


async def build(server: Starlette) -> None:
    """Have it built by asking it for its health; what goes wrong is logged, and left to the first task.

    :param server: Airflow's app, which may have no such API.
    """
    for route in server.routes:
        if isinstance(route, Mount) and route.path == PATH:
            try:
                with _kept():
                    await route.app(_health(server), _nothing, _nobody)
            except Exception:
                log.exception("The API that tasks call could not be built before the server answers anybody")


@contextmanager
def _kept() -> Iterator[None]:
    """Look for no garbage among what is made, which is a third of the work, nor afterwards, which halts the server."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def _health(server: Starlette) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": f"{PATH}/health",
        "raw_path": f"{PATH}/health".encode(),
        "root_path": PATH,
        "query_string": b"",
        "headers": [],
        "client": None,
        "server": None,
        "state": {},
        "app": server,
    }


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _nobody(message: Message) -> None:
    """Nobody asked."""
