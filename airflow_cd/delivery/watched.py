"""What a verification has to know of the deployment: whose log lines are whose, and what earlier phases counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_cd.errors import TargetError, VerificationError
from airflow_cd.verification.log_reading import Earlier
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.samples import Window

_LONGEST_SHUTDOWN = timedelta(seconds=30)
"""After it a process that began later than the release was healthy is the release's own, started again."""

if TYPE_CHECKING:
    from airflow_cd.delivery.delivery import Delivery
    from airflow_cd.instances import Instance
    from airflow_cd.ledger import Deployment, Phase, Profile


def phases_before(delivery: Delivery, deployment: Deployment, phase: Phase) -> list[Phase]:
    """The phases of the deployment that were deployed before this one, the first one first.

    :param delivery: the environment.
    :param deployment: the run's.
    :param phase: the phase that is verified.
    """
    before = []
    for one in delivery.ledger.phases.of(deployment.id):
        if one.name == phase.name:
            break
        if one.deployed_at is not None:
            before.append(one)
    return before


def begins(
    instances: Iterable[Instance],
    names: Sequence[str],
    *,
    replaced: Iterable[str],
    healthy: datetime,
    grace: timedelta,
) -> dict[str, datetime]:
    """From when on what is logged under the name of a canary instance is the new release's.

    The process before may still log while it shuts down on the same host, after the new one is healthy.

    :param instances: as the target reads them now.
    :param names: of the canary's instances.
    :param replaced: names of those on which the release before ran until this phase.
    :param healthy: when they were healthy on the new release.
    :param grace: how long after that the process before may still log, where the target does not say when it ended.
    :returns: by name; what is not in it is the new release's from the beginning.
    """
    started = {instance.name: instance.started for instance in instances}
    found = {}
    for name in set(replaced) & set(names):
        begin = started.get(name) or healthy + grace
        if begin > healthy + max(grace, _LONGEST_SHUTDOWN):
            begin = healthy + grace  # it has started again since: what it logged before is the new release's as well
        if begin > healthy:
            found[name] = begin
    return found


def read_begins(
    delivery: Delivery, deployment: Deployment, phase: Phase, before: Sequence[Phase], grace: timedelta
) -> dict[str, datetime]:
    """:func:`begins` for the canary of a phase, as the target says it now.

    :param delivery: the environment.
    :param deployment: the run's.
    :param phase: the phase that is verified.
    :param before: the phases before it; their instances run the release already.
    :param grace: as of :func:`begins`.
    """
    if phase.deployed_at is None:
        return {}
    old = {name for name, release in deployment.previous.items() if release is not None}
    already = {name for one in before for name in one.instances}
    try:
        instances = delivery.target.instances()
    except TargetError:
        instances = []
    return begins(instances, phase.instances, replaced=old - already, healthy=phase.deployed_at, grace=grace)


def earlier_phases(
    delivery: Delivery, deployment: Deployment, before: Sequence[Phase], grace: timedelta
) -> list[Earlier]:
    """What earlier phases of the deployment counted, so that what comes late of them is known.

    :param delivery: the environment.
    :param deployment: the run's.
    :param before: those phases, the first one first.
    :param grace: as of :func:`begins`.
    """
    if not before:
        return []
    kept = delivery.ledger.profiles.of(deployment.id)
    evidence = {verdict.phase: verdict.evidence for verdict in delivery.ledger.verdicts.of(deployment.id)}
    found = []
    for number, phase in enumerate(before):
        counted = dict(_counted(delivery, one) for one in kept if one.phase == phase.name and one.kind == "logs")
        window = _window(evidence.get(phase.name, {}))
        if window is not None:
            starts = read_begins(delivery, deployment, phase, before[:number], grace)
            found.append(Earlier(phase.name, window, tuple(phase.instances), counted, starts))
    return found


def _counted(delivery: Delivery, kept: Profile) -> tuple[str, LogProfile]:
    try:
        return kept.source, LogProfile.from_bytes(kept.content)
    except VerificationError as error:
        delivery.log(f"What comes late of {kept.phase} cannot be told: {error}")
        return "", LogProfile()


def _window(evidence: Mapping[str, object]) -> Window | None:
    """The time that a verification watched, as its evidence says it; older evidence does not."""
    since, until = evidence.get("since"), evidence.get("until")
    if not isinstance(since, str) or not isinstance(until, str) or not since or not until:
        return None
    return Window(datetime.fromisoformat(since), datetime.fromisoformat(until))
