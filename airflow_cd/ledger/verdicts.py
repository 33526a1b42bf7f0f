"""Verdicts with their evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, update

from airflow_cd.errors import LedgerRefused
from airflow_cd.ledger.models import PhaseRow, VerdictRow
from airflow_cd.ledger.records import VerdictRecord
from airflow_cd.ledger.store import Room

_PHASE_STATES = {"PASS": "passed", "FAIL": "failed", "INCONCLUSIVE": "inconclusive"}


class Verdicts(Room):
    """What verifications said."""

    def record(
        self,
        deployment_id: str,
        phase: str,
        *,
        token: int,
        verdict: str,
        evidence: Mapping[str, Any],
        final: bool,
    ) -> VerdictRecord:
        """Record what a verification says now; each final verdict stays, what was said on the way is replaced.

        Numbers that JSON has no word for become null. Raises :class:`LeaseLost` when a person or another run has
        overruled the caller, and :class:`LedgerRefused` for a word that is no verdict.
        """
        word = str(verdict)
        if word not in _PHASE_STATES:
            raise LedgerRefused(f"{verdict!r} is no verdict.", next_step=f"Use one of {', '.join(_PHASE_STATES)}.")
        with self._store.writing() as session:
            self._store.fenced(session, deployment_id, token, by_its_run=True)
            session.execute(
                delete(VerdictRow).where(
                    VerdictRow.deployment_id == deployment_id, VerdictRow.phase == phase, VerdictRow.final.is_(False)
                )
            )
            row = VerdictRow(
                deployment_id=deployment_id,
                phase=phase,
                token=token,
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
                    .values(state=_PHASE_STATES[word])
                )
            return _verdict(self._store.written(session, row))

    def of(self, deployment_id: str, phase: str | None = None) -> list[VerdictRecord]:
        """What was said of the deployment, or of one phase of it; newest last."""
        query = select(VerdictRow).where(VerdictRow.deployment_id == deployment_id)
        if phase is not None:
            query = query.where(VerdictRow.phase == phase)
        with self._store.reading() as session:
            return [_verdict(row) for row in session.scalars(query.order_by(VerdictRow.seq))]


def _verdict(row: VerdictRow) -> VerdictRecord:
    return VerdictRecord(
        row.seq, row.deployment_id, row.phase, row.token, row.verdict, row.evidence, row.final, row.recorded_at
    )
