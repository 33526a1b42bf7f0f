"""In which order events and metrics are shown: what a person has to see first comes first."""

from __future__ import annotations

from airflow_cd.report.figures import finite
from airflow_cd.verification.verdict import SEVERITIES, Event, EventKind, MetricResult, Verdict

_KINDS = (EventKind.UNKNOWN, EventKind.UNEXPECTED_FREQUENCY, EventKind.WENT_SILENT, EventKind.KNOWN)
_TOO_LITTLE = ("few_requests", "no_data", "not_measured", "only_canary")


def by_weight(event: Event) -> tuple[bool, int, int, float, str]:
    """Key that sorts risks first, then by kind, severity and number of records.

    :param event: as it was judged.
    """
    severity = SEVERITIES.index(event.severity) if event.severity in SEVERITIES else -1
    return not event.risk, _KINDS.index(event.kind), -severity, -finite(event.counts.get("canary")), event.id


def worst_first(result: MetricResult) -> tuple[int, float, str, str]:
    """Key that sorts by verdict, then by how far the change goes towards its threshold.

    A group that nearly nobody asked for says nothing, and there may be hundreds: it comes after every metric that is
    pooled over groups.

    :param result: of a metric.
    """
    effect = result.effect or 0.0
    worse = {"higher_is_worse": effect, "lower_is_worse": -effect}.get(result.direction, abs(effect))
    return _rank(result), -worse / (result.threshold or 1.0), result.name, result.group


def _rank(result: MetricResult) -> int:
    if result.verdict is Verdict.FAIL:
        return 0
    if result.verdict is Verdict.INCONCLUSIVE:
        return 3 if result.group and result.reason.code in _TOO_LITTLE else 1
    return 4 if result.group else 2
