"""The command ``airflow-cd``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airflow_cd.errors import AirflowCdError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="airflow-cd", description="Continuous delivery on Apache Airflow.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="run the whole story on this machine")
    demo.add_argument("--exit", action="store_true", help="end after the story; code 0 only if it went as expected")
    demo.add_argument("--port", type=int, default=8080, help="port of the Airflow UI, 0 for a free one (%(default)s)")
    ledger = commands.add_parser("ledger", help="look after the ledger's database")
    actions = ledger.add_subparsers(dest="action", required=True)
    for name, text in (("migrate", "bring the schema to this version"), ("revision", "say which version it has")):
        action = actions.add_parser(name, help=text)
        action.add_argument("--url", help="the ledger; default: option sql_alchemy_conn in section [airflow_cd]")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code, 1 with one readable line on standard error for an error of ours."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "demo":
            from airflow_cd.demo.command import run

            return run(port=given.port, leave=not given.exit)
        return _ledger(given.action, given.url)
    except AirflowCdError as error:
        print(error, file=sys.stderr)
        return 1


def _ledger(action: str, url: str | None) -> int:
    from airflow_cd.ledger import open_ledger

    ledger = open_ledger(url, check=False)
    if action == "migrate":
        ledger.migrate()
    print(ledger.revision() or "empty: run `airflow-cd ledger migrate`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
