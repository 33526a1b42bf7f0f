"""Starting the New Relic server from another process."""

from __future__ import annotations

from pathlib import Path

from airflow_cd.demo.server_process import ServerProcess, arguments_for, launch


class NewRelicServer(ServerProcess):
    """A running New Relic server and what a client needs to use it."""

    @property
    def account_id(self) -> int:
        """The account to query."""
        return int(self.info["account_id"])

    @property
    def api_key(self) -> str:
        """The user key (``Api-Key``)."""
        return str(self.info["api_key"])

    @property
    def application_id(self) -> int:
        """The first application's id, as REST v2 expects it."""
        return int(self.info["application_id"])

    @property
    def entity_guid(self) -> str:
        """The first application's entity GUID."""
        return str(self.info["entity_guid"])


def start(telemetry: Path, **options: object) -> NewRelicServer:
    """Start a server on the fleet's telemetry and wait until it listens.

    :param telemetry: the telemetry directory; may be missing until the fleet writes it.
    :param options: the module's command line options with underscores, such as ``port=0``,
        ``applications=["42=shop"]``, ``api_key="…"``, ``concurrent=25``, ``query_seconds=0``.
    :raises AirflowCdError: it does not start; with its last output.
    """
    return launch(NewRelicServer, "airflow_cd.demo.new_relic", arguments_for(telemetry, options))
