"""What the tests of the pages fill a ledger with."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_cd.ledger import Deployment, Lease, Ledger, Question
from airflow_cd.release import Release

APPROVAL = "approve"


def release(service: str, version: str, **configuration: Any) -> Release:
    return Release(service, version, f"{service}:{version}", configuration)


class Delivery:
    """One run bringing one version of a service from environment to environment; the pipeline has its name."""

    def __init__(self, ledger: Ledger, service: str, version: str, *, pipeline: str = "", run_id: str = "") -> None:
        self.ledger = ledger
        self.service = service
        self.release = release(service, version)
        self.pipeline = pipeline or service
        self.run_id = run_id or f"run-{version}"
        self.leases: dict[str, Lease] = {}
        self.previous: dict[str, Release | None] = {"web-1": release(service, "0.9")}

    def open(self, environment: str, *, by: str = "ada", rolls_back: str | None = None) -> Deployment:
        """Start there; the environment stays this run's."""
        place = {"pipeline": self.pipeline, "run_id": self.run_id, "ttl": timedelta(minutes=5)}
        lease = self.ledger.leases.acquire(self.service, environment, **place)
        self.leases[environment] = lease
        return self.ledger.deployments.open(
            lease,
            self.release,
            previous=self.previous,
            reason="a test",
            triggered_by=by,
            rollback="automatic",
            learn=False,
            rolls_back=rolls_back,
        )

    def canary(
        self, environment: str, share: int = 20, verdict: str = "", *, final: bool = True, **more: Any
    ) -> Deployment:
        """Bring it to a share of the environment, and judge that where a verdict is given."""
        deployment = self.open(environment, **more)
        token, phase = self.leases[environment].token, f"phase_{share}"
        self.ledger.phases.start(deployment.id, phase, share=share, instances=["web-1"], token=token)
        if verdict:
            self.ledger.verdicts.record(deployment.id, phase, token=token, verdict=verdict, evidence={}, final=final)
        return deployment

    def promoted(self, environment: str, verdict: str = "", **more: Any) -> Deployment:
        """Bring it there to its good end."""
        deployment = self.canary(environment, 100, verdict, **more) if verdict else self.open(environment, **more)
        done = self.ledger.settlement.promote(deployment.id, token=self.leases[environment].token, outcome="all good")
        self.ledger.leases.release(self.leases[environment])
        return done

    def rolled_back(self, environment: str, outcome: str, *, restored: bool | None = True, **more: Any) -> Deployment:
        """Bring it to a bad end there; ``restored`` is None while it is being rolled back."""
        deployment = self.canary(environment, verdict="FAIL", **more)
        token = self.leases[environment].token
        done = self.ledger.settlement.begin_rollback(deployment.id, token=token, outcome=outcome)
        if restored is not None:
            done = self.ledger.settlement.finish_rollback(
                deployment.id, token=token, restored=restored, outcome=outcome
            )
        self.ledger.leases.release(self.leases[environment])
        return done

    def asks(self, *environments: str, task_id: str = APPROVAL, approvers: tuple[str, ...] = ("bob",)) -> Question:
        """Ask whether to go on there."""
        return self.ledger.questions.ask(
            pipeline=self.pipeline,
            run_id=self.run_id,
            task_id=task_id,
            options=["Approve", "Reject"],
            approvers=approvers,
            subject=f"Deploy {self.service} {self.release.version} to {', '.join(environments) or 'the next stage'}?",
            body="",
            deadline=datetime.now(timezone.utc) + timedelta(days=7),
            proposed=dict.fromkeys(environments, self.release),
        )
