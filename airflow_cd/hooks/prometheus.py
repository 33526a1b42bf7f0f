"""Prometheus, and what speaks its HTTP API: VictoriaMetrics, Thanos, Mimir, Cortex."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_cd.errors import SourceQueryRejected, SourceUnavailable
from airflow_cd.hooks.prometheus_errors import is_too_much, is_wrong
from airflow_cd.hooks.service import ServiceHook
from airflow_cd.http.client import HttpClient
from airflow_cd.http.exchange import Answer, Request
from airflow_cd.http.json_values import list_of, object_of

MOST_POINTS = 10_000
"""Of one series in one answer; Prometheus refuses more than 11,000."""

# Thanos: no rollups of 5 minutes, whose rates are empty, and no answer of a part of its stores.
_WHOLE = {"max_source_resolution": "0s", "partial_response": "false", "dedup": "true"}
_NOTES = ("promql info", "promql warning")


@dataclass(frozen=True)
class Series:
    """One series of an answer.

    :param labels: by name.
    :param points: time in seconds since 1970, and value, which may be NaN or infinite; in the order of time.
    :param histograms: time, and the buckets of a native histogram: lower end, upper end and count of each.
    """

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]
    histograms: Sequence[tuple[float, Sequence[tuple[float, float, float]]]] = ()


@dataclass(frozen=True)
class PromAnswer:
    """What a query found.

    :param series: every one that has a point.
    :param notes: what the server said of the query itself, one sentence each.
    """

    series: Sequence[Series]
    notes: tuple[str, ...] = ()


class PrometheusHook(ServiceHook):
    """Queries Prometheus over one Airflow connection of type ``prometheus``; see :class:`ServiceHook`.

    :param prometheus_conn_id: the connection.
    :param sleep: called with seconds to wait.
    """

    conn_name_attr = "prometheus_conn_id"
    default_conn_name = "prometheus_default"
    conn_type = "prometheus"
    hook_name = "Prometheus"

    def __init__(
        self, prometheus_conn_id: str = default_conn_name, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(prometheus_conn_id, sleep=sleep)

    def range(self, query: str, first: float, number: int, step: float) -> PromAnswer:
        """Evaluate a query at evenly spaced times, each once, in as many requests as the server's limits ask for.

        :param query: PromQL.
        :param first: the first time, in seconds since 1970.
        :param number: how many times.
        :param step: seconds between two of them.
        :raises SourceQueryRejected: the query is wrong, or a single time of it is too much for the server.
        :raises SourceUnavailable: no whole answer was to be had.
        """
        found: dict[tuple[tuple[str, str], ...], tuple[list[Any], list[Any]]] = {}
        notes: list[str] = []
        with self.get_conn() as client:
            waiting = [(at, min(MOST_POINTS, number - at)) for at in range(0, number, MOST_POINTS)][::-1]
            while waiting:
                at, size = waiting.pop()
                begin, end = first + at * step, first + (at + size - 1) * step
                form = {"query": query, "start": _seconds(begin), "end": _seconds(end), "step": _seconds(step)}
                try:
                    data = self._asked(client, "/api/v1/query_range", form, notes, splits=size > 1)
                except _TooMuch:
                    waiting += [(at + size // 2, size - size // 2), (at, size // 2)]
                    continue
                for one in _matrix(data):
                    points, histograms = found.setdefault(tuple(sorted(one.labels.items())), ([], []))
                    points += one.points
                    histograms += one.histograms
        return PromAnswer([Series(dict(labels), *own) for labels, own in found.items()], tuple(notes))

    def instant(self, query: str, at: float | None = None) -> PromAnswer:
        """Evaluate a query at one time.

        :param query: PromQL.
        :param at: in seconds since 1970; now by default.
        :raises SourceError: as of :meth:`range`.
        """
        notes: list[str] = []
        form = {"query": query, **({"time": _seconds(at)} if at is not None else {})}
        with self.get_conn() as client:
            data = self._asked(client, "/api/v1/query", form, notes)
        found = []
        for one in map(object_of, list_of(object_of(data).get("result"))):
            pair = list_of(one.get("value"))
            if len(pair) == 2 and (value := _number(pair[1])) is not None:
                found.append(Series(_labels(one), [(float(pair[0]), value)]))
        return PromAnswer(found, tuple(notes))

    def values(self, label: str, match: Sequence[str], since: datetime, until: datetime) -> list[str]:
        """Values of a label; of ``__name__`` these are the names of metrics.

        :param label: the label.
        :param match: selectors of the series to look at; none for all.
        :param since: from when on they must have had data; ``until`` likewise.
        :raises SourceError: as of :meth:`range`.
        """
        return self._listed(f"/api/v1/label/{label}/values", match, since, until)

    def labels(self, match: Sequence[str], since: datetime, until: datetime) -> list[str]:
        """Names of the labels that series have.

        :param match: as of :meth:`values`; so are the times.
        :param since: from when on they must have had data.
        :param until: the same.
        :raises SourceError: as of :meth:`range`.
        """
        return self._listed("/api/v1/labels", match, since, until)

    def _listed(self, path: str, match: Sequence[str], since: datetime, until: datetime) -> list[str]:
        asked = {"start": _seconds(since.timestamp()), "end": _seconds(until.timestamp()), **_WHOLE}
        params = {**asked, **({"match[]": list(match)} if match else {})}
        with self.get_conn() as client:
            content = client.json(Request("GET", path, params=params), judge=lambda answer: _judge(client, answer))
            # A metric, or an instance, that a part of an answer does not have may be in the rest of it.
            return [str(one) for one in list_of(self._whole(client, content, []))]

    def tried(self) -> str:
        """How many targets are up, and since when the newest of it is."""
        found = self.instant("count(up == 1)").series
        newest = self.instant("time() - max(timestamp(up))").series
        if not found or not newest:
            count = self.instant("vector(1)").series
            return f"It answers queries ({len(count)} of 1), and nothing in it is called `up`: it scrapes no targets."
        age = newest[0].points[0][1]
        return f"It answers queries: {found[0].points[0][1]:.0f} targets are up, the newest sample is {age:.0f} s old."

    def _asked(
        self, client: HttpClient, path: str, form: Mapping[str, str], notes: list[str], *, splits: bool = False
    ) -> Any:
        def judge(answer: Answer) -> None:
            if answer.status == 405:
                raise _NoPost
            if splits and answer.status in (400, 422) and is_too_much(object_of(answer.json), form["query"]):
                raise _TooMuch
            _judge(client, answer, form["query"])

        asked = {**form, **_WHOLE, "nocache": "1"}
        try:
            # A query with hundreds of instances is too long for a URL.
            content = client.json(Request("POST", path, form=asked), judge=judge)
        except _NoPost:
            content = client.json(Request("GET", path, params=asked), judge=judge)
        return self._whole(client, content, notes)

    def _whole(self, client: HttpClient, content: Any, notes: list[str]) -> Any:
        """The data of an answer that is not a part of what there is."""
        answer = object_of(content)
        if answer.get("status") != "success":
            raise SourceUnavailable(
                f"{client.endpoint.title} does not answer as Prometheus does.",
                next_step=f"Check whether the host of connection {self.conn_id!r} is the base URL of its API.",
            )
        for warning in map(str, list_of(answer.get("warnings"))):
            text = client.endpoint.redact.line(warning)
            if not warning.lower().startswith(_NOTES):
                raise SourceUnavailable(
                    f"{client.endpoint.title} answered with a part of what there is: {text}.",
                    next_step="See which of its stores are down; what is left would be judged as if it were all.",
                )
            if text not in notes:
                notes.append(text)
        if answer.get("isPartial") is True:
            raise SourceUnavailable(
                f"{client.endpoint.title} answered with a part of what there is (isPartial).",
                next_step="See which of its storage nodes are down.",
            )
        return answer.get("data")


class _TooMuch(Exception):
    """The server wants fewer points or samples at a time."""


class _NoPost(Exception):
    """Something in front of the server lets no POST through."""


def _judge(client: HttpClient, answer: Answer, query: str = "") -> None:
    """Tell a query that is wrong from a server that cannot answer now: both may have the status 422, or even 200."""
    if not answer.ok and answer.status not in (400, 422, 499):
        return
    error = object_of(answer.json)
    if error.get("status") != "error" and answer.status != 499:
        return
    said = client.endpoint.redact.line(error.get("error") or f"status {answer.status}")
    if not is_wrong(error, answer.status, query):
        raise SourceUnavailable(
            f"{client.endpoint.title} could not answer the query ({answer.status}): {said}.",
            next_step="See whether it and all of its stores are up. Should it always say so, correct the query.",
        )
    if answer.ok:
        raise SourceQueryRejected(
            f"{client.endpoint.title} rejected the query: {said}.", next_step="Correct the query."
        )


def _matrix(data: Any) -> list[Series]:
    found = []
    for one in map(object_of, list_of(object_of(data).get("result"))):
        points = [
            (float(pair[0]), value)
            for pair in map(list_of, list_of(one.get("values")))
            if len(pair) == 2 and (value := _number(pair[1])) is not None
        ]
        pairs = map(list_of, list_of(one.get("histograms")))
        histograms = [(float(pair[0]), _buckets(pair[1])) for pair in pairs if len(pair) == 2]
        if points or histograms:
            found.append(Series(_labels(one), points, histograms))
    return found


def _buckets(histogram: Any) -> list[tuple[float, float, float]]:
    """Of a native histogram; each is written as which ends belong to it, both ends, and its count."""
    parts = map(list_of, list_of(object_of(histogram).get("buckets")))
    return [(float(part[1]), float(part[2]), float(part[3])) for part in parts if len(part) == 4]


def _labels(series: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in object_of(series.get("metric")).items()}


def _number(text: Any) -> float | None:
    """A sample's value, which is written as text: ``"3.5"``, ``"NaN"``, ``"+Inf"``."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _seconds(moment: float) -> str:
    return f"{moment:.3f}".rstrip("0").rstrip(".")
