"""``airflow-cd guard``: finishes what runs cannot finish themselves, or says what the guard found."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from airflow_cd.commands.parsing import add_ledger_url


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser(
        "guard",
        help="finish what runs cannot finish themselves: a service, beside the guard that Airflow's scheduler starts",
        epilog="exit codes of --status: 0 a guard acts; 1 none does; 3 an error",
    )
    parser.add_argument(
        "--status", action="store_true", help="say which guard acts and what it found, and exit, with 1 if none acts"
    )
    add_ledger_url(parser)


def run(given: argparse.Namespace) -> int:
    """Guard until interrupted, or print the state."""
    if given.status:
        return _status(given.url)
    import os

    from airflow_cd.guard.__main__ import main

    if given.url:
        os.environ["AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN"] = given.url
    return main(say=lambda line: print(line, file=sys.stderr))


def _status(url: str | None) -> int:
    from airflow_cd.commands.opening import open_existing

    guarding = open_existing(url).guarding
    acting = guarding.acting()
    print(f"Guard: {acting[0]}" if acting else "No guard acts. Next: start Airflow's scheduler, or `airflow-cd guard`.")
    for finding in guarding.findings(limit=20):
        print(
            f"{finding.found_at:%Y-%m-%d %H:%M:%S} UTC  {finding.environment} of {finding.service}, run "
            f"{finding.run_id} of {finding.pipeline}: {finding.detail}\n    {finding.state}: "
            f"{finding.outcome or 'at work'}"
        )
    return 0 if acting else 1
