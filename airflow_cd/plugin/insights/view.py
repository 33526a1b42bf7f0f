"""The five figures of the Insights page, each with its number, its chart and its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_cd.plugin.insights.chart import Chart, counted, timed
from airflow_cd.plugin.insights.figures import FEWEST, PERIODS, Insight, Numbers, Period, Times
from airflow_cd.plugin.insights.words import (
    Comparison,
    compare_rates,
    compare_shares,
    compare_times,
    rate,
    share,
    span,
    step_names,
    too_few,
    typical,
)
from airflow_cd.report.words import MISSING, number

_CLOCKS = (
    ("To verdict", "to_verdict", "first bad event to verdict"),
    ("To safe", "to_safe", "verdict to the last request on the canary"),
    ("To restored", "to_restored", "verdict to the release before running again, checked"),
)


@dataclass(frozen=True)
class Clock:
    """One of the clocks of a rollback."""

    name: str
    measures: str
    median: str
    slowest: str
    count: int


@dataclass(frozen=True)
class Figure:
    """One figure.

    :param number: what a reader takes away; ``of`` says of what.
    :param measures: what it measures and how it is counted.
    :param head: of the table; ``rows`` begin with the name of the step.
    """

    id: str
    title: str
    number: str
    of: str
    compared: Comparison
    measures: str
    chart: Chart | None
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    clocks: Sequence[Clock] = ()


@dataclass(frozen=True)
class ServiceRow:
    """One service in the table of all."""

    service: str
    cells: Sequence[str]


def services_of(found: Sequence[tuple[str, Numbers]]) -> list[ServiceRow]:
    """A row for each service, in the order given."""
    return [
        ServiceRow(
            service,
            [
                number(one.ended),
                number(one.promoted),
                typical(one.lead),
                share(one.failed, one.ended),
                typical(one.to_restored),
                f"{number(one.false_alarms)} of {number(one.alarms)}",
            ],
        )
        for service, one in found
    ]


def figures_of(period: Period, found: Insight) -> list[Figure]:
    """The figures in the order in which they are shown."""
    return [make(period, found) for make in (_frequency, _lead, _failures, _false_alarms, _restore)]


def _frequency(period: Period, found: Insight) -> Figure:
    now = found.now
    return Figure(
        id="frequency",
        title="Deployment frequency",
        number=rate(now.promoted, period.days),
        of=f"{number(now.promoted)} promoted in {PERIODS[period.key]}",
        compared=compare_rates(now.promoted, found.before.promoted, period),
        measures="Deployments that were promoted: their release became the good one of the environment.",
        chart=counted(period, found, lambda step: (step.promoted, 0), ["Promoted"]),
        head=["Promoted"],
        rows=_rows(period, found, lambda step: [number(step.promoted)]),
    )


def _lead(period: Period, found: Insight) -> Figure:
    lead = found.now.lead
    of = f"median of {number(lead.count)} promoted; nine of ten within {span(lead.most)}"
    return Figure(
        id="lead",
        title="Lead time",
        number=typical(lead),
        of=of if lead.count >= FEWEST else too_few(lead.count, "promoted deployments", "a median"),
        compared=compare_times(lead, found.before.lead),
        measures="From when a run was asked for until its release was promoted here: the stages before this one, "
        "approvals and waiting for the environment are in it, the time from commit to run is not.",
        chart=timed(period, found, lambda step: (step.lead, step.lead.most), ["Median", "90th percentile"]),
        head=["Promoted", "Median", "90th percentile", "Slowest"],
        rows=_rows(
            period,
            found,
            lambda step: [
                number(step.lead.count),
                span(step.lead.median),
                span(step.lead.most),
                span(step.lead.slowest),
            ],
        ),
    )


def _failures(period: Period, found: Insight) -> Figure:
    now, before = found.now, found.before
    of = f"{number(now.failed)} of {number(now.ended)} deployments were rolled back"
    if now.unrestored:
        of += f", {number(now.unrestored)} of which could not be restored"
    few = too_few(now.ended, "deployments", "a percentage")
    return Figure(
        id="failures",
        title="Change failure rate",
        number=share(now.failed, now.ended) if now.ended else "none",
        of=of if now.ended >= FEWEST else few,
        compared=compare_shares(now.failed, now.ended, before.failed, before.ended),
        measures="Deployments that were rolled back, or whose rollback failed, of all that ended. One that is still "
        "under way has not ended.",
        chart=counted(period, found, lambda step: (step.failed, step.promoted), ["Rolled back", "Promoted"], bad=True),
        head=["Ended", "Promoted", "Rolled back", "Rollback failed", "Failure rate"],
        rows=_rows(
            period,
            found,
            lambda step: [
                *map(number, (step.ended, step.promoted, step.failed - step.unrestored, step.unrestored)),
                share(step.failed, step.ended) if step.ended else MISSING,
            ],
        ),
    )


def _restore(period: Period, found: Insight) -> Figure:
    restored = found.now.to_restored
    of = f"median of {number(restored.count)} rollbacks; the slowest took {span(restored.slowest)}"
    untimed = found.now.failed - found.now.unrestored - restored.count
    if untimed > 0:
        of += f"; {number(untimed)} without a verdict are not timed"
    return Figure(
        id="restore",
        title="Time to restore",
        number=typical(restored),
        of=of if restored.count >= FEWEST else too_few(restored.count, "timed rollbacks", "a median"),
        compared=compare_times(restored, found.before.to_restored),
        measures="From the verdict until the release that ran before ran again, checked: right artifact, right "
        "configuration, healthy. The other clocks stand beside it.",
        chart=timed(period, found, lambda step: (step.to_restored, step.to_restored.slowest), ["Median", "Slowest"]),
        head=["Rollbacks", "To verdict", "To safe", "To restored", "Slowest restored"],
        rows=_rows(
            period,
            found,
            lambda step: [
                number(step.to_restored.count),
                *(span(clock.median) for clock in (step.to_verdict, step.to_safe, step.to_restored)),
                span(step.to_restored.slowest),
            ],
        ),
        clocks=[_clock(name, measures, getattr(found.now, key)) for name, key, measures in _CLOCKS],
    )


def _false_alarms(period: Period, found: Insight) -> Figure:
    now, before = found.now, found.before
    return Figure(
        id="false-alarms",
        title="False alarms",
        number=share(now.false_alarms, now.alarms) if now.alarms else "none",
        of=f"{number(now.false_alarms)} of {number(now.alarms)} FAIL verdicts"
        if now.alarms >= FEWEST
        else too_few(now.alarms, "FAIL verdicts", "a percentage"),
        compared=compare_shares(now.false_alarms, now.alarms, before.false_alarms, before.alarms),
        measures="FAIL verdicts of the deployments that ended, where events alone decided and feedback that is in "
        "force now calls each of them not a risk. A verdict to which a metric contributed does not count, nor does one "
        "without feedback: the figure is only as good as the feedback.",
        chart=counted(
            period,
            found,
            lambda step: (step.false_alarms, step.alarms - step.false_alarms),
            ["False alarms", "Other FAIL verdicts"],
            bad=True,
        ),
        head=["FAIL verdicts", "False alarms"],
        rows=_rows(period, found, lambda step: [number(step.alarms), number(step.false_alarms)]),
    )


def _clock(name: str, measures: str, durations: Times) -> Clock:
    return Clock(name, measures, typical(durations), span(durations.slowest), durations.count)


def _rows(period: Period, found: Insight, cells: Callable[[Numbers], Sequence[str]]) -> list[list[str]]:
    """Newest first: that is where a reader looks."""
    named = zip(step_names(period), found.steps, strict=True)
    return [[name, *cells(step)] for (_, name), step in named][::-1]
