"""``airflow-cd demo``: the demo story on this machine."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import Any

from airflow_cd.errors import Refused

_NEEDS = {"aiohttp": "aiohttp", "graphql": "graphql-core", "psutil": "psutil"}


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("demo", help="run the demo story on this machine (needs the extra [demo])")
    parser.add_argument(
        "--exit",
        action="store_true",
        help="exit after the story: 0 if it went as expected, else 1",
    )
    parser.add_argument("--port", type=int, default=8080, help="port of the Airflow UI, 0 for a free one (%(default)s)")


def run(given: argparse.Namespace) -> int:
    """Run the demo.

    :raises Refused: what only the demo needs is not installed.
    """
    missing = [package for module, package in _NEEDS.items() if find_spec(module) is None]
    if missing:
        raise Refused(
            f"the demo needs {', '.join(missing)}, which is not installed.",
            next_step="Run pip install 'airflow-cd[demo]'.",
        )
    from airflow_cd.demo import command

    return command.run(port=given.port, leave=not given.exit)
