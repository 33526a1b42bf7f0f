"""A canary on a platform of revisions by the operators themselves: a bad one is restored, a good one promoted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.operators import VerifyOperator
from airflow_cd.release import Release
from airflow_cd.sources.frames import identified_log_frame
from airflow_cd.states import DeploymentState, RollbackCause
from airflow_cd.verification.samples import LogSample, Window
from tests import steady_logs
from tests.operators.canary_steps import deploy, promote, roll_back, verify
from tests.operators.world import NEW, OLD, World
from tests.revision_target import RevisionMemory

BAD = Release("shop", "1.3", "shop:1.3", {"limit": 0})


class Requests:
    """Logs of revisions; those of a bad release log an error."""

    name = "requests"
    delay = timedelta(0)

    def __init__(self, target: RevisionMemory) -> None:
        self.target = target
        self.asked: set[str] = set()

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        self.asked |= set(instances)
        rows = steady_logs.orders(window, instances)
        bad = [name for name in instances if self.target.revisions[name].artifact == BAD.artifact]
        rows += steady_logs.errors(window, bad, since=window.since)
        # Nothing has to be learned of a lag where records say when they came.
        identified = [(at, name, text, f"{at.timestamp()} {name} {text}", at) for at, name, text in rows]
        return LogSample(identified_log_frame(identified), "every request")


@pytest.fixture
def target(world: World) -> RevisionMemory:
    target = RevisionMemory(OLD)
    world.target = target  # type: ignore[assignment]
    return target


@pytest.fixture
def branch(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Which task a verification has branched to."""
    taken: dict[str, Any] = {}
    monkeypatch.setattr(VerifyOperator, "do_branch", lambda self, context, task: taken.update(to=task))
    return taken


def test_a_bad_revision_is_drained_and_restored(world: World, target: RevisionMemory, branch: dict[str, Any]) -> None:
    deploy(world, BAD, 20)
    assert target.weights == {"r1": 80, "r2": 20}
    source = Requests(target)
    left = verify(world, source, 20)
    assert branch["to"] == "back"
    assert target.weights == {"r1": 100}, "drained in the moment of the verdict"
    assert source.asked == {"r1", "r2"}, "asked for by the names of the revisions"
    roll_back(world, 20, left)
    deployment = world.delivery().require_deployment()
    assert (deployment.state, deployment.cause) == (DeploymentState.ROLLED_BACK, RollbackCause.FAILED)
    assert [(one.name, one.weight) for one in target.instances()] == [("r1", 100)]
    assert deployment.to_safe is not None


def test_a_good_revision_is_promoted(world: World, target: RevisionMemory, branch: dict[str, Any]) -> None:
    deploy(world, NEW, 20)
    verify(world, Requests(target), 20)
    assert branch["to"] == "next"
    deploy(world, NEW, 100)
    promote(world)
    assert world.delivery().require_deployment().state == DeploymentState.PROMOTED
    assert [(one.name, one.weight, one.version) for one in target.instances()] == [("r2", 100, "1.2")]


def test_somebody_who_takes_the_canary_out_is_told_of(
    world: World, target: RevisionMemory, branch: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(world, NEW, 20)
    source = Requests(target)
    read = source.read

    def undone(window: Window, instances: Sequence[str]) -> LogSample:
        target.meddle({"r1": 100})
        return read(window, instances)

    monkeypatch.setattr(source, "read", undone)
    with pytest.raises(AirflowFailException, match="somebody else has changed the weights"):
        verify(world, source, 20)
    assert branch == {}
    roll_back(world, 20, {}, verified="failed")
    deployment = world.delivery().require_deployment()
    assert deployment.state == DeploymentState.ROLLED_BACK
    assert deployment.cause is not None
    assert not deployment.cause.vetoes, "nothing is held against the release"
    assert target.weights == {"r1": 100}
