"""What really is: read back from the fleet, the ledger and Airflow, and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_cd.ledger import Deployment, Ledger
from airflow_cd.states import ActionKind, DeploymentState

LATE = 1.0
"""Seconds by which a request may have begun before an instance left the traffic, and end after it."""

Runs = tuple[str | None, str]
"""An artifact and its configuration, as text."""


@dataclass(frozen=True)
class Expected:
    """What an environment runs before a round, and would run after it.

    :param old: artifact and configuration.
    :param new: of the release that is sent.
    """

    old: Runs
    new: Runs


def runs(row: Mapping[str, Any]) -> Runs:
    """What an instance runs, of the fleet's own answer."""
    return row["artifact"], ", ".join(f"{name}={value}" for name, value in sorted(row["configuration"].items()))


def half(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is not whole in an environment, whatever the ledger says; empty when all is well."""
    found = sorted({f"{runs(row)[0]} ({runs(row)[1]})" for row in rows.values()})
    wrong = [f"half: {'; '.join(found)}"] if len(found) > 1 else []
    wrong += [f"{name} is drained" for name, row in rows.items() if row["drained"]]
    return wrong + [f"{name} is {row['health']}" for name, row in rows.items() if row["health"] != "healthy"]


def differs(rows: Mapping[str, Mapping[str, Any]], deployment: Deployment | None, expected: Expected) -> list[str]:
    """Where the fleet is not what the ledger says, of a round that is over; empty when they agree."""
    found = {runs(row) for row in rows.values()}
    if deployment is None:
        return [] if found == {expected.old} else ["something was deployed without a record"]
    if not DeploymentState(deployment.state).final:
        return [f"the ledger says {deployment.state}: {deployment.outcome}"]
    says = expected.new if deployment.state == DeploymentState.PROMOTED else expected.old
    return [] if found == {says} else [f"the ledger says {deployment.state}, the fleet {sorted(map(str, found))}"]


def afterwards(ledger: Ledger, deployment: Deployment, traffic: Sequence[Mapping[str, Any]], new: Runs) -> list[str]:
    """What was done to, or reached, a release after it was to be gone; empty when nothing did.

    :param ledger: its side effects are in there.
    :param deployment: one that is over.
    :param traffic: the fleet's, by instance.
    :param new: what it deployed.
    """
    if deployment.state != DeploymentState.ROLLED_BACK:
        return []
    actions = ledger.actions.of(deployment.id)
    back = [one.began_at for one in actions if one.kind == ActionKind.ROLLBACK]
    wrong = [
        f"deployed at {one.began_at:%H:%M:%S}, after the rollback had begun"
        for one in actions
        if back and one.kind == ActionKind.DEPLOY and one.began_at > min(back)
    ]
    safe = deployment.safe_at
    for process in (one for instance in traffic for one in instance["processes"]):
        last = process["last_request"]
        if safe is not None and last is not None and runs(process) == new and last > safe.timestamp() + LATE:
            when = datetime.fromtimestamp(last, safe.tzinfo)
            wrong.append(f"process {process['pid']} of it served at {when:%H:%M:%S.%f}, safe at {safe:%H:%M:%S.%f}")
    return wrong


def colour(state: str, deployment: Deployment | None) -> list[str]:
    """Whether the state of a run that has ended is not what became of its release."""
    promoted = deployment is not None and deployment.state == DeploymentState.PROMOTED
    if (state == "success") is promoted:
        return []
    return [f"the run is {state}, the release {deployment.state if deployment else 'was not deployed'}"]
