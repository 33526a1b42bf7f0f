"""Run one instance of the shop."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from airflow_cd.demo.shop import artifacts, lifeline, server, telemetry


def main() -> None:
    """Parse the command line and serve; prints one JSON line with the port when ready."""
    parser = argparse.ArgumentParser(prog="python -m airflow_cd.demo.shop", description=__doc__)
    parser.add_argument("--artifact", required=True, choices=sorted(artifacts.ARTIFACTS))
    parser.add_argument("--version", required=True)
    parser.add_argument("--configuration", type=json.loads, default={}, help="a JSON object")
    parser.add_argument("--instance", required=True)
    parser.add_argument("--environment", required=True)
    parser.add_argument("--telemetry", required=True, type=Path, help="folder for logs and transactions")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(lifeline.LIFELINE_FLAG, action="store_true", help="stop when standard input ends")
    options = parser.parse_args()
    if options.lifeline:
        lifeline.hold_lifeline(grace=1.5)
        lifeline.die_with_starting_thread()

    place = Path(options.environment) / options.instance
    telemetry.log_to(options.telemetry / "logs" / place.with_name(f"{options.instance}.log"))
    service = options.artifact.partition(":")[0]
    transactions = telemetry.TransactionFile(
        options.telemetry / "transactions" / place.with_name(f"{options.instance}.jsonl"),
        {
            "appName": service,
            "environment": options.environment,
            "host": options.instance,
            "version": options.version,
        },
    )
    shop = artifacts.load(options.artifact)(options.instance, options.configuration)
    identity = {
        "artifact": options.artifact,
        "version": options.version,
        "configuration": options.configuration,
        "instance": options.instance,
    }
    server.serve(server.ShopServer(options.port, shop, identity, transactions))


if __name__ == "__main__":
    main()
