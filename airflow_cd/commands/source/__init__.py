"""``airflow-cd source``: look at sources, and judge what they hold, without a pipeline.

``check`` reads one once, ``judge`` judges some instances by several; ``written`` makes a source of its text.
"""

from __future__ import annotations

import argparse
from typing import Any

from airflow_cd.commands.source import check, judge

_RUN = {"check": check.run, "judge": judge.run}


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("source", help="read sources of metrics and logs: what they answer, how they judge")
    actions = parser.add_subparsers(dest="action", required=True)
    check.add_parser(actions)
    judge.add_parser(actions)


def run(given: argparse.Namespace) -> int:
    """Run what was asked for."""
    return _RUN[given.action](given)
