"""One of several canary instances that is silent or fails more than the others: together they would hide it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from airflow_cd.durations import format_duration
from airflow_cd.verification.logs.frequency import Reference, discoveries, surprise
from airflow_cd.verification.logs.severity import title_of
from airflow_cd.verification.times import iso_time_of
from airflow_cd.verification.verdict import Event, EventKind, Performance, Quality, Reason, Verdict

if TYPE_CHECKING:
    import pandas as pd

    from airflow_cd.verification.samples import Metric, Window

PLENTY = 20.0
"""So many records or requests expected of an instance, and none there, is silence."""

_RATIO, _P_VALUE, _DISCOVERY_RATE, _FEWEST = 3.0, 1e-3, 0.02, 5
_SPREAD = 0.8  # dispersion of one kind of error between instances of one release: hosts and customers differ
_SLOWER = 3.0  # times the slowest other instance
_FEWEST_REQUESTS = 30
_ONE_SIDED = 3  # records of a new event, from which on it says something that all are on one instance
SEVERE = ("error", "fatal")
"""Severities of errors."""

Part = TypeVar("Part", Quality, Performance)


@dataclass(frozen=True)
class Activity:
    """What one instance wrote or served.

    :param count: records or requests.
    :param seconds: that it was watched.
    :param last_ms: when it last did, in milliseconds since 1970; None when never.
    :param before: how much it did in a second before the deployment; None where that is not known.
    :param errors_before: how many errors it had in a second before the deployment; None where that is not known.
    """

    count: float
    seconds: float
    last_ms: int | None
    before: float | None = None
    errors_before: float | None = None


def silent_instances(
    canary: Mapping[str, Activity], control: Mapping[str, Activity], until_ms: float, what: str
) -> list[Reason]:
    """The canary instances that did nothing, or stopped, while the others went on.

    :param canary: by name, all canary instances.
    :param control: by name, likewise. A single canary instance is held against these alone, once it did something.
    :param until_ms: up to when was watched, in milliseconds since 1970.
    :param what: what is counted, ``records`` or ``requests``.
    """
    if len(canary) < 2 and (not control or all(one.last_ms is None for one in canary.values())):
        return []
    found = []
    for name, one in canary.items():
        others = [other for key, other in canary.items() if key != name] + list(control.values())
        usual = min(_usual(others), one.before if one.before is not None else math.inf)  # a standby is always quiet
        if one.last_ms is None:
            silence = one.seconds
            expected = usual * silence
            text = f"{name} has no {what} in {_duration(silence)}"
        else:
            silence = max(0.0, (until_ms - one.last_ms) / 1000)
            active = max(one.seconds - silence, 1.0)
            expected = min(usual, one.count / active) * silence
            text = f"{name} has no {what} after {iso_time_of(one.last_ms)} ({_duration(silence)})"
        if expected >= PLENTY and _goes_on(others, until_ms, silence):
            text += f", where about {expected:.0f} were to be expected: the other instances went on."
            found.append(Reason("instance_silent", text, {"expected": expected, "seconds": silence, "instance": name}))
    return found


def _usual(others: Sequence[Activity]) -> float:
    """Records a second that an instance usually has: of the quiet ones among the others, if they differ."""
    rates = sorted(other.count / other.seconds for other in others if other.seconds > 0)
    return rates[len(rates) // 4] if rates else 0.0


def _goes_on(others: Sequence[Activity], until_ms: float, silence: float) -> bool:
    """Whether most of the others did something in the last quarter of a silence."""
    since = until_ms - silence * 250
    active = [other.last_ms is not None and other.last_ms >= since for other in others]
    return sum(active) * 2 > len(active)


def differing_instances(
    counts: Mapping[str, Mapping[str, int]],
    exposure: Mapping[str, float],
    control: Reference | None,
    errors: Sequence[str],
    unit: str,
) -> list[Reason]:
    """The canary instances on which known errors are more frequent than on all other instances together.

    By a negative binomial, as in :mod:`~airflow_cd.verification.logs.frequency`, for each instance against the others,
    which differ more than deployments do.

    :param counts: by canary instance, how often each event came; fewer than two instances say nothing here.
    :param exposure: by canary instance, seconds watched or requests served.
    :param control: the same of all control instances together; None without any.
    :param errors: which of the events are errors; the others say how much an instance had to do.
    :param unit: what the exposure is, ``s`` or ``requests``.
    """
    beside = [control] if control is not None and any(control.counts.values()) and control.watched > 0 else []
    if len(exposure) < 2 or not errors or (not beside and len(exposure) < 3):
        return []
    found: dict[tuple[str, str], tuple[int, float, float]] = {}
    for name, mine in exposure.items():
        others = [other for other in exposure if other != name]
        rest = Reference(_summed([counts.get(other, {}) for other in others]), sum(exposure[other] for other in others))
        for event in errors:
            observed = counts.get(name, {}).get(event, 0)
            expected, chance = surprise(counts.get(name, {}), mine, [rest, *beside], event, _SPREAD)
            found[name, event] = (observed, expected, chance)
    standing_out = discoveries({"\0".join(key): chance for key, (_, _, chance) in found.items()}, _DISCOVERY_RATE)
    reasons = []
    for (name, event), (observed, expected, chance) in sorted(found.items(), key=lambda item: item[1][2]):
        enough = observed >= _FEWEST and observed >= _RATIO * expected and chance <= _P_VALUE
        if not enough or f"{name}\0{event}" not in standing_out:
            continue
        text = (
            f"{event} came {observed} times on {name} in {exposure[name]:.0f} {unit}, where the other instances let "
            f"expect {expected:.1f}."
        )
        numbers: dict[str, float | int | str | None] = {
            "observed": observed,
            "expected": expected,
            "p_value": chance,
            "instance": name,
        }
        reasons.append(Reason("instance_differs", text, numbers))
    return reasons


def _summed(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for event, count in one.items():
            total[event] = total.get(event, 0) + count
    return total


def one_sided(events: Sequence[Event], canary: Sequence[str]) -> Iterator[Reason]:
    """The new events that are risks and all came on one of several canary instances.

    :param events: judged.
    :param canary: names of the canary instances.
    """
    if len(canary) < 2:
        return
    for event in events:
        count = sum(event.instances.values())
        if not event.risk or event.kind is not EventKind.UNKNOWN or count < _ONE_SIDED or len(event.instances) != 1:
            continue
        [name] = event.instances
        text = f"{title_of(event)} came on {name} alone, {count} times, of {len(canary)} canary instances."
        yield Reason("one_instance", text, {"count": count, "instance": name, "instances": len(canary)})


def slower_instances(rows: pd.DataFrame, metrics: Sequence[Metric], canary: Sequence[str], fewest: int) -> list[Reason]:
    """The canary instances that are three times as slow as the slowest of all other instances.

    :param rows: of canary and control, as of :class:`~airflow_cd.verification.samples.MetricSample`.
    :param metrics: what they are.
    :param canary: names of the canary instances; fewer than two say nothing here.
    :param fewest: requests that an instance needs to be compared.
    """
    reasons = []
    for metric in metrics:
        mine = rows[(rows["metric"] == metric.name) & (rows["count"] > 0)]
        if metric.kind != "latency" or len(canary) < 2 or not len(mine):
            continue
        weighed = mine.assign(total=mine["value"] * mine["count"]).groupby("instance")[["total", "count"]].sum()
        weighed = weighed[weighed["count"] >= fewest]
        means = {str(name): float(row["total"] / row["count"]) for name, row in weighed.iterrows()}
        for name in canary:
            others = [mean for other, mean in means.items() if other != name]
            if name in means and len(others) >= 2 and means[name] >= _SLOWER * max(others) > 0:
                text = (
                    f"{metric.name} is {means[name]:.4g} {metric.unit} on {name}, and {max(others):.4g} {metric.unit} "
                    "on the slowest of the other instances."
                )
                reasons.append(Reason("instance_differs", text, {"mean": means[name], "instance": name}))
    return reasons


def with_instances(part: Part, undecided: Sequence[Reason], notes: Sequence[Reason] = ()) -> Part:
    """The part with what single instances show: a PASS becomes INCONCLUSIVE, and a FAIL stays one.

    :param part: what the logs or metrics of all canary instances together come to.
    :param undecided: what no PASS can be given beside.
    :param notes: what a reader should know in any case.
    """
    if not undecided:
        return replace(part, reasons=[*part.reasons, *notes]) if notes else part
    if part.verdict is Verdict.PASS:
        return replace(part, verdict=Verdict.INCONCLUSIVE, reasons=[*undecided, *notes])
    return replace(part, reasons=[*part.reasons, *undecided, *notes])


def of_logs(
    quality: Quality,
    canary: Mapping[str, Activity],
    control: Mapping[str, Activity],
    until_ms: float,
    *,
    sampled: bool = False,
) -> Quality:
    """The quality with what single instances show.

    :param quality: what the logs of all canary instances together come to.
    :param canary: by name, what each canary instance logged.
    :param control: by name, what each control instance logged.
    :param until_ms: up to when was watched, in milliseconds since 1970.
    :param sampled: whether the source keeps a share of the records alone: then no instance is said to be silent.
    """
    silent = [] if sampled else silent_instances(canary, control, until_ms, "records")
    exposure = {name: one.seconds for name, one in canary.items()}
    differing = _differing_logs(quality, exposure, sum(one.seconds for one in control.values()), "s")
    differing = [reason for reason in differing if not _had_as_many(canary, quality.events, reason)]
    return with_instances(quality, [*silent, *differing], list(one_sided(quality.events, list(canary))))


def _had_as_many(canary: Mapping[str, Activity], events: Sequence[Event], reason: Reason) -> bool:
    """Whether an instance had about as many errors before the deployment: then it has a part of its own to play."""
    name = str(reason.numbers["instance"])
    one = canary[name]
    if one.errors_before is None:
        return False
    errors = sum(event.instances.get(name, 0) for event in events if event.severity in SEVERE)
    return errors < _RATIO * one.errors_before * one.seconds


def of_log_files(quality: Quality, canary: Mapping[str, int], control: Mapping[str, int]) -> Quality:
    """The same for logs of unknown times, a file for each instance: what counts is how much of a file it is.

    :param quality: what the logs of all canary instances together come to.
    :param canary: by name, how many records each canary instance has.
    :param control: by name, likewise.
    """
    if len(canary) < 2:
        return quality
    ours, theirs = (
        {name: Activity(count, 1.0, 0 if count else None) for name, count in side.items()} for side in (canary, control)
    )
    silent = [
        replace(reason, text=f"{reason.numbers['instance']} has no records, where other instances have plenty.")
        for reason in silent_instances(ours, theirs, 0.0, "records")
    ]
    exposure = {name: float(count) for name, count in canary.items() if count}
    differing = _differing_logs(quality, exposure, float(sum(control.values())), "records")
    return with_instances(quality, [*silent, *differing], list(one_sided(quality.events, list(canary))))


def _differing_logs(quality: Quality, exposure: Mapping[str, float], control: float, unit: str) -> list[Reason]:
    """:func:`differing_instances` for the events of logs.

    :param control: exposure of all control instances together; 0 without any.
    """
    known = [event for event in quality.events if event.kind is not EventKind.UNKNOWN]
    counts: dict[str, dict[str, int]] = {}
    for event in known:
        for name, count in event.instances.items():
            mine = counts.setdefault(name, {})
            mine[title_of(event)] = mine.get(title_of(event), 0) + count
    errors = {
        title_of(event)
        for event in known
        if event.severity in SEVERE and not event.risk and event.feedback is None and event.counts.get("canary")
    }
    beside: dict[str, int] = {}
    for event in known:
        beside[title_of(event)] = beside.get(title_of(event), 0) + int(event.counts.get("control", 0))
    reference = Reference(beside, control) if control else None
    return differing_instances(counts, exposure, reference, sorted(errors), unit)


def of_metrics(
    performance: Performance,
    rows: pd.DataFrame,
    metrics: Sequence[Metric],
    canary: Sequence[str],
    control: Sequence[str],
    watched: Window,
) -> Performance:
    """The performance with what single instances show.

    :param performance: what the metrics of all canary instances together come to.
    :param rows: of canary and control, as of :class:`~airflow_cd.verification.samples.MetricSample`.
    :param metrics: what they are.
    :param canary: names of the canary instances.
    :param control: names of the control instances.
    :param watched: the time that was watched.
    """
    served = {name: _served(rows[rows["instance"] == name], watched) for name in (*canary, *control)}
    ours, theirs = ({name: served[name] for name in names} for names in (canary, control))
    silent = silent_instances(ours, theirs, watched.until.timestamp() * 1000, "requests")
    errors = [metric.name for metric in metrics if metric.kind == "errors"]
    sums = rows[rows["metric"].isin(errors)].groupby(["instance", "metric"])["value"].sum()
    counts = {name: {error: round(float(sums.get((name, error), 0.0))) for error in errors} for name in served}
    beside = Reference(_summed([counts[name] for name in control]), sum(one.count for one in theirs.values()))
    exposure = {name: one.count for name, one in ours.items()}
    differing = differing_instances(
        {name: counts[name] for name in canary}, exposure, beside if control else None, errors, "requests"
    )
    slower = slower_instances(rows, metrics, canary, _FEWEST_REQUESTS)
    return with_instances(performance, [*silent, *differing, *slower])


def _served(rows: pd.DataFrame, watched: Window) -> Activity:
    """The requests of one instance; every metric holds them all."""
    seconds = watched.length.total_seconds()
    if not len(rows):
        return Activity(0.0, seconds, None)
    import pandas as pd

    last = pd.to_datetime(rows["time"], utc=True).max()
    return Activity(float(rows.groupby("metric")["count"].sum().max()), seconds, round(last.timestamp() * 1000))


def _duration(seconds: float) -> str:
    return format_duration(timedelta(seconds=round(seconds)))
