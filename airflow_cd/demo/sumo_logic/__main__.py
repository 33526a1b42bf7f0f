"""``python -m airflow_cd.demo.sumo_logic``: serve Sumo Logic's Search Job API over a fleet's logs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airflow_cd.demo.serving import add_arguments, address, listen, serve, settings_from
from airflow_cd.demo.sumo_logic.app import ACCESS_ID, ACCESS_KEY, SumoLogic, moved_app
from airflow_cd.demo.sumo_logic.jobs import Settings
from airflow_cd.demo.telemetry import LogReader, telemetry_directory
from airflow_cd.errors import AirflowCdError


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m airflow_cd.demo.sumo_logic", description=__doc__)
    parser.add_argument("--access-id", default=ACCESS_ID)
    parser.add_argument("--access-key", default=ACCESS_KEY)
    add_arguments(parser, Settings)
    options = parser.parse_args(arguments)
    try:
        settings = settings_from(Settings, options)
        reader = LogReader(telemetry_directory(options.telemetry), options.keep)
        server = SumoLogic(reader, options.access_id, options.access_key, settings)
        listener, wrong = listen(options.port, all_interfaces=options.all_interfaces), listen(0)
    except AirflowCdError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    url = address(listener)
    serve(
        [(server.app(), listener), (moved_app(url), wrong)],
        {
            "url": url,
            "wrong_url": address(wrong),
            "access_id": options.access_id,
            "access_key": options.access_key,
        },
        background=server.follow,
        ready_file=options.ready_file,
        parent=options.parent,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
