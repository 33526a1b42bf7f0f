"""Verdicts with their evidence, and the profiles of what they judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select, update

from airflow_cd.errors import LedgerError
from airflow_cd.ledger.columns import BLOB_BYTES
from airflow_cd.ledger.models import PhaseRow, ProfileRow, VerdictRow
from airflow_cd.ledger.records import VerdictRecord
from airflow_cd.ledger.store import Store

KINDS = ("logs", "metrics", "control")
_PHASE_STATES = {"PASS": "passed", "FAIL": "failed", "INCONCLUSIVE": "inconclusive"}


class Verdicts(Store):
    """What verifications said, and what they learned."""

    def record_verdict(
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
        overruled the caller, and :class:`LedgerError` for a word that is no verdict.
        """
        word = str(verdict)
        if word not in _PHASE_STATES:
            raise LedgerError(f"{verdict!r} is no verdict.", next_step=f"Use one of {', '.join(_PHASE_STATES)}.")
        with self._writing() as session:
            self._fenced(session, deployment_id, token, by_its_run=True)
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
                recorded_at=self._now(session),
            )
            session.add(row)
            if final:
                session.execute(
                    update(PhaseRow)
                    .where(PhaseRow.deployment_id == deployment_id, PhaseRow.name == phase)
                    .values(state=_PHASE_STATES[word])
                )
            return _verdict(self._written(session, row))

    def verdicts(self, deployment_id: str, phase: str | None = None) -> list[VerdictRecord]:
        """What was said of the deployment, or of one phase of it; newest last."""
        query = select(VerdictRow).where(VerdictRow.deployment_id == deployment_id)
        if phase is not None:
            query = query.where(VerdictRow.phase == phase)
        with self._reading() as session:
            return [_verdict(row) for row in session.scalars(query.order_by(VerdictRow.seq))]

    def save_profile(
        self,
        deployment_id: str,
        phase: str,
        source: str,
        *,
        kind: str,
        content: bytes,
        teaches: bool,
        token: int,
    ) -> None:
        """Keep what a source showed of a phase; replaces what was kept for the same phase, source and kind.

        :param kind: ``logs`` or ``metrics`` of the canary, or ``control``: what the running release logged.
        :param teaches: whether it joins the baseline once the deployment is promoted.

        Raises :class:`LeaseLost`, and :class:`LedgerError` for an unknown kind or a profile above 64 MiB.
        """
        if kind not in KINDS:
            raise LedgerError(f"no profile is of kind {kind!r}.", next_step=f"Use one of {', '.join(KINDS)}.")
        if len(content) > BLOB_BYTES:
            raise LedgerError(
                f"the {kind} profile of {source} has {len(content):,} bytes, more than the {BLOB_BYTES:,} kept.",
                state="the profile kept before, if any, is unchanged.",
                next_step="Bound what the profile keeps of each event.",
            )
        with self._writing() as session:
            self._fenced(session, deployment_id, token, by_its_run=True)
            values = {"content": content, "teaches": teaches, "saved_at": self._now(session)}
            one = {"deployment_id": deployment_id, "phase": phase, "source": source, "kind": kind}
            row = session.scalars(select(ProfileRow).filter_by(**one)).one_or_none()
            if row is None:
                session.add(ProfileRow(**one, **values))
            else:
                session.execute(update(ProfileRow).where(ProfileRow.seq == row.seq).values(**values))


def _verdict(row: VerdictRow) -> VerdictRecord:
    return VerdictRecord(
        row.seq, row.deployment_id, row.phase, row.token, row.verdict, row.evidence, row.final, row.recorded_at
    )
