"""The reasons of results in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping

from airflow_cd.verification.metrics.evidence import Estimate, smallest_level_change, smallest_rate_change
from airflow_cd.verification.metrics.null import COUNTED
from airflow_cd.verification.metrics.series.scale import AS_IT_IS, is_seldom
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.weighing import Weighed
from airflow_cd.verification.metrics.words import change, duration, number, share
from airflow_cd.verification.verdict import MetricResult, Reason

_LONGEST = 64.0  # times as long: what would not decide then would hardly ever


def few_requests(canary: float, control: float, least: int, what: str = "requests") -> Reason:
    """The reason that there was too little traffic to judge by.

    :param canary: how many there were on the canary; ``control`` likewise.
    :param least: how many are needed on each side.
    :param what: what was counted.
    """
    text = (
        f"{canary:.0f} {what} on the canary and {control:.0f} on the other side, at least {least} are needed on each."
    )
    return Reason("few_requests", text, {"canary_requests": canary, "control_requests": control, "least": least})


def title_of(sides: Sides) -> str:
    """What the result is about: the metric, and its group.

    :param sides: the rows of one metric on either side.
    """
    return f"{sides.metric.name} of {sides.group}" if sides.group else sides.metric.name


def compared_words(sides: Sides) -> str:
    """Where the other figure comes from.

    :param sides: the rows of one metric on either side.
    """
    if sides.load != 1.0:
        whose = "a control's load" if sides.paired else "the load before"
        return f"to be expected at {sides.asked:.0%} of {whose}".replace("%", " %")
    return "on the control" if sides.paired else "before"


def reason_of(
    result: MetricResult, sides: Sides, code: str, estimate: Estimate | None = None, more: float | None = None
) -> Reason:
    """The reason of a result.

    :param result: with its figures.
    :param sides: the rows it rests on.
    :param code: of the reason.
    :param estimate: of the change; None where there is none.
    :param more: for how many more seconds one would have to watch; infinite if that does not help.
    """
    ours, theirs = result.canary["mean"], result.control["mean"]
    text = f"{title_of(sides)}: {figures_of(result, compared_words(sides), sides.width / 1000.0)}"
    numbers: dict[str, float | int | str | None] = {"canary": ours, "control": theirs}
    if estimate is not None:
        numbers |= {
            "effect": estimate.effect,
            "lower": estimate.lower,
            "upper": estimate.upper,
            "threshold": result.threshold,
            "smallest_detectable": result.smallest_detectable,
        }
        text += _sureness(result, code, estimate) if sides.scale == AS_IT_IS else _unsureness(code)
    if result.canary.get("warm_up"):
        text += f"; the first {duration(result.canary['warm_up'])} after its start are left out as warm-up"
    if sides.odd:
        text += f"; {sides.odd}"
    if more is not None:
        numbers["more_seconds"] = more if math.isfinite(more) else None
        text += _more(more)
    return Reason(code, text + ".", {**numbers, "canary_requests": result.canary["requests"]})


def figures_of(result: MetricResult, where: str, width: float = 0.0) -> str:
    """Both figures of a result, and the change from one to the other.

    :param result: with its figures.
    :param where: the other one comes from.
    :param width: of a bucket, in seconds; 0 where it is not known.
    """
    ours, theirs = result.canary["mean"], result.control["mean"]
    if result.kind == "errors":
        return f"{share(ours)} of requests failed{_of(result.canary)}, {share(theirs)} {where}{_of(result.control)}"
    if result.kind == "share":
        return f"{share(ours)}, {share(theirs)} {where}{_missing(result)}"
    if result.kind == "throughput":
        return f"{number(ours)} per instance{_each(width)}, {number(theirs)} {where}{_change(result)}"
    return f"{number(ours, result.unit)}, {number(theirs, result.unit)} {where}{_change(result)}"


def _each(width: float) -> str:
    if not width:
        return ""
    return f" and {'minute' if width == 60.0 else duration(width)}"


def _missing(result: MetricResult) -> str:
    """How much more is missing to 100 %, where that is what a share is judged by."""
    ours, theirs = (1.0 - side["mean"] for side in (result.canary, result.control))
    if is_seldom(result.name, result.control["mean"]):
        return _change(result)
    if result.direction != "lower_is_worse" or ours <= 0:
        return ""
    if theirs <= 0:
        return f": {share(ours)} are missing"
    return f": {share(ours)} against {share(theirs)} are missing, {change(ours / theirs - 1.0)}"


def _of(side: Mapping[str, float]) -> str:
    return f" ({side.get('errors', 0.0):,.0f} of {side['requests']:,.0f})"


def _change(result: MetricResult) -> str:
    ours, theirs = result.canary["mean"], result.control["mean"]
    if theirs <= 0 or ours < 0 or result.kind == "apdex":
        return ""
    return f" ({change(ours / theirs - 1.0, result.kind)})"  # type: ignore[arg-type]


def _unsureness(code: str) -> str:
    """That a change is not sure, without a bound: on a scale of its own it would tell a person nothing."""
    return ": too uncertain to tell from chance" if code in ("not_certain", "not_precise") else ""


def _sureness(result: MetricResult, code: str, estimate: Estimate) -> str:
    """How sure the change is; nothing where no bound would tell a person anything."""
    if code == "metric_regressed":
        least = estimate.lower if estimate.effect > 0 else estimate.upper
        if math.isfinite(least) and 0.01 <= abs(least) < 10 and (least > 0) == (estimate.effect > 0):
            return f", surely at least {change(least)}"
        return ""
    if code in ("not_certain", "not_precise"):
        smallest = abs(estimate.smallest)
        seen = f"a change below {change(smallest)}" if smallest < 10 else "a change"
        return (
            f": too uncertain to tell from chance; {seen} cannot be seen in this"
            if smallest < 10
            else (": this varies too much to see a change in it")
        )
    return ""


def _more(more: float) -> str:
    if not math.isfinite(more):
        return "; more time would hardly decide it, more instances would"
    return f"; about {duration(more)} more would decide it" if more > 0 else ""


def more_time(weighed: Weighed, watched: float, wanted: float) -> float:
    """For how many more seconds one would have to watch to see a change.

    :param weighed: what there is now.
    :param watched: for how many seconds there is.
    :param wanted: the change that is to be seen, on the log scale and without its sign.
    """
    times = 1.0
    while times <= _LONGEST:
        if _smallest_after(weighed, times) <= wanted:
            return (times - 1.0) * watched
        times *= 1.5
    return math.inf


def _smallest_after(weighed: Weighed, times: float) -> float:
    """The smallest change, on the log scale, that so many times as much time would show."""
    null = weighed.null
    if weighed.kind in COUNTED:
        comparison = weighed.comparison
        exposure, control = float(comparison.exposure), float(comparison.control_exposure)
        theirs = times * float(comparison.control_ratio) * control / float(null.burst)
        part = exposure / (exposure + control)
        return smallest_rate_change(theirs, part, float(null.offset), weighed.alpha, weighed.direction)
    return smallest_level_change(float(null.noise) / times + float(null.offset), weighed.alpha, weighed.direction)
