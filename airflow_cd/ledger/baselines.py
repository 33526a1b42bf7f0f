"""What good deployments taught, and which of it a person wants canaries to be compared with.

A person's pin outranks what the pipeline says; a reset leaves out what was taught before it. Neither is ever changed
or deleted: the newest one that was not undone is in force.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_cd.errors import BaselineMissing, LedgerError
from airflow_cd.ledger.models import BaselineChoiceRow, DeploymentRow, HumanActionRow, ProfileRow
from airflow_cd.ledger.records import PROMOTED, BaselineChoice, Profile
from airflow_cd.ledger.store import Store
from airflow_cd.verification.baseline_choice import BASELINES, wrong_baseline

PIN, RESET, UNDO = "pin", "reset", "undo"


class Baselines(Store):
    """The profiles that good deployments leave, and people's say in which of them count."""

    def profiles(
        self, service: str, environment: str, source: str, *, kind: str, choice: str = "all", limit: int = 20
    ) -> list[Profile]:
        """What promoted deployments taught about a source, newest first; each phase has a profile of its own.

        :param choice: which of them: ``all``, ``previous``, ``control`` (none of them), or a deployment's id or
            version. A person's pin or reset there outranks it.
        :param limit: how many deployments at most.

        Raises :class:`BaselineMissing` when one deployment is asked for that was never promoted there, or was reset.
        """
        with self._reading() as session:
            wanted, since = _in_force(_rows(session, service, environment), choice)
            if wanted == "control":
                return []
            teachers = (
                select(DeploymentRow.seq)
                .join(ProfileRow, ProfileRow.deployment_id == DeploymentRow.id)
                .where(
                    DeploymentRow.service == service,
                    DeploymentRow.environment == environment,
                    DeploymentRow.state == PROMOTED,
                    ProfileRow.source == source,
                    ProfileRow.kind == kind,
                    ProfileRow.teaches.is_(True),
                )
                .group_by(DeploymentRow.seq)
                .order_by(DeploymentRow.seq.desc())
                .limit(1 if wanted == "previous" else limit)
            )
            if wanted not in BASELINES:
                pinned = _promoted(session, service, environment, wanted)
                if since is not None and not _taught_after(pinned, since):
                    raise BaselineMissing(
                        f"{since.who} reset the baseline at {since.at:%Y-%m-%d %H:%M} UTC ({since.why}), "
                        f"and {wanted} is from before.",
                        environment=environment,
                        next_step=f"Name a newer one, or `airflow-cd baseline pin {service} {environment} {wanted}`.",
                    )
                teachers = teachers.where(DeploymentRow.seq == pinned.seq)
            elif since is not None:
                teachers = teachers.where(DeploymentRow.settled_at > since.at)
            query = (
                select(ProfileRow, DeploymentRow.version)
                .join(DeploymentRow, DeploymentRow.id == ProfileRow.deployment_id)
                .where(
                    DeploymentRow.seq.in_(teachers),
                    ProfileRow.source == source,
                    ProfileRow.kind == kind,
                    ProfileRow.teaches.is_(True),
                )
                .order_by(DeploymentRow.seq.desc(), ProfileRow.seq.desc())
            )
            found = [_profile(row, version) for row, version in session.execute(query)]
            if not found and wanted not in BASELINES:
                raise BaselineMissing(
                    f"deployment {wanted} has taught nothing about {source}: no phase of it passed a verification.",
                    environment=environment,
                    next_step="Name another one, or `all`.",
                )
            return found

    def teachers(self, service: str, environment: str, *, limit: int = 20) -> dict[str, str]:
        """Id and version of the deployments that have taught something there, newest first; reads no profile."""
        query = (
            select(DeploymentRow.id, DeploymentRow.version)
            .join(ProfileRow, ProfileRow.deployment_id == DeploymentRow.id)
            .where(
                DeploymentRow.service == service,
                DeploymentRow.environment == environment,
                DeploymentRow.state == PROMOTED,
                ProfileRow.teaches.is_(True),
                ProfileRow.kind != "control",
            )
            .group_by(DeploymentRow.seq, DeploymentRow.id, DeploymentRow.version)
            .order_by(DeploymentRow.seq.desc())
            .limit(limit)
        )
        with self._reading() as session:
            return {found.id: found.version for found in session.execute(query)}

    def profiles_of(self, deployment_id: str) -> list[Profile]:
        """Every profile that was kept of a deployment, whether or not it teaches, in the order of its phases."""
        query = (
            select(ProfileRow, DeploymentRow.version)
            .join(DeploymentRow, DeploymentRow.id == ProfileRow.deployment_id)
            .where(ProfileRow.deployment_id == deployment_id)
            .order_by(ProfileRow.seq)
        )
        with self._reading() as session:
            return [_profile(row, version) for row, version in session.execute(query)]

    def pin_baseline(self, service: str, environment: str, choice: str, *, who: str, why: str) -> BaselineChoice:
        """Have canaries there compared with this baseline, whatever the pipeline says.

        :param choice: as in :meth:`profiles`; a version is kept as the deployment it means now.

        Raises :class:`BaselineMissing` when no such deployment was promoted there, :class:`LedgerError` when no reason
        is given.
        """
        mistake = wrong_baseline(choice)
        if mistake is not None:
            raise LedgerError(f"{mistake}.", environment=environment, state="nothing was changed.")
        with self._writing() as session:
            meant = choice if choice in BASELINES else _promoted(session, service, environment, choice).id
            return self._choose(session, service, environment, PIN, who=who, why=why, choice=meant)

    def reset_baseline(self, service: str, environment: str, *, who: str, why: str) -> BaselineChoice:
        """Forget what was taught there up to now, and any pin: only what is promoted from now on teaches.

        Raises :class:`LedgerError` when no reason is given.
        """
        with self._writing() as session:
            return self._choose(session, service, environment, RESET, who=who, why=why)

    def undo_baseline(self, service: str, environment: str, *, who: str, why: str) -> BaselineChoice:
        """Take back the newest pin or reset there that was not taken back yet.

        Raises :class:`LedgerError` when there is none, or no reason is given.
        """
        with self._writing() as session:
            # One after the other, or two people would take back the same one.
            self._lock(session, service, environment)
            standing = _standing(_rows(session, service, environment))
            if not standing:
                raise LedgerError(
                    f"nobody has pinned or reset the baseline of {service}.",
                    environment=environment,
                    state="nothing was changed.",
                    next_step="What the pipeline says is in force.",
                )
            last = standing[0]
            return self._choose(
                session, service, environment, UNDO, who=who, why=why, choice=last.choice, undoes=last.seq
            )

    def baseline_choice(self, service: str, environment: str) -> BaselineChoice | None:
        """The person's pin or reset in force there; None where the pipeline's choice counts."""
        with self._reading() as session:
            rows = _rows(session, service, environment)
            standing = _standing(rows)
            return _record(standing[0], rows) if standing else None

    def baseline_history(self, service: str, environment: str) -> list[BaselineChoice]:
        """Every pin, reset and undoing there, newest first."""
        with self._reading() as session:
            rows = _rows(session, service, environment)
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
            raise LedgerError(
                "a baseline is changed only with a reason.",
                environment=environment,
                state="nothing was changed.",
                next_step="Say why.",
            )
        row = BaselineChoiceRow(
            service=service,
            environment=environment,
            action=action,
            choice=choice,
            undoes=undoes,
            at=self._now(session),
            who=who,
            why=why,
        )
        session.add(row)
        session.add(
            HumanActionRow(
                at=row.at,
                who=who,
                action=f"{action} baseline",
                why=why,
                service=service,
                environment=environment,
                allowed=True,
                detail={name: value for name, value in (("choice", choice), ("undoes", undoes)) if value is not None},
            )
        )
        return _record(self._written(session, row), [row])


