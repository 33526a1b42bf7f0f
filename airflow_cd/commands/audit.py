"""``airflow-cd audit``: whether the log of manual actions is as it was written."""

from __future__ import annotations

import argparse
from typing import Any

from airflow_cd.commands.parsing import add_ledger_url
from airflow_cd.exit_codes import DONE, FAILED
from airflow_cd.wording import counted


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("audit", help="check the log of manual actions")
    actions = parser.add_subparsers(dest="action", required=True)
    verify = actions.add_parser(
        "verify", help="check that no record was changed, taken out or put in; exit code 1 if so"
    )
    verify.add_argument(
        "--head",
        default="",
        metavar="HASH",
        help="what an earlier check printed, kept elsewhere: the log must still hold it, or its end is missing",
    )
    add_ledger_url(verify)


def run(given: argparse.Namespace) -> int:
    """Say whether the chain is whole, and its newest hash."""
    from airflow_cd.commands.opening import open_existing

    chain = open_existing(given.url).audit.verify(given.head)
    if chain.broken_at is not None:
        print(
            f"BROKEN at record {chain.broken_at}: it, or one before it, is not what was written. "
            f"{counted(chain.records, 'record')} before it {'is' if chain.records == 1 else 'are'} in order."
        )
        return FAILED
    if not chain.records:
        print("The log of manual actions is empty: there is nothing to check.")
    else:
        order = "in order" if chain.records == 1 else "all in order"
        print(f"{counted(chain.records, 'record')}, {order}. The newest: {chain.head}")
    if not chain.head_found:
        print(f"BROKEN: none of them is {given.head}; the end of the log is missing, or it is another log.")
        return FAILED
    return DONE
