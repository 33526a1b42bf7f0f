"""HTTP as metric and log vendors need it: retries that obey them, one deadline, errors in our words, no secrets."""

from __future__ import annotations

import base64
import email.utils
import functools
import logging
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from airflow_cd.errors import (
    SourceError,
    SourceQueryRejected,
    SourceThrottled,
    SourceUnauthorized,
    SourceUnavailable,
)
from airflow_cd.hooks.pace import Pace

log = logging.getLogger(__name__)

_QUOTED_TEXT = 500
_UNUSUAL = re.compile(r"[\x00-\x1f\x7f]+")
_REDIRECTS = (301, 302, 307, 308)
_SERVER_TROUBLE = (500, 502, 503, 504)
_BACKOFF = wait_exponential(multiplier=0.5, max=20.0) + wait_random(0.0, 0.5)


@dataclass(frozen=True)
class Endpoint:
    """Where a vendor is, and as whom it is asked.

    :param vendor: the vendor's name, for people.
    :param conn_id: the Airflow connection, for people.
    :param base_url: scheme, host and port, perhaps a path; no trailing slash.
    :param headers: sent with every request; may hold the key.
    :param basic: user and password of HTTP Basic authentication.
    :param secrets: texts that must appear in no message.
    :param timeout: seconds one request may take.
    :param deadline: seconds one operation may take with all its requests, retries and waits.
    :param attempts: how often a request is tried.
    :param verify: False, or the path of a CA bundle; True for the system's.
    """

    vendor: str
    conn_id: str
    base_url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    basic: tuple[str, str] | None = field(default=None, repr=False)
    secrets: Sequence[str] = field(default=(), repr=False)
    timeout: float = 30.0
    deadline: float = 120.0
    attempts: int = 5
    verify: bool | str = True

    @property
    def whom(self) -> str:
        """The vendor and the connection, as every message names them."""
        return f"{self.vendor} (connection {self.conn_id!r}, {self.base_url})"

    def redact(self, text: object) -> str:
        """A vendor's words as one short line without secrets."""
        line = str(text)
        hidden = [secret for secret in self.secrets if secret]
        if self.basic:
            hidden += [self.basic[1], base64.b64encode(":".join(self.basic).encode()).decode()]
        for secret in sorted(filter(None, hidden), key=len, reverse=True):
            line = line.replace(secret, "***")
        line = _UNUSUAL.sub(" ", line).strip()
        return line if len(line) <= _QUOTED_TEXT else line[:_QUOTED_TEXT] + "…"


