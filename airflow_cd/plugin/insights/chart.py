"""Charts of the Insights page: columns over the steps of a period, as heights and words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_cd.plugin.insights.figures import Insight, Numbers, Period, Times
from airflow_cd.plugin.insights.words import span, step_names
from airflow_cd.report.words import number


@dataclass(frozen=True)
class Column:
    """One step in a chart.

    :param mark: what stands below it, ``""`` for nothing.
    :param solid: height of its lower part in per cent of the chart; ``pale`` of the part on top of that.
    :param title: its step and numbers in words.
    """

    mark: str
    solid: float
    pale: float
    title: str


@dataclass(frozen=True)
class Chart:
    """Columns over time.

    :param top: what the height of the chart stands for.
    :param legend: what the solid and, where there is one, the pale part mean.
    :param bad: whether the solid part is what nobody wants.
    """

    columns: Sequence[Column]
    top: str
    legend: Sequence[str]
    bad: bool = False


def counted(
    period: Period,
    found: Insight,
    parts: Callable[[Numbers], tuple[int, int]],
    legend: Sequence[str],
    *,
    bad: bool = False,
) -> Chart | None:
    """Columns that count two kinds of things; None where there are none at all."""
    heights = [parts(step) for step in found.steps]
    return _chart(period, heights, legend, number, bad=bad)


def timed(
    period: Period,
    found: Insight,
    of: Callable[[Numbers], tuple[Times, float | None]],
    legend: Sequence[str],
) -> Chart | None:
    """Columns of two times of each step, the second not shorter; None where nothing was timed."""
    heights = []
    for durations, upper in map(of, found.steps):
        median = durations.median or 0.0
        heights.append((median, max(0.0, (upper or 0.0) - median)))
    return _chart(period, heights, legend, span, stacked=False)


def _chart(
    period: Period,
    heights: Sequence[tuple[float, float]],
    legend: Sequence[str],
    say: Callable[[float], str],
    *,
    bad: bool = False,
    stacked: bool = True,
) -> Chart | None:
    top = max(solid + pale for solid, pale in heights)
    if top <= 0:
        return None
    columns = []
    for (mark, name), (solid, pale) in zip(step_names(period), heights, strict=True):
        values = [solid, pale if stacked else solid + pale]
        words = ", ".join(f"{part.lower()} {say(value)}" for part, value in zip(legend, values, strict=False))
        empty = solid + pale <= 0
        columns.append(
            Column(
                mark,
                round(100 * solid / top, 2),
                round(100 * pale / top, 2),
                name + ": " + ("none" if empty else words),
            )
        )
    return Chart(columns, say(top), legend, bad)
