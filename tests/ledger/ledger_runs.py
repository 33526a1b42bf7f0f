"""What the tests of the ledger are written in: a clock, runs, releases."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_cd.ledger import Deployment, Lease, Ledger
from airflow_cd.release import Release


class Clock:
    """A time that moves only when it is told to."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **amount: float) -> datetime:
        self.time += timedelta(**amount)
        return self.time


def eventually(condition: Callable[[], Any], *, seconds: float = 30) -> Any:
    """The first true answer of the condition; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        pause.wait(0.02)
    pytest.fail(f"{condition} did not come true within {seconds} s")


class Run:
    """One run of a pipeline, deploying the shop to production; every argument has a usual value."""

    def __init__(self, ledger: Ledger, run_id: str = "run-1", *, environment: str = "production") -> None:
        self.ledger = ledger
        self.run_id = run_id
        self.environment = environment
        self.lease: Lease | None = None

    def acquire(self, **more: Any) -> Lease:
        arguments: dict[str, Any] = {"pipeline": "storefront", "run_id": self.run_id, "ttl": timedelta(minutes=5)}
        self.lease = self.ledger.leases.acquire("shop", self.environment, **{**arguments, **more})
        return self.lease

    def overrule(self) -> Lease:
        self.lease = self.ledger.leases.overrule(
            "shop", self.environment, pipeline="storefront", run_id=self.run_id, ttl=timedelta(minutes=5)
        )
        return self.lease

    @property
    def token(self) -> int:
        assert self.lease is not None
        return self.lease.token

    def release(self) -> None:
        assert self.lease is not None
        self.ledger.leases.release(self.lease)

    def open(self, release: Release, **more: Any) -> Deployment:
        arguments: dict[str, Any] = {
            "previous": {"web-1": shop("1.0.0"), "web-2": shop("1.0.0")},
            "reason": "a test",
            "triggered_by": "ada",
            "rollback": "automatic",
            "learn": False,
        }
        return self.ledger.deployments.open(self.lease or self.acquire(), release, **{**arguments, **more})

    def promoted(self, release: Release, **more: Any) -> Deployment:
        """Deploy the release to its good end and let go of the environment."""
        deployment = self.open(release, **more)
        done = self.ledger.settlement.promote(deployment.id, token=self.token, outcome="all good")
        self.release()
        return done

    def rolled_back(self, release: Release, **more: Any) -> Deployment:
        """Deploy the release to its bad end and let go of the environment."""
        deployment = self.open(release, **more)
        self.ledger.settlement.begin_rollback(deployment.id, token=self.token, outcome="4 unknown events")
        done = self.ledger.settlement.finish_rollback(
            deployment.id, token=self.token, restored=True, outcome="4 unknown events"
        )
        self.release()
        return done


def shop(version: str, **configuration: Any) -> Release:
    return Release("shop", version, f"shop:{version}", configuration)
