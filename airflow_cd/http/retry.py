"""When a request is sent again, and how long it waits before."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from airflow_cd.errors import SourceThrottled

if TYPE_CHECKING:
    import tenacity

    from airflow_cd.errors import Unavailable

# 460 and 499 are of proxies, and of services that a proxy's word reaches: who asked has gone, a connection was lost.
RETRIED_STATUSES = frozenset({408, 421, 425, 429, 460, 499})
# The server answers these before it acts, so that even a write may be sent again.
UNPROCESSED_STATUSES = frozenset({408, 425, 429, 503})


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a request is tried.

    :param attempts: the most attempts; None for as many as there is time for. Of a service that tells to wait there are
        more, within ``patience``: it serves other processes meanwhile, of the same limit.
    :param attempts_not_json: the most answers that are not JSON: a passing error of a proxy looks the same as a wrong
        address.
    :param statuses: status codes that are tried again besides 5xx.
    :param first_pause: seconds before the second attempt; each further pause is twice as long.
    :param longest_pause: seconds that such a pause may last. A server may ask for longer.
    :param spread: seconds, up to which a pause that the server asked for is prolonged at random, so that callers it
        turned away together do not come back together.
    :param patience: seconds within which a request is sent again to a service that tells to wait, whatever the number
        of attempts; 30 by default.
    """

    attempts: int | None = None
    attempts_not_json: int = 3
    statuses: Collection[int] = RETRIED_STATUSES
    first_pause: float = 0.1
    longest_pause: float = 5.0
    spread: float = 0.0
    patience: float = 30.0

    def retries(self, status: int) -> bool:
        """Whether a request that was answered with this status is sent again.

        :param status: of the answer.
        """
        return status >= 500 or status in self.statuses

    def pause(self, attempt: int, retry_after: float | None) -> float:
        """Return the seconds to wait: exponential backoff with jitter, and never sooner than the server asks.

        :param attempt: how many attempts have failed, from 1.
        :param retry_after: seconds that the server asked for, if it did.
        """
        backoff = min(self.longest_pause, self.first_pause * 2.0 ** min(attempt - 1, 30))
        jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 - not cryptography
        if retry_after is None:
            return jittered
        return max(retry_after + random.uniform(0.0, self.spread), jittered)  # noqa: S311 - not cryptography


class Deadline:
    """When an operation must be over with all its requests, retries and pauses.

    :param seconds: from now on.
    :param reserve: seconds that must be left for an attempt to be worth its while.
    """

    def __init__(self, seconds: float, reserve: float = 0.0) -> None:
        self.seconds = seconds
        self._reserve = reserve
        self._end = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left; negative when it is over."""
        return self._end - time.monotonic()

    def allows(self, pause: float) -> bool:
        """Whether there is time for another attempt.

        :param pause: seconds before it.
        """
        return pause < self.remaining - self._reserve


class TryAgain(Exception):
    """A failure that may have passed when the request is sent again; never leaves the client.

    :param error: raised once no attempt is left.
    :param unprocessed: True when the request surely had no effect, so that even a write may be sent again.
    :param not_json: True when the answer was not JSON.
    """

    def __init__(self, error: Unavailable, *, unprocessed: bool = False, not_json: bool = False) -> None:
        super().__init__(error.what)
        self.error = error
        self.unprocessed = unprocessed
        self.not_json = not_json

    @property
    def throttles(self) -> bool:
        """Whether the service told to wait: its rate limit is exceeded, or it names a time."""
        return isinstance(self.error, SourceThrottled) or self.error.retry_after is not None


class Attempts:
    """The attempts of one request: the callbacks that tenacity takes.

    :param policy: how often and how long it is tried.
    :param deadline: when it must be over.
    :param repeatable: False for a write: it is sent again only when it surely had no effect.
    """

    def __init__(self, policy: RetryPolicy, deadline: Deadline, *, repeatable: bool) -> None:
        self._policy = policy
        self._deadline = deadline
        self._repeatable = repeatable
        self._not_json = 0
        self._began = time.monotonic()

    def another_helps(self, failure: BaseException) -> bool:
        """Whether the request may be sent again.

        :param failure: of the latest attempt.
        """
        return isinstance(failure, TryAgain) and (self._repeatable or failure.unprocessed)

    def pause(self, state: tenacity.RetryCallState) -> float:
        """Return the seconds to wait before the next attempt.

        :param state: tenacity's.
        """
        failure = failure_of(state)
        return self._policy.pause(state.attempt_number, failure.error.retry_after if failure else None)

    def are_over(self, state: tenacity.RetryCallState) -> bool:
        """Whether attempts or time are used up.

        :param state: tenacity's.
        """
        failure = failure_of(state)
        self._not_json += failure is not None and failure.not_json
        waits = failure is not None and failure.throttles and time.monotonic() - self._began < self._policy.patience
        return (
            (state.attempt_number >= (self._policy.attempts or math.inf) and not waits)
            or self._not_json >= self._policy.attempts_not_json
            or not self._deadline.allows(state.upcoming_sleep)
        )


def failure_of(state: tenacity.RetryCallState) -> TryAgain | None:
    """Return the failure of the latest attempt, if it is one to retry.

    :param state: tenacity's.
    """
    failure = state.outcome.exception() if state.outcome else None
    return failure if isinstance(failure, TryAgain) else None


def parse_retry_after(header: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` header in either of its forms (RFC 9110, 10.2.3), at least 0.

    :param header: its value; None, and what is neither a number nor a date, gives None.
    """
    if not header:
        return None
    with contextlib.suppress(ValueError):
        seconds = float(header)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(timezone.utc)).total_seconds())
    return None
