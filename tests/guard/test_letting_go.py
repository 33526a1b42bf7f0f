"""What a target has kept for the way back goes when the guard has brought it back, as at the end of a run."""

from __future__ import annotations

from airflow_cd.errors import TargetUnavailable
from tests.guard.scene import Scene
from tests.memory_target import wholly_on
from tests.operators.world import OLD


def test_what_was_kept_for_the_way_back_is_let_go(scene: Scene) -> None:
    kept: list[int] = []
    scene.target.settled = lambda *, token: kept.append(token)  # type: ignore[attr-defined]
    scene.deployed()
    scene.between_tasks()
    scene.run_is(paused=True)
    scene.pass_by(46)
    assert wholly_on(scene.target, OLD)
    assert kept == [scene.target.token]


def test_what_cannot_be_let_go_keeps_nobody_from_the_environment(scene: Scene) -> None:
    def away(*, token: int) -> None:
        raise TargetUnavailable("the daemon does not answer.")

    scene.target.settled = away  # type: ignore[attr-defined]
    scene.deployed()
    scene.between_tasks()
    scene.run_is(paused=True)
    scene.pass_by(46)
    assert wholly_on(scene.target, OLD)
    assert scene.ledger.leases.current("shop", "production") is None
