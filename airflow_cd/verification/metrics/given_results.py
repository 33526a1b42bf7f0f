"""Numbers that say something of the release as a whole: there is nothing to compare them with but fixed limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_cd.verification.metrics.thresholds import Threshold
from airflow_cd.verification.metrics.words import number
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.times import iso_time
from airflow_cd.verification.verdict import MetricResult, Performance, Reason, Verdict

if TYPE_CHECKING:
    import pandas as pd


def judge_results(rows: pd.DataFrame, metrics: Sequence[Metric], limits: Sequence[Threshold]) -> Performance:
    """What such numbers come to: one beyond its limit fails, and while one has not come yet nothing passes.

    :param rows: of the canary, as of :class:`~airflow_cd.verification.samples.MetricSample`; the newest value counts.
    :param metrics: what is to come.
    :param limits: what they are held against; a metric without any informs.
    """
    results = [_judged(metric, rows, [one for one in limits if one.is_of(metric)]) for metric in metrics]
    worst = _worst([result.verdict for result in results])
    reasons = [result.reason for result in results if result.verdict is worst]
    return Performance(worst, reasons, results)


def with_results(compared: Performance | None, results: Performance) -> Performance:
    """The performance with what such numbers come to beside it: the worse of both verdicts.

    :param compared: what is compared with a control; None where nothing is.
    :param results: as of :func:`judge_results`.
    """
    if compared is None:
        return results
    worst = _worst([compared.verdict, results.verdict])
    # What speaks against the release comes first; of two that pass, what says more.
    parts = (compared, results) if worst is Verdict.PASS else (results, compared)
    reasons = [reason for part in parts if part.verdict is worst for reason in part.reasons]
    return replace(compared, verdict=worst, reasons=reasons, metrics=[*compared.metrics, *results.metrics])


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
    return next(verdict for verdict in order if verdict in verdicts or verdict is Verdict.PASS)


def _judged(metric: Metric, rows: pd.DataFrame, limits: Sequence[Threshold]) -> MetricResult:
    own = rows[rows["metric"] == metric.name].sort_values("time", kind="stable")
    if not len(own):
        verdict = Verdict.INCONCLUSIVE if limits else Verdict.PASS
        return _result(
            metric, verdict, Reason("no_result", f"{metric.name}: there is no result.", {"metric": metric.name})
        )
    value, at = float(own["value"].iloc[-1]), iso_time(own["time"].iloc[-1].to_pydatetime(warn=False))
    shown = number(value, metric.unit)
    for limit in limits:
        for line, words in _beyond(limit, value):
            text = f"{metric.name}: {shown}, {words} the limit of {number(line, metric.unit)}."
            numbers: dict[str, float | int | str | None] = {
                "value": value,
                "limit": line,
                "metric": metric.name,
                "at": at,
            }
            return _result(metric, Verdict.FAIL, Reason("threshold_crossed", text, numbers), value)
    text = f"{metric.name}: {shown}, within its limits." if limits else f"{metric.name}: {shown}; no limit is given."
    return _result(metric, Verdict.PASS, Reason("within_limits", text, {"value": value, "metric": metric.name}), value)


def _beyond(limit: Threshold, value: float) -> Iterator[tuple[float, str]]:
    if limit.above is not None and value > limit.above:
        yield limit.above, "above"
    if limit.below is not None and value < limit.below:
        yield limit.below, "below"


def _result(metric: Metric, verdict: Verdict, reason: Reason, value: float | None = None) -> MetricResult:
    return MetricResult(
        name=metric.name,
        group="",
        kind=metric.kind,
        unit=metric.unit,
        direction=metric.direction,
        verdict=verdict,
        reason=reason,
        canary={} if value is None else {"mean": value},
        compared_with="limits",
    )
