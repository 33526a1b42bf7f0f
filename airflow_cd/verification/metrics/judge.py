"""One metric of one canary: the rule of its kind that judges it, and the reason in words and numbers."""

from __future__ import annotations

import math
from dataclasses import replace

from airflow_cd.verification.metrics.bursts import without_bursts
from airflow_cd.verification.metrics.cells import Comparison
from airflow_cd.verification.metrics.course import (
    DETECTABLE,
    HALF_SURE,
    SHAPE_PART,
    Held,
    beyond_all,
    changed_late,
    climbing,
    far_out_too_often,
)
from airflow_cd.verification.metrics.evidence import Estimate, regressed
from airflow_cd.verification.metrics.findings import (
    more_time,
    reason_of,
    title_of,
)
from airflow_cd.verification.metrics.illustration import summary_of
from airflow_cd.verification.metrics.least_change import least_change
from airflow_cd.verification.metrics.limits import Limits
from airflow_cd.verification.metrics.load import Load, is_asked, times_as_much
from airflow_cd.verification.metrics.load_doubted import left_open
from airflow_cd.verification.metrics.null import COUNTED, NOTHING_TAUGHT, Taught
from airflow_cd.verification.metrics.result_figures import (
    SHAPED,
    change_of,
    matters,
    points_worse,
    shown_worse,
    with_figures,
    with_means,
)
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.throughput import judge_throughput
from airflow_cd.verification.metrics.unjudged import may_fail_early, why_not
from airflow_cd.verification.metrics.warm_up import Tried, weakest
from airflow_cd.verification.metrics.weighing import Weighed
from airflow_cd.verification.samples import Metric
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

# What is compared with another time is less sure by nature; the same demands there would let nothing pass.
SUSPICIOUS = {"control": 1.5, "before": 2.5}  # times the minimum effect: an uncertain change so large is none to pass
LATELY = 1 / 3  # of the time: what is no longer so in its last part has passed
_LARGEST = 700.0  # a logarithm: beyond it there is no number
_SAME_LOAD = 0.01  # on the log scale
NEW = 5.0  # longest warm-ups: for so long a change that fades may be the end of one
_FADES = 0.75  # of the change over the whole time, on the log scale: with less left it is fading
_STILL = 0.5  # of the minimum effect, on the log scale
# Between instances that are asked the same, what comes of it differs by 2 %, whatever the router does.
FOLLOWS_LOAD = Taught(host_variance=0.02**2, host_freedom=12.0)
_LEAST_FREEDOM = 3.0
_FAR_OFF = 2.5  # minimum effects, of a vague change that holds up beside a control
_MANY = 20  # moments, of which a single one is chance
_WARM = 2.0  # logarithm of the evidence that a warm-up explains away, from which on it is said


def still_worse(sides: Sides, whole: Comparison, minimum_effect: float, longest: float) -> bool:
    """Whether a change is still there at the end, and not on its way back as in a process that warms up.

    :param sides: the rows of one metric; ``whole`` all of them compared.
    :param minimum_effect: smallest relative change that counts.
    :param longest: time after a start that may be left out without a doubt, in milliseconds.
    """
    lately = sides.lately(LATELY).compare()
    if lately is None:
        return True
    sign = _sign_of(sides, float(whole.log_ratio))
    now = sign * float(lately.log_ratio)
    if now < _STILL * math.log1p(minimum_effect):
        return False
    return sides.watched > NEW * longest or now >= _FADES * sign * float(whole.log_ratio)


def _sign_of(sides: Sides, change: float) -> float:
    """By which a change is multiplied to be positive if it is for the worse."""
    if sides.direction == "either":
        return 1.0 if change >= 0 else -1.0
    return -1.0 if (sides.direction == "lower_is_worse") != (sides.metric.kind == "apdex") else 1.0


