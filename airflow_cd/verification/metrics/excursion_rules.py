"""What excursions make of results: minutes like none before never pass, and fail where users feel them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from airflow_cd.verification.metrics.drought import drought
from airflow_cd.verification.metrics.excursion import Excursion, excursion
from airflow_cd.verification.metrics.findings import compared_words, title_of
from airflow_cd.verification.metrics.limits import Limits
from airflow_cd.verification.metrics.load import Load, is_asked
from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.metrics.result_figures import figure
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.spared import is_asked_of_others
from airflow_cd.verification.metrics.words import duration, share
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

EXCURSION = "excursion"
"""Code of the reason of such a result."""

_LASTS = 2  # moments in a row that are more than chance
_LASTS_LONG = 3  # that fail by themselves, of what users feel
_LASTS_SURELY = 4  # that are no chance where single ones on the other side were as high
_LARGE_PART = 0.5  # of the time: so much of it fails with fewer moments
_ABOVE_ALL = math.log(2.0)  # above what lasted on the other side: to fail
_CLEARLY = math.log(1.4)  # above any moment of the other side
_FELT_RISE, _RISE = math.log(2.0), math.log(3.0)  # above what is usual
_ADDS, _ADDS_MUCH = 0.4, 1.0  # of what is usual, over all the time: less is a hiccup
_GONE = 8  # moments of nothing at all, until the end
_GOES_ON = 0.8  # of what the other side is asked
_OWN = frozenset(("connection", "conn", "cx", "handshake", "log", "thread"))  # what a process needs less of by itself
_WELL_KNOWN = 5  # moments of the other side
_OPEN = ("no_regression", "not_precise", "not_certain", "few_requests")  # codes of results that it says more than
_USED = frozenset(
    ("cpu", "memory", "mem", "heap", "disk", "swap", "used", "usage", "utilization", "utilisation", "busy", "load")
)


def with_excursions(
    results: Sequence[MetricResult], sides: Mapping[str, Sides], limits: Limits, load: Load | None
) -> list[MetricResult]:
    """The results, those of metrics that had an excursion held up or failed by it.

    What users feel fails by an excursion of three moments, or by a shorter one at the time of another of what the
    process uses. Any excursion of two moments holds a release up.

    :param results: of all metrics.
    :param sides: by the name of a metric, its rows.
    :param limits: what every metric is held to.
    :param load: of the canary by the other side's; None where that is not known.
    """
    uneven = load is not None and load.over_time is None and load.unequal
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
        if _fails(result, its, one, witness=bool(meanwhile)) or _is_gone(result, one, sides):
            changed[place] = _with(result, its, one, Verdict.FAIL, meanwhile)
        elif _holds(one):
            changed[place] = _with(result, its, one, Verdict.INCONCLUSIVE)
    return changed


def _holds(found: Excursion) -> bool:
    """Whether it is so large that no release passes with it."""
    lasts = found.moments >= (_LASTS if found.above > _CLEARLY else _LASTS_SURELY)
    return lasts and found.rise >= _RISE and found.adds >= _ADDS


def _overlap(one: Excursion, other: Excursion) -> bool:
    return other.first <= one.last and one.first <= other.last


def _fails(result: MetricResult, sides: Sides, found: Excursion, *, witness: bool) -> bool:
    """Whether users felt it for long enough, or while another metric says why."""
    if not is_felt(result) or sides.groups or found.reach < _ABOVE_ALL or found.adds < _ADDS:
        return False
    # That requests failed for two moments is known of each of them; how slow they were may be a few.
    enough = result.kind == "errors" or found.part >= _LARGE_PART
    long = found.moments >= _LASTS_LONG or (found.moments >= _LASTS and enough)
    like_none = found.above >= _ABOVE_ALL or found.moments >= _LASTS_SURELY
    alone = long and like_none and found.known >= _WELL_KNOWN and found.rise >= _RISE and found.adds >= _ADDS_MUCH
    return alone or (witness and found.rise >= _FELT_RISE)


def _is_gone(result: MetricResult, found: Excursion, sides: Mapping[str, Sides]) -> bool:
    """Whether what requests bring about has ended for good while as many of them are served."""
    metric = sides[result.name].metric
    effect = metric.kind == "count" and metric.direction == "lower_is_worse" and not is_asked_of_others(metric)
    ended = found.level == 0.0 and not found.over and found.moments >= _GONE and found.reach >= _ABOVE_ALL
    if not effect or not ended or _OWN & set(words_of(metric.name)):
        return False
    asked = [one for one in sides.values() if is_asked(one.metric) and not is_asked_of_others(one.metric)]
    done = [one for name, one in sides.items() if name != result.name and one.metric.kind == "count"]
    others = asked or [one for one in done if one.metric.direction == "lower_is_worse"]
    return any(_goes_on(one, found) for one in others)


def _goes_on(sides: Sides, found: Excursion) -> bool:
    """Whether there is about as much of it as on the other side, while the excursion lasts."""
    ours = sides.canary.value[(sides.canary.time >= found.first) & (sides.canary.time <= found.last)]
    during = (sides.control.time >= found.first) & (sides.control.time <= found.last)
    theirs = sides.control.value[during] if sides.paired else sides.control.value
    enough = len(ours) and len(theirs) and float(theirs.mean()) > 0.0
    return bool(enough) and float(ours.mean()) >= _GOES_ON * float(theirs.mean())


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
    return used and found.moments >= _LASTS and found.above >= _ABOVE_ALL and found.rise >= _RISE


def _of(result: MetricResult, sides: Sides, limits: Limits, uneven: bool) -> Excursion | None:
    if result.kind == "info" or (uneven and result.kind in ("gauge", "count")):
        return None  # what is counted and used goes with the load
    if result.reason.code == "few_requests" and sides.canary.requests > len(sides.canary):
        return None  # of so few requests one slow one is all of it
    longest = limits.longest(sides.watched)
    return excursion(sides, limits.minimum_effect, longest) or drought(sides, longest)


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
