"""What the parsers of the sub-commands have in common."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn


class CommandParser(argparse.ArgumentParser):
    """A parser whose usage errors end with an exit code of its own.

    :ivar failure: exit code for an error of ours or of the input.
    :ivar usage_failure: exit code for a command line that cannot be read.
    """

    failure = 1
    usage_failure = 2

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line and end."""
        self.print_usage(sys.stderr)
        self.exit(self.usage_failure, f"{self.prog}: error: {message}\n")


def add_ledger_url(parser: argparse.ArgumentParser) -> None:
    """Let the ledger be named."""
    parser.add_argument("--url", help="the ledger; default: option sql_alchemy_conn in section [airflow_cd]")
