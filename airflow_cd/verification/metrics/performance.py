"""The performance of a canary: each of its metrics against the control, and the verdict they lead to.

How well this does, beside its peers, is measured by ``python -m benchmarks.metrics``.

What becomes of data that is not as it should be:

- *No data* on the canary, or on what it is compared with: INCONCLUSIVE (``no_data``), never a pass.
- *Little traffic*, fewer than ``min_requests`` requests on either side (five buckets, for a gauge, or where nobody
  counts the requests of a duration): INCONCLUSIVE (``few_requests``). One group or one instance with little traffic
  holds up nothing.
- *NaN*, and a count below zero, are no measurements: such rows are left out. When that is more than half of a side's
  rows, the metric is INCONCLUSIVE (``not_numbers``); without one on either side (``not_measured``) it is named, and
  holds nothing up while others that users feel say something. An infinite duration is too long, and not absent.
- *Counters, shares, rates, rows that are not there* are read first, and what says nothing is found:
  :mod:`airflow_cd.verification.metrics.series.reading`.
- *A series that starts late*: buckets are compared one by one, so only the time that both sides have counts. A canary
  with data for less than half of the control's time may FAIL, but not pass (``started_late``).
- *A restart in the middle*: the bucket in which an instance comes back from a silence that chance does not explain is
  left out of levels and scores, since a process that starts is slow for reasons of its own; its errors count. How often
  that happened is in the result (``gaps``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from airflow_cd.verification.metrics.conclusion import conclude, with_crossings, with_missing, with_one_row
from airflow_cd.verification.metrics.crossings import crossed
from airflow_cd.verification.metrics.findings import few_requests
from airflow_cd.verification.metrics.limits import Limits
from airflow_cd.verification.metrics.null import NOTHING_TAUGHT, Taught
from airflow_cd.verification.metrics.placement import of_the_machine
from airflow_cd.verification.metrics.profile import MetricProfile
from airflow_cd.verification.metrics.series.reading import Series, read_series
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.thresholds import Threshold, is_named
from airflow_cd.verification.metrics.together import judge_together
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.sensitivity import Sensitivity
from airflow_cd.verification.verdict import Performance, Reason, Verdict

if TYPE_CHECKING:
    import pandas as pd

ENOUGH_REQUESTS = 50
ENOUGH_ROWS = 10


def judge_performance(
    canary: pd.DataFrame,
    control: pd.DataFrame | None,
    before: pd.DataFrame | None,
    metrics: Sequence[Metric],
    *,
    sensitivity: Sensitivity = "medium",
    minimum_effect: float = 0.2,
    min_requests: int | None = 50,
    learn: bool = False,
    taught: Mapping[str, Taught] | None = None,
    thresholds: Sequence[Threshold] = (),
    warm_up: float | None = None,
    decisive: Sequence[str] = (),
) -> Performance:
    """Judge every metric, over all its groups together, for each group and for each canary instance.

    The verdict is valid at every look, so it may be asked for as often as one likes while rows arrive; see
    :mod:`~airflow_cd.verification.metrics.evidence` for the method and its sources.

    A metric fails when the evidence that it changed suffices *and* the change is at least the minimum effect, for the
    worse, larger than what is nothing to anybody (2 ms, a percentage point), no warm-up, and still there at the end;
    or when its values are far out far more often than the other side's; or when it climbs in a straight line. It passes
    with at least ``min_requests`` requests on both sides, precise enough to have shown five times the minimum effect.
    Everything else is INCONCLUSIVE; what that holds up is in
    :func:`~airflow_cd.verification.metrics.conclusion.conclude`. A fixed threshold that is crossed fails beside all
    that.

    :param canary: rows of the instances on the new release, with the columns, types and units of
        :class:`~airflow_cd.verification.samples.MetricSample`.
    :param control: rows of instances on the running release in the same window; None or empty without any.
    :param before: rows from before the deployment; compared with when there is no control. With one, they show how
        much like instances differ by where they stand.
    :param metrics: the metrics to judge; rows of others are passed over.
    :param sensitivity: decides the chance of a false alarm, over all metrics and looks: :data:`FALSE_ALARMS`.
    :param minimum_effect: smallest relative change that counts as a regression: 0.2 is 20 %.
    :param min_requests: fewest requests on either side to judge by; None for :data:`ENOUGH_REQUESTS`, or
        :data:`ENOUGH_ROWS` rows where nobody counted requests.
    :param learn: whether having nothing to compare with is a reason to pass.
    :param taught: by the name of a metric, what earlier good deployments showed to be normal.
    :param thresholds: fixed limits of the author's own.
    :param warm_up: longest time after a process has started in which being slow or busy is no regression if it goes
        away, in seconds; by default two minutes, but at most 30 % of the time watched.
    :param decisive: names of the metrics that decide, all others inform; none for all of them but those that say of a
        machine what another one says of the instance (:mod:`~airflow_cd.verification.metrics.placement`).
    """
    if not len(canary):
        other = control if control is not None and len(control) else before
        return _no_canary(len(other) if other is not None else 0)
    series = _series(canary, control, before, metrics)
    compared_with = "control" if control is not None and len(control) else "before"
    canary, other = series.frames["canary"], series.frames.get(compared_with)
    metrics = series.judged
    if min_requests is None:
        min_requests = ENOUGH_REQUESTS if series.counted else ENOUGH_ROWS
    crossings = crossed(thresholds, metrics, canary, other, series.factors)
    if other is None or not len(other):
        return with_crossings(_nothing_to_compare(canary, metrics, learn=learn), crossings)
    ours, theirs, earlier = (_by_metric(frame) for frame in (canary, other, series.frames.get("before")))
    sides = {
        metric.name: Sides.of(
            metric, ours.get(metric.name, canary.iloc[:0]), theirs.get(metric.name, other.iloc[:0]), compared_with
        )
        for metric in metrics
    }
    limits = Limits(minimum_effect, min_requests, None if warm_up is None else 1000.0 * warm_up)
    known = taught or {}
    lessons = {
        name: known.get(name if compared_with == "control" else over_time(name), NOTHING_TAUGHT) for name in sides
    }
    past = {
        name: Sides.of(sides[name].metric, rows[:0], rows, "before")
        for name, rows in earlier.items()
        if name in sides and compared_with == "control"
    }
    parts = [[sides[metric.name] for metric in part] for part in _parts(metrics, decisive)]
    results = judge_together(parts, lessons, past, limits, sensitivity, series.said)
    missing = [name for name in decisive if not any(is_named(metric, name) for metric in metrics)]
    concluded = with_one_row(conclude([*results, *series.not_judged()]), max(map(len, ours.values()), default=0))
    return with_crossings(with_missing(concluded, missing), crossings)


def _by_metric(frame: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    """The rows of each metric, found in one pass over all of them."""
    return {} if frame is None else {str(name): rows for name, rows in frame.groupby("metric", sort=False)}


def _parts(metrics: Sequence[Metric], decisive: Sequence[str]) -> list[list[Metric]]:
    """The metrics that decide and the others; each part is judged as if there were no other."""
    if not decisive:
        placed = of_the_machine(metrics)
        chosen = [metric for metric in metrics if metric.name not in placed]
    else:
        chosen = [metric for metric in metrics if any(is_named(metric, name) for name in decisive)]
    return [chosen, [metric for metric in metrics if metric not in chosen]]


def _series(
    canary: pd.DataFrame, control: pd.DataFrame | None, before: pd.DataFrame | None, metrics: Sequence[Metric]
) -> Series:
    sides = {"canary": canary, "control": control, "before": before}
    return read_series({side: rows for side, rows in sides.items() if rows is not None and len(rows)}, metrics)


def over_time(metric: str) -> str:
    """Under which name a profile keeps what it knows of a metric at two times.

    :param metric: name of the metric.
    """
    return f"{metric} over time"


def learn_performance(
    canary: pd.DataFrame,
    control: pd.DataFrame | None,
    metrics: Sequence[Metric],
    bucket_ms: int = 0,
    before: pd.DataFrame | None = None,
) -> MetricProfile:
    """What these metrics teach, once the release has turned out to be good; empty with nothing beside the canary.

    :param canary: rows of the canary, as :func:`judge_performance` takes them; ``control`` likewise.
    :param metrics: which metrics to learn.
    :param bucket_ms: width of a bucket in milliseconds.
    :param before: the canary's instances before the deployment; teaches how much two times differ by nature.
    """
    comparisons = {}
    if not len(canary):
        return MetricProfile()
    series = _series(canary, control, before, metrics)
    frames = series.frames
    for metric in series.judged:
        for name, other, compared_with in (
            (metric.name, frames.get("control"), "control"),
            (over_time(metric.name), frames.get("before"), "before"),
        ):
            if other is None or metric.name in series.findings:
                continue
            comparison = Sides.of(metric, frames["canary"], other, compared_with).compare()
            if comparison is not None:
                comparisons[name] = comparison
    if not comparisons:
        return MetricProfile()
    return MetricProfile.of(comparisons, bucket_ms)


def _no_canary(control_rows: int) -> Performance:
    text = "No metric of the canary has any data" + (
        ", the control's have." if control_rows else ", nor has the control."
    )
    return Performance(Verdict.INCONCLUSIVE, [Reason("no_data", text, {"control_rows": control_rows})])


def _nothing_to_compare(canary: pd.DataFrame, metrics: Sequence[Metric], *, learn: bool) -> Performance:
    counts = canary.groupby("metric")["count"].sum()
    requests = max((float(counts.get(metric.name, 0.0)) for metric in metrics), default=0.0)
    numbers = {"requests": requests}
    if not requests:
        return Performance(Verdict.INCONCLUSIVE, [few_requests(0, 0, 1)])
    if learn:
        text = f"Nothing to compare metrics with yet; {requests:.0f} requests were seen."
        return Performance(Verdict.PASS, [Reason("learning", text, numbers)])
    text = "There is neither a control nor a time before the deployment to compare the canary's metrics with."
    return Performance(Verdict.INCONCLUSIVE, [Reason("no_baseline", text, numbers)])
