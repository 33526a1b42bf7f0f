"""Finishing a judgement: several sources as one, the queries that were sent, the layout, the first bad moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from airflow_cd.verification.logs.layout import lay_out
from airflow_cd.verification.verdict import Judgement, MetricResult, Performance, Quality, Verdict, worst

Part = TypeVar("Part", Quality, Performance)

_NOTHING_READ = ("no_data", "few_requests", "not_measured")
_NO_QUERY = "no query:"  # how a source begins to say that it had nothing to ask for


def merged(judged: Sequence[Quality]) -> Quality:
    """The quality over several log sources.

    :param judged: the quality of each source, at least one. The worst verdict counts, with the reasons for it.
    """
    verdict = worst(quality.verdict for quality in judged)
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


def with_queries(part: Part, queries: Mapping[str, str]) -> Part:
    """The part with the queries it rests on.

    Where there was no data they are in its reasons too: a wrong query looks like a silent canary.

    :param part: what metrics or logs come to.
    :param queries: by the name of a source, the query as it was sent.
    """
    sent = "; ".join(f"{name}: {query}" for name, query in queries.items() if not query.startswith(_NO_QUERY))
    reasons = [
        replace(reason, text=f"{reason.text} The query was {sent}. Next: run it in the source itself.")
        if sent and reason.code in _NOTHING_READ and not reason.numbers.get("canary_requests")
        else reason
        for reason in part.reasons
    ]
    return replace(part, reasons=reasons, queries=dict(queries))


def with_layout(judgement: Judgement) -> Judgement:
    """The judgement with a place in the report's picture for each of its events.

    :param judgement: final or not.
    """
    quality = judgement.quality
    if quality is None:
        return judgement
    return replace(judgement, quality=replace(quality, events=lay_out(quality.events)))


def first_bad(performance: Performance | None, quality: Quality | None) -> str:
    """When the first event or measurement happened that a FAIL rests on, in ISO 8601; ``""`` if nothing failed.

    :param performance: what the metrics come to.
    :param quality: what the logs come to.
    """
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
