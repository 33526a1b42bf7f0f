"""What a deployment needs is wrong, away or silent."""

from __future__ import annotations

import pytest

from airflow_cd.demo.airflow_client import wait_until
from tests.e2e.canary.world import OLD, Canaries
from tests.pace import PATIENCE

pytestmark = pytest.mark.timeout(900, func_only=True)  # the world, which the first begins, has limits of its own


def refused(canaries: Canaries, case: str, **conf: str) -> dict[str, str | None]:
    """Run the case: it ends red with every instance on the release before; gives the states of its tasks."""
    assert canaries.run(case, **conf) == "failed"
    assert canaries.artifacts(case) == OLD
    assert {row["health"] for row in canaries.world.running(case).values()} == {"healthy"}
    return canaries.tasks(case)


def test_a_version_that_does_not_exist_touches_nothing(canaries: Canaries) -> None:
    after = refused(canaries, "unknown-version", version="9.9")
    assert after["phase_50.deploy"] == "failed"
    assert (
        canaries.world.ledger().deployments.of_run("canary_unknown-version", "run", "shop", "unknown-version") is None
    )
    settled = canaries.log("unknown-version", "settle")
    assert "Nothing was deployed here by this run" in settled
    said = canaries.log("unknown-version", "phase_50.deploy")
    assert "shop:9.9" in said
    assert "nothing was changed" in said


def test_an_instance_that_dies_while_it_is_deployed_is_named_and_restored(canaries: Canaries) -> None:
    case = "dies-while-deployed"
    name = f"shop-{case}-01"
    canaries.fleet("POST", "/v1/faults/kill", {"environment": case, "instance": name, "next_start": True})
    canaries.start(case)
    assert canaries.ends(case) == "failed"
    assert canaries.artifacts(case) == OLD
    assert {row["health"] for row in canaries.world.running(case).values()} == {"healthy"}
    said = canaries.log(case, "phase_50.deploy")
    assert name in said
    assert "SIGKILL" in said
    deployment = canaries.world.ledger().deployments.of_run(f"canary_{case}", "run", "shop", case)
    assert deployment is not None
    assert name in deployment.outcome


def test_a_rollback_that_meets_a_deployment_api_that_is_away_finishes_when_it_is_back(canaries: Canaries) -> None:
    case = "api-away-for-the-rollback"
    canaries.start(case)
    canaries.wait_for(case, "phase_50.deploy", "success")
    canaries.fault(case, status=503, times=None)
    canaries.script(case, bad="01")
    canaries.wait_for(case, "phase_50.rollback", "running")
    wait_until(lambda: "Trying again" in canaries.log(case, "phase_50.rollback"), "it is tried again", seconds=PATIENCE)
    canaries.repair(case)
    assert canaries.ends(case) == "failed"
    assert canaries.artifacts(case) == OLD
    assert canaries.tasks(case)["phase_50.rollback"] == "success"
    assert "503" in canaries.log(case, "phase_50.rollback")
