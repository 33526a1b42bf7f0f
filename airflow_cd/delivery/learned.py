"""What a verification takes from the ledger: the baselines of an environment, and people's feedback on events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_cd.delivery.delivery import Delivery
from airflow_cd.errors import BaselineMissing, VerificationError
from airflow_cd.verification.logs.baselines import Baseline, Learned
from airflow_cd.verification.logs.feedback import Expected, Opinions
from airflow_cd.verification.logs.profile import LogProfile
from airflow_cd.verification.metrics.profile import MetricProfile

if TYPE_CHECKING:
    from airflow_cd.ledger import Deployment


def log_baseline(delivery: Delivery, source: str, choice: str) -> Baseline:
    """What a log source is compared with beside the control.

    :param delivery: the environment.
    :param source: name of the log source.
    :param choice: the pipeline's: ``all``, ``previous``, ``control`` or a deployment. A person's pin or reset in the
        ledger outranks it.
    """
    ledger, service, environment = delivery.ledger, delivery.service, delivery.environment
    person = ledger.baselines.choice(service, environment)
    chosen = f"; baseline {person.action} by {person.who}: {person.why}" if person else ""
    try:
        kept = ledger.profiles.taught(service, environment, source, kind="logs", choice=choice)
    except BaselineMissing as error:
        return Baseline(unusable=str(error))
    return Baseline.of(
        (one.deployment_id, f"{one.version} of {one.saved_at:%Y-%m-%d %H:%M} UTC{chosen}", one.content) for one in kept
    )


def with_replaced(delivery: Delivery, deployment: Deployment, source: str, baseline: Baseline) -> Baseline:
    """The baseline, and what the replicas of the release before have logged beside earlier phases.

    In the last phase they are gone, and where a platform keeps no logs of replicas that are gone, theirs are too.

    :param delivery: the environment.
    :param deployment: the run's.
    :param source: name of the log source.
    :param baseline: of :func:`log_baseline`.
    """
    kept = [one for one in delivery.ledger.profiles.of(deployment.id) if (one.kind, one.source) == ("control", source)]
    if not kept or baseline.unusable:
        return baseline
    profile = LogProfile.merge(*(LogProfile.from_bytes(one.content) for one in kept))
    beside = Learned("the release before, beside earlier phases", profile)
    return replace(baseline, learned=[beside, *baseline.learned])


def metric_baseline(delivery: Delivery, source: str) -> list[MetricProfile]:
    """What earlier good deployments taught about a metric source; without it verification is more careful.

    :param delivery: the environment.
    :param source: name of the metric source.
    """
    try:
        taught = delivery.ledger.profiles.taught(delivery.service, delivery.environment, source, kind="metrics")
    except BaselineMissing as error:
        # A pin chooses what is compared. Metrics without earlier deployments are judged more carefully, not less.
        delivery.log(f"Metrics of {source} are judged without earlier deployments: {error}")
        return []
    learned = []
    for kept in taught:
        try:
            learned.append(MetricProfile.from_bytes(kept.content))
        except VerificationError as error:
            delivery.log(f"The metrics of {kept.version} teach nothing: {error}")
    return learned


def opinions(delivery: Delivery, expected: Sequence[Expected], errors: Sequence[Expected] = ()) -> Opinions:
    """People's feedback on events as of now, and what the pipeline expects.

    :param delivery: the environment.
    :param expected: events that the pipeline declares to be no risk.
    :param errors: patterns of what it declares to be an error.
    """
    feedback = delivery.ledger.feedback.in_force(delivery.service, delivery.environment)
    return Opinions([record.statement for record in feedback], expected, errors)
