"""A process that deploys to containers, and goes back, until somebody kills it.

Takes the ledger's URL, the id of the connection and the run.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from airflow_cd.delivery import Delivery
from airflow_cd.ledger import open_ledger
from airflow_cd.release import Release
from airflow_cd.targets import DockerTarget


def delivery(ledger_url: str, conn_id: str, run_id: str) -> Delivery:
    """The environment in the hands of a run."""
    return Delivery(
        open_ledger(ledger_url),
        DockerTarget(conn_id, "production", settle=0.5, patience=20),
        pipeline="kills",
        run_id=run_id,
        service="web",
        environment="production",
        log=lambda line: None,
        timeout=timedelta(seconds=60),
    )


def main() -> None:
    """Deploy to one of three and to all, and go back."""
    ledger_url, conn_id, run_id = sys.argv[1:]
    mine = delivery(ledger_url, conn_id, run_id)
    release = Release("web", "1.1", "web:1.1", {"TIMEOUT": run_id, "/etc/web/motd": "x"})
    mine.deploy(release, phase="phase_34", share=34)
    mine.deploy(release, phase="phase_100", share=100)
    mine.roll_back("it is to be struck on the way back as well")


if __name__ == "__main__":
    main()
