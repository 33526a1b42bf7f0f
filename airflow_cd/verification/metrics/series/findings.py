"""What a series says before anything is compared: data that cannot be trusted, and traffic that ends.

Each finding is a reason of its own. One that *decides* is the verdict, since what it speaks of cannot be judged; the
others only keep a metric from passing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.metrics.names.vocabulary import GRAVE
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.series.complement import more_missing
from airflow_cd.verification.metrics.series.constants import flipped, one_missing
from airflow_cd.verification.metrics.series.finding import Finding
from airflow_cd.verification.metrics.series.side import Side
from airflow_cd.verification.metrics.series.tables import Table
from airflow_cd.verification.metrics.series.units import unit_changed
from airflow_cd.verification.verdict import Reason, Verdict
from airflow_cd.wording import first_of

if TYPE_CHECKING:
    import pandas as pd

_CHANCE = 1e-4  # of so long a stretch without a change, to be taken for a frozen one
_GRAVE_CHANCE, _LIKELY_GRAVE, _FEWEST_GRAVE = 0.01, 0.1, 3
_AGAIN, _AGAIN_CHANCE = 3, 0.05  # of what the other side never had: that often is a loop
_SILENT_GAPS, _SILENT_PART = 3.0, 0.15  # usual gaps without a row, and of the time that the other side has
_SHORT = 60.0  # seconds without a request that are nothing yet
_ENOUGH = 30.0  # requests to be expected, of which not one came
_MOSTLY = 0.5  # of the rows that hold no number
_FULL = 1.2  # times the other side's largest
_HALF_A_STEP = 0.5  # of whole numbers: what moves less is rounded to the same one
_EQUAL = 0.5  # of the values that move, for instances to be the same
_DIFFERENT = 5  # values that must be equal for two sides to be the same data


def finding_of(table: Table, last: dict[str, int], *, paired: bool) -> Finding | None:
    """The gravest finding about a metric; None when there is nothing to be said.

    :param table: one metric on all sides, read.
    :param last: by side, the last time at which any metric was there, in milliseconds.
    :param paired: whether the other side is of the same time.
    """
    frame, compared = table.frames["canary"], table.frames.get("control" if paired else "before")
    if compared is None or frame["value"].isna().mean() > _MOSTLY:
        return None  # that most are missing the judge says
    canary, other = Side(frame), Side(compared)
    if not len(canary) or not len(other):
        return None
    earlier = Side(table.frames["before"]) if paired and "before" in table.frames else None
    return (
        _grave(table, canary, [other] if earlier is None else [other, earlier])
        or _same_data(table, canary, other)
        or unit_changed(table, canary, other)
        or _traffic_ended(table, canary, other, last["canary"], paired=paired)
        or one_missing(table, canary, other)
        or flipped(table, canary, [other] if earlier is None else [other, earlier])
        or more_missing(table, canary, other)
        or _frozen(table, canary, other)
        or _silent(table, canary, other, last["canary"], paired=paired)
    )


def same_instances(canary: pd.DataFrame, control: pd.DataFrame) -> Finding | None:
    """That the same instances were read on both sides, if so: then nothing is compared with anything.

    A name alone proves nothing, files of both sides may count their instances from 0: the values are equal too.

    :param canary: rows of all metrics; ``control`` of the same time.
    """
    keys = ["time", "instance", "metric", "group"]
    both = canary[[*keys, "value"]].merge(control[[*keys, "value"]], on=keys, suffixes=("", "_control")).dropna()
    names = sorted(set(both["instance"].astype(str)))
    moving = both.groupby(["instance", "metric"])["value"].transform("nunique") >= _DIFFERENT
    equal = (both["value"] == both["value_control"])[moving]
    if not len(equal) or equal.mean() < _EQUAL:
        return None
    verb = "is" if len(names) == 1 else "are"
    text = (
        f"{first_of(names, 3)} {verb} on both sides, with the same values: canary and control must be other instances."
    )
    return Finding(Verdict.INCONCLUSIVE, Reason("same_instances", text, {"instances": len(names)}), decides=True)


def _same_data(table: Table, canary: Side, other: Side) -> Finding | None:
    if len(canary) != len(other):
        return None
    ours, theirs = (np.sort(side.numbers) for side in (canary, other))
    times = [np.sort(side.times) for side in (canary, other)]
    if not np.array_equal(times[0], times[1]) or not np.array_equal(ours, theirs) or len(set(ours)) < _DIFFERENT:
        return None
    text = f"{table.metric.name}: both sides hold the same data, to the last digit."
    return Finding(Verdict.INCONCLUSIVE, Reason("same_data", text), decides=True)


def _grave(table: Table, canary: Side, others: Sequence[Side]) -> Finding | None:
    """What a process dies of (restarts, crashes, deadlocks), more often than chance would have it.

    Such events are few and come one by one, so that how often each side had them is all there is to know: an exact
    binomial test of the canary's part. Without the release is without it, on a control and before alike.
    """
    if table.metric.kind != "count" or not set(words_of(table.metric.name)) & GRAVE:
        return None
    ours, theirs = float(np.round(canary.finite.sum())), float(np.round(sum(side.finite.sum() for side in others)))
    share = _part_of_time(canary, others)
    text = f"{table.metric.name}: {ours:.0f} on the canary, {theirs:.0f} on the other side."
    return again_and_again(ours, theirs, share, text)


def _part_of_time(canary: Side, others: Sequence[Side]) -> float:
    """The canary's part of the time that all sides cover; of their rows where one of them has no two."""
    sides = [canary, *others]
    widths = [side.gap for side in sides] if all(side.gap for side in sides) else [1.0] * len(sides)
    covered = [len(side) * width for side, width in zip(sides, widths, strict=True)]
    return covered[0] / sum(covered)


