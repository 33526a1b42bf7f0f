"""What becomes of production, and what people are told, when what a deployment needs is wrong, away or silent."""

from __future__ import annotations

import pytest

from airflow_cd.demo.airflow_client import wait_until
from tests.e2e.hands.conftest import Hands, ends, tasks

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("hands"), pytest.mark.timeout(420)]

OLD = {"shop:1.0"}


def log(hands: Hands, case: str, task: str) -> str:
    return hands.client.task_log(f"hands_{case}", "run", f"{case}.{task}")


def refused(hands: Hands, case: str) -> dict[str, str | None]:
    """The case ends red with every instance on the release before."""
    assert hands.state(case) == "failed"
    assert hands.artifacts(case) == OLD
    assert {row["health"] for row in hands.world.running(case).values()} == {"healthy"}
    return tasks(hands, case)


@pytest.mark.runs("unknown-version", version="9.9")
def test_a_version_that_does_not_exist_touches_nothing(hands: Hands) -> None:
    after = refused(hands, "unknown-version")
    assert after["phase_50.deploy"] == "failed"
    assert hands.world.ledger().find_deployment("hands_unknown-version", "run", "shop", "unknown-version") is None
    settled = log(hands, "unknown-version", "settle")
    assert "Nothing was deployed here by this run" in settled
    said = log(hands, "unknown-version", "phase_50.deploy")
    assert "shop:9.9" in said
    assert "nothing was touched" in said


def test_an_instance_that_dies_while_it_is_deployed_is_named_and_restored(hands: Hands) -> None:
    case = "dies-while-deployed"
    name = f"shop-{case}-01"
    hands.start(case)

    def killed() -> bool:
        if hands.world.running(case)[name]["artifact"] != "shop:1.1":
            return False
        hands.fleet("POST", "/v1/faults/kill", {"environment": case, "instance": name})
        return True

    wait_until(killed, "the instance is killed", seconds=120, every=0.02)
    assert ends(hands, case) == "failed"
    assert hands.artifacts(case) == OLD
    assert {row["health"] for row in hands.world.running(case).values()} == {"healthy"}
    said = log(hands, case, "phase_50.deploy")
    assert name in said
    assert "SIGKILL" in said
    deployment = hands.world.ledger().find_deployment(f"hands_{case}", "run", "shop", case)
    assert deployment is not None
    assert name in deployment.outcome


@pytest.mark.runs("api-away")
def test_a_deployment_api_that_is_away_is_named(hands: Hands) -> None:
    after = refused(hands, "api-away")
    assert after["phase_50.deploy"] == "failed"
    said = log(hands, "api-away", "phase_50.deploy")
    assert "http_nowhere" in said
    assert "does not answer" in said


def test_a_deployment_api_that_answers_rubbish_is_named(hands: Hands) -> None:
    hands.fault("api-answers-rubbish", status=200, body="<html>Welcome to the proxy</html>", times=None)
    hands.start("api-answers-rubbish")
    wait_until(
        lambda: tasks(hands, "api-answers-rubbish").get("phase_50.deploy") == "failed", "the deploy fails", seconds=120
    )
    hands.fleet("DELETE", "/v1/faults")
    assert ends(hands, "api-answers-rubbish") == "failed"
    assert hands.artifacts("api-answers-rubbish") == OLD
    assert "not JSON" in log(hands, "api-answers-rubbish", "phase_50.deploy")


def test_a_rollback_that_meets_a_deployment_api_that_is_away_finishes_when_it_is_back(hands: Hands) -> None:
    case = "api-away-for-the-rollback"
    hands.script(case, bad="01")
    hands.start(case)
    hands.client.wait_for_task(f"hands_{case}", "run", f"{case}.phase_50.deploy", "success", seconds=120)
    hands.fault(case, status=503, times=None)
    hands.client.wait_for_task(f"hands_{case}", "run", f"{case}.phase_50.rollback", "up_for_retry", seconds=180)
    hands.fleet("DELETE", "/v1/faults")
    assert ends(hands, case) == "failed"
    assert hands.artifacts(case) == OLD
    assert tasks(hands, case)["phase_50.rollback"] == "success"
    assert "503" in log(hands, case, "phase_50.rollback")


UNWATCHED = {
    "new-relic-refuses": ("new_relic_wrong", "does not accept the key"),
    "sumo-logic-refuses": ("sumo_logic_wrong", "401"),
    "query-finds-nothing": ("no/such/thing", "run that query in the source"),
    "no-traffic": ("No metric of the canary has any data", "FROM Transaction"),
}


@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.runs(case)) for case in UNWATCHED])
def test_what_cannot_be_watched_does_not_pass(hands: Hands, case: str) -> None:
    after = refused(hands, case)
    assert after["phase_50.rollback"] == "success"
    said = log(hands, case, "phase_50.verify")
    assert "VERDICT INCONCLUSIVE" in said
    for word in UNWATCHED[case]:
        assert word in said
