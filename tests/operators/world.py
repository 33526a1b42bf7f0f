"""Operators and sensors by themselves: an environment in memory, a ledger in a file, a context without Airflow."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, TypeVar

from airflow.sdk import BaseOperator

from airflow_cd.delivery import Delivery
from airflow_cd.ledger import Deployment, Ledger
from airflow_cd.release import Release
from airflow_cd.states import PhaseState
from airflow_cd.verification.verdict import Judgement, Reason, Verdict
from tests.memory_target import MemoryTarget

OLD = Release("shop", "1.1", "shop:1.1", {"limit": 5})
NEW = Release("shop", "1.2", "shop:1.2", {"limit": 7})
NAMES = [f"shop-{number:02d}" for number in range(5)]
PLACE = {"service": "shop", "environment": "production"}

Task = TypeVar("Task", bound=BaseOperator)


@dataclass
class TaskInstance:
    """What a task sees of itself, and what it leaves behind."""

    task: Any
    run_id: str
    try_number: int = 1
    max_tries: int = 0
    states: Mapping[str, str | None] = field(default_factory=dict)
    xcoms: dict[str, Any] = field(default_factory=dict)
    dag_id: str = "shop"
    id: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def task_id(self) -> str:
        return str(self.task.task_id)

    def get_task_states(self, *, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, dict[str, Any]]:
        assert (dag_id, run_ids) == (self.dag_id, [self.run_id])
        return {self.run_id: {name: self.states[name] for name in task_ids if name in self.states}}

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        return self.xcoms.get(f"{task_ids} {key}")

    def xcom_push(self, *, key: str, value: Any) -> None:
        self.xcoms[f"{self.task_id} {key}"] = value


class StateStore(dict[str, Any]):
    """What a task keeps between its attempts."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


class World:
    """Production with five instances on 1.1, where run ``run-1`` of pipeline ``shop`` is at work."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.target = MemoryTarget(NAMES, OLD)
        self.lines: list[str] = []
        self.requested: dict[str, datetime] = {}

    def task(self, kind: type[Task], **more: Any) -> Task:
        return kind(**{"task_id": "task", "target": self.target, "timeout_healthy": "1s", **PLACE, **more})

    def requested_at(self, run_id: str) -> datetime:
        """When a run was requested: when the test first speaks of it."""
        return self.requested.setdefault(run_id, datetime.now(timezone.utc))

    def delivery(self, run_id: str = "run-1") -> Delivery:
        self.requested_at(run_id)
        return Delivery(
            self.ledger,
            self.target,
            pipeline="shop",
            run_id=run_id,
            log=self.lines.append,
            timeout=timedelta(seconds=1),
            **PLACE,
        )

    def deployed(self, *, share: int = 20, phase: str = "phase_20", run_id: str = "run-1") -> Deployment:
        delivery = self.delivery(run_id)
        delivery.deploy(NEW, phase=phase, share=share, reason="new prices")
        return delivery.require_deployment()

    def judged(self, verdict: Verdict, sentence: str, *, phase: str = "phase_20") -> None:
        delivery = self.delivery()
        judgement = Judgement(verdict, [Reason("test", sentence)])
        token, evidence = delivery.lease().token, judgement.as_dict()
        self.ledger.verdicts.record(
            delivery.require_deployment().id, phase, token=token, verdict=verdict, evidence=evidence, final=True
        )

    def context(
        self,
        task: Any,
        *,
        run_id: str = "run-1",
        user: str | None = "ada",
        store: StateStore | None = None,
        cleared: int = 0,
        **ti: Any,
    ) -> Any:
        task_instance = TaskInstance(task, run_id, **{"max_tries": task.retries or 0, **ti})
        requested = self.requested_at(run_id)
        run = SimpleNamespace(
            dag_id="shop",
            run_id=run_id,
            run_after=requested,
            start_date=requested,
            conf={},
            triggering_user_name=user,
            clear_number=cleared,
        )
        return {"ti": task_instance, "dag_run": run, "task_state_store": store if store is not None else StateStore()}

    def execute(self, task: Any, **more: Any) -> Any:
        return task.execute(self.context(task, **more))

    def phase_state(self) -> str:
        (phase,) = self.ledger.phases.of(self.delivery().require_deployment().id)
        return PhaseState(phase.state)
