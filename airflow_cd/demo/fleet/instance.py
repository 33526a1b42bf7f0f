"""One instance of an environment: which release it was given, and the process that serves it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime, timezone
from typing import Any

from airflow_cd.demo.fleet.process import ShopProcess, StartFailed
from airflow_cd.release import Release
from airflow_cd.targets.base import EMPTY, FAILED, HEALTHY, STARTING, UNHEALTHY

START_SECONDS = 60.0
MISSES_UNTIL_UNHEALTHY = 2
PROCESSES_REMEMBERED = 5

_log = logging.getLogger("fleet.instance")


class Instance:
    """A place for one process of the shop.

    A new release is started beside the old process and takes its place when it is healthy, so no request is lost.
    When it does not come up, the old process ends all the same: an instance never serves a release it should not run.

    :param start_process: makes the process of a release, not yet started.
    """

    def __init__(self, name: str, start_process: Callable[[Release], ShopProcess]) -> None:
        self.name = name
        self.drained = False
        self.health = EMPTY
        self.message = ""
        self.release: Release | None = None
        self.kill_next_start = False
        self._new_process = start_process
        self._serving: ShopProcess | None = None
        self._starting: ShopProcess | None = None
        self._retiring = 0
        self._ended = 0.0
        self._rollout: asyncio.Task[None] | None = None
        self._processes: deque[ShopProcess] = deque(maxlen=PROCESSES_REMEMBERED)
        self._background: set[asyncio.Task[None]] = set()

    @property
    def routable(self) -> ShopProcess | None:
        """The process that may be given requests now, if any."""
        if self.drained or self.health not in (HEALTHY, STARTING):
            return None
        return self._serving

    @property
    def process(self) -> ShopProcess | None:
        """The process that counts: the one being started, else the one that serves."""
        return self._starting or self._serving

    def describe(self) -> dict[str, Any]:
        """What runs here, in the form of the deployment API."""
        return {
            "name": self.name,
            "version": self.release.version if self.release else None,
            "artifact": self.release.artifact if self.release else None,
            "configuration": dict(self.release.configuration) if self.release else {},
            "health": self.health,
            "drained": self.drained,
            "message": self.message,
            **self._alone_since(),
        }

    def _alone_since(self) -> dict[str, str]:
        """Since when the serving process has been the only one of this instance; nothing while another one ends."""
        process = self._serving
        if process is None or self._retiring:
            return {}
        return {"started": datetime.fromtimestamp(max(process.started, self._ended), timezone.utc).isoformat()}

    def describe_traffic(self) -> dict[str, Any]:
        """Which requests reached it: over all, and process by process, the newest last."""
        times = [process.last_request for process in self._processes if process.last_request is not None]
        return {
            "name": self.name,
            "last_request": max(times, default=None),
            "in_flight": sum(process.in_flight for process in self._processes),
            "processes": [
                {
                    "pid": process.pid,
                    "version": process.release.version,
                    "artifact": process.release.artifact,
                    "configuration": dict(process.release.configuration),
                    "started": process.started,
                    "running": process.is_running,
                    "last_request": process.last_request,
                    "in_flight": process.in_flight,
                    "requests": process.requests,
                }
                for process in self._processes
            ],
        }

    def deploy(self, release: Release | None) -> None:
        """Begin to put a release here, None for nothing; what is already here or on its way is left alone."""
        rolling = self._rollout is not None and not self._rollout.done()
        if release == self.release and (rolling or self.health in (HEALTHY, EMPTY)):
            return
        if self._rollout is not None and rolling:
            self._rollout.cancel()
        if self.health == UNHEALTHY:
            self._end_serving()
        self.release, self._starting, self.message = release, None, ""
        if release is None:
            self._end_serving()
            self.health = EMPTY
        elif self._serving is not None and self._serving.is_running and self._serving.release == release:
            # The replacement was still coming up; what it was to replace is what is wanted again.
            self.health = HEALTHY
        else:
            self.health = STARTING
            # From now on it is the new process that counts, even before it runs: a fault is never the old one's.
            self._starting = self._new_process(release)
            self._rollout = self._run(self._roll(release, self._starting))

    async def _roll(self, release: Release, process: ShopProcess) -> None:
        _log.info("%s: starting %s", self.name, release)
        doomed, self.kill_next_start = self.kill_next_start, False
        try:
            await process.start(START_SECONDS, doomed=doomed)
        except StartFailed as failure:
            self._starting = None
            self._fail(f"{release.artifact} did not start: {failure}")
            self._end_serving()
            return
        self._end_serving()
        self._serving, self._starting = process, None
        self._processes.append(process)
        self.health, self.message = HEALTHY, ""
        _log.info("%s: %s serves as process %s", self.name, release, process.pid)
        self._run(self._watch(process))

    async def _watch(self, process: ShopProcess) -> None:
        await process.ended()
        if self._serving is process:
            self._serving = None
            if self.health != STARTING:
                self._fail(f"the process {process.last_words()}")

    def _fail(self, message: str) -> None:
        self.health, self.message = FAILED, message
        _log.error("%s: %s", self.name, message)

    def _end_serving(self) -> None:
        """Take the serving process out of the router's sight and let it end by itself."""
        process, self._serving = self._serving, None
        if process is not None:
            self._retiring += 1
            self._run(self._retire(process))

    async def _retire(self, process: ShopProcess) -> None:
        try:
            await process.retire()
        finally:
            self._retiring -= 1
            self._ended = time.time()

    async def check_health(self, every: float) -> None:
        """Ask the serving process again and again; one that stops answering is kept out of the traffic.

        :param every: seconds between two questions, and seconds an answer may take.
        """
        misses = 0
        while True:
            await asyncio.sleep(every)
            process = self._serving
            if process is None or self.health not in (HEALTHY, UNHEALTHY):
                misses = 0
                continue
            answered = await process.health(every) is not None
            misses = 0 if answered else misses + 1
            if self._serving is not process or self.health not in (HEALTHY, UNHEALTHY):
                continue
            if misses >= MISSES_UNTIL_UNHEALTHY and process.is_running:
                self.health, self.message = UNHEALTHY, f"no answer from /health {misses} times in a row"
            elif answered and self.health == UNHEALTHY:
                self.health, self.message = HEALTHY, ""

    async def drain(self, timeout: float) -> None:
        """Keep it out of the traffic and wait, so many seconds at most, for the requests it has."""
        self.drained = True
        await asyncio.gather(*(process.wait_until_idle(timeout) for process in self._processes))

    async def stop(self) -> None:
        """End everything that runs here."""
        self.deploy(None)
        while self._background:
            await asyncio.wait(self._background)

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task
