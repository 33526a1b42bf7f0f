"""``python -m airflow_cd.demo.new_relic``: serve New Relic's protocols over a fleet's telemetry."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airflow_cd.demo.new_relic.account import (
    ACCOUNT_ID,
    API_KEY,
    APPLICATION_ID,
    APPLICATION_NAME,
    Account,
    Settings,
    parse_applications,
)
from airflow_cd.demo.new_relic.app import NewRelic
from airflow_cd.demo.serving import add_arguments, address, listen, serve, settings_from
from airflow_cd.demo.telemetry import TransactionReader, telemetry_directory
from airflow_cd.errors import AirflowCdError


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m airflow_cd.demo.new_relic", description=__doc__)
    parser.add_argument("--account-id", type=int, default=ACCOUNT_ID)
    parser.add_argument("--api-key", default=API_KEY)
    parser.add_argument(
        "--applications",
        action="append",
        metavar="ID=NAME",
        help=f"an APM application, may be repeated (default {APPLICATION_ID}={APPLICATION_NAME})",
    )
    add_arguments(parser, Settings)
    options = parser.parse_args(arguments)
    try:
        settings = settings_from(Settings, options)
        applications = parse_applications(options.applications or [f"{APPLICATION_ID}={APPLICATION_NAME}"])
        reader = TransactionReader(telemetry_directory(options.telemetry), options.keep)
        server = NewRelic(Account(reader, options.account_id, options.api_key, applications, settings))
        listener = listen(options.port, all_interfaces=options.all_interfaces)
    except AirflowCdError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    application = next(iter(applications))
    serve(
        [(server.app(), listener)],
        {
            "url": address(listener),
            "account_id": options.account_id,
            "api_key": options.api_key,
            "application_id": application,
            "entity_guid": server.account.guid(application),
        },
        background=server.follow,
        ready_file=options.ready_file,
        parent=options.parent,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
