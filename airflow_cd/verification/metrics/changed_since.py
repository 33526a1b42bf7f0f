"""A release that did well in the phase before and is slower now: it has not changed, so something beside it may have.

Once every instance has the release, the only thing to compare it with is another time, and a host that got busy
meanwhile is slower whatever runs there. The instances that had the release already tell the two apart: where they have
become slower by as much, the change came later than the release. It may still be the release's doing, at this share of
the traffic, so it is asked about, and not passed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_cd.verification.metrics.findings import figures_of
from airflow_cd.verification.verdict import MetricResult, Performance, Reason, Verdict

if TYPE_CHECKING:
    import pandas as pd

CHANGED_SINCE = "changed_since"
"""Code of the reason of such a result."""

_KINDS = ("latency", "apdex", "throughput")  # what a busy machine makes worse; nothing fails or grows for that reason
_MOST = 0.5  # of the change, on the log scale: so much of it must have come since the phase before
_SURE = 2.0  # times the smallest change that counts: either change is known that well
_LEAST = 0.2  # smallest relative change that counts, where a result does not say it
_FEWEST = 10.0  # requests of a group on the instances that had the release: with fewer all groups together speak for it


def same_instances(now: pd.DataFrame, then: pd.DataFrame) -> pd.DataFrame:
    """Rows of the instances that had the release then; all rows where a platform has replaced every one of them.

    :param now: rows of the canary now, with the columns of :class:`~airflow_cd.verification.samples.MetricSample`;
        ``then`` those of the phase before.
    """
    same: pd.DataFrame = now[now["instance"].isin(then["instance"].unique())]
    return same if len(same) else now


def with_changed_since(performance: Performance, since: Performance) -> Performance:
    """The performance, INCONCLUSIVE where all that fails is slow, and came after the release.

    :param performance: of the release now, against the time before the deployment.
    :param since: of the same release on the instances that had it already, now against the phase before.
    """
    later = {(one.name, one.group): one for one in since.metrics if one.canary.get("requests", 0.0) >= _FEWEST}
    results = [
        _asked_about(one, later.get((one.name, one.group)) or later.get((one.name, ""))) for one in performance.metrics
    ]
    failed = [result for result in results if result.verdict is Verdict.FAIL and result.decides]
    asked = [result for result in results if result.reason.code == CHANGED_SINCE]
    if failed or not asked or not _are_all(performance.reasons, performance.metrics):
        return performance
    reasons = [result.reason for result in asked if result.decides and not result.group] or [asked[0].reason]
    return Performance(Verdict.INCONCLUSIVE, reasons, results)


def _are_all(reasons: Sequence[Reason], results: Sequence[MetricResult]) -> bool:
    """Whether there is no other reason, as a fixed limit that was crossed is one."""
    known = [result.reason for result in results]
    return all(reason in known for reason in reasons)


def _asked_about(result: MetricResult, since: MetricResult | None) -> MetricResult:
    slower = result.verdict is Verdict.FAIL and result.reason.code == "metric_regressed" and result.kind in _KINDS
    if not slower or since is None:
        return result
    whole, later = _change(result), _change(since)
    if whole is None or later is None or later / whole < _MOST:
        return result
    if abs(whole - later) >= _SURE * math.log1p(result.threshold or _LEAST):
        return result  # what the release itself had cost before is too much already
    text = (
        f"{result.reason.text[:-1]}; where the release ran already: {figures_of(since, 'in the phase before')}. "
        "It came later than the release: the machines or what it depends on may be busy, or it bears this share badly."
    )
    numbers = {**result.reason.numbers, "since": since.effect}
    return replace(result, verdict=Verdict.INCONCLUSIVE, reason=Reason(CHANGED_SINCE, text, numbers))


def _change(result: MetricResult) -> float | None:
    """On the log scale; None where it is not known, or is none."""
    ours, theirs = (side.get("mean", math.nan) for side in (result.canary, result.control))
    effect = result.effect if result.effect is not None else ours / theirs - 1.0 if theirs > 0 else math.nan
    return math.log1p(effect) if effect > -1.0 and effect and math.isfinite(effect) else None
