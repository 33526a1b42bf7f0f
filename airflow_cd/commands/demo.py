"""``airflow-cd demo``: the demo story on this machine."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow_cd.errors import Refused

_NEEDS = {"aiohttp": "aiohttp", "graphql": "graphql-core"}


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("demo", help="run the demo story on this machine (needs the extra [demo])")
    parser.add_argument(
        "--exit",
        action="store_true",
        help="exit after the story: 0 if it went as expected, else 1",
    )
    parser.add_argument(
        "--brief", action="store_true", help="learn from one release instead of two: two thirds of the time"
    )
    parser.add_argument("--port", type=int, default=8080, help="port of the Airflow UI, 0 for a free one (%(default)s)")
    halves = parser.add_argument_group("run one part only").add_mutually_exclusive_group()
    halves.add_argument(
        "--surroundings",
        type=int,
        metavar="PORT",
        help="run no Airflow: only the fleet's API on PORT, New Relic and Sumo Logic on the next two, and the traffic "
        "(the API's token is $AIRFLOW_CD_DEMO_TOKEN, or random)",
    )
    halves.add_argument(
        "--on", metavar="URL", help="run the story on this Airflow (the password is $AIRFLOW_CD_DEMO_PASSWORD)"
    )
    parser.add_argument("--user", default="admin", help="user to log in as, with --on (%(default)s)")
    parser.add_argument(
        "--all-interfaces", action="store_true", help="with --surroundings: listen not on 127.0.0.1 alone"
    )
    parser.add_argument("--repository", type=Path, help="with --surroundings: folder for the shop's git repository")


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

    if given.surroundings is not None:
        return command.surround(
            port=given.surroundings, all_interfaces=given.all_interfaces, repository=given.repository
        )
    if given.on:
        return command.run_story_on(given.on, given.user, brief=given.brief)
    return command.run(port=given.port, leave=not given.exit, brief=given.brief)
