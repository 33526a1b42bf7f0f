"""Results that a smaller or larger load may explain, or may not: those are for a person to decide."""

from __future__ import annotations

from dataclasses import replace

from airflow_cd.verification.metrics.load import Load
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.words import share
from airflow_cd.verification.verdict import MetricResult, Verdict


def left_open(decided: MetricResult, sides: Sides, load: Load | None, seen: float) -> MetricResult:
    """The result, INCONCLUSIVE where it depends on whether the load is the reason of what was seen.

    :param decided: the result of the metric.
    :param sides: the rows that were compared.
    :param load: of the canary by the other side's; None where that is not known.
    :param seen: how many times as much as on the other side there is.
    """
    if load is None or sides.group:
        return decided
    if decided.verdict is Verdict.FAIL and sides.load == 1.0 and load.may_explain(sides.metric, seen):
        why = f"the canary has {share(load.ratio)} of a control's load, which may be the reason."
    elif decided.verdict is Verdict.PASS and sides.load < 1.0 and not load.sure:
        why = "all counts are lower by the same factor. Is that a smaller share of the traffic, or lost work?"
    else:
        return decided
    reason = replace(decided.reason, code="not_certain", text=f"{decided.reason.text[:-1]}; {why}")
    return replace(decided, verdict=Verdict.INCONCLUSIVE, reason=reason)