class Judge:
    """Judges one metric at a time.

    :param limits: what every metric is held to.
    :param alpha: chance of a false alarm allowed to each.
    :param load: how much more or less than the other side the canary has to do; None if that is unknown.
    """

    def __init__(self, limits: Limits, alpha: float, load: Load | None = None) -> None:
        self.limits = limits
        self.alpha = alpha
        self.load = load
        self.held = Held(limits, alpha, load)

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
        open_reason = why_not(base, sides, self.limits.min_requests)
        if open_reason is not None:
            unjudged = replace(base, reason=open_reason)
            if not may_fail_early(open_reason, sides):
                return unjudged
            early = self._judged(base, sides, taught)
            return early if early.verdict is Verdict.FAIL else unjudged
        return self._judged(base, sides, taught)

    def _judged(self, base: MetricResult, sides: Sides, taught: Taught) -> MetricResult:
        """The result of rows that say something."""
        metric = sides.metric
        if metric.kind == "throughput" and (metric.direction == "either" or not sides.paired or is_asked(metric)):
            return judge_throughput(base, sides)
        if self._states_load(metric) and not sides.group:
            return judge_throughput(base, sides)
        comparison = sides.compare()
        if comparison is None or _says_too_little(comparison, taught, metric):
            return self._only_its_start(base, sides) or _not_comparable(base, sides)
        seen = times_as_much(sides, comparison)
        sides, comparison = self._at_its_load(sides, comparison, seen)
        if self._follows_load(metric) and taught.host_freedom < FOLLOWS_LOAD.host_freedom:
            taught = FOLLOWS_LOAD
        decided = self._level(base, sides, comparison, taught)
        if metric.kind in SHAPED:
            # Where values have two modes, how often they are in the bad one says more than their mean.
            decided = far_out_too_often(self.held, decided, sides, taught) or decided
        if decided.verdict is not Verdict.FAIL and metric.kind in SHAPED and not sides.group:
            decided = (
                climbing(self.held, decided, sides)
                or changed_late(self.held, decided, sides, taught)
                or beyond_all(self.held, decided, sides)
                or decided
            )
        if decided.verdict is not Verdict.FAIL and sides.started_late() and not sides.group:
            text = f"{title_of(sides)}: the canary has data for less than half of the time that the control has."
            return replace(decided, verdict=Verdict.INCONCLUSIVE, reason=Reason("started_late", text))
        return left_open(decided, sides, self.load, seen)

    def _only_its_start(self, base: MetricResult, sides: Sides) -> MetricResult | None:
        """A pass for what is measured while a process starts and never again, on either side; None for all else."""
        grown = sides.older_than(self.limits.longest(sides.watched))
        if base.kind == "errors" or not len(grown.canary) or grown.canary.value.any() or sides.control.value.any():
            return None
        shown = with_means(base, grown)
        return replace(shown, verdict=Verdict.PASS, effect=0.0, reason=reason_of(shown, grown, "no_regression"))

    def _at_its_load(self, sides: Sides, comparison: Comparison, seen: float) -> tuple[Sides, Comparison]:
        """The canary's values as they would be at the load of a control, where they go with the load."""
        if self.load is None or sides.group:
            return sides, comparison
        expected = self.load.expected(sides.metric, seen)
        if abs(math.log(expected)) < _SAME_LOAD:
            return sides, comparison
        scaled = replace(sides.scaled(1.0 / expected), load=expected, asked=self.load.ratio)
        again = scaled.compare()
        return (sides, comparison) if again is None else (scaled, again)

    def _states_load(self, metric: Metric) -> bool:
        """Whether it counts what a canary is given to do, beside a control that may be given more of it."""
        load = self.load
        return load is not None and load.over_time is None and metric.name == load.metric and metric.kind == "count"

    def _follows_load(self, metric: Metric) -> bool:
        """Whether the metric counts what comes of requests: for one of them, all instances are worth the same."""
        load = self.load
        known = load is not None and load.over_time is None and load.metric not in ("", metric.name)
        return known and metric.kind in ("count", "throughput") and metric.direction == "lower_is_worse"

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
        result = with_figures(base, shown, weighed, chosen.length if warmed else 0.0)
        estimate = weighed.estimate()
        if metric.kind == "apdex":
            estimate = _score(estimate, float(weighed.comparison.control_exposure), weighed.comparison, result)
        worse = bool(regressed(doubted.evidence, estimate.effect, alpha, threshold, sides.direction))
        worse = worse and matters(result, sides) and shown_worse(result) and self._lasts(sides, comparison)
        effect, interval = change_of(result, sides, estimate)
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

    def _lasts(self, sides: Sides, whole: Comparison) -> bool:
        """Whether the change is still there at the end."""
        if sides.metric.kind == "errors":
            return True
        return still_worse(sides, whole, self.limits.minimum_effect, self.limits.longest(sides.watched))

    def _not_worse(
        self, result: MetricResult, sides: Sides, weighed: Weighed, evidence: float, estimate: Estimate
    ) -> MetricResult:
        """PASS, or INCONCLUSIVE where a change is likely, or where none could have been seen."""
        threshold = self.limits.threshold(sides.metric)
        # Halving is as large a change as doubling.
        size = math.expm1(min(abs(math.log(max(1.0 + estimate.effect, math.exp(-_LARGEST)))), _LARGEST))
        large = size >= SUSPICIOUS[sides.compared_with] * threshold
        likely = evidence >= -HALF_SURE * math.log(weighed.alpha) and matters(result, sides)
        if large and likely and points_worse(sides.direction, estimate.effect) and not _happened_once(sides):
            return replace(result, reason=reason_of(result, sides, "not_certain", estimate, self._more(sides, weighed)))
        # An odd control instance makes failing harder, and is no reason to hold up what is like all others.
        vague = sides.metric.kind in SHAPED and not sides.odd and estimate.smallest > DETECTABLE * threshold
        vague = vague and not self._too_small(result, sides, estimate)
        better = vague and weighed.is_surely_no_worse(DETECTABLE * threshold)
        if vague and not better and not self._usual_alike(sides, threshold):
            far = sides.paired and size >= _FAR_OFF * threshold and points_worse(sides.direction, estimate.effect)
            code = "not_certain" if far and weighed.is_likely else "not_precise"
            return replace(result, reason=reason_of(result, sides, code, estimate, self._more(sides, weighed)))
        reason = reason_of(result, sides, "no_regression", estimate)
        if vague:
            why = "vague, but better" if better else "beside bursts that both sides have, it is as usual"
            reason = replace(reason, text=f"{reason.text[:-1]}; {why}.")
        return replace(result, verdict=Verdict.PASS, reason=reason)

    def _too_small(self, result: MetricResult, sides: Sides, estimate: Estimate) -> bool:
        """Whether whatever could not have been seen is less than anybody notices."""
        least = least_change(sides.metric, sides.canary.value, sides.control.value)
        return estimate.smallest * result.control["mean"] < least

    def _usual_alike(self, sides: Sides, threshold: float) -> bool:
        """Whether beside bursts that both sides have alike no change is to be seen, and one would have been."""
        usual = without_bursts(sides)
        comparison = None if usual is None else usual.compare()
        if usual is None or comparison is None:
            return False
        kind, direction = sides.metric.kind, sides.direction
        rest = Weighed.of(comparison, NOTHING_TAUGHT, kind, direction, self.alpha, paired=sides.paired).estimate()
        suspicious = abs(rest.effect) >= threshold and points_worse(direction, rest.effect)
        return not suspicious and min(rest.smallest, rest.upper) <= DETECTABLE * threshold

    def _more(self, sides: Sides, weighed: Weighed) -> float:
        """How many more seconds would show a change of so many times the minimum effect."""
        watched = sides.watched / 1000.0
        return more_time(weighed, watched, math.log1p(DETECTABLE * self.limits.threshold(sides.metric)))


