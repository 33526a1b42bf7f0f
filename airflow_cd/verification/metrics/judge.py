"""One metric of one canary: the rule of its kind that judges it, and the reason in words and numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from airflow_cd.verification.metrics.bursts import without_bursts
from airflow_cd.verification.metrics.cells import Comparison
from airflow_cd.verification.metrics.evidence import Estimate, regressed
from airflow_cd.verification.metrics.findings import (
    compared_words,
    few_requests,
    more_time,
    reason_of,
    title_of,
)
from airflow_cd.verification.metrics.illustration import summary_of
from airflow_cd.verification.metrics.kinds import LEVELS
from airflow_cd.verification.metrics.late import late_change
from airflow_cd.verification.metrics.least_change import least_change
from airflow_cd.verification.metrics.load import Load, is_asked
from airflow_cd.verification.metrics.null import COUNTED, NOTHING_TAUGHT, Taught
from airflow_cd.verification.metrics.series.scale import AS_IT_IS
from airflow_cd.verification.metrics.shape import FarOut, far_out
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.trend import climb
from airflow_cd.verification.metrics.warm_up import DISCOUNT, LONGEST, PART, Tried, lengths, weakest
from airflow_cd.verification.metrics.weighing import Weighed
from airflow_cd.verification.metrics.words import duration, number, share
from airflow_cd.verification.samples import Direction, Metric, MetricKind
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

DETECTABLE = 5.0  # times the minimum effect: less precise than that is no reason to pass
# What is compared with another time is less sure by nature; the same demands there would let nothing pass.
SUSPICIOUS = {"control": 1.5, "before": 2.5}  # times the minimum effect: an uncertain change so large is none to pass
_QUARTER_SURE = 0.25  # the same where the figures are twice as large
_HALF_SURE = 0.5  # of the evidence that a failure needs: below it a change is as likely chance
APDEX_PART = 0.25  # of the minimum effect: a score that ends at 1 moves less than a duration
LEAST_ERRORS = 0.001  # increase of the error share below which it does not matter, however sure
FULL_BUCKET = 20.0  # requests in an instance's bucket; of fewer, one slow request is all the scatter there is
SHAPE_PART = 0.2  # of the false alarms allowed to a level: that values are far out too often
CLIMB_PART = 0.1  # the same, that it climbs in a straight line
FELT_LEVELS = ("latency", "share")  # kinds of which a change that begins late is asked: load does not set them
SHAPED = LEVELS  # kinds of which that is asked
LATELY = 1 / 3  # of the time: what is no longer so in its last part has passed
_LARGEST = 700.0  # a logarithm: beyond it there is no number
_SAME_LOAD = 0.01  # on the log scale
NEW = 5.0  # longest warm-ups: for so long a change that fades may be the end of one
_FADES = 0.75  # of the change over the whole time, on the log scale: with less left it is fading
_STILL = 0.5  # of the minimum effect, on the log scale
# Between instances that are asked the same, what comes of it differs by 2 %, whatever the router does.
FOLLOWS_LOAD = Taught(host_variance=0.02**2, host_freedom=12.0)
_COLLAPSED = 0.1  # of its share of the traffic before
_ENOUGH_TO_COLLAPSE = 30.0  # requests to be expected
_BUCKETS_OF_A_GAUGE = 5
# Buckets that are enough where nobody counted requests: of a level as many as of a gauge.
_ROWS_ENOUGH: dict[MetricKind, int] = {"latency": _BUCKETS_OF_A_GAUGE, "errors": 10}
_LEAST_FREEDOM = 3.0
_AS_RARE, _ENOUGH_OF_RARE = 0.15, 10  # between the sides' missing parts, and buckets: then it is that kind of metric
_FEWEST_BUCKETS = 2  # of a share that fails by itself
_MOSTLY = 0.5  # of the rows: more without a number, and the rest is no picture of the whole
_WARM = 2.0  # logarithm of the evidence that a warm-up explains away, from which on it is said


@dataclass(frozen=True)
class Limits:
    """What a judgement is held to; see :func:`~airflow_cd.verification.metrics.performance.judge_performance`.

    :param minimum_effect: smallest relative change that counts as a regression: 0.2 is 20 %.
    :param min_requests: fewest requests on either side to judge by.
    :param warm_up: longest time after a process has started that may be left out, in milliseconds; None for
        :data:`~airflow_cd.verification.metrics.warm_up.LONGEST`, but no more than its part of the time watched.
    """

    minimum_effect: float
    min_requests: int
    warm_up: float | None = None

    def threshold(self, metric: Metric) -> float:
        """Smallest relative change of this metric that counts.

        :param metric: which metric.
        """
        return self.minimum_effect * (APDEX_PART if metric.kind == "apdex" else 1.0)

    def lengths(self, watched: float, width: float, kind: MetricKind) -> list[tuple[float, float]]:
        """Lengths of a warm-up to be tried, in milliseconds, and what each takes off the evidence that is needed.

        :param watched: how long the canary has been there; ``width`` of a bucket.
        :param kind: of the metric: requests that fail do so from the first on, counts are soon what they will be.
        """
        if kind == "errors":
            return [(0.0, 0.0)]
        return lengths(watched, width, self.longest(watched), slow=kind not in COUNTED)

    def longest(self, watched: float) -> float:
        """Longest time after a start that may be left out without a doubt, in milliseconds.

        :param watched: how long the canary has been there.
        """
        return min(LONGEST, PART * watched) if self.warm_up is None else self.warm_up


def still_worse(
    lately: Comparison, whole: Comparison, kind: MetricKind, direction: Direction, minimum_effect: float, *, new: bool
) -> np.ndarray:
    """Whether a change is still there at the end of the time, and not on its way back as a process that warms up is.

    :param lately: the last part of the time compared; ``whole`` all of it.
    :param kind: of the metric; ``direction`` which way is worse for what was compared, of an apdex its score.
    :param minimum_effect: smallest relative change that counts.
    :param new: whether the processes are so new that they may still be warming up.
    """
    now, overall = lately.log_ratio, whole.log_ratio
    if direction == "either":
        now, overall = now * np.sign(overall), np.abs(overall)
    elif (direction == "lower_is_worse") != (kind == "apdex"):
        now, overall = -now, -overall
    return np.asarray(now >= np.maximum(_STILL * math.log1p(minimum_effect), _FADES * overall if new else 0.0))


class Judge:
    """Judges one metric at a time.

    :param limits: what every metric is held to.
    :param alpha: chance of a false alarm allowed to each.
    :param load: how much more or less than the control the canary has to do; None if that is unknown.
    """

    def __init__(self, limits: Limits, alpha: float, load: Load | None = None) -> None:
        self.limits = limits
        self.alpha = alpha
        self.load = load

    def judge(self, sides: Sides, taught: Taught = NOTHING_TAUGHT) -> MetricResult:
        """Judge these rows.

        :param sides: the rows of one metric on either side.
        :param taught: what earlier deployments taught about the metric.
        """
        metric = sides.metric
        base = MetricResult(
            name=metric.name,
            group=sides.group,
            kind=metric.kind,
            unit=metric.unit,
            direction=metric.direction,
            verdict=Verdict.INCONCLUSIVE,
            reason=Reason("no_data", f"{title_of(sides)}: no data."),
            threshold=self.limits.threshold(metric),
            canary={**summary_of(sides.canary, metric), **({"gaps": float(sides.gaps)} if sides.gaps else {})},
            control=summary_of(sides.control, metric),
            compared_with=sides.compared_with,
        )
        open_reason = self._not_to_be_judged(base, sides)
        if open_reason is not None:
            unjudged = replace(base, reason=open_reason)
            if not _may_fail_early(open_reason, sides):
                return unjudged
            early = self._judged(base, sides, taught)
            return early if early.verdict is Verdict.FAIL else unjudged
        return self._judged(base, sides, taught)

    def _judged(self, base: MetricResult, sides: Sides, taught: Taught) -> MetricResult:
        """The result of rows that say something."""
        metric = sides.metric
        if metric.kind == "throughput" and (metric.direction == "either" or not sides.paired or is_asked(metric)):
            return _judge_throughput(base, sides)
        comparison = sides.compare()
        if comparison is None or _says_too_little(comparison, taught, metric):
            return _not_comparable(base, sides)
        sides, comparison = self._at_its_load(sides, comparison)
        if self._follows_load(metric) and taught.host_freedom < FOLLOWS_LOAD.host_freedom:
            taught = FOLLOWS_LOAD
        decided = self._level(base, sides, comparison, taught)
        if metric.kind in SHAPED:
            # Where values have two modes, how often they are in the bad one says more than their mean.
            decided = self._shape(decided, sides, taught) or decided
        if decided.verdict is not Verdict.FAIL and metric.kind in SHAPED and not sides.group:
            decided = self._climb(decided, sides) or self._late(decided, sides, taught) or decided
        if decided.verdict is not Verdict.FAIL and sides.started_late() and not sides.group:
            text = f"{title_of(sides)}: the canary has data for less than half of the time that the control has."
            return replace(decided, verdict=Verdict.INCONCLUSIVE, reason=Reason("started_late", text))
        return decided

    def _at_its_load(self, sides: Sides, comparison: Comparison) -> tuple[Sides, Comparison]:
        """The canary's values as they would be at the load of a control, where they go with the load."""
        if self.load is None or sides.group:
            return sides, comparison
        seen = math.exp(min(float(comparison.log_ratio), _LARGEST))
        expected = self.load.expected(sides.metric, seen)
        if abs(math.log(expected)) < _SAME_LOAD:
            return sides, comparison
        scaled = replace(sides.scaled(1.0 / expected), load=expected)
        again = scaled.compare()
        return (sides, comparison) if again is None else (scaled, again)

    def _follows_load(self, metric: Metric) -> bool:
        """Whether the metric counts what comes of requests: for one of them, all instances are worth the same."""
        known = self.load is not None and self.load.metric not in ("", metric.name)
        return known and metric.kind in ("count", "throughput") and metric.direction == "lower_is_worse"

    def _not_to_be_judged(self, base: MetricResult, sides: Sides) -> Reason | None:
        """Why these rows say nothing, if so."""
        kind = base.kind
        if min(sides.unusable, sides.control_unusable) >= 1.0:
            text = f"{title_of(sides)}: not one usable number on either side, so nobody measures it here."
            return Reason("not_measured", text)
        alike = abs(sides.unusable - sides.control_unusable) <= _AS_RARE
        if max(sides.unusable, sides.control_unusable) > _MOSTLY and alike and len(sides.canary) and len(sides.control):
            if min(base.canary["buckets"], base.control["buckets"]) < _ENOUGH_OF_RARE:
                text = (
                    f"{title_of(sides)}: a number in only {1.0 - sides.unusable:.0%} of the rows on either side: "
                    "too rarely to be judged.".replace("%", " %")
                )
                return Reason("few_requests", text, {"canary": sides.unusable, "control": sides.control_unusable})
        elif max(sides.unusable, sides.control_unusable) > _MOSTLY:
            text = (
                f"{title_of(sides)}: {sides.unusable:.0%} of the canary's rows and {sides.control_unusable:.0%} of the "
                "other side's hold no usable number."
            )
            numbers = {"canary": sides.unusable, "control": sides.control_unusable}
            return Reason("not_numbers", text, numbers)
        if not len(sides.canary) or not len(sides.control):
            return base.reason
        if kind == "throughput":
            return None
        ours, theirs = base.canary["requests"], base.control["requests"]
        least, what = self.limits.min_requests, "requests"
        if kind in ("gauge", "count", "share"):
            least, what = _BUCKETS_OF_A_GAUGE, "buckets"
            ours, theirs = base.canary["buckets"], base.control["buckets"]
        if kind in _ROWS_ENOUGH and float(sides.canary.count.max()) <= 1.0 >= float(sides.control.count.max()):
            # Nobody counted the requests: what there are is buckets.
            least, what = min(least, _ROWS_ENOUGH[kind]), "buckets"
        if min(ours, theirs) >= least:
            return None
        reason = few_requests(ours, theirs, least, what)
        return replace(reason, text=f"{title_of(sides)}: {reason.text}")

    def _tried(self, sides: Sides, comparison: Comparison, taught: Taught, alpha: float) -> list[Tried]:
        """The comparison without any warm-up left out, and with every length of it."""
        metric = sides.metric
        tried = []
        for length, discount in self.limits.lengths(sides.watched, sides.width, metric.kind):
            part = comparison if not length else sides.older_than(length).compare()
            weighed = None
            if part is not None:
                weighed = Weighed.of(part, taught, metric.kind, sides.direction, alpha, paired=sides.paired)
            tried.append(Tried(length, discount, weighed))
        return tried

    def _level(self, base: MetricResult, sides: Sides, comparison: Comparison, taught: Taught) -> MetricResult:
        """The result by the mean, the share or the number."""
        metric, threshold = sides.metric, self.limits.threshold(sides.metric)
        alpha = self.alpha if metric.kind in COUNTED else self.alpha * (1.0 - SHAPE_PART)
        tried = self._tried(sides, comparison, taught, alpha)
        doubted = weakest(tried)
        chosen = tried[int(doubted.place)]
        first = tried[0].weighed
        assert first is not None  # noqa: S101 - of the comparison itself
        warmed = bool(first.evidence - doubted.evidence > _WARM) and chosen.weighed is not None
        # Less time is always less evidence; a warm-up is over when the change is smaller.
        warmed = warmed and _smaller(chosen.weighed, first, threshold)
        weighed = chosen.weighed if warmed and chosen.weighed is not None else first
        shown = sides.older_than(chosen.length) if warmed else sides
        result = _with_figures(base, shown, weighed, chosen.length if warmed else 0.0)
        estimate = weighed.estimate()
        if metric.kind == "apdex":
            estimate = _score(estimate, float(weighed.comparison.control_exposure), weighed.comparison, result)
        worse = bool(regressed(doubted.evidence, estimate.effect, alpha, threshold, sides.direction))
        worse = worse and self._matters(result, sides) and self._lasts(sides, comparison)
        effect, interval = _change_of(result, sides, estimate)
        result = replace(
            result,
            effect=effect,
            interval=interval,
            threshold=sides.scale.counts(threshold, result.control["mean"]) or None,
            smallest_detectable=sides.scale.counts(max(threshold, estimate.smallest), result.control["mean"]) or None,
        )
        if worse:
            reason = reason_of(result, sides, "metric_regressed", estimate)
            return replace(result, verdict=Verdict.FAIL, reason=reason)
        return self._not_worse(result, sides, weighed, float(doubted.evidence), estimate)

    def _matters(self, result: MetricResult, sides: Sides) -> bool:
        """Whether the change is one that anybody would notice."""
        difference = abs(result.canary["mean"] - result.control["mean"])
        if result.kind == "errors":
            return difference >= LEAST_ERRORS
        return difference >= least_change(sides.metric, sides.canary.value, sides.control.value)

    def _lasts(self, sides: Sides, whole: Comparison) -> bool:
        """Whether the change is still there at the end."""
        if sides.metric.kind == "errors":
            return True
        lately = sides.lately(LATELY).compare()
        if lately is None:
            return True
        new = sides.watched <= NEW * self.limits.longest(sides.watched)
        kind, direction = sides.metric.kind, sides.direction
        return bool(still_worse(lately, whole, kind, direction, self.limits.minimum_effect, new=new))

    def _not_worse(
        self, result: MetricResult, sides: Sides, weighed: Weighed, evidence: float, estimate: Estimate
    ) -> MetricResult:
        """PASS, or INCONCLUSIVE where a change is likely, or where none could have been seen."""
        threshold = self.limits.threshold(sides.metric)
        large = abs(estimate.effect) >= SUSPICIOUS[sides.compared_with] * threshold
        likely = evidence >= -_HALF_SURE * math.log(weighed.alpha) and self._matters(result, sides)
        if large and likely and _points_worse(sides.direction, estimate.effect):
            return replace(result, reason=reason_of(result, sides, "not_certain", estimate, self._more(sides, weighed)))
        # An odd control instance makes failing harder, and is no reason to hold up what is like all others.
        vague = sides.metric.kind in SHAPED and not sides.odd and estimate.smallest > DETECTABLE * threshold
        if vague and not self._usual_alike(sides, threshold):
            return replace(result, reason=reason_of(result, sides, "not_precise", estimate, self._more(sides, weighed)))
        reason = reason_of(result, sides, "no_regression", estimate)
        if vague:
            reason = replace(reason, text=f"{reason.text[:-1]}; beside bursts that both sides have, it is as usual.")
        return replace(result, verdict=Verdict.PASS, reason=reason)

    def _usual_alike(self, sides: Sides, threshold: float) -> bool:
        """Whether beside bursts that both sides have alike no change is to be seen, and one would have been."""
        usual = without_bursts(sides)
        comparison = None if usual is None else usual.compare()
        if usual is None or comparison is None:
            return False
        kind, direction = sides.metric.kind, sides.direction
        rest = Weighed.of(comparison, NOTHING_TAUGHT, kind, direction, self.alpha, paired=sides.paired).estimate()
        suspicious = abs(rest.effect) >= threshold and _points_worse(direction, rest.effect)
        return not suspicious and min(rest.smallest, rest.upper) <= DETECTABLE * threshold

    def _more(self, sides: Sides, weighed: Weighed) -> float:
        """How many more seconds would show a change of so many times the minimum effect."""
        watched = sides.watched / 1000.0
        return more_time(weighed, watched, math.log1p(DETECTABLE * self.limits.threshold(sides.metric)))

    def _climb(self, base: MetricResult, sides: Sides) -> MetricResult | None:
        """The result if the level climbs in a straight line; None if not."""
        if sides.load != 1.0:
            return None
        found = climb(sides.older_than(self.limits.longest(sides.watched)), self.limits.minimum_effect)
        if found is None or found.steps**2 / 2.0 < -math.log(self.alpha * CLIMB_PART):
            return None
        if abs(found.last - base.control["mean"]) < least_change(sides.metric, sides.canary.value, sides.control.value):
            return None
        goes = "falls" if found.last < found.first else "climbs"
        text = (
            f"{title_of(sides)}: {goes} without levelling off, from {figure(found.first, base)} to "
            f"{figure(found.last, base)} in {duration(found.seconds)}; "
            f"{figure(base.control['mean'], base)} {compared_words(sides)}."
        )
        numbers = {"first": found.first, "last": found.last, "seconds": found.seconds, "steps": found.steps}
        return replace(base, verdict=Verdict.FAIL, reason=Reason("climbs", text, numbers))

    def _late(self, base: MetricResult, sides: Sides, taught: Taught) -> MetricResult | None:
        """The result if users have felt a change in the last part of the time; None if not."""
        if base.kind not in FELT_LEVELS:
            return None
        grown = sides.older_than(self.limits.longest(sides.watched))
        threshold = self.limits.threshold(sides.metric)
        found = late_change(grown, taught, self.alpha, threshold)
        if found is None:
            return None
        result = _with_figures(_with_means(base, found.sides), found.sides, found.weighed, 0.0)
        if not self._matters(result, found.sides):
            return None
        estimate = found.weighed.estimate()
        effect, interval = _change_of(result, found.sides, estimate)
        result = replace(result, effect=effect, interval=interval, verdict=Verdict.FAIL)
        reason = reason_of(result, found.sides, "metric_regressed", estimate)
        text = f"{reason.text[:-1]}, in the last {duration(found.seconds)} and still."
        return replace(result, reason=replace(reason, text=text))

    def _doubled(self, sides: Sides, base: MetricResult) -> bool:
        """Whether the figures that a person is shown are so far apart that a pass would contradict them."""
        effect = base.effect or 0.0
        return abs(effect) >= DETECTABLE * self.limits.minimum_effect and _points_worse(sides.metric.direction, effect)

    def _uncut(self, sides: Sides, taught: Taught) -> float:
        """Logarithm of the e-value that the mean changed for the worse, with every value as it is."""
        comparison = sides.compare(capped=False)
        if comparison is None:
            return 0.0
        alpha, kind = self.alpha * SHAPE_PART, sides.metric.kind
        weighed = Weighed.of(comparison, taught, kind, sides.direction, alpha, paired=sides.paired)
        return float(weighed.evidence) if _points_worse(sides.direction, float(weighed.effect)) else 0.0

    def _shape(self, base: MetricResult, sides: Sides, taught: Taught) -> MetricResult | None:
        """The result if values are far out far more often than on the other side; None if not."""
        ours, theirs = (rows.requests / max(1, len(rows)) for rows in (sides.canary, sides.control))
        if base.kind == "latency" and ours < FULL_BUCKET and ours < 0.5 * theirs:
            return None  # of fewer requests the slowest weighs more
        found: FarOut | None = None
        needed, sure = -math.log(self.alpha * SHAPE_PART), True
        for length, discount in ((0.0, 0.0), (self.limits.longest(sides.watched), DISCOUNT)):
            canary, control, usual = sides.older_than(length).moments()
            if not len(canary.value) or not len(control.value):
                return None
            least = least_change(sides.metric, sides.canary.value, sides.control.value)
            found = far_out(canary, control, usual, sides.direction, self.limits.minimum_effect, least)
            if not found.worse:
                return None
            # How far out they are counts too: what is cut from a mean is here what it is about.
            evidence = max(float(found.evidence), self._uncut(sides.older_than(length), taught)) + discount
            sure = sure and evidence >= needed
            if evidence < (_QUARTER_SURE if self._doubled(sides, base) else _HALF_SURE) * needed:
                return None
        if found is None or not (sure or base.verdict is Verdict.PASS):
            return None
        beyond = "below" if base.direction == "lower_is_worse" else "above"
        limit_at = float(found.limit) ** (-1.0 if sides.direction == "lower_is_worse" else 1.0)
        level = sides.scale.back(float(np.nanmedian(usual)) * limit_at)
        limit = f"{beyond} {figure(level, base)}" if base.direction != "either" else "far from usual"
        text = (
            f"{title_of(sides)}: {limit} in {found.moments:.0f} of {found.of:.0f} moments, "
            f"in {found.control_moments:.0f} of {found.control_of:.0f} {compared_words(sides)}"
            f"{'' if sure else ': too few to tell from chance'}."
        )
        numbers = {
            "canary": float(found.moments / found.of),
            "control": float(found.control_moments / found.control_of),
            "moments": float(found.of),
            "limit": level,
        }
        verdict = Verdict.FAIL if sure else Verdict.INCONCLUSIVE
        return replace(base, verdict=verdict, reason=Reason("far_out" if sure else "not_certain", text, numbers))


