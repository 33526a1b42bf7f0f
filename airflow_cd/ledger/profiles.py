"""Profiles of what deployments logged and measured, and which of them a canary is compared with."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update

from airflow_cd.errors import BaselineMissing, LedgerRefused
from airflow_cd.ledger.baselines import RESET, choice_rows, promoted_row, standing_choices
from airflow_cd.ledger.columns import BLOB_BYTES
from airflow_cd.ledger.models import BaselineChoiceRow, DeploymentRow, ProfileRow
from airflow_cd.ledger.records import PROMOTED, Profile
from airflow_cd.ledger.store import Room
from airflow_cd.verification.baseline_choice import BASELINES

KINDS = ("logs", "metrics", "control")


class Profiles(Room):
    """The profiles that deployments leave; those of good ones teach."""

    def taught(
        self, service: str, environment: str, source: str, *, kind: str, choice: str = "all", limit: int = 20
    ) -> list[Profile]:
        """What promoted deployments taught about a source, newest first; each phase has a profile of its own.

        :param choice: which of them: ``all``, ``previous``, ``control`` (none of them), or a deployment's id or
            version. A person's pin or reset there outranks it.
        :param limit: how many deployments at most.

        Raises :class:`BaselineMissing` when one deployment is asked for that was never promoted there, or was reset.
        """
        with self._store.reading() as session:
            wanted, since = _in_force(choice_rows(session, service, environment), choice)
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
                pinned = promoted_row(session, service, environment, wanted)
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
        with self._store.reading() as session:
            return {found.id: found.version for found in session.execute(query)}

    def of(self, deployment_id: str) -> list[Profile]:
        """Every profile that was kept of a deployment, whether or not it teaches, in the order of its phases."""
        query = (
            select(ProfileRow, DeploymentRow.version)
            .join(DeploymentRow, DeploymentRow.id == ProfileRow.deployment_id)
            .where(ProfileRow.deployment_id == deployment_id)
            .order_by(ProfileRow.seq)
        )
        with self._store.reading() as session:
            return [_profile(row, version) for row, version in session.execute(query)]

    def save(
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

        Raises :class:`LeaseLost`, and :class:`LedgerRefused` for an unknown kind or a profile above 64 MiB.
        """
        if kind not in KINDS:
            raise LedgerRefused(f"no profile is of kind {kind!r}.", next_step=f"Use one of {', '.join(KINDS)}.")
        if len(content) > BLOB_BYTES:
            raise LedgerRefused(
                f"the {kind} profile of {source} has {len(content):,} bytes, more than the {BLOB_BYTES:,} kept.",
                state="the profile kept before, if any, is unchanged.",
                next_step="Bound what the profile keeps of each event.",
            )
        with self._store.writing() as session:
            self._store.fenced(session, deployment_id, token, by_its_run=True)
            values = {"content": content, "teaches": teaches, "saved_at": self._store.now(session)}
            one = {"deployment_id": deployment_id, "phase": phase, "source": source, "kind": kind}
            row = session.scalars(select(ProfileRow).filter_by(**one)).one_or_none()
            if row is None:
                session.add(ProfileRow(**one, **values))
            else:
                session.execute(update(ProfileRow).where(ProfileRow.seq == row.seq).values(**values))


def _in_force(rows: Sequence[BaselineChoiceRow], choice: str) -> tuple[str, BaselineChoiceRow | None]:
    """Which baseline counts, and the reset that bounds it, if any."""
    standing = standing_choices(rows)
    reset = next((row for row in standing if row.action == RESET), None)
    if not standing or standing[0].action == RESET:
        return choice, reset
    pinned = standing[0].choice or choice
    # Whoever names one deployment after a reset means it.
    return pinned, reset if pinned in BASELINES else None


def _taught_after(row: DeploymentRow, reset: BaselineChoiceRow) -> bool:
    return row.settled_at is not None and row.settled_at > reset.at


def _profile(row: ProfileRow, version: str) -> Profile:
    return Profile(
        row.deployment_id, row.phase, version, row.content, row.saved_at, row.source, row.kind, teaches=row.teaches
    )
