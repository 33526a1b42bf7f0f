"""Deployment markers: what New Relic is told, once, and that nothing fails because of it."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.delivery.marking import mark
from airflow_cd.errors import SourceUnavailable
from airflow_cd.hooks import new_relic
from airflow_cd.operators import DeploymentMarkerOperator, RollbackToOperator
from airflow_cd.states import ActionKind
from tests.operators.world import NAMES, NEW, OLD, World


class Hook:
    """New Relic; a connection called ``away`` does not answer."""

    markers: list[dict[str, Any]]

    def __init__(self, conn_id: str) -> None:
        self.conn_id = conn_id

    def mark_deployment(self, **given: Any) -> str:
        if self.conn_id == "away":
            raise SourceUnavailable("New Relic does not answer.")
        self.markers.append({"to": self.conn_id, **given})
        return f"marker-{len(self.markers)}"


@pytest.fixture(autouse=True)
def markers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    Hook.markers = []
    monkeypatch.setattr(new_relic, "NewRelicHook", Hook)
    return Hook.markers


def test_a_phase_is_marked_with_its_share_once(world: World, markers: list[dict[str, Any]]) -> None:
    deployment = world.deployed()
    task = world.task(DeploymentMarkerOperator, conn_ids=["nr"], phase="phase_20")
    assert world.execute(task) == {"nr": "marker-1"}
    assert world.execute(task) == {"nr": "marker-1"} == task.result
    (marker,) = markers
    assert (marker["application"], marker["version"], marker["deployment_type"]) == ("shop", "1.2", "Canary")
    assert marker["description"] == "1.2 on 20 % of production"
    assert (marker["user"], marker["group_id"]) == ("airflow-cd", deployment.id)
    assert marker["attributes"] == {"phase": "phase_20", "share": 20, "digest": NEW.digest, "run": "run-1"}


def test_one_that_cannot_be_set_is_reported_and_tried_again_and_fails_nothing(
    world: World, markers: list[dict[str, Any]]
) -> None:
    deployment = world.deployed()
    task = world.task(DeploymentMarkerOperator, conn_ids=["away", "nr"], application="storefront")
    result = world.execute(task)
    assert result["nr"] == "marker-1"
    assert result["away"].startswith("not marked: ")
    marks = [one for one in world.ledger.actions.of(deployment.id) if one.kind == ActionKind.MARK]
    assert [(one.ok, "error" in one.detail) for one in marks] == [(False, True), (True, False)]
    world.execute(task)
    assert [marker["application"] for marker in markers] == ["storefront"]


def test_nothing_is_marked_where_nothing_was_deployed(world: World) -> None:
    with pytest.raises(AirflowFailException, match="nothing has been deployed"):
        world.execute(world.task(DeploymentMarkerOperator))


@pytest.mark.parametrize("empty", [False, True])
def test_a_rollback_is_marked_with_what_runs_again(world: World, markers: list[dict[str, Any]], empty: bool) -> None:
    if empty:
        world.target.state = {name: world.target._instance(name, None) for name in NAMES}
    world.deployed()
    world.delivery().roll_back("bad")
    mark(world.delivery(), ["nr"], "shop", phase="phase_20", rolled_back="bad")
    (marker,) = markers
    assert marker["version"] == ("nothing" if empty else "1.1")
    assert marker["deployment_type"] == "Other"
    assert marker["description"] == "Rolled back from 1.2: bad"


def test_a_persons_rollback_is_marked_with_what_it_deployed(world: World, markers: list[dict[str, Any]]) -> None:
    for release, run_id in ((OLD, "run-8"), (NEW, "run-9")):
        run = world.delivery(run_id)
        run.deploy(release, phase="all")
        run.promote("verified")
        run.release_lease()
    task = world.task(RollbackToOperator, release="", reason="slow", mark=["nr"])
    world.execute(task)
    (marker,) = markers
    assert (marker["version"], marker["description"], marker["user"]) == ("1.1", "Rolled back from 1.2: slow", "ada")
