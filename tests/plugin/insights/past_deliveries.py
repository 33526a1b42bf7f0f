"""Deployments that ended long ago, written as rows: the ledger's own calls know only now."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from airflow_cd.ledger import Ledger
from airflow_cd.ledger.models import DeploymentRow, FeedbackRow, VerdictRow
from airflow_cd.release import Release


class PastDeliveries:
    """Adds what ended before ``now``; every argument has a usual value."""

    def __init__(self, ledger: Ledger, now: datetime) -> None:
        self.ledger = ledger
        self.now = now

    def ended(
        self,
        state: str = "promoted",
        *,
        ago: timedelta = timedelta(hours=1),
        service: str = "shop",
        environment: str = "production",
        pipeline: str = "",
        run_id: str = "",
        lead: float = 600.0,
        clocks: tuple[float, float, float] | None = (30.0, 0.01, 12.0),
        risks: Sequence[str] | None = None,
        metric: str = "PASS",
        kind: str = "unknown",
    ) -> str:
        """One deployment.

        :param clocks: of a rollback, seconds to verdict, to safe and to restored; None for one without a verdict.
        :param risks: ids of the events a FAIL verdict rests on; by default one of its own for what was rolled back.
        :param metric: what the metrics said beside them.
        """
        at = self.now - ago
        key = str(uuid.uuid4())
        failed = state in ("rolled_back", "rollback_failed")
        content = Release(service, "1.0.0", f"{service}:1.0.0", {}).as_dict()
        verdict_at = None
        times: dict[str, datetime | None] = {"settled_at": None if state in ("running", "rollback_failed") else at}
        if failed and clocks is not None:
            to_verdict, to_safe, to_restored = clocks
            verdict_at = at if state == "rollback_failed" else at - timedelta(seconds=to_restored)
            times |= {
                "first_bad_at": verdict_at - timedelta(seconds=to_verdict),
                "verdict_at": verdict_at,
                "safe_at": verdict_at + timedelta(seconds=to_safe),
                "restored_at": at if state == "rolled_back" else None,
            }
        row = DeploymentRow(
            id=key,
            pipeline=pipeline or service,
            run_id=run_id or key,
            service=service,
            environment=environment,
            version="1.0.0",
            digest=content["digest"],
            release=content,
            previous={"web-1": content},
            state=state,
            reason="a test",
            triggered_by="ada",
            rollback="automatic",
            learn=False,
            token=1,
            requested_at=at - timedelta(seconds=lead),
            opened_at=at - timedelta(seconds=min(lead, 60.0)),
            outcome="",
            **times,
        )
        written: list[Any] = [row]
        if risks is None and failed and clocks is not None:
            risks = [key[:12]]
        if risks is not None:
            written.append(self._verdict(key, risks, metric, kind, at))
        with Session(self.ledger.engine) as session, session.begin():
            for one in written:
                session.add(one)
                session.flush()
        return key

    def said(
        self, event_id: str, says: str = "not_a_risk", *, service: str = "shop", environment: str | None = None
    ) -> int:
        """What a person says of an event now; its number."""
        with Session(self.ledger.engine) as session, session.begin():
            row = FeedbackRow(
                service=service,
                environment=environment,
                event_id=event_id,
                says=says,
                template="",
                sample="",
                at=self.now,
                who="ada",
                why="it is caught",
            )
            session.add(row)
            session.flush()
            return row.seq

    def _verdict(self, deployment_id: str, risks: Sequence[str], metric: str, kind: str, at: datetime) -> VerdictRow:
        events = [{"id": risk, "kind": kind, "risk": True, "template": "ERROR"} for risk in risks]
        evidence = {
            "version": 1,
            "verdict": "FAIL",
            "performance": {"verdict": metric},
            "quality": {
                "verdict": "FAIL" if risks else "PASS",
                "events": [*events, {"id": "known00", "kind": "known", "risk": False, "template": "INFO"}],
            },
        }
        return VerdictRow(
            deployment_id=deployment_id,
            phase="phase_20",
            token=1,
            verdict="FAIL",
            evidence=evidence,
            final=True,
            recorded_at=at,
        )
