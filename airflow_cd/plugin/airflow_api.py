"""What a page of ours asks of Airflow's own API, in the reader's name.

It goes through the same middleware as every other request: who may do what, what is recorded and how an early answer
waits for its task are decided in one place.
"""

from __future__ import annotations

import asyncio
import http
import logging
from typing import Any
from urllib.parse import quote

import httpx
import tenacity
from fastapi import Request
from sqlalchemy.exc import OperationalError

from airflow_cd.errors import Refused, Unavailable

log = logging.getLogger(__name__)

KEPT = ("authorization", "cookie", "host", "origin")
"""Headers of the reader's request that say in whose name Airflow is asked."""

LONGEST_RETRY = 30.0
"""Seconds after which no further attempt is started."""
MOST_ATTEMPTS = 10
RETRY_AFTER = 10.0
"""Seconds after which a person may try again what could not be done."""

_DATABASE_ERROR = "Database error"
"""What Airflow says of any error of its database, SQLite's *database is locked* among them; the rest may be hidden."""


class AirflowRefused(Refused):
    """Airflow's API refused what it was asked for.

    :param status: HTTP status of its answer.
    """

    def __init__(self, what: str, *, status: int, **more: Any) -> None:
        super().__init__(what, **more)
        self.status = status


class AirflowUnavailable(Unavailable):
    """Airflow's API failed on its own side, or its database was busy, at every attempt."""


async def ask_airflow(
    request: Request, method: str, place: list[str], body: dict[str, Any], *, done: int | None = None
) -> None:
    """Ask Airflow's API to change something, again while its database is busy.

    Only for what may be asked for twice: marks of a task, an answer, a run with an id of its own.

    :param request: the reader's request.
    :param method: HTTP method.
    :param place: the parts of the address below ``/api/v2/dags``.
    :param body: JSON values.
    :param done: HTTP status of a refusal that means that it has been done already.
    :raises AirflowRefused: Airflow does not do it.
    :raises AirflowUnavailable: Airflow failed on its own side, at every attempt.
    """
    async for attempt in tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(AirflowUnavailable),
        wait=tenacity.wait_exponential(multiplier=0.2, max=5.0) + tenacity.wait_random(0.0, 0.2),
        stop=tenacity.stop_after_delay(LONGEST_RETRY) | tenacity.stop_after_attempt(MOST_ATTEMPTS),
        sleep=_sleep,
        before_sleep=tenacity.before_sleep_log(log, logging.WARNING),
        reraise=True,
    ):
        with attempt:
            try:
                answer = await _send(request, method, place, body)
            except OperationalError as error:
                # Airflow's own handlers do not see what its middleware raises.
                raise _busy() from error
            _check(answer, done)


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _send(request: Request, method: str, place: list[str], body: dict[str, Any]) -> httpx.Response:
    server: Any = request.scope["airflow_cd.server"]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=server), base_url=str(request.base_url.replace(path="/"))
    ) as client:
        return await client.request(
            method,
            "/api/v2/dags/" + "/".join(quote(part, safe="") for part in place),
            json=body,
            headers={name: value for name, value in request.headers.items() if name in KEPT},
        )


def _check(answer: httpx.Response, done: int | None) -> None:
    """Raise unless Airflow has done it."""
    if answer.is_success or answer.status_code == done:
        return
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.text
    if answer.status_code == http.HTTPStatus.SERVICE_UNAVAILABLE or _is_database_error(answer.status_code, detail):
        raise _busy(detail if isinstance(detail, str) else "")
    if answer.is_server_error:
        raise AirflowRefused(
            f"Airflow returned a server error ({answer.status_code}): {detail}",
            status=answer.status_code,
            state="It may or may not have been done.",
            next_step="Look at the run; the API server's log says what went wrong.",
        )
    raise AirflowRefused(f"Airflow refused it ({answer.status_code}): {detail}", status=answer.status_code)


def _is_database_error(status: int, detail: Any) -> bool:
    reason = detail.get("reason") if isinstance(detail, dict) else None
    return status == http.HTTPStatus.INTERNAL_SERVER_ERROR and reason == _DATABASE_ERROR


def _busy(detail: str = "") -> AirflowUnavailable:
    return AirflowUnavailable(
        detail or "Airflow's database was busy or did not answer.",
        state="Nothing was changed.",
        next_step="Try again in a few seconds.",
        retry_after=RETRY_AFTER,
    )
