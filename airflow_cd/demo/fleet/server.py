"""The fleet's own process: the deployment API, the routers, and every instance as its child."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from airflow_cd.demo.fleet.api import api_app
from airflow_cd.demo.fleet.environment import Environment
from airflow_cd.demo.fleet.router import router_app
from airflow_cd.demo.serving import ALL_INTERFACES, LOOPBACK
from airflow_cd.errors import AirflowCdError

PARENT_CHECK_SECONDS = 0.5

_log = logging.getLogger("fleet")


async def run(
    root: Path,
    *,
    port: int,
    environments: Mapping[str, int],
    token: str,
    health_seconds: float,
    all_interfaces: bool = False,
    ready_file: Path | None = None,
    parent: int | None = None,
) -> None:
    """Run a fleet until SIGTERM, SIGINT or the parent's death; no process of it is left then.

    :param root: gets ``fleet.json``, for this user's eyes only, and ``telemetry/``.
    :param health_seconds: between two questions for an instance's health.
    :param all_interfaces: whether the deployment API answers on every address of this machine, not on 127.0.0.1 alone.
    :param ready_file: gets the same as ``fleet.json``.
    :param parent: process whose death ends the fleet too.
    :raises AirflowCdError: when the port cannot be used.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    telemetry = root / "telemetry"
    telemetry.mkdir(parents=True, exist_ok=True)
    info_files = [file for file in (root / "fleet.json", ready_file) if file is not None]

    async with contextlib.AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0, force_close=False, keepalive_timeout=30)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        )
        fleet = {
            name: Environment(name, size, telemetry=telemetry, session=session) for name, size in environments.items()
        }
        host = ALL_INTERFACES if all_interfaces else LOOPBACK
        api_url = await _listen(api_app(fleet, token), port, stack, host=host)
        routers = {name: await _listen(router_app(fleet[name], session), 0, stack) for name in fleet}
        for environment in fleet.values():
            stack.push_async_callback(environment.stop)
            watching = asyncio.create_task(environment.check_health(health_seconds))
            stack.callback(watching.cancel)
        info = {
            "pid": os.getpid(),
            "url": api_url,
            "deployment_api": api_url,
            "routers": routers,
            "environments": dict(environments),
            "telemetry": str(telemetry.resolve()),
            "token": token,
        }
        for file in info_files:
            _write_secretly(file, info)
        stack.callback((root / "fleet.json").unlink, missing_ok=True)
        _log.info("ready: deployment API on %s, %d environments", api_url, len(fleet))
        await _wait(stop, parent)
        _log.info("stopping")


async def _listen(app: web.Application, port: int, stack: contextlib.AsyncExitStack, *, host: str = LOOPBACK) -> str:
    """Serve an application on a port, 0 for a free one, until the stack is left; its address on this machine."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.2)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port, reuse_address=True).start()
    except (OSError, OverflowError) as error:
        raise AirflowCdError(
            f"port {port} of {host} cannot be used for the deployment API: {error}.",
            state="The fleet did not start.",
            next_step="End what listens there, or choose another port (0 takes a free one).",
        ) from error
    return f"http://{LOOPBACK}:{runner.addresses[0][1]}"


async def _wait(stop: asyncio.Event, parent: int | None) -> None:
    while not stop.is_set() and (parent is None or os.getppid() == parent):
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), None if parent is None else PARENT_CHECK_SECONDS)


def _write_secretly(file: Path, info: dict[str, Any]) -> None:
    """Write a file that only this user can read, and that is whole when it is there."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        json.dump(info, stream)
    part.replace(file)
