"""All metrics of one canary, judged together: they share the false alarms allowed, the load and their excursions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_cd.verification.metrics.amplified import with_amplified
from airflow_cd.verification.metrics.excursion import highest_before
from airflow_cd.verification.metrics.excursion_rules import with_excursions
from airflow_cd.verification.metrics.hosts import with_spread, without_odd, without_outage
from airflow_cd.verification.metrics.illustration import means_of, series_of
from airflow_cd.verification.metrics.judge import Judge
from airflow_cd.verification.metrics.limits import Limits
from airflow_cd.verification.metrics.load import Load
from airflow_cd.verification.metrics.null import Taught
from airflow_cd.verification.metrics.settling import while_settling
from airflow_cd.verification.metrics.siblings import DIFFERS, is_clear, odd_one
from airflow_cd.verification.metrics.sides import Sides
from airflow_cd.verification.metrics.spared import with_spared
from airflow_cd.verification.metrics.standing import with_standing
from airflow_cd.verification.metrics.stated_load import load_of
from airflow_cd.verification.sensitivity import Sensitivity
from airflow_cd.verification.verdict import MetricResult, Reason, Verdict

# Chance that a verification without any change ever raises an alarm, over all its metrics and looks. It is a bound:
# measured are fewer, see benchmarks/README.md.
FALSE_ALARMS: dict[Sensitivity, float] = {"low": 0.01, "medium": 0.05, "high": 0.15}
# How it is divided between all together, the groups and the instances; what is not there leaves its part to the others.
_POOLED, _GROUPS, _INSTANCES = 0.6, 0.2, 0.2


def judge_together(
    parts: Sequence[Sequence[Sides]],
    taught: Mapping[str, Taught],
    past: Mapping[str, Sides],
    limits: Limits,
    sensitivity: Sensitivity,
    said: Callable[[MetricResult], MetricResult] = lambda result: result,
) -> list[MetricResult]:
    """The results of all metrics, each over all its groups, and of each group.

    :param parts: the rows of the metrics that decide, and of those that inform: each part is judged as if there were
        no other.
    :param taught: by the name of a metric, what earlier deployments taught.
    :param past: by the name of a metric, the time before the deployment as the other side, beside a control.
    :param limits: what every metric is held to.
    :param sensitivity: decides the chance of a false alarm: :data:`FALSE_ALARMS`.
    :param said: what becomes of a result over all groups before excursions are looked for.
    """
    load = load_of([sides for part in parts for sides in part])
    results = []
    judged = {}
    for place, part in enumerate(parts):
        judges = Judges.of(limits, sensitivity, part, load)
        found = []
        for sides in part:
            name = sides.metric.name
            one, lesson = _prepared(sides, taught[name], past.get(name))
            judged[name] = one
            found.append(said(judges.pooled_result(one, lesson)))
        found += [judges.group_result(sides.of_group(group)) for sides in part for group in sides.groups]
        results += [replace(result, decides=place == 0) for result in found]
    results = with_standing(while_settling(results, judged, limits), judged, past, limits)
    results = with_amplified(results, judged, limits)
    results = with_spared(results, judged)
    return with_excursions(results, judged, limits, load)


def _prepared(sides: Sides, taught: Taught, before: Sides | None) -> tuple[Sides, Taught]:
    """The sides without what is odd on the other one, and what is known of how like instances differ."""
    left, odd = without_odd(sides)
    if not odd:
        left, odd = without_outage(sides)
    elif sides.paired:
        taught = with_spread(taught, sides.control, sides)
    if before is not None:
        taught = with_spread(taught, before.control, sides)
        left = replace(left, seen=highest_before(before))
    return replace(left, odd=odd), taught


@dataclass(frozen=True)
class Judges:
    """The judges of one verification, each with its part of the false alarms that are allowed.

    :param pooled: judges a metric over all groups and instances; ``group`` one of its groups, ``instance`` one of the
        canary's instances.
    """

    pooled: Judge
    group: Judge
    instance: Judge

    @classmethod
    def of(cls, limits: Limits, sensitivity: Sensitivity, sides: Sequence[Sides], load: Load | None) -> Judges:
        """The judges of so many metrics.

        :param limits: what every metric is held to.
        :param sensitivity: decides the chance of a false alarm.
        :param sides: of all metrics.
        :param load: of the canary by the other side's; None where that is not known.
        """
        groups = sum(len(one.groups) for one in sides)
        instances = sum(len(one.instances) for one in sides if len(one.instances) > 1)
        return cls(*(Judge(limits, alpha, load) for alpha in allowances(sensitivity, len(sides), groups, instances)))

    def pooled_result(self, sides: Sides, taught: Taught) -> MetricResult:
        """A metric over all its groups, failed where a single one of several instances is bad enough by itself.

        :param sides: its rows.
        :param taught: what earlier deployments taught about it.
        """
        result = self.pooled.judge(sides, taught)
        if result.verdict is not Verdict.FAIL and len(sides.instances) > 1:
            result = _with_worst_instance(result, sides, self.instance, taught)
        return _illustrated(result, sides)

    def group_result(self, sides: Sides) -> MetricResult:
        """A metric of one group.

        :param sides: its rows.
        """
        result = self.group.judge(sides)
        return _illustrated(result, sides) if result.verdict is Verdict.FAIL else result


def allowances(sensitivity: Sensitivity, metrics: int, groups: int, instances: int) -> tuple[float, float, float]:
    """The chance of a false alarm that is allowed to each metric over all, each group and each single instance.

    :param sensitivity: decides the whole chance: :data:`FALSE_ALARMS`.
    :param metrics: how many metrics there are.
    :param groups: how many results by group there are, over all metrics; ``instances`` likewise.
    """
    numbers = (metrics, groups, instances)
    parts = [part if number else 0.0 for part, number in zip((_POOLED, _GROUPS, _INSTANCES), numbers, strict=True)]
    whole = FALSE_ALARMS[sensitivity] / (sum(parts) or 1.0)
    pooled, group, instance = (whole * part / max(1, number) for part, number in zip(parts, numbers, strict=True))
    return pooled, group, instance


def _illustrated(result: MetricResult, sides: Sides) -> MetricResult:
    """The result with its charts; evidence is bounded, so only results that somebody will look at have them."""
    return replace(result, series=series_of(sides), instances=means_of(sides))


def _with_worst_instance(pooled: MetricResult, sides: Sides, judge: Judge, taught: Taught) -> MetricResult:
    """The pooled result, failed where a single instance of the canary is bad enough by itself.

    Instances that are new are held against all that were there before, which need not have been like them: such a one
    fails the release where it is far worse than any other, and holds it up where it is worse.
    """
    doubted: Reason | None = None
    for name in sides.instances:
        result = judge.judge(sides.of_instance(name), taught)
        if result.verdict is not Verdict.FAIL:
            continue
        text = f"instance {name} alone: {result.reason.text}"
        reason = Reason("instance_regressed", text, {**result.reason.numbers, "instance": name})
        if not (sides.paired or sides.has_past(name) or is_clear(sides, name)):
            doubted = doubted or replace(reason, code=DIFFERS)
            continue
        return replace(
            pooled,
            verdict=Verdict.FAIL,
            reason=reason,
            canary=result.canary,
            control=result.control,
            effect=result.effect,
            interval=result.interval,
            threshold=result.threshold,
            smallest_detectable=result.smallest_detectable,
        )
    if pooled.verdict is not Verdict.PASS:
        return pooled
    doubted = odd_one(sides) or doubted
    return pooled if doubted is None else replace(pooled, verdict=Verdict.INCONCLUSIVE, reason=doubted)