class TryAgain(Exception):
    """A failure that may pass: the error to raise when it does not, and how long the vendor asked to wait.

    :param error: raised once no attempt is left.
    :param after: seconds to wait at least.
    :param undone: True when the request surely had no effect, so that even a write may be sent again.
    """

    def __init__(self, error: SourceError, after: float | None = None, *, undone: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after
        self.undone = undone


class VendorClient:
    """One session with a vendor: one cookie jar, one deadline. Use as a context manager."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        pace: Pace | None = None,
        may_redirect: Callable[[str, str], bool] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = endpoint
        self.base_url = endpoint.base_url
        self.sleep = sleep
        self._pace = pace
        self._may_redirect = may_redirect
        self._end = time.monotonic() + endpoint.deadline
        self._http = httpx.Client(
            headers={"Accept": "application/json", **endpoint.headers},
            auth=endpoint.basic,
            verify=_verification(endpoint),
            follow_redirects=False,
        )

    def __enter__(self) -> VendorClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def remaining(self) -> float:
        """Seconds left until the deadline of the operation; negative when it is over."""
        return self._end - time.monotonic()

    @property
    def cookies(self) -> httpx.Cookies:
        """The session's cookies."""
        return self._http.cookies

    def json(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        repeatable: bool = True,
        judge: Callable[[int, Any], None] | None = None,
    ) -> Any:
        """Send a request until it is answered; returns the answer's JSON (None for an empty body).

        :param repeatable: False for a write: it is sent again only when the first surely had no effect.
        :param judge: looks at status and JSON of an answer before anything else; raises :class:`TryAgain` or a
            :class:`~airflow_cd.errors.SourceError` where the vendor means something special by them.
        :raises SourceError: in the class that says what kind of failure it is.
        """
        for attempt in Retrying(
            stop=self._is_over,
            wait=_wait,
            retry=retry_if_exception_type(TryAgain),
            sleep=self.sleep,
            retry_error_callback=_give_up,
        ):
            with attempt:
                try:
                    return self._once(method, path, body, params, judge)
                except TryAgain as again:
                    if repeatable or again.undone:
                        log.info("%s Trying again.", again.error.what)
                        raise
                    raise again.error from again.__cause__
        raise AssertionError("tenacity ends by returning or raising")  # pragma: no cover

    def once(self, method: str, path: str, *, timeout: float) -> None:
        """Send one request for its effect, once, even when the deadline is over.

        :raises SourceUnavailable: it got no answer; whatever an answer says is taken as it is.
        """
        try:
            with self._pace.call() if self._pace else _at_once():
                self._http.request(method, self.base_url + path, timeout=timeout)
        except httpx.RequestError as error:
            raise SourceUnavailable(
                f"{self.endpoint.whom} cannot be reached: {self.endpoint.redact(error)}."
            ) from error

    def _is_over(self, state: RetryCallState) -> bool:
        if stop_after_attempt(self.endpoint.attempts)(state):
            return True
        return self.remaining <= _wait(state)

    def _once(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        params: Mapping[str, Any] | None,
        judge: Callable[[int, Any], None] | None,
    ) -> Any:
        response = self._send(method, path, body, params)
        for _ in range(3):
            if response.status_code not in _REDIRECTS:
                break
            self._follow(response)
            response = self._send(method, path, body, params)
        status, content = response.status_code, _content(response)
        if judge is not None:
            judge(status, content)
        if status < 300:
            if content is _NOT_JSON:
                raise TryAgain(
                    SourceUnavailable(
                        f"{self.endpoint.whom} answered {status} with something that is not JSON: "
                        f"{self.endpoint.redact(response.text[:200])!r}.",
                        next_step="Check the connection's host: a proxy or a login page may be answering.",
                    )
                )
            return content
        raise self._failure(response, content)

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None, params: Mapping[str, Any] | None
    ) -> httpx.Response:
        whom = self.endpoint.whom
        if self.remaining <= 0:
            raise SourceUnavailable(
                f"{whom} did not answer within {self.endpoint.deadline:g} s in all.",
                next_step="Raise 'deadline' in the connection's extra, or ask for less at a time.",
            )
        timeout = max(0.1, min(self.endpoint.timeout, self.remaining))
        try:
            with self._pace.call() if self._pace else _at_once():
                return self._http.request(method, self.base_url + path, json=body, params=params, timeout=timeout)
        except httpx.RequestError as error:
            said = self.endpoint.redact(error) or type(error).__name__
            if _is_tls(error):
                raise SourceUnavailable(
                    f"{whom} cannot be trusted: the TLS handshake failed: {said}.",
                    next_step="Check host and certificate; name the CA bundle as 'verify' in the connection's extra.",
                ) from error
            kind = "did not answer in time" if isinstance(error, httpx.TimeoutException) else "cannot be reached"
            raise TryAgain(
                SourceUnavailable(
                    f"{whom} {kind}: {said}.",
                    next_step="Check the connection's host and the network between; then try again.",
                ),
                undone=isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)),
            ) from error
        except httpx.InvalidURL as error:
            raise SourceUnavailable(
                f"{whom} has no valid address: {self.endpoint.redact(error)}.",
                next_step="Correct the connection's host.",
            ) from error

    def _follow(self, response: httpx.Response) -> None:
        location = response.headers.get("location", "")
        parts = urlsplit(location)
        if not (location and self._may_redirect and self._may_redirect(self.base_url, location)):
            raise SourceUnavailable(
                f"{self.endpoint.whom} answered {response.status_code} and points to "
                f"{parts.hostname or 'nowhere'}; credentials are not sent there.",
                next_step="Set the region or the host that this account lives on in the connection.",
            )
        if parts.netloc:
            self.base_url = f"{parts.scheme}://{parts.netloc}"
            log.info("%s sends us to %s.", self.endpoint.whom, self.base_url)

    def _failure(self, response: httpx.Response, content: Any) -> Exception:
        status, whom = response.status_code, self.endpoint.whom
        said = self.endpoint.redact(message_of(content) or response.reason_phrase or "nothing")
        if status in (401, 402, 403):
            refused = "does not accept the credentials" if status == 401 else "does not allow this"
            return SourceUnauthorized(
                f"{whom} {refused} ({status}): {said}.",
                next_step="Check the connection's credentials and what its user may do.",
            )
        if status == 429:
            after = retry_after(response)
            error: SourceError = SourceThrottled(
                f"{whom} is being asked too often (429): {said}.",
                next_step="Fewer verifications at a time, or a credential of their own for them.",
            )
            return TryAgain(error, after, undone=True)
        if status in _SERVER_TROUBLE or status > 504:
            error = SourceUnavailable(
                f"{whom} has trouble of its own ({status}): {said}.", next_step="Look at the vendor's status page."
            )
            return TryAgain(error, retry_after(response), undone=status == 503)
        return SourceQueryRejected(
            f"{whom} refuses the request ({status}): {said}.", next_step="Correct the query or the connection."
        )


