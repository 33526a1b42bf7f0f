"""Production with run ``run-1`` at work, an Airflow that is a few values, and a guard whose clock is set by hand."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_cd.delivery.late_verdict import HandedVerdict
from airflow_cd.guard.airflow_runs import AirflowFacts, RunFacts, RunKey, TaskFacts
from airflow_cd.guard.service import Guard
from airflow_cd.ledger import Finding, Ledger, Work
from airflow_cd.states import RollbackCause
from tests.operators.world import World

MORNING = datetime(2026, 11, 23, 8, tzinfo=timezone.utc)
GOES_ON = RunFacts("running", paused=False, stale=False, file="shop.py")
PASSED = TaskFacts("production.phase_20.deploy", -1, "success", None)


class Scene(World):
    """What Airflow says is ``run``; each look of the guard is a few seconds after the one before."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.now = 0.0
        self.runs: dict[RunKey, RunFacts] = {("shop", "run-1"): GOES_ON}
        self.scheduler_lives = True
        self.airflow_away = False
        self.pages: list[str] = []
        self.handed: list[HandedVerdict] = []
        self.guard = self.another_guard("first")

    def another_guard(self, name: str) -> Guard:
        return Guard(
            self.ledger,
            read=self._read,
            holder=name,
            clock=lambda: self.now,
            page=lambda what, **where: self.pages.append(what),
            handed=lambda key: self.handed if key == ("shop", "run-1") else [],
        )

    def run_is(self, **facts: Any) -> None:
        self.runs["shop", "run-1"] = replace(GOES_ON, **facts)

    def at_work(self, task_id: str = "production.phase_20.verify", run_id: str = "run-1") -> Work:
        """A process of the run begins to work on production."""
        return self.ledger.work.begin(
            "shop",
            "production",
            pipeline="shop",
            run_id=run_id,
            task_id=task_id,
            process="worker-1:77",
            target={"connection": "memory_production", "environment": "production"},
            timeout=1,
        )

    def between_tasks(self) -> None:
        """The run has deployed, and its next task has not begun."""
        self.ledger.work.end(self.at_work("production.phase_20.deploy"))

    def pass_by(
        self, seconds: float, *, beats: Work | None = None, guard: Guard | None = None, every: float = 4
    ) -> None:
        """Let the time pass, with a look, and a sign of life of a process, every so many seconds."""
        guard = guard or self.guard
        until = self.now + seconds
        while self.now < until:
            if beats is not None:
                self.ledger.work.beat(beats)
            guard.look()
            guard.wait()
            self.now += every

    def findings(self) -> list[Finding]:
        return self.ledger.guarding.findings()

    def _read(self, keys: Collection[RunKey]) -> AirflowFacts:
        if self.airflow_away:
            raise ConnectionError("connection refused")
        heartbeat = MORNING + timedelta(seconds=self.now if self.scheduler_lives else 0)
        return AirflowFacts({key: self.runs[key] for key in keys if key in self.runs}, {1: heartbeat})


def running(task_id: str, *, heartbeat: float = 0) -> TaskFacts:
    return TaskFacts(task_id, -1, "running", MORNING + timedelta(seconds=heartbeat))


def queued(state: str = "queued") -> TaskFacts:
    return TaskFacts("production.phase_20.rollback", -1, state, None, pool="default_pool", queue="default")


def paused(scene: Scene) -> None:
    scene.between_tasks()
    scene.run_is(paused=True)


def blamed(scene: Scene) -> None:
    """The run has found its release bad."""
    deployment = scene.delivery().require_deployment()
    token = scene.delivery().lease().token
    scene.ledger.settlement.blame(
        deployment.id, token=token, cause=RollbackCause.FAILED, outcome="FAIL: KeyError, 4 times."
    )
