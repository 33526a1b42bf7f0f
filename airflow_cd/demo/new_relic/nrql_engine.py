"""Runs a NRQL query over events and answers in New Relic's shapes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_cd.demo.new_relic.nrql import Moment, NrqlError, Query, Selected
from airflow_cd.demo.new_relic.nrql_functions import Event, aggregate, aggregates, name_of, predicate, value_of

DEFAULT_FACETS = 10
DEFAULT_ROWS = 100
MAX_LIMIT = 5000
MAX_BUCKETS = 366

_AUTO_BUCKETS = (1, 5, 10, 15, 30, 60, 300, 900, 1800, 3600, 21600, 86400)
_AUTO_TARGET = 60

EventSource = Callable[[str, float, float], "list[Event] | None"]
"""Events of a type between two epoch-millisecond moments, oldest first; None for a type there is not."""


@dataclass(frozen=True)
class Answer:
    """What a query yields.

    :param results: rows as New Relic flattens them.
    :param total: of all events, ``None`` without FACET; a list with one object a bucket with FACET and TIMESERIES.
    :param other: the same of the events outside the facets shown.
    :param begin_ms: start of the window, epoch milliseconds; ``end_ms`` is its end.
    """

    results: list[dict[str, Any]]
    total: dict[str, Any] | list[dict[str, Any]] | None
    other: dict[str, Any] | list[dict[str, Any]] | None
    facets: list[str] | None
    event_types: list[str]
    begin_ms: int
    end_ms: int
    since: str
    until: str
    inspected: int
    messages: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Bucket:
    begin_ms: float
    end_ms: float

    @property
    def seconds(self) -> float:
        return (self.end_ms - self.begin_ms) / 1000

    def label(self) -> dict[str, Any]:
        return {"beginTimeSeconds": _seconds(self.begin_ms), "endTimeSeconds": _seconds(self.end_ms)}


def _seconds(milliseconds: float) -> float | int:
    whole, rest = divmod(milliseconds, 1000)
    return int(whole) if not rest else milliseconds / 1000


def run(query: Query, source: EventSource, now: float | None = None) -> Answer:
    """Answer a query.

    :param now: epoch seconds; the clock's by default.
    :raises NrqlError: when the query asks for what New Relic refuses.
    """
    begin_ms, end_ms = _window(query, (time.time() if now is None else now) * 1000)
    events, messages = _found(query, source, begin_ms, end_ms)
    inspected = len(events)
    holds = predicate(query.where)
    events = [event for event in events if holds(event)]
    if _is_raw(query):
        results, total, other = _rows(query, events), None, None
    else:
        results, total, other = _Grouping(query, _Bucket(begin_ms, end_ms)).answer(events)
    return Answer(
        results=results,
        total=total,
        other=other,
        facets=[_label(facet) for facet in query.facets] or None,
        event_types=list(query.events),
        begin_ms=begin_ms,
        end_ms=end_ms,
        since=query.since.written,
        until=query.until.written,
        inspected=inspected,
        messages=messages,
    )


def _window(query: Query, now_ms: float) -> tuple[int, int]:
    zone = _zone(query.timezone)
    begin_ms, end_ms = (round(_resolve(moment, now_ms, zone)) for moment in (query.since, query.until))
    if begin_ms >= end_ms:
        raise NrqlError("NRQL Syntax Error: SINCE must be before UNTIL")
    if query.limit is not None and query.limit > MAX_LIMIT:
        raise NrqlError(f"NRQL Syntax Error: LIMIT cannot exceed {MAX_LIMIT}")
    return begin_ms, end_ms


def _found(query: Query, source: EventSource, begin_ms: int, end_ms: int) -> tuple[list[Event], list[str]]:
    """The events of every type that the query names, and a message for each type that does not exist."""
    events: list[Event] = []
    messages: list[str] = []
    for kind in query.events:
        found = source(kind, begin_ms, end_ms)
        if found is None:
            messages.append(f"No events found -- do you have the correct event type and account? ({kind})")
        events += found or []
    if len(query.events) > 1:
        events.sort(key=lambda event: event["timestamp"])
    return events, messages


def _is_raw(query: Query) -> bool:
    """Whether the query asks for events themselves, not for aggregates over them."""
    raw = query.star or not any(aggregates(selected.expression) for selected in query.selected)
    if raw and (query.facets or query.timeseries):
        raise NrqlError("NRQL Syntax Error: FACET and TIMESERIES are not supported on events.")
    return raw


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise NrqlError(f"NRQL Syntax Error: unknown time zone '{name}'") from None


def _resolve(moment: Moment, now_ms: float, zone: ZoneInfo) -> float:
    """Epoch milliseconds of an end of the window."""
    if moment.seconds_ago is not None:
        return now_ms - moment.seconds_ago * 1000
    if isinstance(moment.literal, (int, float)):
        # New Relic takes epoch seconds as well as milliseconds; no monitored second lies before 1973 in milliseconds.
        return moment.literal if moment.literal >= 1e11 else moment.literal * 1000
    text = str(moment.literal)
    if text in {"TODAY", "YESTERDAY"}:
        midnight = datetime.fromtimestamp(now_ms / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return (midnight - timedelta(days=text == "YESTERDAY")).timestamp() * 1000
    try:
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise NrqlError(f"NRQL Syntax Error: '{text}' is not a time") from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).timestamp() * 1000


def _limit(query: Query, default: int) -> int:
    return default if query.limit is None else MAX_LIMIT if query.limit < 0 else query.limit


def _label(selected: Selected) -> str:
    return selected.alias or name_of(selected.expression)


def _rows(query: Query, events: Sequence[Event]) -> list[dict[str, Any]]:
    """Events as they are, the newest first."""
    ordered = list(reversed(events))
    if query.order is not None:
        expression, descending = query.order.expression, query.order.descending
        ordered.sort(key=lambda event: _sortable(value_of(expression, event)), reverse=descending)
    chosen = ordered[: _limit(query, DEFAULT_ROWS)]
    if query.star:
        return [{name: value for name, value in sorted(event.items()) if value is not None} for event in chosen]
    return [
        {_label(item): value_of(item.expression, event) for item in query.selected} | {"timestamp": event["timestamp"]}
        for event in chosen
    ]


def _sortable(value: Any) -> tuple[int, float, str]:
    if isinstance(value, (int, float)):
        return (1, float(value), "")
    return (2, 0.0, str(value)) if value is not None else (0, 0.0, "")


class _Grouping:
    """An aggregate query's answer: facets, buckets, or neither."""

    def __init__(self, query: Query, window: _Bucket) -> None:
        self._query = query
        self._window = window
        self._buckets = _buckets(query, window)

    def answer(self, events: Sequence[Event]) -> tuple[list[dict[str, Any]], Any, Any]:
        """Results, totalResult, otherResult."""
        if not self._query.facets:
            return self._series(events), None, None
        groups: dict[tuple[Any, ...], list[Event]] = {}
        for event in events:
            key = tuple([value_of(facet.expression, event) for facet in self._query.facets])
            if None not in key:
                groups.setdefault(key, []).append(event)
        ranked = sorted(groups, key=self._rank(groups), reverse=self._descending)
        shown = ranked[: _limit(self._query, DEFAULT_FACETS)]
        results = [{**self._facet(key), **row} for key in shown for row in self._series(groups[key])]
        rest = [event for key in ranked[len(shown) :] for event in groups[key]]
        return results, self._whole(events), self._whole(sorted(rest, key=lambda event: event["timestamp"]))

    @property
    def _descending(self) -> bool:
        return self._query.order is None or self._query.order.descending

    def _rank(self, groups: dict[tuple[Any, ...], list[Event]]) -> Callable[[tuple[Any, ...]], Any]:
        expression = self._query.order.expression if self._query.order else self._query.selected[0].expression

        def rank(key: tuple[Any, ...]) -> Any:
            value = aggregate(expression, groups[key], self._window.seconds)
            if isinstance(value, dict):
                value = next(iter(value.values()))
            return _sortable(value)

        return rank

    def _facet(self, key: tuple[Any, ...]) -> dict[str, Any]:
        texts = [str(part).lower() if isinstance(part, bool) else str(part) for part in key]
        if len(texts) > 1:
            return {"facet": texts}
        return {"facet": texts[0], _label(self._query.facets[0]): texts[0]}

    def _whole(self, events: Sequence[Event]) -> Any:
        rows = self._series(events)
        return rows if self._query.timeseries else rows[0]

    def _series(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """One row, or one for each bucket."""
        if not self._query.timeseries:
            return [self._row(events, self._window.seconds)]
        width = self._buckets[0].end_ms - self._buckets[0].begin_ms
        sorted_in: list[list[Event]] = [[] for _ in self._buckets]
        for event in events:
            sorted_in[min(int((event["timestamp"] - self._window.begin_ms) / width), len(sorted_in) - 1)].append(event)
        return [
            {**bucket.label(), **self._row(inside, bucket.seconds)}
            for bucket, inside in zip(self._buckets, sorted_in, strict=True)
        ]

    def _row(self, events: Sequence[Event], seconds: float) -> dict[str, Any]:
        row = {_label(item): aggregate(item.expression, events, seconds) for item in self._query.selected}
        only = next(iter(row.values())) if len(row) == 1 else None
        if isinstance(only, dict) and "score" in only and self._query.selected[0].alias is None:
            return {**row, **only}
        return row


def _buckets(query: Query, window: _Bucket) -> list[_Bucket]:
    """The time buckets: they start with the window, the last one ends with it."""
    if query.timeseries is None:
        return []
    span = window.end_ms - window.begin_ms
    if query.timeseries == "MAX":
        width = span / MAX_BUCKETS
    elif query.timeseries == "AUTO":
        width = next((w for w in _AUTO_BUCKETS if span / 1000 / w <= _AUTO_TARGET), _AUTO_BUCKETS[-1]) * 1000.0
    else:
        width = float(query.timeseries) * 1000
    number = max(1, math.ceil(span / width - 1e-9))
    if number > MAX_BUCKETS:
        raise NrqlError(
            f"NRQL Syntax Error: {number} TIMESERIES buckets were requested, which exceeds the maximum of {MAX_BUCKETS}"
        )
    starts = [window.begin_ms + index * width for index in range(number)]
    return [_Bucket(start, min(start + width, window.end_ms)) for start in starts]
