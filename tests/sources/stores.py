"""Servers of ours that answer as services' public documents say, over records in memory and on a test's own clock."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from tests.hooks.vendor_servers import Answer, Asked, SumoServer

DROPPED = Answer(0)
"""No answer: the connection is closed."""


@dataclass(frozen=True)
class Record:
    time: datetime
    host: str
    message: str
    id: str

    @cached_property
    def milliseconds(self) -> int:
        return round(self.time.timestamp() * 1000)

    @cached_property
    def iso(self) -> str:
        return iso(self.time)


@dataclass
class Troubles:
    """What is between a source and its service.

    :param lag: seconds until a record can be found.
    :param page: records of an answer at most.
    :param calls: requests a second that are answered.
    :param dropped: which requests get no answer: each of so many.
    """

    lag: float = 0.0
    page: int = 10_000
    calls: int = 1_000_000
    dropped: int = 1_000_000


@dataclass
class Store:
    """A service; :meth:`respond` answers, subclasses know the protocol.

    :param records: in any order.
    :param clock: the present time.
    """

    records: list[Record]
    clock: Callable[[], datetime]
    troubles: Troubles = field(default_factory=Troubles)
    asked: int = 0
    refused: int = 0
    lost: int = 0
    _second: tuple[int, int] = (0, 0)

    def __call__(self, asked: Asked) -> Answer:
        self.asked += 1
        second = int(self.clock().timestamp())
        used = self._second[1] if self._second[0] == second else 0
        if used >= self.troubles.calls:
            self.refused += 1
            return Answer(429, {"error": "too many requests"}, {"Retry-After": "1"})
        self._second = (second, used + 1)
        if self.asked % self.troubles.dropped == 0:
            self.lost += 1
            return DROPPED
        return self.respond(asked)

    def respond(self, asked: Asked) -> Answer:
        raise NotImplementedError

    def visible(self) -> list[Record]:
        newest = self.clock() - timedelta(seconds=self.troubles.lag)
        return [one for one in self.records if one.time <= newest]


def form_of(asked: Asked) -> dict[str, str]:
    body = asked.body if isinstance(asked.body, bytes) else b""
    return asked.params | {name: values[0] for name, values in parse_qs(body.decode()).items()}


def of_aws(answer: Answer) -> Answer:
    """The answer as AWS gives it, where a limit of the rate has a name and no status of its own."""
    if answer.status == 429:
        answer = Answer(400, {"__type": "ThrottlingException", "message": "Rate exceeded"})
    return Answer(answer.status, answer.body, {"Content-Type": "application/x-amz-json-1.1"})


def iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class OpenSearchStore(Store):
    """Field capabilities, points in time and ``search_after`` of OpenSearch; of Elasticsearch with ``elastic``."""

    elastic = False

    def respond(self, asked: Asked) -> Answer:
        kept: dict[str, list[Record]] = self.__dict__.setdefault("kept", {})
        if asked.path == "/":
            return Answer(
                body={"version": {"number": "2.19"} | ({} if self.elastic else {"distribution": "opensearch"})}
            )
        if asked.path.endswith("/_field_caps"):
            fields = {"host.name": {"keyword": {}}, "@timestamp": {"date": {}}}
            return Answer(body={"indices": ["logs"], "fields": fields})
        if asked.method == "DELETE":
            return Answer(body={})
        if asked.path.endswith(("/_pit", "/point_in_time")):
            name = f"pit{len(kept)}"
            kept[name] = sorted(self.visible(), key=lambda one: (one.time, one.id))
            return Answer(body={"id" if self.elastic else "pit_id": name, "_shards": {"total": 1, "failed": 0}})
        if asked.body.get("size") == 0:
            names = {one.host for one in self.visible()}
            return Answer(body={"aggregations": {"values": {"buckets": [{"key": name} for name in names]}}})
        query = json.dumps([asked.body["pit"]["id"], asked.body["query"]])
        if query not in kept:
            kept[query] = [one for one in kept[asked.body["pit"]["id"]] if self._matches(one, asked.body["query"])]
        found = kept[query]
        after = asked.body.get("search_after")
        if after is not None:
            found = [one for one in found if [one.milliseconds, one.id] > after]
        hits = [
            {
                "_index": "logs",
                "_id": one.id,
                "sort": [one.milliseconds, one.id],
                "_source": {"message": one.message, "host": {"name": one.host}},
                "fields": {"@timestamp": [one.iso]},
            }
            for one in found[: min(self.troubles.page, asked.body["size"])]
        ]
        return Answer(body={"_shards": {"total": 1, "failed": 0}, "hits": {"hits": hits}})

    @staticmethod
    def _matches(one: Record, query: Mapping[str, Any]) -> bool:
        times, hosts = query["bool"]["filter"][:2]
        bounds = times["range"]["@timestamp"]
        return bounds["gte"] <= one.iso < bounds["lt"] and one.host in hosts["terms"]["host.name"]


class ElasticsearchStore(OpenSearchStore):
    elastic = True


class VictoriaLogsStore(Store):
    """Records as lines of JSON in no order; the argument ``limit`` is the newest so many."""

    def respond(self, asked: Asked) -> Answer:
        form = form_of(asked)
        if asked.path.endswith("/field_names"):
            return Answer(body={"values": [{"value": "host", "hits": 1}]})
        if asked.path.endswith("/field_values"):
            return Answer(body={"values": [{"value": name, "hits": 1} for name in {one.host for one in self.records}]})
        hosts = json.loads(f"[{re.search(r':in[(](.*)[)]', form['query'])[1]}]")  # type: ignore[index]
        begin, end = (form[name][:26] + "Z" for name in ("start", "end"))
        found = [one for one in self.visible() if begin <= one.iso < end and one.host in hosts]
        limit = min(int(form.get("limit", self.troubles.page)), self.troubles.page)
        found = sorted(found, key=lambda one: one.time)[-limit:]
        lines = (json.dumps({"_time": one.iso, "_msg": one.message, "host": one.host}) for one in found[::-1])
        return Answer(raw="\n".join(lines).encode())


class DatadogStore(Store):
    """Searches of logs with a cursor, whose end belongs to the window."""

    def respond(self, asked: Asked) -> Answer:
        if asked.headers.get("dd-api-key") != "api" or asked.headers.get("dd-application-key") != "app":
            return Answer(403, {"errors": ["Forbidden"]})
        found_by = asked.body["filter"]
        scope, _, listed = found_by["query"].partition(" AND ")
        hosts = re.findall(r'"(.*?)"', listed) if listed.startswith("host:") else []
        if scope == "*" or (listed in ("", "host:*") and "service:shop" in scope):
            hosts = [one.host for one in self.records]
        begin, end = (datetime.fromisoformat(found_by[name].replace("Z", "+00:00")) for name in ("from", "to"))
        found = sorted(
            (one for one in self.visible() if begin <= one.time <= end and one.host in hosts),
            key=lambda one: (one.time, one.id),
        )
        after = asked.body["page"].get("cursor")
        if after:
            found = [one for one in found if f"{one.milliseconds} {one.id}" > after]
        if asked.body["sort"].startswith("-"):
            found.reverse()
        page = found[: min(self.troubles.page, asked.body["page"]["limit"])]
        data = [
            {"id": one.id, "attributes": {"timestamp": one.iso, "host": one.host, "message": one.message, "tags": []}}
            for one in page
        ]
        more = {"page": {"after": f"{page[-1].milliseconds} {page[-1].id}"}} if len(page) < len(found) else {}
        return Answer(body={"data": data, "meta": {"status": "done", **more}})


class CloudWatchLogStore(Store):
    """Streams of a log group, one for each host, and their events; every other page is empty and not the last."""

    def __call__(self, asked: Asked) -> Answer:
        return of_aws(super().__call__(asked))

    def respond(self, asked: Asked) -> Answer:
        given = asked.body
        if asked.headers["x-amz-target"].endswith("DescribeLogStreams"):
            names = sorted({one.host for one in self.records if one.host.startswith(given["logStreamNamePrefix"])})
            return Answer(body={"logStreams": [{"logStreamName": name} for name in names]})
        begin, end = given["startTime"], given["endTime"]
        found = sorted(
            (one for one in self.visible() if begin <= one.milliseconds <= end and one.host in given["logStreamNames"]),
            key=lambda one: (one.time, one.id),
        )
        at, empty = map(int, given.get("nextToken", "0 0").split())
        if not empty:
            return Answer(body={"events": [], "nextToken": f"{at} 1"})
        page = found[at : at + self.troubles.page]
        lag = round(self.troubles.lag * 1000)
        events = [
            {
                "logStreamName": one.host,
                "timestamp": one.milliseconds,
                "message": one.message,
                "ingestionTime": one.milliseconds + lag,
                "eventId": one.id,
            }
            for one in page
        ]
        more = {"nextToken": f"{at + len(page)} 0"} if at + len(page) < len(found) else {}
        return Answer(body={"events": events, **more})


@dataclass
class SumoLogicStore(Store):
    """Search jobs of Sumo Logic over the records that can be found."""

    jobs: SumoServer = field(default_factory=SumoServer)

    def respond(self, asked: Asked) -> Answer:
        if asked.method == "POST":
            hosts = re.findall(r'_sourceHost="(.*?)"', asked.body["query"])
            self.jobs.page = self.troubles.page
            self.jobs.messages = [
                {
                    "_messageid": one.id,
                    "_messagetime": str(one.milliseconds),
                    "_receipttime": str(one.milliseconds + round(self.troubles.lag * 1000)),
                    "_sourcehost": one.host,
                    "_raw": one.message,
                }
                for one in self.visible()
                if one.host in hosts
            ]
        return self.jobs(asked)


class LokiStore(Store):
    """Lines by stream, the first so many; asking for more than the server allows is an error."""

    def respond(self, asked: Asked) -> Answer:
        form = form_of(asked)
        if "/label" in asked.path:
            names = sorted({one.host for one in self.records}) if "values" in asked.path else ["app", "pod"]
            return Answer(body={"status": "success", "data": names})
        if asked.path.endswith("/query"):
            at, seconds = int(form["time"]), int(re.search(r"\[(\d+)s\]", form["query"])[1])  # type: ignore[index]
            number = len(self._between(at - seconds * 10**9, at, None))
            result = [{"metric": {}, "value": [at / 1e9, str(number)]}] if number else []
            return Answer(body={"status": "success", "data": {"resultType": "vector", "result": result}})
        if int(form["limit"]) > self.troubles.page:
            return Answer(400, raw=b"max entries limit per query exceeded, limit > max_entries_limit_per_query")
        named = re.search(r'\w+=~"(.*?)"', form["query"])[1]  # type: ignore[index]
        found = self._between(int(form["start"]), int(form["end"]), None if named == ".+" else named.split("|"))
        found = found[:: -1 if form["direction"] == "backward" else 1][: int(form["limit"])]
        streams: dict[str, list[list[str]]] = {}
        for one in found:
            streams.setdefault(one.host, []).append([str(one.milliseconds * 10**6), one.message])
        result = [{"stream": {"app": "shop", "pod": host}, "values": lines} for host, lines in streams.items()]
        return Answer(body={"status": "success", "data": {"resultType": "streams", "result": result}})

    def _between(self, begin: int, end: int, hosts: list[str] | None) -> list[Record]:
        found = [one for one in self.visible() if begin <= one.milliseconds * 10**6 < end]
        return sorted((one for one in found if hosts is None or one.host in hosts), key=lambda one: one.time)


@dataclass
class PrometheusStore(Store):
    """Answers the queries of a :class:`~airflow_cd.sources.PrometheusQuery` by a function of instance and time."""

    value: Callable[[str, float], float] = lambda name, at: 1.0

    def respond(self, asked: Asked) -> Answer:
        if "/label/" in asked.path:
            return Answer(body={"status": "success", "data": ["p95_seconds"]})
        form = form_of(asked)
        names = re.search(r'=~"\((.*)\)\(:', form["query"])[1].split("|")  # type: ignore[index]
        start, end, step = (float(form[name]) for name in ("start", "end", "step"))
        newest = self.clock().timestamp() - self.troubles.lag
        times = [start + n * step for n in range(round((end - start) / step) + 1)]
        result = [
            {"metric": {"instance": name}, "values": [[at, str(self.value(name, at))] for at in times if at <= newest]}
            for name in names
        ]
        return Answer(body={"status": "success", "data": {"resultType": "matrix", "result": result}})


def records_of(rows: Iterable[Any]) -> list[Record]:
    """Records of a frame's rows."""
    found = []
    for number, row in enumerate(rows):
        moment = row.time.to_pydatetime()
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        found.append(Record(moment, row.instance, row.message, f"{number:06}"))
    return found
