"""Values that are not what they seem: rates, infinities, shares in per cent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from airflow_cd.verification.metrics.kinds import described
from airflow_cd.verification.metrics.names.units import suffix_of
from airflow_cd.verification.metrics.names.vocabulary import SUCCEEDED, SUFFICIENT
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.series.tables import Table, usual_gap
from airflow_cd.verification.samples import SUMMED

_TOO_LONG = 10.0  # times the longest that was measured: what "+Inf" stands for
_SAME_WIDTH = 0.1
_ABOUT_ONE = 1.2
_BAD_STATES = frozenset(
    ("yellow", "red", "firing", "degraded", "unhealthy", "down", "offline", "stuck", "stale", "notready", "unavailable")
)
_BREAKERS = frozenset(("breaker", "circuitbreaker", "circuit"))
_A_LITTLE_MORE = 1.0001
_WHOLES = {"%": 100.0, "‰": 1000.0}
_MOSTLY_YES = 0.5
_LONG = 10  # rows that say what a check always says


def finite(table: Table) -> Table:
    """Infinite durations as far longer than any that was measured: they are too long, and not absent.

    :param table: one metric on all sides.
    """
    if table.metric.kind != "latency":
        return table
    raw = {side: frame["value"].to_numpy(dtype=float) for side, frame in table.frames.items()}
    if not any(np.isposinf(values).any() for values in raw.values()):
        return table
    longest = float(np.max(table.values(), initial=0.0)) or 1.0
    frames = {
        side: table.frames[side].assign(value=np.where(np.isposinf(values), _TOO_LONG * longest, values))
        for side, values in raw.items()
    }
    return table.read_as(frames, "+Inf is longer than anything measured")


def numbered(table: Table) -> Table:
    """Rates (``per minute``) as numbers of events in each bucket, so that the more happened, the surer they are known.

    :param table: one metric on all sides.
    """
    metric = table.metric
    if metric.kind not in SUMMED or not metric.period or metric.part:
        return table
    frames: dict[str, object] = {}
    gap = usual_gap(table.frames["canary"]) or metric.period
    for side, frame in table.frames.items():
        frames[side] = frame.assign(value=frame["value"] * (gap / metric.period))
    return table.read_as(frames, factor=gap / metric.period, period=0.0)  # type: ignore[arg-type]


def evened(table: Table) -> Table:
    """Numbers of events from before in buckets of the canary's width, where they were of another.

    :param table: one metric on all sides.
    """
    before = table.frames.get("before")
    if before is None or table.metric.kind not in SUMMED or table.metric.part:
        return table
    width, theirs = usual_gap(table.frames["canary"]), usual_gap(before)
    if not width or not theirs or abs(width / theirs - 1.0) < _SAME_WIDTH:
        return table
    frames = {**table.frames, "before": before.assign(value=before["value"] * (width / theirs))}
    return table.read_as(frames, "numbers from before for buckets as wide as now")


def _yes_or_no(table: Table) -> bool:
    """Whether every value is 0 or 1, and should be the same all the time."""
    metric, values = table.metric, table.values()
    if metric.unit or not len(values) or not set(values) <= {0.0, 1.0}:
        return False
    if metric.direction != "lower_is_worse":
        words = set(words_of(metric.name))
        return metric.kind == "gauge" and bool(_BAD_STATES & words or ("open" in words and _BREAKERS & words))
    # A few orders a minute are 0 or 1, too, but mostly 0.
    usual = [float(frame["value"].mean()) for side, frame in table.frames.items() if side != "canary" and len(frame)]
    good = bool(set(words_of(metric.name)) & (SUCCEEDED | SUFFICIENT))
    return metric.kind == "gauge" or (metric.kind == "count" and good and max(usual, default=0.0) > _MOSTLY_YES)


def answered(table: Table) -> Table:
    """What a check says of itself, 1 as long as it succeeds, as a share of the time: no number of anything.

    Only what never was anything but 1 on another side can be known for that.

    :param table: one metric on all sides, as it was written.
    """
    metric, words = table.metric, suffix_of(words_of(table.metric.name)).words
    if metric.kind not in ("gauge", "count", "throughput") or metric.direction == "higher_is_worse" or metric.period:
        return table
    others = [frame["value"].dropna() for side, frame in table.frames.items() if side != "canary"]
    always = sum(map(len, others)) >= _LONG and all(bool((values == 1.0).all()) for values in others)
    if not words or words[-1] not in SUCCEEDED or not always or not set(table.values()) <= {0.0, 1.0}:
        return table
    said = "yes or no, as a share of the time"
    return table.read_as(table.frames, said, kind="share", unit="", direction="lower_is_worse", part=True)


def _status_codes(table: Table) -> bool:
    """Whether every value is a status code of HTTP, or 0 where no answer came, as probes write them."""
    metric, values, words = table.metric, table.values(), set(words_of(table.metric.name))
    if metric.kind != "gauge" or metric.unit or not len(values):
        return False
    if not {"status", "code"} <= words or not words & {"http", "response", "probe", "web"}:
        return False
    return bool(np.all((values == 0) | ((values >= 100) & (values < 600) & (values == np.round(values)))))


def _named_share(table: Table) -> Table:
    """A number of successes that is none (``success`` of 99.7), as the share that it must be."""
    metric, values = table.metric, table.values()
    words = words_of(metric.name)
    if metric.kind != "count" or metric.period or metric.direction != "lower_is_worse" or not len(values):
        return table
    if not words or words[-1] not in SUCCEEDED or metric.unit or table.assumed:
        return table
    parts = (values != np.round(values)).mean() > 0.5 and values.min() >= 0.0 and values.max() <= 100.0 * _A_LITTLE_MORE
    if not parts:
        return table
    share = replace(metric, kind="share", part=True)
    return Table(replace(share, assumed=described(share)), table.frames, table.assumed)


def whole_of(table: Table) -> float:
    """What stands for everything in a share: 1, 100 where it is in per cent, 1,000 of 1,000; 0 where it is no share.

    It is the same on all sides: a side that is wholly below 1 is no other unit.

    :param table: one metric on all sides.
    """
    values = table.values()
    whole = _WHOLES.get(table.metric.unit, 100.0)
    if not len(values) or values.min() < -1e-9 or values.max() > whole * _A_LITTLE_MORE:
        return 0.0
    if table.metric.unit in _WHOLES:
        return whole
    # What succeeds is nearly all of it: two rates, each extrapolated by itself, are now and then a little more than 1.
    about_one = table.metric.direction == "lower_is_worse" and values.max() <= _ABOUT_ONE and np.median(values) > 0.5
    return 1.0 if about_one or values.max() <= 1.0001 else 100.0


def as_share(table: Table) -> Table:
    """A share as a part of 1; a level where its values are none (a ratio of two, the load of several cores).

    A level that is only ever 0 or 1, and should be 1 (*up*, *ready*), is the share of the time that it is.

    :param table: one metric on all sides.
    """
    if _status_codes(table):
        good = {side: frame.assign(value=frame["value"].between(1, 399) * 1.0) for side, frame in table.frames.items()}
        words = "status codes, as the share of those below 400"
        return table.read_as(good, words, kind="share", unit="%", direction="lower_is_worse")
    if _yes_or_no(table):
        return table.read_as(table.frames, "yes or no, as a share of the time", kind="share", unit="%")
    table = _named_share(table)
    if table.metric.kind != "share":
        return table
    whole = whole_of(table)
    if not whole:
        metric = replace(table.metric, kind="gauge")
        return replace(table, metric=replace(metric, assumed=described(metric)))
    words = {1.0: "from 0 to 1", 100.0: "in per cent"}.get(whole, "of 1,000")
    frames = {
        side: frame.assign(value=(frame["value"] / whole).clip(upper=1.0)) for side, frame in table.frames.items()
    }
    return table.read_as(frames, words, factor=1.0 / whole, unit="%")
