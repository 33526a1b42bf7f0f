"""What the parts of a judgement come to: several sources as one, where its dots are, when it all began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from airflow_cd.verification.logs.layout import placed
from airflow_cd.verification.reading import Reader
from airflow_cd.verification.verdict import Judgement, MetricResult, Performance, Quality, Verdict

Part = TypeVar("Part", Quality, Performance)


def together(judged: Sequence[Quality]) -> Quality:
    """What several log sources say, as one."""
    order = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
    verdict = min((quality.verdict for quality in judged), key=order.index)
    records: dict[str, int] = {}
    levels: dict[str, int] = {}
    for quality in judged:
        for side, count in quality.records.items():
            records[side] = records.get(side, 0) + count
        for level, count in quality.levels.items():
            levels[level] = levels.get(level, 0) + count
    return Quality(
        verdict,
        [reason for quality in judged if quality.verdict is verdict for reason in quality.reasons],
        [event for quality in judged for event in quality.events],
        records,
        sorted({name for quality in judged for name in quality.baseline}),
        levels=levels,
        levels_stated=all(quality.levels_stated for quality in judged),
    )


def with_queries(part: Part, readers: Sequence[Reader]) -> Part:
    """What was asked, kept, and where the answer was nothing, said: a wrong query looks like a silent canary."""
    asked = "; ".join(f"{reader.name}: {reader.query}" for reader in readers)
    reasons = [
        replace(reason, text=f"{reason.text} Asked {asked}. Next: run that query in the source itself.")
        if reason.code in ("no_data", "few_requests") and not reason.numbers.get("canary_requests")
        else reason
        for reason in part.reasons
    ]
    return replace(part, reasons=reasons, queries={reader.name: reader.query for reader in readers})


def with_places(judgement: Judgement) -> Judgement:
    """The judgement with its events placed in the picture."""
    quality = judgement.quality
    if quality is None:
        return judgement
    return replace(judgement, quality=replace(quality, events=placed(quality.events)))


def first_bad(performance: Performance | None, quality: Quality | None) -> str:
    """When the first event or measurement happened that a FAIL rests on."""
    times = [event.first_seen for event in quality.risks if event.first_seen] if quality else []
    for result in performance.metrics if performance else ():
        if result.verdict is Verdict.FAIL:
            times += _first_regressed(result)
    return min(times, default="")


def _first_regressed(result: MetricResult) -> list[str]:
    """The first point at which the canary was worse by the threshold, else its first point at all."""
    points = list(result.series.get("canary", ()))
    control = dict(result.series.get("control", ()))
    usual = result.control.get("mean", 0.0)
    limit = 1.0 + (result.threshold or 0.0)
    for when, value in points:
        other = control.get(when, usual)
        higher, lower = value >= other * limit and value > other, value * limit <= other and value < other
        if {"higher_is_worse": higher, "lower_is_worse": lower}.get(result.direction, higher or lower):
            return [when]
    return [points[0][0]] if points else []
