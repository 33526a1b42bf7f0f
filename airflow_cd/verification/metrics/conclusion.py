"""From the results of single metrics to the performance of the canary; pure, and tested as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from airflow_cd.verification.verdict import MetricResult, Performance, Reason, Verdict


def conclude(results: Sequence[MetricResult]) -> Performance:
    """What the results of all metrics come to.

    Any result that fails fails the whole; one that is inconclusive holds it up unless it is of a single group.

    :param results: of every metric over all its groups (``group`` is ``""``), and of each group.
    """
    failed = [result for result in results if result.verdict is Verdict.FAIL]
    if failed:
        # The whole says more than one of its parts.
        decisive = [result for result in failed if not result.group] or failed
        return Performance(Verdict.FAIL, [result.reason for result in decisive], results)
    pooled = [result for result in results if not result.group and result.kind != "info"]
    if results and not pooled:
        text = "Not one metric is there that could get worse."
        return Performance(Verdict.INCONCLUSIVE, [Reason("no_data", text)], results)
    undecided = [result.reason for result in pooled if result.verdict is Verdict.INCONCLUSIVE]
    if undecided:
        return Performance(Verdict.INCONCLUSIVE, undecided, results)
    return Performance(Verdict.PASS, [_no_regression(pooled)], results)


def _no_regression(pooled: Sequence[MetricResult]) -> Reason:
    requests = max((result.canary.get("requests", 0.0) for result in pooled), default=0.0)
    widest = max((result.smallest_detectable or 0.0 for result in pooled if result.kind == "latency"), default=0.0)
    text = f"No regression in {len(pooled)} metrics over {requests:.0f} canary requests"
    text += f"; a latency change of {widest:.0%} would have shown." if widest else "."
    numbers = {"metrics": len(pooled), "requests": requests, "smallest_detectable": widest or None}
    return Reason("no_regression", text, numbers)


def with_crossings(performance: Performance, crossings: Sequence[Reason]) -> Performance:
    """The performance, failed where a fixed threshold was crossed.

    :param performance: what the statistics came to.
    :param crossings: a reason for each threshold that was; they come before the regressions.
    """
    if not crossings:
        return performance
    regressions = performance.reasons if performance.verdict is Verdict.FAIL else ()
    return replace(performance, verdict=Verdict.FAIL, reasons=[*crossings, *regressions])