def again_and_again(ours: float, theirs: float, share: float, text: str) -> Finding | None:
    """That something grave happened more often than chance would have it; None if not.

    :param ours: how often on the canary; ``theirs`` on the other side.
    :param share: of all moments that are the canary's.
    :param text: that says so.
    """
    from scipy.stats import binom

    chance = float(binom.sf(ours - 1, ours + theirs, share))
    numbers = {"canary": ours, "control": theirs, "chance": chance}
    loops = ours >= _AGAIN and not theirs and chance <= _AGAIN_CHANCE
    if loops or (ours >= _FEWEST_GRAVE and chance <= _GRAVE_CHANCE):
        return Finding(Verdict.FAIL, Reason("metric_regressed", text, numbers))
    if ours >= _FEWEST_GRAVE and not theirs and chance <= _LIKELY_GRAVE:
        return Finding(Verdict.INCONCLUSIVE, Reason("not_certain", text, numbers))
    return None


def _frozen(table: Table, canary: Side, other: Side) -> Finding | None:
    """Not a digit moves on the canary, where on the other side hardly two neighbours are equal."""
    if table.metric.kind in ("errors", "count", "throughput", "info"):
        return None
    ours, theirs = canary.steps, other.steps
    moved, their_moved = int((ours != 0).sum()), int((theirs != 0).sum())
    if moved or not len(ours) or len(theirs) < 2:
        return None
    still = (len(theirs) - their_moved + 1.0) / (len(theirs) + 2.0)
    value = float(canary.numbers[0])
    worse = table.metric.direction == "higher_is_worse" and value == round(value) and table.metric.kind == "gauge"
    if worse and value > _FULL * float(other.numbers.max(initial=0.0)):
        return None  # a pool that is full stands still too, and it is for the judge to say that it is
    natural = value == 0.0 or (table.metric.kind == "share" and value == 1.0) or _few(value, other)
    if len(ours) * math.log(still) > math.log(_CHANCE) or (natural and table.metric.kind != "latency"):
        return None
    text = (
        f"{table.metric.name}: {value:.6g} in all {len(canary)} rows of the canary, to the last digit, while the other "
        "side's values move: a gauge that stands still measures nothing."
    )
    return Finding(Verdict.INCONCLUSIVE, Reason("frozen", text, {"rows": len(canary), "value": value}), decides=True)


