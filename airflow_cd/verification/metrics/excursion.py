"""Excursions: moments in a row far beyond everything that the other side and the past had.

A mean over all the time dilutes them, and what ends by itself looks like a process that has warmed up. But minutes in
which a canary is twice as slow as its like have ever been, after its start, are none of it. One metric alone may be
chance for a moment or two; where users feel it while the process uses far more than ever, it is no chance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from airflow_cd.verification.metrics.cells import middle_of
from airflow_cd.verification.metrics.findings import compared_words, title_of
from airflow_cd.verification.metrics.layout import series_codes
from airflow_cd.verification.metrics.least_change import least_change
from airflow_cd.verification.metrics.limits import Limits
from airflow_cd.verification.metrics.load import Load
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.null import COUNTED
from airflow_cd.verification.metrics.result_figures import figure
from airflow_cd.verification.metrics.rows import Rows
from airflow_cd.verification.metrics.series.scale import AS_IT_IS
from airflow_cd.verification.metrics.shape import BEYOND, Moments
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.words import duration, share
from airflow_cd.verification.samples import Direction, MetricKind
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

EXCURSION = "excursion"
"""Code of the reason of such a result."""

_LASTS = 2  # moments in a row that are more than chance
_LASTS_LONG = 3  # that fail by themselves, of what users feel
_LARGE_PART = 0.5  # of the time: so much of it fails with fewer moments
_ABOVE_ALL = math.log(2.0)  # above the highest that the other side had: to fail
_FELT_RISE, _RISE = math.log(2.0), math.log(3.0)  # above what is usual
_ADDS, _ADDS_MUCH = 0.4, 1.0  # of what is usual, over all the time: less is a hiccup
_LARGEST = 700.0  # a logarithm: beyond it there is no number
_KNOWN, _WELL_KNOWN = 3, 5  # moments of the other side
_SIGMAS = 4.0  # of its moments
_NORMAL = 1.4826  # standard deviations to a median absolute deviation
_STEPS = 5.0  # events put to counts, so that a few of them are nothing
_REQUESTS = 1000.0  # that a share of failures is taken to be of, where nobody counts them
_OPEN = ("no_regression", "not_precise", "not_certain", "few_requests")  # codes of results that it says more than
_USED = frozenset(
    ("cpu", "memory", "mem", "heap", "disk", "swap", "used", "usage", "utilization", "utilisation", "busy", "load")
)


@dataclass(frozen=True)
class Excursion:
    """The largest excursion of a metric.

    :param moments: in a row that are measurements of their own; ``part`` of all the time.
    :param known: moments that the other side has.
    :param reach: how far above the highest of the other side, on the log scale; ``rise`` above what is usual there.
    :param first: milliseconds since 1970 at which it began; ``last`` of its last moment.
    :param over: whether it has ended.
    :param level: in it, on the metric's own scale; ``highest`` the worst that the other side had.
    """

    moments: int
    part: float
    known: int
    reach: float
    rise: float
    first: int
    last: int
    over: bool
    level: float
    highest: float

    @property
    def adds(self) -> float:
        """What it adds to the mean over all the time, as a part of what is usual."""
        return self.part * math.expm1(min(self.rise, _LARGEST))


def excursion(sides: Sides, minimum_effect: float, warm_up: float) -> Excursion | None:
    """The canary's largest excursion for the worse, its start aside; None if there is none.

    :param sides: the rows of one metric.
    :param minimum_effect: smallest relative change that counts.
    :param warm_up: time after a start that is left out, in milliseconds.
    """
    grown = _comparable(sides.older_than(warm_up))
    if not len(grown.canary) or not len(grown.control):
        return None
    ours, theirs, usual = grown.moments()
    seen = _worse(_logs(theirs, theirs.usual(), 0.0), grown)
    known = int((~np.isnan(seen)).any(axis=0).sum())
    if known < _KNOWN:
        return None
    if _is_routed(sides):
        usual = ours.usual()
    least = least_change(sides.metric, sides.canary.value, sides.control.value)
    spread = _NORMAL * float(np.nan_to_num(middle_of(np.abs(seen).reshape(-1))))
    highest_own = max(float(np.nanmax(seen)), sides.seen, 0.0)
    times = np.unique(grown.canary.time)
    found: Excursion | None = None
    for series, row in enumerate(_worse(_logs(ours, usual, least), grown)):
        there = np.flatnonzero(~np.isnan(row))
        top = max(highest_own, _highest(theirs, float(usual[series]), grown))
        limit = max(top, _SIGMAS * spread) + math.log1p(BEYOND * minimum_effect)
        for begin, end in _runs(row[there] > limit):
            run = there[begin:end]
            rise = float(np.median(row[run]))
            # A percentile that stays the same to the last digit is one slow request in several windows.
            moments = len(np.unique(ours.value[series, run])) if sides.tailed else len(run)
            smaller = found is not None and found.moments * found.rise >= moments * rise
            if smaller or (begin == 0 and _is_routed(sides)):
                continue
            span = int(times[run[0]]), int(times[run[-1]])
            level, highest = _figures(sides, int(np.unique(series_codes(grown.canary))[series]), span)
            found = Excursion(
                moments, len(run) / len(there), known, rise - top, rise, *span, end < len(there), level, highest
            )
    return found


def highest_before(sides: Sides) -> float:
    """How far above what is usual for them the same instances got before the deployment, on the log scale.

    :param sides: of one metric, the control's rows those from before.
    """
    if not len(sides.control):
        return 0.0
    sides = _comparable(sides)
    _, theirs, _ = sides.moments()
    return float(np.nanmax(_worse(_logs(theirs, theirs.usual(), 0.0), sides), initial=0.0))


def with_excursions(
    results: Sequence[MetricResult], sides: Mapping[str, Sides], limits: Limits, load: Load | None
) -> list[MetricResult]:
    """The results, those of metrics that had an excursion held up or failed by it.

    What users feel fails by an excursion of three moments, or by a shorter one at the time of another of what the
    process uses. Any excursion of two moments holds a release up.

    :param results: of all metrics.
    :param sides: by the name of a metric, its rows.
    :param limits: what every metric is held to.
    :param load: of the canary by a control's; None where that is not known.
    """
    uneven = load is not None and load.unequal
    found = {
        place: one
        for place, result in enumerate(results)
        if _is_open(result) and (one := _of(result, sides[result.name], limits, uneven)) is not None
    }
    used = [place for place, one in found.items() if results[place].decides and _is_witness(results[place], one)]
    changed = list(results)
    for place, one in found.items():
        result, its = results[place], sides[results[place].name]
        meanwhile = next((results[other].name for other in used if _overlap(one, found[other])), "")
        if _fails(result, its, one, witness=bool(meanwhile)):
            changed[place] = _with(result, its, one, Verdict.FAIL, meanwhile)
        elif one.moments >= _LASTS and one.rise >= _RISE and one.adds >= _ADDS:
            changed[place] = _with(result, its, one, Verdict.INCONCLUSIVE)
    return changed


def _overlap(one: Excursion, other: Excursion) -> bool:
    return other.first <= one.last and one.first <= other.last


def _fails(result: MetricResult, sides: Sides, found: Excursion, *, witness: bool) -> bool:
    """Whether users felt it for long enough, or while another metric says why."""
    if not is_felt(result) or sides.groups or found.reach < _ABOVE_ALL or found.adds < _ADDS:
        return False
    # That requests failed for two moments is known of each of them; how slow they were may be a few.
    enough = result.kind == "errors" or found.part >= _LARGE_PART
    long = found.moments >= _LASTS_LONG or (found.moments >= _LASTS and enough)
    alone = long and found.known >= _WELL_KNOWN and found.rise >= _RISE and found.adds >= _ADDS_MUCH
    return alone or (witness and found.rise >= _FELT_RISE)


def is_felt(result: MetricResult) -> bool:
    """Whether users feel it: durations, failures, scores, and shares of what succeeds, but not of what is used.

    :param result: of a metric.
    """
    return result.kind in ("latency", "errors", "apdex") or (
        result.kind == "share" and not _USED & set(words_of(result.name))
    )


def _is_open(result: MetricResult) -> bool:
    return not result.group and result.verdict is not Verdict.FAIL and result.reason.code in _OPEN


def _is_witness(result: MetricResult, found: Excursion) -> bool:
    """Whether a process used so much more that it explains what users feel."""
    used = not is_felt(result) and result.direction == "higher_is_worse"
    return used and found.moments >= _LASTS and found.reach >= _ABOVE_ALL and found.rise >= _RISE


def _of(result: MetricResult, sides: Sides, limits: Limits, uneven: bool) -> Excursion | None:
    if result.kind == "info" or (uneven and result.kind in ("gauge", "count")):
        return None  # what is counted and used goes with the load
    if result.reason.code == "few_requests" and sides.canary.requests > len(sides.canary):
        return None  # of so few requests one slow one is all of it
    return excursion(sides, limits.minimum_effect, limits.longest(sides.watched))


def _with(result: MetricResult, sides: Sides, found: Excursion, verdict: Verdict, meanwhile: str = "") -> MetricResult:
    seconds = (found.last - found.first + sides.width) / 1000.0
    text = (
        f"{title_of(sides)}: {_figure(found.level, result)} for {duration(seconds)}"
        f"{', over since' if found.over else ''}; {'no less than' if found.level < found.highest else 'at most'} "
        f"{_figure(found.highest, result)} {compared_words(sides)}"
        f"{f', while {meanwhile} was higher than ever' if meanwhile else ''}."
    )
    numbers: dict[str, float | int | str | None] = {
        "canary": found.level,
        "control": found.highest,
        "seconds": seconds,
        "moments": found.moments,
    }
    return replace(result, verdict=verdict, reason=Reason(EXCURSION, text, numbers))


def _figure(value: float, result: MetricResult) -> str:
    return share(value) if result.kind == "errors" else figure(value, result)


def _is_routed(sides: Sides) -> bool:
    """Whether the router decides how much there is of it: then only the canary's own usual level says what is usual."""
    return sides.paired and sides.metric.kind == "throughput"


