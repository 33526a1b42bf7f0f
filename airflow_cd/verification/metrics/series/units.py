"""That a unit was changed: seconds for milliseconds, per cent for a part of 1, a second for a minute.

A change of unit is no news, good or bad, and looks like both. Two units are a known factor apart, from the first moment
to the last, and leave how values scatter as it is; a regression may have come with it. An improvement as large as such
a factor is none that anybody should believe unasked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.series.finding import Finding
from airflow_cd.verification.metrics.series.side import Side
from airflow_cd.verification.metrics.series.tables import Table
from airflow_cd.verification.verdict import Reason, Verdict

_PARTS = ((100.0, "a part of 1 and per cent"),)
_UNITS = {
    "latency": ((1e3, "seconds and milliseconds"), (1e6, "seconds and microseconds"), (60.0, "minutes and seconds")),
    "gauge": (
        (1e3, "a unit and a thousandth of it"),
        (1024.0**2, "bytes and MB"),
        (1e9, "a unit and a billionth of it"),
    ),
    "share": _PARTS,
    "errors": _PARTS,
}
_PERIODS = ((60.0, "numbers per second and per minute"), (3600.0, "numbers per second and per hour"))
_SIZED = frozenset(("memory", "mem", "heap", "rss", "swap", "disk", "storage", "size"))
_AROUND, _FAR, _AROUND_FAR = 1.5, 1e3, 2.5  # times the factor between two units, and of a thousand or more
_EXACTLY = 1.1  # the same, of numbers of requests: canaries get small parts of the traffic
_ALIKE = 1.8  # times as wide, of the same values in two units by chance
_APART = 4.0  # times as far apart as either side is wide
_STILL = 1.5  # as wide are values that stand all but still
_TOO_GOOD, _TOO_GOOD_FAILURES = 40.0, 20.0  # times better
_UNLIKELY_USUAL = 0.05  # of the requests fail as a rule: or it is per cent
_THE_SAME = 1.5  # times apart: both sides are of one unit, and nothing has changed in either
_ALL = 1.05  # of the requests
_WENT_ALONG = 10.0  # times as often requests fail where only their number is of another unit


@dataclass(frozen=True)
class _Apart:
    """How far apart two sides are, in the middle and at both ends of the canary's time.

    :param ours: the canary's middle value; ``theirs`` the other side's.
    :param times: in the middle, at its beginning and at its end, each at least 1.
    :param widths: of either side, the 90th by the 10th percentile.
    """

    ours: float
    theirs: float
    times: tuple[float, ...]
    widths: tuple[float, float]

    @classmethod
    def of(cls, ours: np.ndarray, theirs: np.ndarray) -> _Apart | None:
        """Of the values of both sides that are not 0; None where there are too few."""
        ours, theirs = (np.abs(values[values != 0]) for values in (ours, theirs))
        if min(len(ours), len(theirs)) < 2:
            return None
        quarter = max(2, len(ours) // 4)
        usual = float(np.median(theirs))
        middles = [float(np.median(part)) for part in (ours, ours[:quarter], ours[-quarter:])]
        times = tuple(max(middle, usual) / min(middle, usual) for middle in middles)
        first, second = (float(np.percentile(side, 90) / np.percentile(side, 10)) for side in (ours, theirs))
        return cls(middles[0], usual, times, (first, second))

    @property
    def alike(self) -> bool:
        """Whether values scatter alike, as they do in two units."""
        return max(self.widths) <= _ALIKE * min(self.widths)

    def near(self, factor: float, around: float) -> bool:
        """Whether all the time they are about so many times apart."""
        return all(factor / around < one < factor * around for one in self.times)


def unit_changed(table: Table, canary: Side, other: Side) -> Finding | None:
    """That a metric is given in another unit, or is so much better that it may be.

    :param table: one metric on all sides, read.
    :param canary: its rows there; ``other`` those that they are compared with.
    """
    metric = table.metric
    units = _UNITS.get(metric.kind, ())
    if not units or (metric.kind == "errors" and not metric.part):
        return None
    ours, theirs = (_values(table, side) for side in (canary, other))
    apart = _Apart.of(ours, theirs)
    if apart is None:
        return None
    sized = metric.kind != "gauge" or bool(metric.unit or set(words_of(metric.name)) & _SIZED)
    # What has no unit is large or small for other reasons too, unless both sides stand all but still.
    least = _APART * max(*apart.widths, 2.0) if sized else np.inf if max(apart.widths) > _STILL else 0.0
    for factor, words in units:
        around = _AROUND_FAR if factor >= _FAR else _AROUND
        if apart.alike and apart.near(factor, around) and apart.times[0] > least:
            return _asked(table, apart, f"as far apart as {words}. Has the unit changed?")
    better = (apart.ours < apart.theirs) == (metric.direction != "lower_is_worse") and metric.direction != "either"
    enough = _TOO_GOOD_FAILURES if metric.kind == "errors" else _TOO_GOOD
    if better and np.isfinite(least) and min(apart.times) >= enough:
        return _asked(table, apart, "better than a release makes it. Has the unit changed?")
    return _scale_unknown(table, apart) if metric.kind == "errors" else None


def _values(table: Table, side: Side) -> np.ndarray:
    """The values that may be of another unit: of failures given as a part of the requests, that part."""
    if table.metric.kind != "errors":
        return side.finite
    counts = side.frame["count"].to_numpy(dtype=float)
    values = np.divide(side.numbers, counts, out=np.zeros(len(side)), where=counts > 0)
    return np.asarray(values[np.isfinite(values)])


def _asked(table: Table, apart: _Apart, words: str) -> Finding:
    ours, theirs = apart.ours / table.factor, apart.theirs / table.factor
    text = (
        f"{table.metric.name}: {ours:.4g} on the canary, {theirs:.4g} on the other side, {apart.times[0]:,.0f} times "
        f"as much {'here' if ours > theirs else 'there'}: {words}"
    )
    numbers = {"canary": ours, "control": theirs, "times": apart.times[0]}
    return Finding(Verdict.INCONCLUSIVE, Reason("unit_changed", text, numbers), decides=True)


def _scale_unknown(table: Table, apart: _Apart) -> Finding | None:
    """That so many requests fail on the other side as they do nowhere, if it is not per cent."""
    metric = table.metric
    if table.factor != 1.0 or metric.unit or apart.theirs < _UNLIKELY_USUAL or apart.times[0] < _THE_SAME:
        return None
    if {"ratio", "share", "fraction", "4xx", "404"} & set(words_of(metric.name)):
        return None
    text = (
        f"{metric.name}: {apart.theirs:.3g} on the other side, {apart.ours:.3g} on the canary: parts of 1 or per cent? "
        "Nothing says which, nor that both are the same."
    )
    numbers = {"canary": apart.ours, "control": apart.theirs}
    return Finding(Verdict.INCONCLUSIVE, Reason("unit_unknown", text, numbers))


def period_changed(tables: Mapping[str, Table], found: Mapping[str, Finding], *, paired: bool) -> dict[str, Finding]:
    """That requests are counted by the second on one side and by the minute on the other.

    How many of them fail is wrong by that too. A canary that gets a small part of the traffic has as many fewer
    failures.

    :param tables: every metric on all sides, read.
    :param found: what is known of them.
    :param paired: whether the other side is of the same time.
    """
    changed: dict[str, Finding] = {}
    for name, table in tables.items():
        if table.metric.kind != "throughput" or name in found:
            continue
        canary, other = (Side(table.frames[side]) for side in ("canary", "control" if paired else "before"))
        apart = _Apart.of(canary.finite, other.finite)
        whole = [bool(np.all(side.finite == np.round(side.finite))) for side in (canary, other)]
        around = _EXACTLY if whole[0] == whole[1] else _AROUND
        words = next((text for factor, text in _PERIODS if apart is not None and apart.near(factor, around)), "")
        if apart is None or not words or not apart.alike:
            continue
        failing = [one for one in tables.values() if _fails_otherwise(one, paired=paired)]
        if paired and not failing and whole[0] == whole[1]:
            continue
        finding = _asked(table, apart, f"as far apart as {words}. Has the unit changed?")
        changed[name] = finding
        changed |= {one.metric.name: _counted_by(one.metric.name, name) for one in failing}
    return changed


def misread(tables: Mapping[str, Table], *, paired: bool) -> dict[str, Finding]:
    """That more requests failed than there were, where there are far fewer of them than on the other side.

    :param tables: every metric on all sides, read.
    :param paired: whether the other side is of the same time.
    """
    found: dict[str, Finding] = {}
    for name, table in tables.items():
        if table.metric.kind != "errors" or table.metric.part:
            continue
        rows = [Side(table.frames[side]).frame for side in ("canary", "control" if paired else "before")]
        failed, asked = ([float(frame[column].sum()) for frame in rows] for column in ("value", "count"))
        usual = [number / max(1, len(frame)) for number, frame in zip(asked, rows, strict=True)]
        more = [one > _ALL * other for one, other in zip(failed, asked, strict=True)]
        fewer = 0 < min(usual) * _TOO_GOOD_FAILURES <= max(usual)
        side = int(usual[1] < usual[0])
        if more[side] and not more[1 - side] and fewer:
            text = (
                f"{name}: {failed[side]:,.0f} failed of {asked[side]:,.0f} requests "
                f"{'on the other side' if side else 'on the canary'}, more than there were: one of the two is of "
                "another unit, or misread."
            )
            reason = Reason("misread", text, {"failed": failed[side], "requests": asked[side]})
            found[name] = Finding(Verdict.INCONCLUSIVE, reason, decides=True)
    return found


def _counted_by(metric: str, throughput: str) -> Finding:
    text = f"{metric}: how many of the requests fail depends on the unit of {throughput}, which may have changed."
    return Finding(Verdict.INCONCLUSIVE, Reason("unit_changed", text, {"metric": throughput}), decides=True)


def _fails_otherwise(table: Table, *, paired: bool) -> bool:
    """Whether a number of failed requests did not go along with the number of requests."""
    if table.metric.kind != "errors" or table.metric.part:
        return False
    rates = []
    for side in ("canary", "control" if paired else "before"):
        rows = Side(table.frames[side]).frame
        asked = float(rows["count"].sum())
        rates.append(float(rows["value"].sum()) / asked if asked else 0.0)
    return min(rates) > 0 and max(rates) >= _WENT_ALONG * min(rates)
