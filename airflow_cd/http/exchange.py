"""A single request and its whole answer: bounded in time and size, failures sorted by what they mean."""

from __future__ import annotations

import enum
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import requests
import urllib3.exceptions
from requests import exceptions as failures

from airflow_cd.http.body import ACCEPTED, Body, TooLarge, Undecodable
from airflow_cd.http.sockets import ending_after

_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Request:
    """A request, the same in every attempt.

    :param method: ``GET``, ``POST``, ...
    :param path: of the URL, behind the service's base URL.
    :param body: sent as JSON; None for no body.
    :param params: of the query.
    :param headers: in addition to those of the session.
    :param form: sent as a form, in the place of ``body``; None for no form.
    """

    method: str
    path: str
    body: Any = None
    params: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    form: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Answer:
    """An answer, read to its end.

    :param status: the status code.
    :param reason: the phrase that goes with it, perhaps empty.
    :param headers: by name, in whatever case.
    :param content: the body, decompressed.
    """

    status: int
    reason: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300

    @property
    def redirects(self) -> bool:
        """Whether the same request is to be sent elsewhere."""
        return self.status in (301, 302, 307, 308)

    @cached_property
    def _parsed(self) -> tuple[bool, Any]:
        try:
            return True, json.loads(self.content)
        except (ValueError, RecursionError):
            return False, None

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON."""
        return self._parsed[0]

    @property
    def json(self) -> Any:
        """The body as JSON; None when it is not."""
        return self._parsed[1]


class FailureKind(enum.Enum):
    """What kept a request from being answered: the connection, the time, trust, its size, or the request itself."""

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    TLS = "tls"
    TOO_LARGE = "too_large"
    UNUSABLE = "unusable"


class ExchangeFailed(Exception):
    """A request was not answered.

    :param kind: why.
    :param detail: the innermost cause. It may quote what was sent, secrets included.
    :param unprocessed: True when the request surely did not reach the server.
    """

    def __init__(self, kind: FailureKind, detail: str = "", *, unprocessed: bool = False) -> None:
        super().__init__(kind.value)
        self.kind = kind
        self.detail = detail
        self.unprocessed = unprocessed


def exchange(session: requests.Session, base_url: str, request: Request, *, timeout: float, max_bytes: int) -> Answer:
    """Send a request once and read the whole answer; redirects are not followed.

    :param session: with credentials, TLS settings and proxies.
    :param base_url: without a slash at its end.
    :param request: what is sent.
    :param timeout: seconds by the clock for everything together: the name's lookup, the connection, what is sent, the
        headers and the whole body.
    :param max_bytes: the most bytes of a body, compressed or not; no more is kept in memory.
    :raises ExchangeFailed: there is no whole answer.
    """
    began = time.monotonic()
    try:
        with ending_after(timeout):
            return _exchange(session, base_url, request, timeout, max_bytes)
    except ExchangeFailed:
        raise
    except TooLarge:
        failure = ExchangeFailed(FailureKind.TOO_LARGE)
    except Undecodable as error:
        failure = ExchangeFailed(FailureKind.CONNECTION, str(error))
    except (failures.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        failure = _failure_of(error)
        if failure.kind is FailureKind.CONNECTION and time.monotonic() - began >= timeout:
            # Some libraries call a wait that ended in the middle of an answer a broken connection.
            failure = ExchangeFailed(FailureKind.TIMEOUT, failure.detail, unprocessed=failure.unprocessed)
    # Outside of the handler: what libraries raise may quote a header, and must not be part of the error's chain.
    raise failure


def _exchange(session: requests.Session, base_url: str, request: Request, timeout: float, max_bytes: int) -> Answer:
    # verify is given again: from the session alone, REQUESTS_CA_BUNDLE would override it.
    with session.request(
        request.method,
        base_url + request.path,
        json=request.body,
        data=request.form,
        params=request.params,
        headers={"Accept-Encoding": ACCEPTED, **(request.headers or {})},
        timeout=timeout,
        verify=session.verify,
        allow_redirects=False,
        stream=True,
    ) as response:
        announced = response.headers.get("content-length", "")
        if announced.isdecimal() and len(announced) < 20 and int(announced) > max_bytes:
            raise TooLarge
        body = Body(response.headers.get("content-encoding"), max_bytes)
        # read1 returns what has arrived.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=False):
            body.take(chunk)
        return Answer(response.status_code, response.reason or "", response.headers, body.content())


def _failure_of(error: Exception) -> ExchangeFailed:
    detail = _innermost(error)
    if isinstance(error, (failures.SSLError, urllib3.exceptions.SSLError)):
        return ExchangeFailed(FailureKind.TLS, detail)
    if isinstance(error, failures.ConnectTimeout):
        return ExchangeFailed(FailureKind.TIMEOUT, detail, unprocessed=True)
    if isinstance(error, (failures.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)):
        return ExchangeFailed(FailureKind.TIMEOUT, detail)
    if isinstance(error, failures.ConnectionError):
        reason = getattr(error.args[0], "reason", None) if error.args else None
        never_sent = isinstance(reason, urllib3.exceptions.NewConnectionError)
        return ExchangeFailed(FailureKind.CONNECTION, detail, unprocessed=never_sent)
    if isinstance(error, (urllib3.exceptions.HTTPError, ConnectionError)):
        return ExchangeFailed(FailureKind.CONNECTION, detail)
    if isinstance(error, failures.InvalidHeader):
        return ExchangeFailed(FailureKind.UNUSABLE, type(error).__name__)
    return ExchangeFailed(FailureKind.UNUSABLE, f"{type(error).__name__}: {detail}")


def _innermost(error: BaseException) -> str:
    """The innermost cause: the message of the operating system, not how libraries wrapped it."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error) or type(error).__name__
