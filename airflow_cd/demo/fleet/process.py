"""One process of the shop, from its start to its end, and the requests it is given."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

import airflow_cd
from airflow_cd.release import Release

OUTPUT_LINES = 12
STOP_SECONDS = 1.0


class StartFailed(Exception):
    """The process did not come up; the text says why, with the last lines of its output."""


class ShopProcess:
    """A process of the shop on one release.

    :param release: what it is to run.
    :param instance: name of the instance it is a process of.
    :param session: HTTP client to ask for its health with.
    """

    def __init__(
        self, release: Release, instance: str, environment: str, telemetry: Path, session: aiohttp.ClientSession
    ) -> None:
        self.release = release
        self.started = time.time()
        self.last_request: float | None = None
        self.requests = 0
        self.in_flight = 0
        self.url = ""
        self._instance = instance
        self._environment = environment
        self._telemetry = telemetry
        self._session = session
        self._idle = asyncio.Event()
        self._idle.set()
        self._output: deque[str] = deque(maxlen=OUTPUT_LINES)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        # Nothing waits for a start that was cancelled.
        self._port.add_done_callback(lambda port: port.cancelled() or port.exception())

    @property
    def pid(self) -> int | None:
        """Process id; None before the start."""
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.returncode is None

    async def start(self, timeout: float, *, doomed: bool = False) -> None:
        """Start the process and wait until it is healthy on exactly its release.

        :param doomed: a fault made on purpose: it is killed as soon as it runs.
        :raises StartFailed: when it ends, or is not healthy within the time-out (seconds); nothing of it is left then.
        """
        package_root = str(Path(airflow_cd.__file__).parents[1])
        path = os.pathsep.join(part for part in (package_root, os.environ.get("PYTHONPATH")) if part)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": path},
                # A Ctrl-C in the terminal is for the fleet to act on.
                start_new_session=True,
            )
            if doomed:
                self._process.kill()
            self._reader = asyncio.create_task(self._read_output())
            await asyncio.wait_for(self._wait_until_healthy(), timeout)
        except asyncio.TimeoutError:
            await self.stop(grace=0)
            raise StartFailed(self._with_output(f"not healthy {timeout:g} s after its start")) from None
        except StartFailed:
            await self.stop(grace=0)
            raise
        except OSError as error:
            raise StartFailed(f"the process cannot be started: {error}") from error
        except asyncio.CancelledError:
            await self.stop(grace=0)
            raise

    def _command(self) -> list[str]:
        release = self.release
        return [
            *(sys.executable, "-m", "airflow_cd.demo.shop", "--lifeline"),
            *("--artifact", release.artifact, "--version", release.version),
            *("--configuration", json.dumps(dict(release.configuration))),
            *("--instance", self._instance, "--environment", self._environment),
            *("--telemetry", str(self._telemetry), "--port", "0"),
        ]

    async def _wait_until_healthy(self) -> None:
        port = await asyncio.shield(self._port)
        self.url = f"http://127.0.0.1:{port}"
        while (identity := await self.health(timeout=5.0)) is None:
            await asyncio.sleep(0.2)
        found = (identity.get("artifact"), identity.get("configuration"))
        if found != (self.release.artifact, dict(self.release.configuration)):
            raise StartFailed(f"it reports {found[0]} with configuration {json.dumps(found[1])}")

    async def _read_output(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        async for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            if not self._port.done() and text.startswith('{"port": '):
                self._port.set_result(int(json.loads(text)["port"]))
            else:
                self._output.append(text)
        await self._process.wait()
        if not self._port.done():
            self._port.set_exception(StartFailed(self.last_words()))

    def last_words(self) -> str:
        """How the process ended, and the last lines of its output."""
        code = self._process.returncode if self._process else None
        if code is not None and code < 0:
            return self._with_output(f"ended by {signal.Signals(-code).name}")
        return self._with_output(f"ended with code {code}")

    def _with_output(self, what: str) -> str:
        return "\n".join((what, *self._output))

    async def health(self, timeout: float) -> dict[str, Any] | None:
        """What the process reports to run; None when it does not answer well within so many seconds."""
        try:
            limit = aiohttp.ClientTimeout(total=timeout)
            async with self._session.get(f"{self.url}/health", timeout=limit) as response:
                answer = await response.json()
                return answer if response.status == 200 and isinstance(answer, dict) else None
        except (aiohttp.ClientError, asyncio.TimeoutError, ValueError):
            return None

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request while it is with the process."""
        self.in_flight += 1
        self.requests += 1
        self.last_request = time.time()
        self._idle.clear()
        try:
            yield
        finally:
            self.in_flight -= 1
            self.last_request = time.time()
            if self.in_flight == 0:
                self._idle.set()

    async def wait_until_idle(self, timeout: float) -> bool:
        """Whether no request was left with it within so many seconds."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout)
        return self._idle.is_set()

    async def ended(self) -> None:
        """Wait for the end of the process and of its output."""
        if self._reader is not None:
            await asyncio.shield(self._reader)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it is running."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def stop(self, grace: float = STOP_SECONDS) -> None:
        """End the process: asked for at first, by force after the grace (seconds)."""
        if grace > 0:
            self.send_signal(signal.SIGTERM)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.ended(), grace)
        self.send_signal(signal.SIGKILL)
        await self.ended()

    async def retire(self) -> None:
        """Let the requests it has finish, then end it; the router must not know it any more."""
        await self.wait_until_idle(STOP_SECONDS)
        await self.stop()