def _few(value: float, other: Side) -> bool:
    """Whether so few in whole numbers would stand still even if they moved as much as the other side's do."""
    numbers = other.finite
    whole = value == np.round(value) and bool(np.all(numbers == np.round(numbers)))
    usual = float(np.mean(numbers)) if len(numbers) else 0.0
    return whole and usual > 0.0 and value * float(np.std(numbers)) / usual < _HALF_A_STEP


def _traffic_ended(table: Table, canary: Side, other: Side, last: int, *, paired: bool) -> Finding | None:
    """Requests came and come no more, although the other side still serves (or did before)."""
    if table.metric.kind != "throughput":
        return None
    times, counts, theirs, their_counts = canary.times, canary.numbers, other.times, other.numbers
    served = times[counts > 0]
    gap = (canary.gap or other.gap) / 1000.0
    if not their_counts.sum():
        return None
    if not len(served):
        text = f"{table.metric.name}: the canary got not one request, the other side {their_counts.sum():,.0f}."
        return Finding(Verdict.INCONCLUSIVE, Reason("no_traffic", text), decides=True)
    until = int(served.max())
    if paired:
        after, before = their_counts[theirs > until], their_counts[theirs <= until]
        share = counts.sum() / before.sum() if before.sum() else 0.0
        expected, buckets = share * after.sum(), len(np.unique(theirs[theirs > until]))
    else:
        end = max(last, int(times.max()))
        buckets = int((end - until) / (1000.0 * gap)) if gap else 0
        expected = buckets * counts.sum() / max(1, len(np.unique(times[times <= until])))
    idle = max(canary.longest_idle(until), other.longest_idle(int(theirs.max())))
    short = buckets < max(_SILENT_GAPS, 2.0 * idle + 1.0) or buckets * gap < _SHORT
    if short or expected < _ENOUGH:
        return None
    where = "while the control still serves" if paired else "although it had served before"
    text = f"{table.metric.name}: no request reached the canary in its last {_time(buckets * gap)}, {where}."
    return Finding(Verdict.FAIL, Reason("traffic_ended", text, {"expected": float(expected), "buckets": buckets}))


def _silent(table: Table, canary: Side, other: Side, last: int, *, paired: bool) -> Finding | None:
    """The canary, or one of its instances, has no more rows although it should."""
    times, gap = canary.times, max(canary.gap, other.gap)
    end = int(other.times.max()) if paired else last
    start = int(min(times.min(), other.times.min())) if paired else int(times.min())
    longest = max(_SILENT_GAPS * max(gap, float(other.gaps.max(initial=0))), _SILENT_PART * (end - start))
    missing = end - int(times.max())
    if gap and missing > longest:
        text = f"{table.metric.name}: the canary has no data in the last {_time(missing / 1000.0)}, {_whose(paired)}."
        return Finding(Verdict.INCONCLUSIVE, Reason("went_silent", text, {"seconds": missing / 1000.0}))
    if not gap or table.metric.kind in ("errors", "count"):
        return None
    names = canary.frame["instance"].to_numpy()
    for name in sorted(set(names)):
        missing = end - int(times[names == name].max())
        if missing > longest:
            text = f"{table.metric.name}: {name} has no data in the last {_time(missing / 1000.0)}, {_whose(paired)}."
            return Finding(Verdict.INCONCLUSIVE, Reason("went_silent", text, {"instance": str(name)}))
    return None


def _whose(paired: bool) -> str:
    return "where the control has" if paired else "where other metrics have"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
