"""The parent's side of the demo's local servers: start one in a process of its own, find it, stop it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import airflow_cd
from airflow_cd.errors import AirflowCdError

START_SECONDS = 30.0
STOP_SECONDS = 3.0

Server = TypeVar("Server", bound="ServerProcess")


class ServerProcess:
    """A server started in a process of its own; a context manager that stops it.

    :param process: the running process.
    :param info: what the server wrote when it was ready.
    :param directory: holds its log; removed when it stops.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], info: dict[str, Any], directory: tempfile.TemporaryDirectory[str]
    ) -> None:
        self.info = info
        self._process = process
        self._directory = directory

    @property
    def url(self) -> str:
        """Where it listens, without a trailing slash."""
        return str(self.info["url"])

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def is_running(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process; a second call does nothing."""
        _end(self._process)
        self._directory.cleanup()

    def __enter__(self: Server) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def arguments_for(telemetry: Path, options: Mapping[str, object]) -> list[str]:
    """Command line arguments from keyword options: lists are repeated, booleans become switches."""
    arguments = ["--telemetry", str(telemetry)]
    for name, value in options.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            arguments.append(f"--{option}" if value else f"--no-{option}")
            continue
        for item in value if isinstance(value, (list, tuple)) else [value]:
            # In one word: a key may begin with a hyphen.
            arguments.append(f"--{option}={item}")
    return arguments


def launch(server: type[Server], module: str, arguments: Sequence[str]) -> Server:
    """Start ``python -m module`` with a ready file and wait until it is written.

    :raises AirflowCdError: when the process ends, or is not ready within :data:`START_SECONDS`.
    """
    directory = tempfile.TemporaryDirectory(prefix="airflow-cd-", ignore_cleanup_errors=True)
    ready, log = Path(directory.name) / "ready.json", Path(directory.name) / "server.log"
    command = [sys.executable, "-m", module, *arguments, "--ready-file", str(ready), "--parent", str(os.getpid())]
    root = str(Path(airflow_cd.__file__).parents[1])
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH")) if part)
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "PYTHONPATH": path},
            # A Ctrl-C in the terminal is for the parent to act on.
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        ended = process.poll() is not None
        if ended or time.monotonic() > deadline:
            _end(process)
            output_lines = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            directory.cleanup()
            how = f"ended with code {process.returncode}" if ended else f"was not ready after {START_SECONDS:.0f} s"
            raise AirflowCdError(f"{module} {how}; its last output: {output_lines[0]}", state="It is not running.")
        time.sleep(0.02)
    return server(process, json.loads(ready.read_text()), directory)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
