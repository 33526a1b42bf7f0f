"""``airflow-cd ledger``: maintains the ledger's database."""

from __future__ import annotations

import argparse
from typing import Any

from airflow_cd.commands.parsing import add_ledger_url


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("ledger", help="migrate the ledger's database")
    actions = parser.add_subparsers(dest="action", required=True)
    for name, text in (
        ("migrate", "bring the schema to the version of this package"),
        ("revision", "print the version of the schema"),
    ):
        add_ledger_url(actions.add_parser(name, help=text))


def run(given: argparse.Namespace) -> int:
    """Migrate if asked to, and print the version."""
    from airflow_cd.ledger import open_ledger

    ledger = open_ledger(given.url, check=False)
    if given.action == "migrate":
        ledger.migrate()
    print(ledger.revision() or "empty: run `airflow-cd ledger migrate`")
    return 0
