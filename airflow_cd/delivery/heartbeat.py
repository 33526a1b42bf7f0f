"""A task says in the ledger that its process lives, for the guard, which finishes what a dead one leaves."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import format_duration
from airflow_cd.errors import LedgerError

if TYPE_CHECKING:
    from airflow_cd.delivery.delivery import Delivery
    from airflow_cd.ledger import Work

EVERY = timedelta(seconds=5)
"""How often a process says that it lives; the guard takes one that has been silent eight times as long for dead."""


GRACE = timedelta(seconds=10)
"""How much longer than its time limit a task says that it lives: Airflow ends it at the limit, where it can."""


def this_process() -> str:
    """Where this is running, as ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


@contextmanager
def at_work(
    delivery: Delivery,
    *,
    task_id: str,
    target: Mapping[str, Any] | None,
    timeout: timedelta,
    limit: timedelta | None = None,
    every: timedelta = EVERY,
) -> Iterator[None]:
    """Say, for as long as the body takes, that a task of the run is at work on the environment.

    A process whose parent has died is silent: Airflow's supervisor is gone, so nobody would act on what it finds. So is
    one that is past its time limit: code that neither returns nor lets Airflow end it must not count as alive for ever.
    The guard then finishes what it has left. Nothing here fails the body: a ledger that is away is told again.

    :param delivery: the environment in the hands of the run.
    :param task_id: the task.
    :param target: how the environment is reached, as :func:`~airflow_cd.targets.describe_target` says it.
    :param timeout: how long instances may take to come up healthy.
    :param limit: how long the body may take; None where only its own end says that.
    :param every: between two signs of life.
    """
    heartbeat = _Heartbeat(
        delivery,
        task_id=task_id,
        target=target,
        timeout=max(1, round(timeout.total_seconds())),
        limit=limit,
        log=delivery.log,
    )
    heartbeat.begin()
    thread = threading.Thread(target=heartbeat.run, args=(every.total_seconds(),), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        heartbeat.over.set()
        thread.join(every.total_seconds())
        heartbeat.end()


class _Heartbeat:
    def __init__(self, delivery: Delivery, *, limit: timedelta | None, log: Callable[[str], None], **work: Any) -> None:
        self._delivery = delivery
        self._given = work
        self._log = log
        self._limit = limit
        self._began = time.monotonic()
        self._parent = os.getppid()
        self._work: Work | None = None
        self.over = threading.Event()

    def begin(self) -> None:
        delivery = self._delivery
        try:
            with delivery.ledger.quickly():
                self._work = delivery.ledger.work.begin(
                    delivery.service,
                    delivery.environment,
                    pipeline=delivery.pipeline,
                    run_id=delivery.run_id,
                    process=this_process(),
                    **self._given,
                )
        except LedgerError as error:
            self._log(f"The ledger does not know yet that this task is at work: {error.what}")

    def run(self, every: float) -> None:
        while not self.over.wait(every) and os.getppid() == self._parent:
            if self._limit is not None and time.monotonic() - self._began > (self._limit + GRACE).total_seconds():
                self._log(
                    f"This task has taken longer than the {format_duration(self._limit)} that it may, and Airflow did "
                    "not end it: the guard takes over what it has left."
                )
                return
            if self._work is None:
                self.begin()
                continue
            with suppress(LedgerError), self._delivery.ledger.quickly():
                if not self._delivery.ledger.work.beat(self._work):
                    return

    def end(self) -> None:
        if self._work is not None:
            with suppress(LedgerError), self._delivery.ledger.quickly():
                self._delivery.ledger.work.end(self._work)
