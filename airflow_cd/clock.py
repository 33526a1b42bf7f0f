"""The time that everything Airflow CD records is in: the ledger's database's, on every machine."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_ahead = timedelta(0)


def now() -> datetime:
    """The time, aware and in UTC.

    Machines whose clocks differ agree on it once they have reached the ledger; without one it is this machine's.
    """
    return machine_now() + _ahead


def machine_now() -> datetime:
    """The time by this machine's own clock, aware and in UTC."""
    return datetime.now(timezone.utc)


def align(ahead: timedelta) -> None:
    """Go by another clock from now on.

    :param ahead: by how much it is ahead of this machine's; below zero when it is behind.
    """
    global _ahead  # noqa: PLW0603 - a process has one time
    _ahead = ahead
