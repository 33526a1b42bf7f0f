"""Starting the Sumo Logic server from another process."""

from __future__ import annotations

from pathlib import Path

from airflow_cd.demo.server_process import ServerProcess, arguments_for, launch


class SumoLogicServer(ServerProcess):
    """A running Sumo Logic server and what a client needs to use it."""

    @property
    def access_id(self) -> str:
        """The user of HTTP Basic."""
        return str(self.info["access_id"])

    @property
    def access_key(self) -> str:
        """The password of HTTP Basic."""
        return str(self.info["access_key"])

    @property
    def wrong_url(self) -> str:
        """An endpoint of the wrong deployment: it answers 301 with the right one."""
        return str(self.info["wrong_url"])


def start(telemetry: Path, **options: object) -> SumoLogicServer:
    """Start a server on the fleet's telemetry and wait until it listens.

    :param telemetry: the telemetry directory; may be missing until the fleet writes it.
    :param options: the module's command line options with underscores, such as ``port=0``,
        ``access_id="…"``, ``access_key="…"``, ``rate_limit=4``, ``message_limit=100000``, ``cookies=False``.
    :raises AirflowCdError: it does not start; with its last output.
    """
    return launch(SumoLogicServer, "airflow_cd.demo.sumo_logic", arguments_for(telemetry, options))
