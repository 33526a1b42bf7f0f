"""Verdicts of verifications, with their evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, update

from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger.models import PhaseRow, VerdictRow
from airflow_cd.ledger.records import VerdictRecord
from airflow_cd.ledger.store import Part
from airflow_cd.states import PhaseState
from airflow_cd.verification.verdict import Verdict

PHASE_STATES = {
    Verdict.PASS: PhaseState.PASSED,
    Verdict.FAIL: PhaseState.FAILED,
    Verdict.INCONCLUSIVE: PhaseState.INCONCLUSIVE,
}
"""What a final verdict makes of its phase."""


class Verdicts(Part):
    """The verdicts of each phase: final ones, and the latest interim one."""

    def record(
        self,
        deployment_id: str,
        phase: str,
        *,
        token: int | None,
        verdict: str,
        evidence: Mapping[str, Any],
        final: bool,
    ) -> VerdictRecord:
        """Record a verdict; every final one is kept, an interim one is replaced by the next.

        :param deployment_id: the deployment.
        :param phase: the phase that was verified.
        :param token: the fencing token of the run's lease; None for a final one that became known when the run did not
            own the environment any more, which changes nothing but the record.
        :param verdict: PASS, FAIL or INCONCLUSIVE.
        :param evidence: JSON values; NaN and infinities, which JSON cannot express, become null.
        :param final: False while the verification still watches.
        :raises LeaseLost: a person or another run has overruled the caller.
        :raises LedgerRefused: there is no such verdict, or the evidence is not JSON or too large.
        """
        word = str(verdict)
        if word not in PHASE_STATES:
            raise LedgerRefused(f"{verdict!r} is not a verdict.", next_step=f"Use one of {', '.join(PHASE_STATES)}.")
        with self._store.writing() as session:
            if token is not None:
                self._store.fenced(session, deployment_id, token, by_its_run=True)
            session.execute(
                delete(VerdictRow).where(
                    VerdictRow.deployment_id == deployment_id, VerdictRow.phase == phase, VerdictRow.final.is_(False)
                )
            )
            row = VerdictRow(
                deployment_id=deployment_id,
                phase=phase,
                token=token if token is not None else self._store.deployment_row(session, deployment_id).token,
                verdict=word,
                evidence=dict(evidence),
                final=final,
                recorded_at=self._store.now(session),
            )
            session.add(row)
            if final:
                session.execute(
                    update(PhaseRow)
                    .where(PhaseRow.deployment_id == deployment_id, PhaseRow.name == phase)
                    .values(state=PHASE_STATES[Verdict(word)])
                )
            return _verdict(self._store.written(session, row))

    def of(self, deployment_id: str, phase: str | None = None) -> list[VerdictRecord]:
        """The verdicts on a deployment, newest last.

        :param deployment_id: the deployment.
        :param phase: only of this phase.
        """
        query = select(VerdictRow).where(VerdictRow.deployment_id == deployment_id)
        if phase is not None:
            query = query.where(VerdictRow.phase == phase)
        with self._store.reading() as session:
            return [_verdict(row) for row in session.scalars(query.order_by(VerdictRow.seq))]


def _verdict(row: VerdictRow) -> VerdictRecord:
    return VerdictRecord(
        row.seq, row.deployment_id, row.phase, row.token, row.verdict, row.evidence, row.final, row.recorded_at
    )