_NOT_JSON = object()


def _content(response: httpx.Response) -> Any:
    if not response.content.strip():
        return None
    try:
        return response.json()
    except ValueError:
        return _NOT_JSON


def message_of(content: Any) -> str:
    """What the vendors' error bodies say, whichever of their shapes it is; ``""`` if nothing."""
    if not isinstance(content, Mapping):
        return ""
    error = content.get("error")
    if isinstance(error, Mapping):
        return "; ".join(filter(None, [str(error.get("title") or ""), *map(str, error.get("messages") or [])]))
    if isinstance(content.get("errors"), list):
        return "; ".join(
            str(item.get("message", item)) if isinstance(item, Mapping) else str(item) for item in content["errors"]
        )
    return ": ".join(str(content[key]) for key in ("code", "message") if content.get(key)) or str(error or "")


def retry_after(response: httpx.Response) -> float | None:
    """Seconds of a ``Retry-After`` header, in either of its forms (RFC 9110, 10.2.3)."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, TryAgain) else None
    backoff: float = _BACKOFF(state)
    return backoff if asked is None else asked + min(backoff, 0.5)


def _give_up(state: RetryCallState) -> None:
    again = state.outcome.exception() if state.outcome else None
    if isinstance(again, TryAgain):
        again.error.state = again.error.state or f"Tried {state.attempt_number} times."
        raise again.error from again.__cause__


def _is_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _at_once() -> Iterator[None]:
    yield


def _verification(endpoint: Endpoint) -> bool | ssl.SSLContext:
    if endpoint.verify is False:
        return False
    try:
        return _trust("" if endpoint.verify is True else str(endpoint.verify))
    except (OSError, ssl.SSLError) as error:
        raise SourceUnavailable(
            f"The CA bundle {endpoint.verify!r} of connection {endpoint.conn_id!r} cannot be read: {error}.",
            next_step="Correct 'verify' in the connection's extra.",
        ) from error


@functools.lru_cache
def _trust(bundle: str) -> ssl.SSLContext:
    """Reading a bundle takes longer than most requests, so it is read once in a process."""
    return ssl.create_default_context(cafile=bundle) if bundle else httpx.create_ssl_context()
