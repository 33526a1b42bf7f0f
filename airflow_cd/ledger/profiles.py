"""Profiles of what deployments logged and measured, and which of them a canary is compared with.

Profiles of promoted deployments *teach*: they are the baseline of later ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update

from airflow_cd.errors import BaselineMissing, LedgerRefused
from airflow_cd.ledger.baselines import RESET, choice_rows, promoted_row, standing_choices
from airflow_cd.ledger.columns import BLOB_BYTES
from airflow_cd.ledger.models import BaselineChoiceRow, DeploymentRow, ProfileRow
from airflow_cd.ledger.records import Profile
from airflow_cd.ledger.store import Part
from airflow_cd.states import DeploymentState
from airflow_cd.verification.baseline_choice import BASELINES

KINDS = ("logs", "metrics", "control")


class Profiles(Part):
    """The profiles of each deployment."""

    def taught(
        self, service: str, environment: str, source: str, *, kind: str, choice: str = "all", limit: int = 20
    ) -> list[Profile]:
        """What promoted deployments taught about a source, newest first; each phase has a profile of its own.

        :param service: what is deployed.
        :param environment: where.
        :param source: the source of metrics or logs, by its key.
        :param kind: one of :data:`KINDS`.
        :param choice: which deployments: ``all``, ``previous``, ``control`` (none of them), or one by its id or
            version. A person's pin or reset in the environment outranks it.
        :param limit: how many deployments at most.
        :raises BaselineMissing: one deployment is named that was never promoted there, has taught nothing about the
            source, or is from before a reset.
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
                    DeploymentRow.state == DeploymentState.PROMOTED,
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
                        service=service,
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
                    service=service,
                    environment=environment,
                    next_step="Name another one, or `all`.",
                )
            return found

    def teachers(self, service: str, environment: str, *, limit: int = 20) -> dict[str, str]:
        """The deployments that teach in the environment: id and version, newest first; reads no profile.

        :param service: what is deployed.
        :param environment: where.
        :param limit: how many deployments at most.
        """
        query = (
            select(DeploymentRow.id, DeploymentRow.version)
            .join(ProfileRow, ProfileRow.deployment_id == DeploymentRow.id)
            .where(
                DeploymentRow.service == service,
                DeploymentRow.environment == environment,
                DeploymentRow.state == DeploymentState.PROMOTED,
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
        """Every profile of a deployment, whether it teaches or not, in the order of its phases."""
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

        :param deployment_id: the deployment.
        :param phase: its phase.
        :param source: the source of metrics or logs, by its key.
        :param kind: ``logs`` or ``metrics`` of the canary, or ``control``: what the running release logged.
        :param content: the profile's bytes, at most 64 MiB.
        :param teaches: whether it joins the baseline once the deployment is promoted.
        :param token: the fencing token of the run's lease.
        :raises LeaseLost: the token is not current, or the lease belongs to another run.
        :raises LedgerRefused: there is no such kind, or the profile is too large.
        """
        if kind not in KINDS:
            raise LedgerRefused(
                f"{kind!r} is not a kind of profile.",
                state="nothing was kept.",
                next_step=f"Use one of {', '.join(KINDS)}.",
            )
        if len(content) > BLOB_BYTES:
            raise LedgerRefused(
                f"the {kind} profile of {source} has {len(content):,} bytes, more than the {BLOB_BYTES:,} kept.",
                state="the profile kept before, if any, is unchanged.",
                next_step="Limit what the profile keeps of each event.",
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

    def teach(self, deployment_id: str, phase: str, *, token: int) -> None:
        """Let what was kept of the canary in a phase join the baseline, should its deployment be promoted.

        :param deployment_id: the deployment.
        :param phase: its phase.
        :param token: the fencing token of the run's lease.
        :raises LeaseLost: the token is not current, or the lease belongs to another run.
        """
        with self._store.writing() as session:
            self._store.fenced(session, deployment_id, token, by_its_run=True)
            session.execute(
                update(ProfileRow)
                .where(
                    ProfileRow.deployment_id == deployment_id, ProfileRow.phase == phase, ProfileRow.kind != "control"
                )
                .values(teaches=True)
            )


def _in_force(rows: Sequence[BaselineChoiceRow], choice: str) -> tuple[str, BaselineChoiceRow | None]:
    """Which baseline counts, and the reset that bounds it, if any."""
    standing = standing_choices(rows)
    reset = next((row for row in standing if row.action == RESET), None)
    if not standing or standing[0].action == RESET:
        return choice, reset
    pinned = standing[0].choice or choice
    # A deployment that is pinned after a reset is meant, although the reset excludes it.
    return pinned, reset if pinned in BASELINES else None


def _taught_after(row: DeploymentRow, reset: BaselineChoiceRow) -> bool:
    return row.settled_at is not None and row.settled_at > reset.at


def _profile(row: ProfileRow, version: str) -> Profile:
    return Profile(
        row.deployment_id, row.phase, version, row.content, row.saved_at, row.source, row.kind, teaches=row.teaches
    )
