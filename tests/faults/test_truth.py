"""What the runs of faults take for wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.ledger import Deployment, Ledger, open_ledger
from airflow_cd.release import Release
from airflow_cd.states import ActionKind, DeploymentState, RollbackMode
from tests.faults.truth import Expected, afterwards, colour, differs, half

OLD, NEW = ("shop:1.0", ""), ("shop:1.1", "round=7")
AT = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)
DEPLOYMENT = Deployment(
    id="1", pipeline="lane1", run_id="r7", service="shop", environment="lane1",
    release=Release("shop", "1.1", "shop:1.1"),
    previous={}, state=DeploymentState.ROLLED_BACK, reason="", triggered_by="", rollback=RollbackMode.AUTOMATIC,
    learn=False, token=1, requested_at=AT, opened_at=AT, safe_at=AT,
)  # fmt: skip
PROMOTED = replace(DEPLOYMENT, state=DeploymentState.PROMOTED)


def _rows(*artifacts: str, **more: Any) -> dict[str, dict[str, Any]]:
    usual = {"configuration": {}, "drained": False, "health": "healthy"}
    return {str(number): {"artifact": one, **usual, **more} for number, one in enumerate(artifacts)}


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (_rows("shop:1.0", "shop:1.0"), []),
        (_rows("shop:1.0", "shop:1.1"), ["half: shop:1.0 (); shop:1.1 ()"]),
        (_rows("shop:1.0", drained=True), ["0 is drained"]),
        (_rows("shop:1.0", health="failed"), ["0 is failed"]),
    ],
)
def test_an_environment_is_whole_on_one_release_healthy_and_with_its_traffic(rows: Any, found: list[str]) -> None:
    assert half(rows) == found


def test_the_fleet_runs_what_the_ledger_says() -> None:
    old, new = _rows("shop:1.0"), _rows("shop:1.1", configuration={"round": "7"})
    for rows, deployment, right in (
        (old, DEPLOYMENT, True),
        (new, DEPLOYMENT, False),
        (new, PROMOTED, True),
        (old, PROMOTED, False),
        (old, None, True),
        (new, None, False),
        (old, replace(DEPLOYMENT, state=DeploymentState.ROLLING_BACK), False),
    ):
        assert (differs(rows, deployment, Expected(OLD, NEW)) == []) is right


@pytest.mark.parametrize(
    ("state", "deployment", "right"),
    [("success", PROMOTED, True), ("failed", PROMOTED, False), ("success", DEPLOYMENT, False), ("failed", None, True)],
)
def test_a_run_is_green_when_its_release_was_promoted(state: str, deployment: Deployment | None, right: bool) -> None:
    assert (colour(state, deployment) == []) is right


def test_nothing_reaches_a_release_after_it_was_safe(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    served = {"artifact": "shop:1.1", "configuration": {"round": "7"}, "pid": 1, "last_request": AT.timestamp()}
    assert afterwards(ledger, DEPLOYMENT, [{"processes": [served]}], NEW) == []
    served["last_request"] = (AT + timedelta(seconds=5)).timestamp()
    [wrong] = afterwards(ledger, DEPLOYMENT, [{"processes": [served]}], NEW)
    assert "served at 08:00:05" in wrong
    assert afterwards(ledger, DEPLOYMENT, [{"processes": [served]}], OLD) == []


def test_nothing_is_deployed_once_the_rollback_has_begun(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    deployment = _begun(ledger, ActionKind.DEPLOY, ActionKind.ROLLBACK)
    assert afterwards(ledger, deployment, [], NEW) == []
    deployment = _begun(ledger, ActionKind.DEPLOY)
    [wrong] = afterwards(ledger, deployment, [], NEW)
    assert "after the rollback had begun" in wrong


def _begun(ledger: Ledger, *kinds: ActionKind) -> Deployment:
    place: dict[str, Any] = {"pipeline": "lane1", "run_id": "r7"}
    lease = ledger.leases.acquire("shop", "lane1", ttl=timedelta(minutes=1), **place)
    known = ledger.deployments.of_run("lane1", "r7", "shop", "lane1")
    opened = known or ledger.deployments.open(
        lease, DEPLOYMENT.release, previous={}, reason="", triggered_by="", rollback="automatic", learn=False
    )
    for kind in kinds:
        key = f"{kind}-{len(ledger.actions.of(opened.id))}"
        ledger.actions.begin(opened.id, kind, key, token=lease.token, detail={})
    return replace(DEPLOYMENT, id=opened.id)
