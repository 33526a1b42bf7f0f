"""When a call of the HTTP deployment API is made again, and how long it waits before."""

from __future__ import annotations

import contextlib
import random
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import tenacity
from tenacity.stop import stop_base

from airflow_cd.errors import TargetError

LONGEST_PAUSE = 5.0
RUBBISH_ATTEMPTS = 3


class Transient(Exception):
    """A failure that may be over when the call is made again.

    :param error: what to raise when it is not over.
    :param retry_after: seconds the server asks to wait.
    :param rubbish: the answer was not JSON: a passing proxy error or a wrong address, so it gets few attempts.
    """

    def __init__(self, error: TargetError, retry_after: float = 0.0, *, rubbish: bool = False) -> None:
        super().__init__(error.what)
        self.error = error
        self.retry_after = retry_after
        self.rubbish = rubbish


def transient_of(state: tenacity.RetryCallState) -> Transient | None:
    """The failure of the latest attempt, if it is one to retry."""
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, Transient) else None


def pause(state: tenacity.RetryCallState) -> float:
    """Seconds to wait: exponential backoff with jitter from 0.1 s on, and never sooner than the server asks."""
    failure = transient_of(state)
    backoff = min(LONGEST_PAUSE, 0.1 * 2 ** min(state.attempt_number - 1, 10))
    jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 - not cryptography
    return max(failure.retry_after if failure else 0.0, jittered)


class EnoughRubbish(stop_base):
    """Stops when the server has answered with something else than JSON often enough to be believed; for one call."""

    def __init__(self) -> None:
        self._seen = 0

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        """Whether to stop."""
        failure = transient_of(retry_state)
        self._seen += failure is not None and failure.rubbish
        return self._seen >= RUBBISH_ATTEMPTS


def seconds_asked(header: str | None) -> float:
    """Seconds of a ``Retry-After`` in either of its two forms (RFC 9110, 10.2.3); 0 when there is none to read."""
    if not header:
        return 0.0
    with contextlib.suppress(ValueError):
        seconds = float(header)
        return seconds if 0 <= seconds < float("inf") else 0.0
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(timezone.utc)).total_seconds())
    return 0.0
