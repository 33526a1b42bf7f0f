"""The ledger that a command works with: the one that Airflow uses, unless its URL is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_cd.ledger import Ledger


def open_ledger_in_use(url: str | None) -> Ledger:
    """Open the ledger; one that is not there is never made, since an empty one has a wrong answer to every question.

    :param url: as the person gave it, which then counts; None for the configured one.
    :raises WrongLedger: the configured ledger is not the one that this machine's Airflow uses.
    :raises LedgerError: there is none, or it cannot be opened.
    """
    from airflow_cd.same_ledger import has_airflow_database, ledger_in_use, require_same

    ledger = open_existing(url)
    if url is None and has_airflow_database():
        require_same(ledger, ledger_in_use(), whose="this command", since="this Airflow uses")
    return ledger


def open_existing(url: str | None, *, check: bool = True) -> Ledger:
    """Open the ledger whether or not Airflow uses it; one that is not there is not made.

    :param url: as of :func:`open_ledger_in_use`.
    :param check: as of :func:`~airflow_cd.ledger.open_ledger`.
    :raises LedgerError: there is none, or it cannot be opened.
    """
    from airflow_cd.ledger import open_ledger
    from airflow_cd.ledger.location import require_there

    require_there(url)
    return open_ledger(url, check=check)
