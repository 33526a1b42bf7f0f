"""Asking a target for a release and waiting until it runs, more than once where a platform needs that."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from airflow_cd.errors import TargetUnavailable
from airflow_cd.targets.base import in_place
from airflow_cd.targets.rollout import Wanted, differences, wait_until

if TYPE_CHECKING:
    from airflow_cd.delivery.sealed_target import SealedTarget
    from airflow_cd.targets.base import Instance

ASKED_EVERY = 15.0
"""Seconds after which a platform that changes replicas in place is asked again for what it has not done yet."""
REFUSED_EVERY = 5.0
"""Seconds after which it is asked again where it could not take what it was asked for."""


def ask_until_healthy(
    target: SealedTarget,
    wanted: Wanted,
    ask: Callable[[], None],
    *,
    timeout: timedelta,
    log: Callable[[str], None],
    before: Wanted | None = None,
    on_progress: Callable[[int, list[str]], None] | None = None,
    on_read: Callable[[list[Instance]], None] | None = None,
) -> None:
    """Ask for what is wanted, and wait until every instance is healthy on it.

    A platform that changes replicas in place does so one after the other, and a replica that fails in the middle, or a
    person who scales, stops it: it is asked again until the time is over, which is that of each of them.

    :param target: the environment.
    :param wanted: the release of each unit, None where nothing should run.
    :param ask: asks for it once, with another idempotency key each time.
    :param timeout: how long instances may take to come up healthy.
    :param log: called with one line at a time.
    :param before: what each unit ran before, as of :func:`~airflow_cd.targets.rollout.wait_until`.
    :param on_progress: as of :func:`~airflow_cd.targets.rollout.wait_until`.
    :param on_read: as of :func:`~airflow_cd.targets.rollout.wait_until`.
    :raises DeploymentFailed: instances did not come up on their release.
    :raises TargetError: the target refused, or did not answer until the time was over.
    """
    began = time.monotonic()
    waiting = partial(
        wait_until, target, wanted, timeout=timeout, before=before, asked_at=began, on_progress=on_progress
    )
    if not in_place(target):
        ask()
        waiting(on_read=on_read)
        return
    _until_taken(ask, timeout, log)
    asked_at = time.monotonic()

    def again(instances: list[Instance]) -> None:
        nonlocal asked_at
        if on_read is not None:
            on_read(instances)
        if time.monotonic() < asked_at + ASKED_EVERY or not differences(instances, wanted):
            return
        asked_at = time.monotonic()
        try:
            ask()
        except TargetUnavailable as error:
            log(f"Asked again, in vain so far: {error.what}")

    waiting(on_read=again)


def _until_taken(ask: Callable[[], None], timeout: timedelta, log: Callable[[str], None]) -> None:
    """Ask until it is taken; the time begins anew whenever fewer instances than ever before are in the way."""
    ends, said, fewest = time.monotonic() + timeout.total_seconds(), "", sys.maxsize
    while True:
        try:
            return ask()
        except TargetUnavailable as error:
            if 0 < len(error.instances) < fewest:
                ends, fewest = time.monotonic() + timeout.total_seconds(), len(error.instances)
            pause = max(REFUSED_EVERY, error.retry_after or 0.0)
            if time.monotonic() + pause > ends:
                raise
            if error.what != said:
                log(f"Not taken yet, and asked for again: {error.what}")
            said = error.what
            time.sleep(pause)