def figure(value: float, result: MetricResult) -> str:
    """A value of a metric as its result shows it.

    :param value: in the unit of the metric; of a share, a part of 1.
    :param result: of the metric.
    """
    return share(value) if result.kind == "share" else number(value, result.unit)


def _with_means(base: MetricResult, sides: Sides) -> MetricResult:
    """The result with the figures of these rows."""
    canary, control = (summary_of(rows, sides.metric) for rows in (sides.canary, sides.control))
    return replace(base, canary={**base.canary, **canary}, control={**base.control, **control})


def _with_figures(base: MetricResult, shown: Sides, weighed: Weighed, warm_up: float) -> MetricResult:
    """The result with figures that say what the comparison says: of the same rows, load and mix of groups."""
    canary, control = dict(base.canary), dict(base.control)
    if warm_up:
        canary |= {**summary_of(shown.canary, shown.metric), "warm_up": warm_up / 1000.0}
        control |= summary_of(shown.control, shown.metric)
    if base.kind in SHAPED and shown.scale == AS_IT_IS:
        whole = shown.compare(capped=False)
        if whole is not None:
            canary["mean"] *= float(weighed.comparison.ratio / whole.ratio)
        control["mean"] = canary["mean"] / float(np.exp(weighed.comparison.log_ratio))
    if shown.load != 1.0:
        # The figure beside the canary's is what a control would show at its load.
        canary["load"] = shown.load
        if base.kind in SHAPED and shown.scale == AS_IT_IS:
            canary["mean"] *= shown.load
        control["mean"] *= shown.load
    return replace(base, canary=canary, control=control)


