"""The steps of a canary, each by its operator."""

from __future__ import annotations

from typing import Any

from airflow_cd.operators import CanaryDeployOperator, PromoteOperator, RollbackOperator, VerifyOperator
from airflow_cd.release import Release
from airflow_cd.verification.settings import Verification
from tests.operators.world import World


def deploy(world: World, release: Release, share: int) -> None:
    """A phase of that share."""
    task = world.task(
        CanaryDeployOperator,
        phase=f"phase_{share}",
        share=share,
        version=release.version,
        artifact=release.artifact,
        configuration=dict(release.configuration),
        overrides={},
        reason="",
        rollback="automatic",
        learn=False,
    )
    world.execute(task)


def verify(world: World, source: Any, share: int) -> dict[str, Any]:
    """Verify that phase by a source of logs; what the task leaves for the tasks after it."""
    verification = Verification(logs=[source], duration="2s", every="0.5s")
    given: dict[str, Any] = {"verification": verification, "follow": "next", "rollback": "back"}
    left: dict[str, Any] = {}
    world.execute(world.task(VerifyOperator, task_id="verify", phase=f"phase_{share}", **given), xcoms=left)
    return left


def roll_back(world: World, share: int, left: dict[str, Any], verified: str = "success") -> None:
    """Roll that phase back, after a verification that ended so."""
    task = world.task(RollbackOperator, task_id="back", verify_task_id="verify", phase=f"phase_{share}")
    world.execute(task, states={"verify": verified}, xcoms=left)


def promote(world: World) -> None:
    """Make it the release to return to."""
    world.execute(world.task(PromoteOperator))
