"""In which order events and metrics are shown: what a person has to see first comes first."""

from __future__ import annotations

from airflow_cd.verification.report_figures import finite
from airflow_cd.verification.verdict import Event, EventKind, MetricResult, Verdict

_KINDS = (EventKind.UNKNOWN, EventKind.UNEXPECTED_FREQUENCY, EventKind.WENT_SILENT, EventKind.KNOWN)
_SEVERITIES = ("fatal", "error", "warning", "info", "debug")
_VERDICTS = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


def by_weight(event: Event) -> tuple[bool, int, int, float, str]:
    """Key that sorts risks first, then by kind, severity and number of records."""
    severity = _SEVERITIES.index(event.severity) if event.severity in _SEVERITIES else len(_SEVERITIES)
    return not event.risk, _KINDS.index(event.kind), severity, -finite(event.counts.get("canary")), event.id


def worst_first(result: MetricResult) -> tuple[int, float, str, str]:
    """Key that sorts by verdict, then by how far the change goes towards its threshold."""
    effect = result.effect or 0.0
    worse = {"higher_is_worse": effect, "lower_is_worse": -effect}.get(result.direction, abs(effect))
    return _VERDICTS.index(result.verdict), -worse / (result.threshold or 1.0), result.name, result.group
