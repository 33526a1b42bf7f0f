"""``airflow-cd ledger``: maintains the ledger's database."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from airflow_cd.commands.parsing import add_ledger_url

if TYPE_CHECKING:
    from airflow_cd.ledger import Ledger


ACTIONS = {
    "migrate": "bring the schema to the version of this package, and make the pool of verifications in Airflow",
    "revision": "print the version of the schema",
    "identity": "print where the ledger is, its identity, and whether it is the one that Airflow uses",
    "use": "make it the one that Airflow uses, after it was moved on purpose",
}


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("ledger", help="migrate the ledger's database, or say which one it is")
    actions = parser.add_subparsers(dest="action", required=True)
    for name, text in ACTIONS.items():
        add_ledger_url(actions.add_parser(name, help=text))


def run(given: argparse.Namespace) -> int:
    """Do what is asked for, and print what is there afterwards."""
    from airflow_cd.commands.opening import open_existing

    if given.action in ("identity", "use"):
        return _identity(open_existing(given.url), use_it=given.action == "use")
    ledger = _migrated(given.url) if given.action == "migrate" else open_existing(given.url, check=False)
    print(ledger.revision() or "empty: run `airflow-cd ledger migrate`")
    return 0


def _migrated(url: str | None) -> Ledger:
    from airflow_cd.ledger import open_ledger

    ledger = open_ledger(url, check=False)
    if ledger.revision() is None:
        # A misspelt URL shows in this line.
        print(f"Making a new ledger, {ledger.name()}.", file=sys.stderr)
    ledger.migrate()
    _reserve()
    return ledger


def _identity(ledger: Ledger, *, use_it: bool) -> int:
    from airflow_cd.same_ledger import has_airflow_database, ledger_in_use, use

    if use_it:
        use(ledger)
    identity = ledger.identity.get()
    used = ledger_in_use() if has_airflow_database() else None
    says = "Airflow cannot be asked, or has used none yet" if used is None else f"Airflow uses {used}"
    print(f"{ledger.name()}\n{identity}\n{'Airflow uses this one' if used == identity else says}")
    return 0


def _reserve() -> None:
    """Make the pool, where Airflow's own database can be reached; otherwise its scheduler does when it starts."""
    from airflow_cd.capacity import VERIFICATIONS, make_pool
    from airflow_cd.same_ledger import has_airflow_database

    if has_airflow_database() and make_pool():
        print(f"Made Airflow's pool {VERIFICATIONS}.", file=sys.stderr)
