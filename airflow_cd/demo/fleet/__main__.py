"""Run the embedded fleet until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import secrets
import sys
from pathlib import Path

from airflow_cd.demo.fleet.launch import DEFAULT_ENVIRONMENTS, HEALTH_SECONDS
from airflow_cd.errors import AirflowCdError

MOST_INSTANCES = 50


def environments(text: str) -> dict[str, int]:
    """Read ``{"production": 10, ...}``."""
    sizes = json.loads(text)
    if not isinstance(sizes, dict) or not sizes:
        raise argparse.ArgumentTypeError('write environments as {"name": number of instances, ...}')
    for name, size in sizes.items():
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            raise argparse.ArgumentTypeError(f"{name!r} is not a valid name: use lower-case letters, digits, hyphens")
        if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MOST_INSTANCES:
            raise argparse.ArgumentTypeError(f"{name} cannot have {size!r} instances: 1 to {MOST_INSTANCES}")
    return sizes


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m airflow_cd.demo.fleet", description=__doc__)
    parser.add_argument("--root", required=True, type=Path, help="folder for fleet.json, fleet.log and telemetry/")
    parser.add_argument("--port", type=int, default=0, help="of the deployment API; 0 takes a free one")
    parser.add_argument("--all-interfaces", action="store_true", help="the deployment API not on 127.0.0.1 alone")
    parser.add_argument("--environments", type=environments, default=dict(DEFAULT_ENVIRONMENTS), help="as JSON")
    parser.add_argument("--token", default=None, help="bearer token of the deployment API; random when not given")
    parser.add_argument("--health-seconds", type=float, default=HEALTH_SECONDS, help="between two health checks")
    parser.add_argument("--ready-file", type=Path, default=None, help="written when the fleet is ready")
    parser.add_argument("--parent", type=int, default=None, help="stop when this process is gone")
    options = parser.parse_args()

    options.root.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=options.root / "fleet.log",
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s - %(message)s",
    )
    from airflow_cd.demo.fleet.server import run

    try:
        asyncio.run(
            run(
                options.root,
                port=options.port,
                all_interfaces=options.all_interfaces,
                environments=options.environments,
                token=options.token or secrets.token_urlsafe(24),
                health_seconds=options.health_seconds,
                ready_file=options.ready_file,
                parent=options.parent,
            )
        )
    except AirflowCdError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