def _comparable(sides: Sides) -> Sides:
    """The sides, counts as numbers of events of as many requests each, with a few more events: few say little."""
    metric = sides.metric
    if metric.kind not in COUNTED:
        return sides
    usual = float(np.mean(sides.control.count)) if metric.kind in ("errors", "apdex") and len(sides.control) else 0.0

    def events(rows: Rows) -> Rows:
        value = rows.value
        if metric.kind == "errors":
            value = np.divide(value, rows.count, out=np.zeros(len(rows)), where=rows.count > 0)
        elif metric.kind == "apdex":
            value = 1.0 - value.clip(0.0, 1.0)
        if metric.kind in ("errors", "apdex"):
            value = value * (usual if usual > 1.0 else _REQUESTS)
        return replace(rows, value=value + _STEPS, count=np.ones(len(rows)))

    direction: Direction = "higher_is_worse" if metric.kind in ("errors", "apdex") else metric.direction
    return replace(
        sides,
        metric=replace(metric, direction=direction),
        canary=events(sides.canary),
        control=events(sides.control),
        scale=AS_IT_IS,
    )


def _figures(sides: Sides, code: int, span: tuple[int, int]) -> tuple[float, float]:
    """The middle value of a series of the canary in a span of time, and the worst of the other side, as they are."""
    rows = sides.canary
    chosen = (series_codes(rows) == code) & (rows.time >= span[0]) & (rows.time <= span[1])
    values, theirs = (_as_shown(one, sides.metric.kind) for one in (rows.where(chosen), sides.control))
    level = float(np.median(values))
    falls = sides.metric.direction == "lower_is_worse"
    if sides.metric.direction == "either":
        falls = level < float(np.median(theirs))
    return level, float(theirs.min() if falls else theirs.max())


