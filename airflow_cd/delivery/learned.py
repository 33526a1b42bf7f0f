"""What the ledger remembers of an environment that a verification goes by: baselines, and what is said of events."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_cd.delivery.delivery import Delivery
from airflow_cd.errors import BaselineMissing, VerificationError
from airflow_cd.verification.logs.baselines import Baseline
from airflow_cd.verification.logs.feedback import Expected, Opinions
from airflow_cd.verification.metrics.profile import MetricProfile


def log_baseline(delivery: Delivery, source: str, choice: str) -> Baseline:
    """What a log source is compared with beside the control.

    :param choice: the pipeline's; a person's pin or reset in the ledger outranks it.
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


def metric_baseline(delivery: Delivery, source: str) -> list[MetricProfile]:
    """What earlier good deployments taught about a metric source; without it verification is more careful."""
    try:
        taught = delivery.ledger.profiles.taught(delivery.service, delivery.environment, source, kind="metrics")
    except BaselineMissing as error:
        # A person's pin is about what is compared; a null that nobody taught makes this more careful, not less.
        delivery.say(f"Metrics of {source} are judged without earlier deployments: {error}")
        return []
    learned = []
    for kept in taught:
        try:
            learned.append(MetricProfile.from_bytes(kept.content))
        except VerificationError as error:
            delivery.say(f"The metrics of {kept.version} teach nothing: {error}")
    return learned


def opinions(delivery: Delivery, expected: Sequence[Expected]) -> Opinions:
    """What people say of events by now, and what the pipeline expects."""
    said = delivery.ledger.feedback.in_force(delivery.service, delivery.environment)
    return Opinions([record.statement for record in said], expected)
