"""Outlasting an outage of the ledger or the target: trying again, with growing pauses, for as long as it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import tenacity

from airflow_cd import paging
from airflow_cd.errors import LedgerUnavailable, RollbackIncomplete, WrongLedger

T = TypeVar("T")

LONGEST_PAUSE = 30.0
"""Seconds between two attempts, at most."""
PAGED_FROM = 3
"""Attempts after which a person is told: a lock that lasts a moment is nobody's business."""
PAGED_AGAIN = 600.0
"""Seconds after which a person is told once more."""

rest = time.sleep


def outlast(
    attempt: Callable[[], T],
    *,
    log: Callable[[str], None],
    meanwhile: Callable[[], None] | None = None,
    page: str = "",
    where: Mapping[str, str] | None = None,
) -> T:
    """What the attempt returns, tried again for as long as the ledger is away or the target keeps it from finishing.

    :param attempt: may be repeated; any other error ends it.
    :param log: called with one line at a time.
    :param meanwhile: done whenever the ledger was found away, before the pause.
    :param page: what a person is told while it lasts, with the error after it; ``""`` for nothing.
    :param where: pipeline, run, service and environment, for that person.
    """
    from airflow_cd.ledger.store import HURRY_SECONDS, busy_for

    paged = float("-inf")

    def pausing(state: tenacity.RetryCallState) -> None:
        nonlocal paged
        error = state.outcome.exception() if state.outcome is not None else None
        pause = state.next_action.sleep if state.next_action is not None else 0.0
        log(f"Attempt {state.attempt_number}: {error} Trying again in {pause:.0f} s, for as long as it takes.")
        if page and state.attempt_number >= PAGED_FROM and time.monotonic() - paged >= PAGED_AGAIN:
            paged = time.monotonic()
            paging.page(f"{page} {error}", **(where or {}))

    def once() -> T:
        try:
            with busy_for(HURRY_SECONDS):
                return attempt()
        except WrongLedger:
            raise
        except LedgerUnavailable:
            if meanwhile is not None:
                meanwhile()
            raise

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_passes),
        wait=tenacity.wait_exponential(multiplier=1, max=LONGEST_PAUSE),
        sleep=lambda seconds: rest(seconds),  # noqa: PLW0108 - whatever it is by then
        before_sleep=pausing,
        reraise=True,
    )
    return retrying(once)


def _passes(error: BaseException) -> bool:
    """Whether waiting helps: what is wrong with an instance or an artifact, a person has to mend.

    Another ledger than the run's stays another one here; the next attempt may have a worker with the right one.
    """
    if isinstance(error, WrongLedger):
        return False
    return isinstance(error, LedgerUnavailable) or (isinstance(error, RollbackIncomplete) and error.away)
