"""Keeping a lease while work goes on: a deployment may take longer than a lease lasts, and lives all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_cd.errors import LeaseLost, LedgerError

if TYPE_CHECKING:
    from airflow_cd.ledger import Lease, Ledger

LEASE_TTL = timedelta(minutes=15)
"""How long a lease holds without being renewed."""

EVERY = 60.0
"""Seconds between two renewals."""


@contextmanager
def kept(ledger: Ledger, lease: Lease) -> Iterator[None]:
    """Renew the lease beside the body, until the body ends or the lease is lost.

    The body finds out by itself that a lease is lost, where it next writes or changes something.

    :param ledger: where the lease is.
    :param lease: as it was granted.
    """
    done = threading.Event()
    thread = threading.Thread(target=renew_until, args=(ledger, lease, done.wait), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        # A renewal that hangs must not keep a rollback waiting; once the lease is given up it changes nothing.
        thread.join(1.0)


def renew_until(ledger: Ledger, lease: Lease, done: Callable[[float], bool]) -> None:
    """Renew the lease again and again.

    :param ledger: where the lease is.
    :param lease: as it was granted.
    :param done: waits for a number of seconds at most; True ends it.
    """
    while not done(EVERY):
        try:
            ledger.leases.renew(lease, LEASE_TTL)
        except LeaseLost:
            return
        except LedgerError:
            continue