def _smaller(rest: Weighed | None, whole: Weighed, threshold: float) -> bool:
    """Whether a change is clearly smaller in the rest of the time than in all of it."""
    if rest is None:
        return True
    return bool(abs(whole.comparison.log_ratio) - abs(rest.comparison.log_ratio) > _STILL * math.log1p(threshold))


def _change_of(result: MetricResult, sides: Sides, estimate: Estimate) -> tuple[float, tuple[float, float] | None]:
    """The change that goes with the figures of a result, and its interval where it has one on their scale."""
    if sides.scale == AS_IT_IS:
        return estimate.effect, (min(estimate.lower, estimate.effect), max(estimate.upper, estimate.effect))
    ours, theirs = result.canary["mean"], result.control["mean"]
    if theirs > 0 and ours >= 0:
        return ours / theirs - 1.0, None
    return (math.inf if theirs == 0 and ours > 0 else estimate.effect), None


def _may_fail_early(reason: Reason, sides: Sides) -> bool:
    """Whether so few buckets may fail all the same: what succeeds does so from the first request on."""
    few = reason.code == "few_requests" and sides.metric.kind == "share" and sides.metric.direction == "lower_is_worse"
    return few and min(len(np.unique(side.time)) for side in (sides.canary, sides.control)) >= _FEWEST_BUCKETS


