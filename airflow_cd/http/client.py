"""The client: requests are sent, and sent again, until they are answered."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import tenacity

from airflow_cd.http import failures
from airflow_cd.http.endpoint import Endpoint
from airflow_cd.http.exchange import Answer, ExchangeFailed, Request, exchange
from airflow_cd.http.rate_limit import RateLimiter
from airflow_cd.http.redaction import shown_address
from airflow_cd.http.retry import Attempts, Deadline, TryAgain, failure_of
from airflow_cd.http.stated_limits import stated_limit
from airflow_cd.verification.throttling import note_limit, note_wait

log = logging.getLogger(__name__)

_MOST_REDIRECTS = 3
_LEAST_TIMEOUT = 0.1


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
        return self._answered(request, _json_of, repeatable, judge)

    def content(
        self, request: Request, *, repeatable: bool = True, judge: Callable[[Answer], None] | None = None
    ) -> bytes:
        """Send a request until it is answered with a success, which need not be JSON.

        :param request: as of :meth:`json`; so are the others.
        :param repeatable: whether it may be sent again.
        :param judge: looks at every answer before anything else.
        :returns: the answer's body.
        :raises Unavailable: as of :meth:`json`.
        :raises Refused: as of :meth:`json`.
        """
        found: bytes = self._answered(request, lambda _, answer: answer.content, repeatable, judge)
        return found

    def _answered(
        self,
        request: Request,
        read: Callable[[Endpoint, Answer], Any],
        repeatable: bool,
        judge: Callable[[Answer], None] | None,
    ) -> Any:
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
            return retrying(self._attempt, request, deadline, judge, read)
        except TryAgain as last:
            error = last.error
            if last.throttles:
                note_wait(0.0)
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

    # -- inside ----------------------------------------------------------------------------------------------------

    def _attempt(
        self,
        request: Request,
        deadline: Deadline,
        judge: Callable[[Answer], None] | None,
        read: Callable[[Endpoint, Answer], Any],
    ) -> Any:
        answer = self._answer(request, deadline)
        if answer.status == 401 and self._renewed():
            answer = self._answer(request, deadline)
        note_limit(stated_limit(answer.headers))
        if judge is not None:
            judge(answer)
        if not answer.ok:
            raise failures.refused(self.endpoint, answer)
        return read(self.endpoint, answer)

    def _answer(self, request: Request, deadline: Deadline) -> Answer:
        """Send the request, and again wherever a redirect may lead."""
        for _ in range(_MOST_REDIRECTS):
            answer = self._exchange(request, self._timeout(deadline))
            if not answer.redirects or self._may_redirect is None:
                return answer
            self._move(answer, request.path)
        return self._exchange(request, self._timeout(deadline))

    def _timeout(self, deadline: Deadline) -> float:
        if deadline.remaining <= 0:
            raise failures.out_of_time(self.endpoint, deadline.seconds)
        return max(_LEAST_TIMEOUT, min(self.endpoint.timeout, deadline.remaining))

    def _exchange(self, request: Request, timeout: float) -> Answer:
        try:
            with self._limiter.turn() if self._limiter else contextlib.nullcontext():
                return exchange(
                    self.session, self.base_url, request, timeout=timeout, max_bytes=self.endpoint.max_bytes
                )
        except ExchangeFailed as failed:
            failure = failed
        raise failures.unanswered(self.endpoint, failure, request, timeout)

    def _renewed(self) -> bool:
        renewed = self._renew() if self._renew else None
        if renewed is None:
            return False
        self.endpoint, self.session = renewed
        self.base_url = self.endpoint.base_url
        return True

    def _move(self, answer: Answer, path: str) -> None:
        location = answer.headers.get("location", "")
        if not (location and self._may_redirect and self._may_redirect(self.base_url, location)):
            raise failures.redirect_refused(self.endpoint, answer)
        parts = urlsplit(urljoin(f"{self.base_url}/", location))
        # A service may stand below a path.
        prefix = parts.path.removesuffix(path) if parts.path.endswith(path) else ""
        moved = f"{parts.scheme}://{parts.netloc}{prefix}"
        if moved != self.base_url:
            self.base_url = moved
            log.info("%s redirects to %s.", self.endpoint.title, shown_address(self.base_url))

    def _log_retry(self, state: tenacity.RetryCallState) -> None:
        failure = failure_of(state)
        if failure is not None and failure.throttles:
            note_wait(state.upcoming_sleep)
        log.warning("%s Trying again in %.1f s.", failure, state.upcoming_sleep)


def _json_of(endpoint: Endpoint, answer: Answer) -> Any:
    if answer.status == 204:
        return None
    if not answer.is_json:
        raise failures.not_json(endpoint, answer)
    return answer.json