def _happened_once(sides: Sides) -> bool:
    """Whether what never happened on the other side did at one moment of many: its number says nothing of chance."""
    ours, theirs = sides.canary, sides.control
    if sides.metric.kind != "count" or len(ours) < _MANY or theirs.value.any():
        return False
    return int((ours.value > 0).sum()) == 1


def _smaller(rest: Weighed | None, whole: Weighed, threshold: float) -> bool:
    """Whether a change is clearly smaller in the rest of the time than in all of it."""
    if rest is None:
        return True
    return bool(abs(whole.comparison.log_ratio) - abs(rest.comparison.log_ratio) > _STILL * math.log1p(threshold))


def _says_too_little(comparison: Comparison, taught: Taught, metric: Metric) -> bool:
    """Whether nobody knows how much a measurement varies: neither the comparison nor history has enough of them."""
    return metric.kind not in COUNTED and bool(comparison.freedom + taught.spread_freedom < _LEAST_FREEDOM)


def _not_comparable(base: MetricResult, sides: Sides) -> MetricResult:
    if base.canary["mean"] == base.control["mean"] == 0:
        return replace(base, verdict=Verdict.PASS, effect=0.0, reason=reason_of(base, sides, "no_regression"))
    text = f"{title_of(sides)}: the two sides have nothing in common that can be compared."
    return replace(base, reason=Reason("not_comparable", text))


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