def _says_too_little(comparison: Comparison, taught: Taught, metric: Metric) -> bool:
    """Whether nobody knows how much a measurement varies: neither the comparison nor history has enough of them."""
    return metric.kind not in COUNTED and bool(comparison.freedom + taught.spread_freedom < _LEAST_FREEDOM)


def _not_comparable(base: MetricResult, sides: Sides) -> MetricResult:
    if base.canary["mean"] == base.control["mean"] == 0:
        return replace(base, verdict=Verdict.PASS, effect=0.0, reason=reason_of(base, sides, "no_regression"))
    text = f"{title_of(sides)}: the two sides have nothing in common that can be compared."
    return replace(base, reason=Reason("not_comparable", text))


def _points_worse(direction: Direction, effect: float) -> bool:
    return {"higher_is_worse": effect > 0, "lower_is_worse": effect < 0, "either": True}[direction]


def _score(estimate: Estimate, exposure: float, comparison: Comparison, result: MetricResult) -> Estimate:
    """From the ratio of dissatisfaction back to the Apdex score: more dissatisfied is a lower score."""
    requests = result.control["requests"]
    wrong = min(1.0, max(float(comparison.control_ratio) * exposure, 0.5) / requests) if requests else 1.0
    ours, theirs = result.canary["mean"], result.control["mean"]
    if wrong >= 1.0 or theirs <= 0.0:
        return Estimate(0.0, -1.0, math.inf, math.inf)

    def score(change: float) -> float:
        return (1.0 - min(1.0, (1.0 + change) * wrong)) / (1.0 - wrong) - 1.0

    return Estimate(ours / theirs - 1.0, score(estimate.upper), score(estimate.lower), -score(estimate.smallest))


def _judge_throughput(base: MetricResult, sides: Sides) -> MetricResult:
    """How much traffic an instance gets is the router's business; only that it all but stops is the release's."""
    ours, theirs = base.canary["mean"], base.control["mean"]
    effect = ours / theirs - 1.0 if theirs else None
    result = replace(base, effect=effect)
    if sides.compared_with == "control" and not sides.group:
        times = np.unique(sides.control.time)
        late = times[-max(1, len(times) // 3)]
        was = [float(side.value[side.time < late].sum()) for side in (sides.canary, sides.control)]
        now = [float(side.value[side.time >= late].sum()) for side in (sides.canary, sides.control)]
        expected = was[0] / was[1] * now[1] if was[1] else 0.0
        if expected >= _ENOUGH_TO_COLLAPSE and now[0] < _COLLAPSED * expected:
            text = f"{title_of(sides)}: collapsed to {now[0]:.0f} requests where {expected:.0f} were to be expected."
            numbers = {"observed": now[0], "expected": expected}
            return replace(result, verdict=Verdict.FAIL, reason=Reason("metric_regressed", text, numbers))
    return replace(result, verdict=Verdict.PASS, reason=reason_of(result, sides, "no_regression"))
