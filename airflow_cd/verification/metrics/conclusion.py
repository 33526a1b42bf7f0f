"""From the results of single metrics to the performance of the canary; pure, and tested as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from airflow_cd.verification.metrics.unjudged import ONLY_CANARY
from airflow_cd.verification.metrics.words import change
from airflow_cd.verification.verdict import MetricResult, Performance, Reason, Verdict

# Codes: such a result says nothing yet, and nothing against the release.
INFORMING = ("few_requests", "not_precise", "not_measured", ONLY_CANARY)
_FELT = ("latency", "errors", "apdex", "share")  # kinds that users feel: without any of them nothing is known
# Parts of the results that must say something: of all, and of those that users feel.
_ENOUGH, _ENOUGH_FELT = 0.5, 0.25
_SAYS_LITTLE = 1.0  # relative change of a latency: where only more than twice as long shows


def conclude(results: Sequence[MetricResult]) -> Performance:
    """What the results of all metrics come to.

    A result that decides and fails fails the whole. One that is suspicious, or without the data that the other side
    has, holds it up. One that cannot be precise yet (:data:`INFORMING`) is named, and holds nothing up as long as half
    of all results say something, and a quarter of those that users feel: latencies, errors, scores and shares.

    :param results: of every metric over all its groups (``group`` is ``""``), and of each group.
    """
    deciding = [result for result in results if result.decides]
    failed = [result for result in deciding if result.verdict is Verdict.FAIL]
    if failed:
        # The whole says more than one of its parts.
        decisive = [result for result in failed if not result.group] or failed
        return Performance(Verdict.FAIL, [result.reason for result in decisive], results)
    pooled = [result for result in deciding if not result.group and result.kind != "info"]
    if results and not pooled:
        text = "Not one metric is there that could get worse."
        return Performance(Verdict.INCONCLUSIVE, [Reason("no_data", text)], results)
    # Information, too, may say that a process begins anew again and again.
    undecided = [result for result in deciding if not result.group and result.verdict is Verdict.INCONCLUSIVE]
    holding = [result for result in undecided if result.reason.code not in INFORMING]
    if holding:
        return Performance(Verdict.INCONCLUSIVE, [result.reason for result in holding], results)
    felt = [result for result in pooled if result.kind in _FELT]
    if undecided and not (_says_enough(pooled, _ENOUGH) and (not felt or _says_enough(felt, _ENOUGH_FELT))):
        return Performance(Verdict.INCONCLUSIVE, [result.reason for result in undecided], results)
    return Performance(Verdict.PASS, [_no_regression(pooled), *(result.reason for result in undecided)], results)


def _says_enough(results: Sequence[MetricResult], part: float) -> bool:
    passed = sum(result.verdict is Verdict.PASS for result in results)
    measured = sum(result.reason.code != "not_measured" for result in results)
    return passed > 0 and passed >= part * measured


def _no_regression(pooled: Sequence[MetricResult]) -> Reason:
    passed = [result for result in pooled if result.verdict is Verdict.PASS]
    requests, of = _requests(pooled)
    widest = max((result.smallest_detectable or 0.0 for result in passed if result.kind == "latency"), default=0.0)
    count = f"{len(passed)} of {len(pooled)}" if len(passed) < len(pooled) else f"{len(pooled)}"
    metrics = "metric" if len(pooled) == 1 else "metrics"
    text = f"No regression in {count} {metrics} over {requests:,.0f} {of}"
    if widest > _SAYS_LITTLE:
        text += f"; only a latency {change(widest, 'latency')} would have shown, so of latencies they say little."
    else:
        text += f"; a latency {change(widest, 'latency')} would have shown." if widest else "."
    left = len(pooled) - len(passed)
    if left:
        text += f" {left} cannot be judged yet, which holds nothing up."
    numbers = {"metrics": len(pooled), "requests": requests, "smallest_detectable": widest or None}
    return Reason("no_regression", text, numbers)


def _requests(pooled: Sequence[MetricResult]) -> tuple[float, str]:
    """How many requests the canary got as far as anybody counted them, or else rows, and which of these."""
    counted = [
        result.canary["mean"] * result.canary["buckets"] * max(1, len(result.instances))
        for result in pooled
        if result.kind == "throughput" and {"mean", "buckets"} <= result.canary.keys()
    ]
    requests = max((result.canary.get("requests", 0.0) for result in pooled), default=0.0)
    rows = max((result.canary.get("buckets", 0.0) for result in pooled), default=0.0)
    if max(counted, default=0.0) > requests:
        requests = max(counted)
    elif 0 < requests <= rows:
        return requests, "moments of the canary"
    return requests, "canary requests"


def with_crossings(performance: Performance, crossings: Sequence[Reason]) -> Performance:
    """The performance, failed where a fixed threshold was crossed.

    :param performance: what the statistics came to.
    :param crossings: a reason for each threshold that was; they come before the regressions.
    """
    if not crossings:
        return performance
    regressions = performance.reasons if performance.verdict is Verdict.FAIL else ()
    return replace(performance, verdict=Verdict.FAIL, reasons=[*crossings, *regressions])


def with_one_row(performance: Performance, rows: int) -> Performance:
    """The performance, held up where all there is of the canary is one row.

    :param performance: what the metrics came to.
    :param rows: of the canary, of the metric that has most.
    """
    if rows > 1 or performance.verdict is not Verdict.PASS:
        return performance
    text = "There is one row of the canary, of one moment: that is too little for a verdict."
    return replace(performance, verdict=Verdict.INCONCLUSIVE, reasons=[Reason("few_requests", text, {"rows": rows})])


def with_missing(performance: Performance, missing: Sequence[str]) -> Performance:
    """The performance, held up where a metric that decides is not measured at all.

    :param performance: what the metrics that are measured came to.
    :param missing: names of those that are not.
    """
    if not missing or performance.verdict is Verdict.FAIL:
        return performance
    reasons = [
        Reason("no_data", f"{name} is to decide, but no source measures it.", {"metric": name}) for name in missing
    ]
    kept = performance.reasons if performance.verdict is Verdict.INCONCLUSIVE else ()
    return replace(performance, verdict=Verdict.INCONCLUSIVE, reasons=[*reasons, *kept])
