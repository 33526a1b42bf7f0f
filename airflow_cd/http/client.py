"""The client: requests are retried, answers judged, failures turned into the service's errors, secrets kept out."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity

from airflow_cd.errors import AirflowCdError, Refused, Unavailable
from airflow_cd.http.exchange import Answer, ExchangeFailed, FailureKind, Request, exchange
from airflow_cd.http.family import ErrorFamily
from airflow_cd.http.rate_limit import RateLimiter
from airflow_cd.http.redaction import Redactor, shown_address
from airflow_cd.http.retry import (
    UNPROCESSED_STATUSES,
    Attempts,
    Deadline,
    RetryPolicy,
    TryAgain,
    failure_of,
    parse_retry_after,
)

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 128 * 1024 * 1024
_MOST_REDIRECTS = 3
_LEAST_TIMEOUT = 0.1
_EXCERPT = 200


@dataclass(frozen=True)
class Endpoint:
    """Where a service is, and how it is called.

    :param name: the service, as people call it.
    :param conn_id: the Airflow connection.
    :param base_url: scheme, host and port, perhaps a path; no trailing slash.
    :param errors: the errors that calls raise.
    :param redact: removes the connection's secrets.
    :param retry: how often a request is tried.
    :param timeout: seconds that one request may take.
    :param deadline: seconds that all requests of one client may take together, retries and pauses included. None:
        every request has ``retry_for`` of its own.
    :param retry_for: seconds within which an attempt may begin; counts where there is no ``deadline``.
    :param max_bytes: the most bytes of an answer.
    """

    name: str
    conn_id: str
    base_url: str
    errors: ErrorFamily
    redact: Redactor = field(default_factory=Redactor, repr=False)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout: float = 30.0
    deadline: float | None = None
    retry_for: float = 30.0
    max_bytes: int = MAX_ANSWER_BYTES

    @property
    def title(self) -> str:
        """The service and its connection, as every message names them."""
        return f"{self.name} (connection {self.conn_id!r}, {shown_address(self.base_url)})"


class HttpClient:
    """A session with a service: one cookie jar, and one deadline where the endpoint has one. A context manager.

    :param endpoint: where the service is, and how it is called.
    :param session: with credentials, TLS settings and proxies.
    :param limiter: keeps to the service's rate limit.
    :param may_redirect: whether credentials for one URL (the first argument) may be sent to another (the second).
        Without it no redirect is followed.
    :param renew: called after a 401: returns endpoint and session with other credentials, which the request is sent
        with once more, or None.
    :param sleep: called with seconds to wait.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        session: requests.Session,
        *,
        limiter: RateLimiter | None = None,
        may_redirect: Callable[[str, str], bool] | None = None,
        renew: Callable[[], tuple[Endpoint, requests.Session] | None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = endpoint
        self.base_url = endpoint.base_url
        self.session = session
        self.sleep = sleep
        self._limiter = limiter
        self._may_redirect = may_redirect
        self._renew = renew
        self._deadline = None if endpoint.deadline is None else Deadline(endpoint.deadline)

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    @property
    def remaining(self) -> float:
        """Seconds left until the client's deadline, negative when it is over; infinite where there is none."""
        return self._deadline.remaining if self._deadline else float("inf")

    def json(self, request: Request, *, repeatable: bool = True, judge: Callable[[Answer], None] | None = None) -> Any:
        """Send a request until it is answered.

        :param request: what is sent, the same in every attempt.
        :param repeatable: False for a write that is not idempotent: it is sent again only when the first surely had
            no effect.
        :param judge: looks at every answer before anything else; raises an error of this package, or
            :class:`~airflow_cd.http.retry.TryAgain`, where the service means something special by it.
        :returns: the answer's JSON; None after 204.
        :raises Unavailable: the server does not answer, answers with 429 or 5xx, or not with JSON, and retrying did
            not help; ``retry_after`` holds the seconds it asked to wait.
        :raises Refused: the server refuses the credentials or the request.
        """
        deadline = self._deadline or Deadline(self.endpoint.retry_for + self.endpoint.timeout, self.endpoint.timeout)
        attempts = Attempts(self.endpoint.retry, deadline, repeatable=repeatable)
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(attempts.another_helps),
            wait=attempts.pause,
            stop=attempts.are_over,
            sleep=self.sleep,
            before_sleep=self._log_retry,
            reraise=True,
        )
        began = time.monotonic()
        try:
            return retrying(self._attempt, request, deadline, judge)
        except TryAgain as last:
            error = last.error
        tried = retrying.statistics.get("attempt_number", 1)
        if tried > 1:
            error.what += f" Tried {tried} times in {time.monotonic() - began:.1f} s."
        raise error

    def once(self, request: Request, *, timeout: float) -> None:
        """Send a request for its effect: a single time, even after the deadline, and whatever the answer.

        :param request: what is sent.
        :param timeout: seconds to wait for the answer.
        :raises Unavailable: there was no answer.
        """
        try:
            self._exchange(request, timeout)
        except TryAgain as failed:
            error = failed.error
        else:
            return
        raise error

    # -- judging an answer -----------------------------------------------------------------------------------------

    def reason_of(self, answer: Answer) -> str:
        """Return what an answer gives as its reason, on one line without secrets.

        :param answer: usually an error's.
        """
        text = message_of(answer.json) or self.excerpt(answer.content) or answer.reason or "no reason given"
        return self.endpoint.redact.line(text).rstrip(".")

    def excerpt(self, content: bytes) -> str:
        """Return the beginning of a body on one line without secrets.

        :param content: the body.
        """
        return self.endpoint.redact.line(content[: 64 * 1024].decode("utf-8", errors="replace"), _EXCERPT)

    def failure(self, answer: Answer) -> Exception:
        """Return what an answer that is not a success means: an error, or a :class:`TryAgain` that holds it.

        :param answer: with a status outside of 200 to 299.
        """
        status, title, reason = answer.status, self.endpoint.title, self.reason_of(answer)
        if self.endpoint.retry.retries(status):
            return TryAgain(self._unavailable(answer, reason), unprocessed=status in UNPROCESSED_STATUSES)
        if status in (401, 402, 403):
            refused = "does not accept the credentials" if status == 401 else "does not allow this"
            return self.endpoint.errors.unauthorized(
                f"{title} {refused} ({status}): {reason}.",
                next_step=f"Check login and password of connection {self.endpoint.conn_id!r}, and what they allow.",
            )
        if 300 <= status < 400:
            return self._redirect_refused(answer)
        next_step = "Correct the request; sending it again cannot help."
        if not answer.is_json:
            next_step = f"Check whether the host of connection {self.endpoint.conn_id!r} is the base URL of this API."
        return self.endpoint.errors.rejected(f"{title} rejected the request ({status}): {reason}.", next_step=next_step)

    def unreachable(self, what: str, next_step: str = "") -> Unavailable:
        """Return the error of a service that gives no usable answer.

        :param what: the rest of a sentence that begins with the service, without a full stop. It is redacted.
        :param next_step: what to do; checking that the service is up, by default.
        """
        return self.endpoint.errors.unavailable(
            f"{self.endpoint.title} {self.endpoint.redact.line(what)}.",
            next_step=next_step or "Check that it is up and can be reached from this machine; then try again.",
        )

    # -- inside ----------------------------------------------------------------------------------------------------

    def _attempt(self, request: Request, deadline: Deadline, judge: Callable[[Answer], None] | None) -> Any:
        answer = self._answer(request, deadline)
        if answer.status == 401 and self._renewed():
            answer = self._answer(request, deadline)
        if judge is not None:
            judge(answer)
        if not answer.ok:
            raise self.failure(answer)
        if answer.status == 204:
            return None
        if not answer.is_json:
            raise TryAgain(self._not_json(answer), not_json=True)
        return answer.json

    def _answer(self, request: Request, deadline: Deadline) -> Answer:
        """Send the request, and again wherever a redirect may lead."""
        for _ in range(_MOST_REDIRECTS):
            answer = self._exchange(request, self._timeout(deadline))
            if not answer.redirects or self._may_redirect is None:
                return answer
            self._move(answer)
        return self._exchange(request, self._timeout(deadline))

    def _timeout(self, deadline: Deadline) -> float:
        if deadline.remaining <= 0:
            raise self.unreachable(
                f"did not answer within {deadline.seconds:g} s in all",
                "Raise 'deadline' in the connection's extra, or ask for less at a time.",
            )
        return max(_LEAST_TIMEOUT, min(self.endpoint.timeout, deadline.remaining))

    def _exchange(self, request: Request, timeout: float) -> Answer:
        try:
            with self._limiter.turn() if self._limiter else contextlib.nullcontext():
                return exchange(
                    self.session, self.base_url, request, timeout=timeout, max_bytes=self.endpoint.max_bytes
                )
        except ExchangeFailed as failed:
            failure = failed
        raise self._failure_of(failure, request, timeout)

    def _failure_of(self, failed: ExchangeFailed, request: Request, timeout: float) -> Exception:
        if failed.kind is FailureKind.TLS:
            return self.unreachable(
                f"cannot be trusted, TLS failed: {failed.detail}",
                "Check the URL (https?), the certificate, and 'verify' in the connection's extra (the path of a CA "
                "bundle).",
            )
        if failed.kind is FailureKind.TOO_LARGE:
            return self.unreachable(
                f"sent an answer of more than {self.endpoint.max_bytes} bytes", "Ask for less at a time."
            )
        if failed.kind is FailureKind.UNUSABLE:
            return self.endpoint.errors.misconfigured(
                f"{self.endpoint.title} cannot be called: {self.endpoint.redact.line(failed.detail)}.",
                next_step=f"Correct connection {self.endpoint.conn_id!r}: host, password, TLS settings and headers.",
            )
        if failed.kind is FailureKind.TIMEOUT:
            what = f"timed out: no answer to {request.method} {request.path} within {timeout:.3g} s"
        else:
            what = f"cannot be reached: {failed.detail}"
        return TryAgain(self.unreachable(what), unprocessed=failed.unprocessed)

    def _renewed(self) -> bool:
        renewed = self._renew() if self._renew else None
        if renewed is None:
            return False
        self.endpoint, self.session = renewed
        self.base_url = self.endpoint.base_url
        return True

    def _move(self, answer: Answer) -> None:
        location = answer.headers.get("location", "")
        if not (location and self._may_redirect and self._may_redirect(self.base_url, location)):
            raise self._redirect_refused(answer)
        parts = urlsplit(location)
        if parts.netloc:
            self.base_url = f"{parts.scheme}://{parts.netloc}"
            log.info("%s redirects to %s.", self.endpoint.title, shown_address(self.base_url))

    def _redirect_refused(self, answer: Answer) -> Refused:
        place = self.endpoint.redact.line(shown_address(answer.headers.get("location", "")))
        return self.endpoint.errors.misconfigured(
            f"{self.endpoint.title} redirects ({answer.status}) to {place or 'nowhere'}, which is not followed: "
            "credentials are not sent there.",
            next_step="Set the connection's host, or region, to where the service really is.",
        )

    def _unavailable(self, answer: Answer, reason: str) -> Unavailable:
        status, title = answer.status, self.endpoint.title
        if status == 429:
            error = self.endpoint.errors.throttled(
                f"{title} is limiting the rate of requests (429): {reason}.",
                next_step="Send fewer requests at a time, or use credentials with a higher limit.",
            )
        else:
            what = "returned a server error" if status >= 500 else "could not take the request"
            error = self.endpoint.errors.unavailable(
                f"{title} {what} ({status}): {reason}.", next_step="Check the status of the service; then try again."
            )
        error.retry_after = parse_retry_after(answer.headers.get("retry-after"))
        return error

    def _not_json(self, answer: Answer) -> Unavailable:
        kind = answer.headers.get("content-type") or "no content type"
        return self.unreachable(
            f"answered {answer.status} with something that is not JSON ({kind}): {self.excerpt(answer.content)!r}",
            f"Check whether the host of connection {self.endpoint.conn_id!r} is the base URL of this API: a proxy or a "
            "login page may be answering.",
        )

    def _log_retry(self, state: tenacity.RetryCallState) -> None:
        failure = failure_of(state)
        error: AirflowCdError | None = failure.error if failure else None
        log.warning("%s Trying again in %.1f s.", error.what if error else "", state.upcoming_sleep)


def message_of(content: Any) -> str:
    """Return the message in the body of an error, in whichever of the usual shapes it is.

    :param content: parsed JSON: ``{"error": {"code" or "title", "message" or "messages"}}``, ``{"errors": [...]}`` or
        ``{"code", "message"}``.
    :returns: ``""`` when there is none.
    """
    if not isinstance(content, Mapping):
        return ""
    error, errors = content.get("error"), content.get("errors")
    if isinstance(error, Mapping):
        return _labelled(error)
    if isinstance(errors, list):
        return "; ".join(str(item.get("message", item)) if isinstance(item, Mapping) else str(item) for item in errors)
    return _labelled(content) or str(error or "")


def _labelled(error: Mapping[str, Any]) -> str:
    messages = error.get("messages")
    listed = messages if isinstance(messages, list) else [error.get("message")]
    label = error.get("code") or error.get("title")
    return ": ".join(filter(None, [str(label or ""), "; ".join(str(text) for text in listed if text)]))
