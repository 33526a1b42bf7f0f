"""One environment: its instances, round-robin routing, and the changes it has made."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from airflow_cd.demo.fleet.errors import ApiError
from airflow_cd.demo.fleet.instance import Instance
from airflow_cd.demo.fleet.process import ShopProcess
from airflow_cd.release import Release

DRAIN_SECONDS = 1.0
KEYS_REMEMBERED = 1000

Answer = dict[str, Any]


class Environment:
    """Instances of a service under one name.

    :param size: how many instances it has.
    :param service: what runs here; part of the instances' names.
    """

    def __init__(
        self, name: str, size: int, *, telemetry: Path, session: aiohttp.ClientSession, service: str = "shop"
    ) -> None:
        def process_for(instance: str) -> Callable[[Release], ShopProcess]:
            return lambda release: ShopProcess(release, instance, name, telemetry, session)

        self.name = name
        names = [f"{service}-{name}-{number:02}" for number in range(1, size + 1)]
        self.instances = {instance: Instance(instance, process_for(instance)) for instance in names}
        self._ring = list(self.instances.values())
        self._turn = 0
        self._highest_token: int | None = None
        self._changes: OrderedDict[str, tuple[str, asyncio.Task[Answer]]] = OrderedDict()

    def pick(self, exclude: Collection[ShopProcess] = ()) -> ShopProcess | None:
        """The process whose turn it is, strictly round-robin; None when none can take a request."""
        for step in range(len(self._ring)):
            position = (self._turn + step) % len(self._ring)
            process = self._ring[position].routable
            if process is not None and process not in exclude:
                self._turn = position + 1
                return process
        return None

    def fence(self, token: int) -> None:
        """Accept a caller's fencing token.

        :raises ApiError: a higher token was used before.
        """
        if self._highest_token is not None and token < self._highest_token:
            raise ApiError(
                409,
                "stale_token",
                f"fencing token {token} is lower than {self._highest_token}, the highest seen for {self.name}",
            )
        self._highest_token = token

    async def once(self, key: str, request: str, change: Callable[[], Awaitable[Answer]]) -> Answer:
        """Make a change unless this key has made it already; the answer is the same then.

        :param key: the caller's idempotency key.
        :param request: the request in full, to notice a key that is used for something else.
        """
        if key in self._changes:
            earlier, task = self._changes[key]
            if earlier != request:
                raise ApiError(422, "idempotency_key_reused", f"idempotency key {key!r} came with another request")
        else:
            task = asyncio.ensure_future(change())
            self._changes[key] = (request, task)
            while len(self._changes) > KEYS_REMEMBERED:
                self._changes.popitem(last=False)
        try:
            # A caller that hangs up must not stop a change half-way: it will ask again with the same key.
            return await asyncio.shield(task)
        except Exception:
            self._changes.pop(key, None)
            raise

    def named(self, names: Sequence[str]) -> list[Instance]:
        """The instances of these names.

        :raises ApiError: there is no such instance.
        """
        unknown = sorted(set(names) - set(self.instances))
        if unknown:
            raise ApiError(400, "unknown_instance", f"{self.name} has no instance {', '.join(unknown)}")
        return [self.instances[name] for name in dict.fromkeys(names)]

    async def drain(self, instances: Sequence[Instance]) -> None:
        """Keep instances out of the traffic; returns when their requests are done, after a second at most."""
        await asyncio.gather(*(instance.drain(DRAIN_SECONDS) for instance in instances))

    async def check_health(self, every: float) -> None:
        """Watch every instance until cancelled, asking every so many seconds."""
        await asyncio.gather(*(instance.check_health(every) for instance in self._ring))

    async def stop(self) -> None:
        """End every process of the environment."""
        await asyncio.gather(*(instance.stop() for instance in self._ring))
