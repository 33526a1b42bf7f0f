"""Faults of the deployment API, made on purpose: for tests of those who call it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from aiohttp import web

from airflow_cd.demo.fleet.errors import ApiError

PATH = "/v1/faults"
_KINDS: dict[str, tuple[type, ...]] = {
    "status": (int,),
    "times": (int,),
    "path_prefix": (str,),
    "method": (str,),
    "body": (str,),
    "retry_after": (int, float),
    "delay": (int, float),
    "after": (bool,),
}


@dataclass
class Fault:
    """What goes wrong with the next requests.

    :param status: answered instead of the true answer; None leaves the answer as it is.
    :param times: how many requests it hits; None: all of them until faults are deleted.
    :param path_prefix: hits requests whose path begins so.
    :param method: hits requests of this method only; None: of any.
    :param body: sent instead of a proper error.
    :param retry_after: seconds, sent as Retry-After.
    :param delay: seconds to wait before anything else.
    :param after: the request takes effect and its answer is lost, instead of not taking effect.
    """

    status: int | None = None
    times: int | None = 1
    path_prefix: str = "/v1/"
    method: str | None = None
    body: str | None = None
    retry_after: float | None = None
    delay: float = 0.0
    after: bool = False

    @classmethod
    def parse(cls, wanted: dict[str, Any]) -> Fault:
        """Read a fault from a request; raises the API's answer for one that cannot be read."""
        unknown = set(wanted) - set(_KINDS)
        if unknown:
            raise ApiError(400, "bad_body", f"a fault has no {', '.join(sorted(unknown))}")
        for name, value in wanted.items():
            if value is not None and not isinstance(value, _KINDS[name]):
                raise ApiError(400, "bad_body", f"{name} of a fault cannot be {value!r}")
        fault = cls(**wanted)
        if fault.status is not None and not 200 <= fault.status <= 599:
            raise ApiError(400, "bad_body", f"status {fault.status} of a fault is not a status of HTTP")
        return fault

    def hits(self, request: web.Request) -> bool:
        """Whether this request is to go wrong."""
        return (
            self.times != 0
            and request.path.startswith(self.path_prefix or "/")
            and self.method in (None, request.method)
            and not request.path.startswith(PATH)
        )

    def answer(self) -> web.Response:
        """What the caller gets to see."""
        headers = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        if self.body is not None:
            return web.Response(status=self.status or 200, text=self.body, headers=headers)
        error = {"code": "injected", "message": f"a fault made on purpose: {self.status}"}
        return web.json_response({"error": error}, status=self.status or 200, headers=headers)


class Faults:
    """The faults in force, in the order they were asked for."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        self._faults.append(fault)

    def clear(self, path_prefix: str = "") -> None:
        """Let everything work again, or what begins with ``path_prefix``."""
        self._faults = [fault for fault in self._faults if not fault.path_prefix.startswith(path_prefix)]

    def describe(self) -> list[dict[str, Any]]:
        """The faults that still hit something."""
        return [asdict(fault) for fault in self._faults if fault.times != 0]

    async def apply(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer a request, wrongly when a fault hits it."""
        fault = next((fault for fault in self._faults if fault.hits(request)), None)
        if fault is None:
            return await handler(request)
        if fault.times is not None:
            fault.times -= 1
        await asyncio.sleep(fault.delay or 0)
        wrong = fault.status is not None or fault.body is not None
        if not wrong:
            return await handler(request)
        if fault.after:
            await handler(request)
        return fault.answer()
