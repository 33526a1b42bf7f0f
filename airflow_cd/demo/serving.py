"""The server's side of the demo's local servers: sockets, the event loop, ending with whoever started it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from airflow_cd.demo.telemetry import KEEP_SECONDS
from airflow_cd.errors import AirflowCdError

LOOPBACK, ALL_INTERFACES = "127.0.0.1", "0.0.0.0"  # noqa: S104 - only where it is asked for
_PARENT_CHECK_SECONDS = 0.5


Settings = TypeVar("Settings")


class _Server(uvicorn.Server):
    """Leaves the signals to whoever runs several servers in one loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def add_arguments(parser: argparse.ArgumentParser, settings: type[Any]) -> None:
    """Add what every server takes, and one option for each field of its settings (``--no-…`` for a switch)."""
    parser.add_argument("--telemetry", type=Path, required=True, help="the fleet's telemetry directory")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--all-interfaces", action=argparse.BooleanOptionalAction, default=False, help="not on 127.0.0.1 alone"
    )
    parser.add_argument("--keep", type=float, default=KEEP_SECONDS, help="seconds of telemetry to remember")
    parser.add_argument("--ready-file", type=Path, help="written as JSON once the server listens")
    parser.add_argument("--parent", type=int, help="process whose end ends the server too")
    for field in fields(settings):
        name = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            parser.add_argument(name, type=type(field.default), default=field.default)


def settings_from(settings: type[Settings], options: argparse.Namespace) -> Settings:
    """The settings the command line asks for.

    :raises AirflowCdError: when they cannot be.
    """
    try:
        return settings(**{field.name: getattr(options, field.name) for field in fields(settings)})  # type: ignore[arg-type]
    except ValueError as error:
        raise AirflowCdError(f"the server's settings are wrong: {error}.", state="The server did not start.") from error


def listen(port: int, *, all_interfaces: bool = False) -> socket.socket:
    """A socket on 127.0.0.1; port 0 takes a free one.

    :param all_interfaces: on every address of this machine instead.
    :raises AirflowCdError: when the port is taken.
    """
    host = ALL_INTERFACES if all_interfaces else LOOPBACK
    # asyncio sets TCP_NODELAY for sockets that name their protocol only: without it, every answer on a connection that
    # is used again waits 40 ms for the other side's acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise AirflowCdError(
            f"port {port} of {host} cannot be used: {error}.",
            state="The server did not start.",
            next_step="End what listens there, or choose another port (0 takes a free one).",
        ) from error
    listener.listen(128)
    return listener


def address(listener: socket.socket) -> str:
    """The URL a socket answers on, on this machine."""
    return f"http://{LOOPBACK}:{listener.getsockname()[1]}"


def serve(
    apps: Sequence[tuple[Any, socket.socket]],
    info: Mapping[str, Any],
    *,
    background: Callable[[], Coroutine[Any, Any, None]],
    ready_file: Path | None = None,
    parent: int | None = None,
) -> None:
    """Serve ASGI applications until SIGTERM, SIGINT or the parent's death.

    :param apps: each application with the socket it listens on.
    :param info: written to ``ready_file`` as JSON once all of them listen.
    :param background: runs beside them and is cancelled at the end.
    :param parent: process whose death ends this one too.
    """
    asyncio.run(_serve(apps, dict(info), background, ready_file, parent))


async def _serve(
    apps: Sequence[tuple[Any, socket.socket]],
    info: dict[str, Any],
    background: Callable[[], Coroutine[Any, Any, None]],
    ready_file: Path | None,
    parent: int | None,
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    servers = [
        _Server(uvicorn.Config(app, lifespan="off", log_level="warning", timeout_graceful_shutdown=1))
        for app, _ in apps
    ]
    running = [
        asyncio.create_task(server.serve(sockets=[listener]))
        for server, (_, listener) in zip(servers, apps, strict=True)
    ]
    helper = asyncio.create_task(background())
    while not all(server.started for server in servers) and not any(task.done() for task in running):
        await asyncio.sleep(0.01)
    if ready_file is not None:
        _write_whole(ready_file, json.dumps({**info, "pid": os.getpid()}))
    while not stop.is_set() and not any(task.done() for task in running):
        if parent is not None and os.getppid() != parent:
            break
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), _PARENT_CHECK_SECONDS)
    for server in servers:
        server.should_exit = True
    helper.cancel()
    await asyncio.gather(*running, helper, return_exceptions=True)


def _write_whole(path: Path, text: str) -> None:
    """Write a file that readers see whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