def _rows(session: Session, service: str, environment: str) -> Sequence[BaselineChoiceRow]:
    """Everything people said about it, newest first."""
    return session.scalars(
        select(BaselineChoiceRow)
        .where(BaselineChoiceRow.service == service, BaselineChoiceRow.environment == environment)
        .order_by(BaselineChoiceRow.seq.desc())
    ).all()


def _standing(rows: Sequence[BaselineChoiceRow]) -> list[BaselineChoiceRow]:
    """The pins and resets that were not undone, newest first."""
    undone = {row.undoes for row in rows}
    return [row for row in rows if row.action != UNDO and row.seq not in undone]


def _in_force(rows: Sequence[BaselineChoiceRow], choice: str) -> tuple[str, BaselineChoiceRow | None]:
    """Which baseline counts, and the reset that bounds it, if any."""
    standing = _standing(rows)
    reset = next((row for row in standing if row.action == RESET), None)
    if not standing or standing[0].action == RESET:
        return choice, reset
    pinned = standing[0].choice or choice
    # Whoever names one deployment after a reset means it.
    return pinned, reset if pinned in BASELINES else None


def _promoted(session: Session, service: str, environment: str, choice: str) -> DeploymentRow:
    """The deployment of that id, or the newest promoted one of that version."""
    found = session.scalars(
        select(DeploymentRow)
        .where(
            DeploymentRow.service == service,
            DeploymentRow.environment == environment,
            (DeploymentRow.id == choice) | (DeploymentRow.version == choice),
        )
        .order_by(DeploymentRow.seq.desc())
    ).all()
    promoted = [row for row in found if row.state == PROMOTED]
    if promoted:
        return promoted[0]
    was = f"is {found[0].state.replace('_', ' ')}, not promoted" if found else "was never deployed here"
    raise BaselineMissing(
        f"the baseline {choice} cannot be used: no such deployment of {service} was promoted here ({choice} {was}).",
        environment=environment,
        next_step=f"Name a deployment that was: `airflow-cd baseline list {service} {environment}` shows them.",
    )


def _taught_after(row: DeploymentRow, reset: BaselineChoiceRow) -> bool:
    return row.settled_at is not None and row.settled_at > reset.at


def _profile(row: ProfileRow, version: str) -> Profile:
    return Profile(
        row.deployment_id, row.phase, version, row.content, row.saved_at, row.source, row.kind, teaches=row.teaches
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
