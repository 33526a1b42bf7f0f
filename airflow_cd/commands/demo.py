"""``airflow-cd demo``: the whole story on this machine."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("demo", help="run the whole story on this machine")
    parser.add_argument("--exit", action="store_true", help="end after the story; code 0 only if it went as expected")
    parser.add_argument("--port", type=int, default=8080, help="port of the Airflow UI, 0 for a free one (%(default)s)")


def run(given: argparse.Namespace) -> int:
    """Run the demo; code 0 only if every expectation held."""
    from airflow_cd.demo import command

    return command.run(port=given.port, leave=not given.exit)
