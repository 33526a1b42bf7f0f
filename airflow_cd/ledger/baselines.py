"""Which baseline a person chose for an environment.

A person's pin outranks the pipeline's own choice; a reset excludes what was learned before it. Neither is ever
changed or deleted: the newest one that was not undone is in force.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_cd.errors import BaselineMissing, LedgerRefused
from airflow_cd.ledger import chain
from airflow_cd.ledger.models import BaselineChoiceRow, DeploymentRow
from airflow_cd.ledger.records import BaselineChoice
from airflow_cd.ledger.store import Part
from airflow_cd.states import DeploymentState, HumanAction
from airflow_cd.verification.baseline_choice import BASELINES, wrong_baseline

PIN, RESET, UNDO = "pin", "reset", "undo"
_AUDITED = {
    PIN: HumanAction.PINNED_BASELINE,
    RESET: HumanAction.RESET_BASELINE,
    UNDO: HumanAction.UNDID_BASELINE,
}


class Baselines(Part):
    """Baselines pinned and reset by people."""

    def pin(self, service: str, environment: str, choice: str, *, who: str, why: str) -> BaselineChoice:
        """Compare canaries in the environment with this baseline, whatever the pipeline's own choice is.

        :param service: what is deployed.
        :param environment: where.
        :param choice: ``all``, ``previous``, ``control``, or a deployment's id or version; a version is kept as the
            deployment it means now.
        :param who: the person.
        :param why: the reason; not empty.
        :raises BaselineMissing: no such deployment was promoted there.
        :raises LedgerRefused: no reason is given.
        """
        mistake = wrong_baseline(choice)
        if mistake is not None:
            raise LedgerRefused(f"{mistake}.", service=service, environment=environment, state="nothing was changed.")
        with self._store.writing() as session:
            meant = choice if choice in BASELINES else promoted_row(session, service, environment, choice).id
            return self._choose(session, service, environment, PIN, who=who, why=why, choice=meant)

    def reset(self, service: str, environment: str, *, who: str, why: str) -> BaselineChoice:
        """Forget what was learned in the environment up to now, and any pin.

        :param service: what is deployed.
        :param environment: where.
        :param who: the person.
        :param why: the reason; not empty.
        :raises LedgerRefused: no reason is given.
        """
        with self._store.writing() as session:
            return self._choose(session, service, environment, RESET, who=who, why=why)

    def undo(self, service: str, environment: str, *, who: str, why: str) -> BaselineChoice:
        """Undo the newest pin or reset in force in the environment.

        :param service: what is deployed.
        :param environment: where.
        :param who: the person.
        :param why: the reason; not empty.
        :raises LedgerRefused: there is none, or no reason is given.
        """
        with self._store.writing() as session:
            # One at a time, or two people would undo the same one.
            self._store.lock(session, service, environment)
            standing = standing_choices(choice_rows(session, service, environment))
            if not standing:
                raise LedgerRefused(
                    f"nobody has pinned or reset the baseline of {service}.",
                    service=service,
                    environment=environment,
                    state="nothing was changed.",
                    next_step="Nothing to do: the pipeline's own choice is in force.",
                )
            last = standing[0]
            return self._choose(
                session, service, environment, UNDO, who=who, why=why, choice=last.choice, undoes=last.seq
            )

    def choice(self, service: str, environment: str) -> BaselineChoice | None:
        """The pin or reset in force in the environment; None where the pipeline's own choice counts."""
        with self._store.reading() as session:
            rows = choice_rows(session, service, environment)
            standing = standing_choices(rows)
            return _record(standing[0], rows) if standing else None

    def history(self, service: str, environment: str) -> list[BaselineChoice]:
        """Every pin, reset and undo in the environment, newest first."""
        with self._store.reading() as session:
            rows = choice_rows(session, service, environment)
            return [_record(row, rows) for row in rows]

    def _choose(
        self,
        session: Session,
        service: str,
        environment: str,
        action: str,
        *,
        who: str,
        why: str,
        choice: str | None = None,
        undoes: int | None = None,
    ) -> BaselineChoice:
        if not why.strip():
            raise LedgerRefused(
                "changing a baseline requires a reason.",
                service=service,
                environment=environment,
                state="nothing was changed.",
                next_step="Give a reason.",
            )
        row = BaselineChoiceRow(
            service=service,
            environment=environment,
            action=action,
            choice=choice,
            undoes=undoes,
            at=self._store.now(session),
            who=who,
            why=why,
        )
        session.add(row)
        chain.append(
            session,
            at=row.at,
            who=who,
            action=_AUDITED[action],
            why=why,
            service=service,
            environment=environment,
            allowed=True,
            detail={name: value for name, value in (("choice", choice), ("undoes", undoes)) if value is not None},
        )
        return _record(self._store.written(session, row), [row])


def choice_rows(session: Session, service: str, environment: str) -> Sequence[BaselineChoiceRow]:
    """Every pin, reset and undo, newest first."""
    return session.scalars(
        select(BaselineChoiceRow)
        .where(BaselineChoiceRow.service == service, BaselineChoiceRow.environment == environment)
        .order_by(BaselineChoiceRow.seq.desc())
    ).all()


def standing_choices(rows: Sequence[BaselineChoiceRow]) -> list[BaselineChoiceRow]:
    """The pins and resets that were not undone, newest first."""
    undone = {row.undoes for row in rows}
    return [row for row in rows if row.action != UNDO and row.seq not in undone]


def promoted_row(session: Session, service: str, environment: str, choice: str) -> DeploymentRow:
    """The deployment with this id, or the newest promoted one of this version.

    :raises BaselineMissing: no such deployment was promoted there.
    """
    found = session.scalars(
        select(DeploymentRow)
        .where(
            DeploymentRow.service == service,
            DeploymentRow.environment == environment,
            (DeploymentRow.id == choice) | (DeploymentRow.version == choice),
        )
        .order_by(DeploymentRow.seq.desc())
    ).all()
    promoted = [row for row in found if row.state == DeploymentState.PROMOTED]
    if promoted:
        return promoted[0]
    was = f"is {found[0].state.replace('_', ' ')}, not promoted" if found else "was never deployed here"
    raise BaselineMissing(
        f"the baseline {choice} cannot be used: no such deployment of {service} was promoted here ({choice} {was}).",
        service=service,
        environment=environment,
        next_step=f"Name a deployment that was: `airflow-cd baseline list {service} {environment}` shows them.",
    )


def _record(row: BaselineChoiceRow, rows: Sequence[BaselineChoiceRow]) -> BaselineChoice:
    return BaselineChoice(
        id=row.seq,
        service=row.service,
        environment=row.environment,
        action=row.action,
        choice=row.choice,
        who=row.who,
        why=row.why,
        at=row.at,
        undoes=row.undoes,
        undone=any(other.undoes == row.seq for other in rows),
    )