def _as_shown(rows: Rows, kind: MetricKind) -> np.ndarray:
    if kind != "errors":
        return rows.value
    return np.asarray(np.divide(rows.value, rows.count, out=np.zeros(len(rows)), where=rows.count > 0))


def _worse(logs: np.ndarray, sides: Sides) -> np.ndarray:
    if sides.direction == "either":
        return np.asarray(np.abs(logs))
    return np.asarray(-logs if sides.direction == "lower_is_worse" else logs)


def _highest(theirs: Moments, usual: float, sides: Sides) -> float:
    """How far above a level the other side's values got: instances need not be at the same one."""
    if sides.groups or not usual > 0:
        return 0.0
    return float(np.nanmax(_worse(_logs(theirs, np.full(len(theirs.value), usual), 0.0), sides)))


def _logs(side: Moments, usual: np.ndarray, least: float) -> np.ndarray:
    """Logarithm of each value over what is usual, 0 where it is nearer than the least change that counts."""
    known = side.present & (usual[..., None] > 0)
    far = known & (np.abs(side.value - usual[..., None]) >= least)
    ratio = np.divide(side.value, usual[..., None], out=np.ones_like(side.value), where=far)
    return np.asarray(np.where(known, np.log(np.maximum(ratio, np.finfo(float).tiny)), np.nan))


def _runs(out: np.ndarray) -> list[tuple[int, int]]:
    """Where flags in a row begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], out, [False]]).astype(int)))
    return [(int(begin), int(end)) for begin, end in zip(edges[::2], edges[1::2], strict=True)]
