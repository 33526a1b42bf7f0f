"""A process that deploys, and goes back, until somebody kills it.

Takes the ledger's URL, the name of the Deployment or StatefulSet, the run, and ``canary``, ``route``, ``sides`` or
``stateful``: what kind of deployment it is.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from airflow_cd.delivery import Delivery
from airflow_cd.ledger import open_ledger
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes import KubernetesTarget
from tests.real.kubernetes import gateway

CONNECTION = "kubernetes_real"


def delivery(ledger_url: str, name: str, run_id: str, kind: str = "") -> Delivery:
    """The environment in the hands of a run."""
    more: dict[str, dict[str, str]] = {
        "stateful": {"stateful_set": name},
        "route": {"route": name, "follows_within": gateway.FOLLOWS},
    }
    return Delivery(
        open_ledger(ledger_url),
        KubernetesTarget(CONNECTION, name, **more.get(kind, {})),  # type: ignore[arg-type]
        pipeline="kills",
        run_id=run_id,
        service="web",
        environment=name,
        log=lambda line: None,
        timeout=timedelta(seconds=60),
    )


def main() -> None:
    """Deploy to a fifth and to all, or to a new side that takes over, and go back."""
    ledger_url, name, run_id, kind = sys.argv[1:]
    mine = delivery(ledger_url, name, run_id, kind)
    release = Release("web", "1.1", "localhost/web:1.1", {"GREETING": run_id})
    if kind == "sides":
        mine.deploy(release, phase="green", share=100, traffic=0)
        mine.deploy(release, phase="switch", share=100, traffic=100)
        mine.deploy(release, phase="finish", share=100)
    else:
        mine.deploy(release, phase="phase_20", share=20)
        mine.deploy(release, phase="phase_100", share=100)
    mine.roll_back("it is to be struck on the way back as well")


if __name__ == "__main__":
    main()
