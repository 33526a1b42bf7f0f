"""Faults on demand for the demo's vendor servers: what the real ones do on a bad day.

``PUT /_faults`` adds a rule and ``DELETE /_faults`` removes them all; ``PUT /_settings`` changes limits and delays.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PATH = "/_faults"
SETTINGS_PATH = "/_settings"


@dataclass
class Fault:
    """A rule: the next requests that match it fail in this way.

    :param times: how many requests it holds for.
    :param path_prefix: only requests whose path starts so.
    :param method: only requests of this method; any when empty.
    :param status: answer with this HTTP status instead of doing what was asked.
    :param body: answer with this body: text as it is, anything else as JSON.
    :param code: the vendor's error code, where the answer carries one.
    :param message: the vendor's error message, where the answer carries one.
    :param retry_after: seconds, sent as ``Retry-After``.
    :param delay: seconds to wait before answering.
    :param error_class: New Relic: answer 200 with this ``errors[].extensions.errorClass``.
    :param keep_data: New Relic: the error accompanies the real answer instead of replacing it.
    """

    times: int = 1
    path_prefix: str = ""
    method: str = ""
    status: int | None = None
    body: Any = None
    code: str = ""
    message: str = ""
    retry_after: float | None = None
    delay: float = 0.0
    error_class: str = ""
    keep_data: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.times, int) or self.times < 1:
            raise ValueError("times must be a whole number from 1")
        if not isinstance(self.delay, (int, float)) or self.delay < 0:
            raise ValueError("delay must be a number of seconds")
        if self.status is not None and not (isinstance(self.status, int) and 200 <= self.status <= 599):
            raise ValueError("status must be an HTTP status from 200 to 599")

    def headers(self) -> dict[str, str]:
        """Headers the faulty answer carries."""
        return {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}

    def response(self, error_body: Callable[[Fault], Any]) -> Response | None:
        """The answer that replaces the real one; None where the fault only delays or adds.

        :param error_body: the vendor's body for an error without a ``body`` of its own.
        """
        if self.status is None and self.body is None:
            return None
        status = 200 if self.status is None else self.status
        if isinstance(self.body, str):
            return Response(self.body, status, self.headers(), media_type="text/plain")
        return JSONResponse(error_body(self) if self.body is None else self.body, status, self.headers())


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []

    async def meet(self, request: Request) -> Fault | None:
        """The fault this request runs into, after its delay; each meeting uses it up once."""
        for rule in self._rules:
            fits = request.url.path.startswith(rule.path_prefix) and rule.method.upper() in {"", request.method}
            if fits:
                rule.times -= 1
                if rule.times <= 0:
                    self._rules.remove(rule)
                await asyncio.sleep(rule.delay)
                return rule
        return None

    async def endpoint(self, request: Request) -> Response:
        """``PUT`` adds a rule, ``DELETE`` removes all."""
        if request.method == "DELETE":
            self._rules.clear()
            return JSONResponse({"rules": 0})
        known = {field.name for field in fields(Fault)}
        try:
            rule = Fault(**json.loads(await request.body()))
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": f"a fault is a JSON object of {sorted(known)}: {error}"}, 400)
        self._rules.append(rule)
        return JSONResponse({"rules": len(self._rules)})


Settings = TypeVar("Settings")


def settings_endpoint(read: Callable[[], Settings], write: Callable[[Settings], None]) -> Callable[[Request], Any]:
    """An endpoint that changes fields of a settings dataclass at run time and answers with all of them."""

    async def endpoint(request: Request) -> Response:
        try:
            changed: Any = replace(read(), **json.loads(await request.body()))  # type: ignore[type-var]
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        write(changed)
        return JSONResponse({field.name: getattr(changed, field.name) for field in fields(changed)})

    return endpoint
