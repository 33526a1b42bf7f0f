"""What the parsers of the commands have in common."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from airflow_cd.exit_codes import ERROR


class CommandParser(argparse.ArgumentParser):
    """A parser that exits with :data:`~airflow_cd.exit_codes.ERROR` where argparse exits with 2."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong with the command line, and exit."""
        self.print_usage(sys.stderr)
        self.exit(ERROR, f"{self.prog}: error: {message}\n")


def add_ledger_url(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the ledger."""
    parser.add_argument("--url", help="database URL of the ledger (default: Airflow's [airflow_cd] sql_alchemy_conn)")


def add_reason(parser: argparse.ArgumentParser) -> None:
    """Add the options of a manual action, for the audit log."""
    parser.add_argument("--why", required=True, help="the reason, for the audit log")
    parser.add_argument("--who", help="who does it (default: the user that runs this command)")
