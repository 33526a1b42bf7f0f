"""Numbers of the Insights page as text: rates, shares and durations, and how they compare with the time before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_cd.plugin.insights import chance
from airflow_cd.plugin.insights.figures import FEWEST, Period, Times
from airflow_cd.report.words import duration, number

_DAYS_OF_MONTH = 365.25 / 12


@dataclass(frozen=True)
class Comparison:
    """A figure against the time before.

    :param tag: the change in a word or two; ``""`` where there is nothing to compare.
    :param look: ``good`` or ``bad`` where the change is one; the tag says the same in words.
    :param text: the same figure of the time before.
    """

    tag: str
    look: str
    text: str


def span(seconds: float | None) -> str:
    """A duration as coarse as it is long: from ten minutes on without seconds, from two days on in days."""
    if seconds is None or seconds < 600:
        return duration(seconds)
    minutes = round(seconds / 60)
    if minutes >= 2 * 24 * 60:
        return f"{seconds / 86_400:.1f} days"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


def share(few: int, of: int) -> str:
    """A share in per cent, or of too few the two numbers."""
    if of < FEWEST:
        return f"{few} of {of}"
    percent = 100 * few / of
    return f"{percent:.1f} %" if 0 < percent < 10 else f"{percent:.0f} %"


def rate(count: int, days: float) -> str:
    """How often, in the unit in which it is at least one; of too few how many."""
    if count < FEWEST:
        return str(count)
    for unit, length in (("day", 1.0), ("week", 7.0)):
        if count * length >= days:
            return f"{number(round(count * length / days, 1))} a {unit}"
    return f"{number(round(count * _DAYS_OF_MONTH / days, 1))} a month"


def typical(durations: Times) -> str:
    """The median, or of too few from where to where they go."""
    if durations.count >= FEWEST:
        return span(durations.median)
    if durations.count == 0:
        return "none"
    ends = [span(durations.values[0]), span(durations.slowest)]
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def too_few(count: int, things: str, what: str) -> str:
    """Why a figure is not shown."""
    return f"too few {things} ({count}) for {what}" if count else f"no {things}"


def compare_rates(count: int, before: int, period: Period) -> Comparison:
    """More or less often; neither is better."""
    text = f"{rate(before, period.days)} before ({before})" if before >= FEWEST else f"{before} before"
    if max(count, before) < FEWEST:
        return Comparison("", "", f"{text}: too few to compare")
    if not chance.counts_differ(count, before):
        return Comparison("≈ no clear change", "", text)
    return Comparison("▲ more often" if count > before else "▼ less often", "", text)


def compare_shares(few: int, of: int, few_before: int, of_before: int) -> Comparison:
    """A higher or lower share of what nobody wants."""
    text = f"{share(few_before, of_before)} before"
    if of_before >= FEWEST:
        text += f" ({few_before} of {of_before})"
    if min(of, of_before) < FEWEST:
        return Comparison("", "", "none before" if of_before == 0 else f"{text}: too few to compare")
    if not chance.shares_differ(few, of, few_before, of_before):
        return Comparison("≈ no clear change", "", text)
    higher = few * of_before > few_before * of
    return Comparison("▲ higher: worse", "bad", text) if higher else Comparison("▼ lower: better", "good", text)


def compare_times(durations: Times, before: Times) -> Comparison:
    """Longer or shorter times."""
    text = f"{typical(before)} before"
    if before.count >= FEWEST:
        text += f" (median of {before.count})"
    if min(durations.count, before.count) < FEWEST:
        return Comparison("", "", f"{text}: too few to compare" if before.count else "none before")
    if not chance.times_differ(durations.values, before.values):
        return Comparison("≈ no clear change", "", text)
    longer = (durations.median or 0.0) > (before.median or 0.0)
    return Comparison("▲ longer: worse", "bad", text) if longer else Comparison("▼ shorter: better", "good", text)


def day(moment: datetime) -> str:
    """``14 Jul``."""
    return f"{moment.day} {moment:%b}"


def step_names(period: Period) -> list[tuple[str, str]]:
    """Of each step the mark below its column, ``""`` where there is no room for one, and its name in full."""
    names = []
    every = {"30": 7, "90": 3}.get(period.key, 1)
    newest = len(period.starts) - 1
    for place, start in enumerate(period.starts):
        if period.step == "month":
            mark, name = f"{start:%b}", f"{start:%b %Y}"
        elif period.step == "week":
            ends = min(start + timedelta(days=6), period.until)
            mark, name = day(start), f"{day(start)} to {day(ends)}"
        else:
            mark = f"{start:%a} {start.day}" if period.key == "7" else day(start)
            name = f"{start:%a} {day(start)}"
        if place == newest:
            name += ", so far"
        # The newest always has a mark, and none so near that the two would run into each other.
        marked = place == newest or (place % every == 0 and newest - place >= every / 2)
        names.append((mark if marked else "", name))
    return names
