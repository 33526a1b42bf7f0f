"""A server of ours that aggregates as OpenSearch's and Elasticsearch's references say."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.hooks.vendor_servers import Answer, Asked
from tests.sources.stores import Store

FIELDS = {
    "host.name": {"keyword": {}},
    "@timestamp": {"date": {}},
    "took": {"long": {}},
    "status": {"integer": {}},
    "pod": {"text": {}},
}


@dataclass
class SearchMetricsStore(Store):
    """Documents with the field ``took``, one for each instance and second, whose value is a function of both.

    :param value: of an instance and a time in seconds; NaN for no document.
    :param hosts: names of the instances.
    :param failing: answers that begin with shards that fail.
    """

    value: Callable[[str, float], float] = lambda name, at: 1.0
    hosts: tuple[str, ...] = ("shop-1", "shop-2")
    failing: int = 0
    bodies: list[Any] = field(default_factory=list)

    def respond(self, asked: Asked) -> Answer:
        if asked.path.endswith("/_field_caps"):
            return Answer(body={"indices": ["logs"], "fields": FIELDS})
        self.bodies.append(asked.body)
        aggregations = asked.body["aggs"]
        if "values" in aggregations:
            return Answer(body={"aggregations": {"values": {"buckets": [{"key": name} for name in self.hosts]}}})
        if self.failing:
            self.failing -= 1
            return Answer(body={"_shards": {"total": 3, "failed": 1}, "aggregations": {"instances": {"buckets": []}}})
        bounds = asked.body["query"]["bool"]["filter"][0]["range"]["@timestamp"]
        begin, end = (_seconds(bounds[name]) for name in ("gte", "lt"))
        newest = (self.clock() - timedelta(seconds=self.troubles.lag)).timestamp()
        terms = aggregations["instances"]["terms"]
        inner = aggregations["instances"]["aggs"]["times"]
        width = int(inner["date_histogram"]["fixed_interval"].removesuffix("s"))
        found = []
        for name in (one for one in self.hosts if one in terms["include"]):
            times: dict[int, list[float]] = {}
            for at in range(math.ceil(begin), math.ceil(end)):
                value = self.value(name, at)
                if at <= newest and not math.isnan(value):
                    times.setdefault(at // width * width, []).append(value)
            buckets = [_bucket(at, values, inner.get("aggs") or {}) for at, values in sorted(times.items())]
            if buckets:
                found.append({"key": name, "doc_count": len(times), "times": {"buckets": buckets}})
        return Answer(body={"_shards": {"total": 3, "failed": 0}, "aggregations": {"instances": {"buckets": found}}})


def _bucket(at: int, values: list[float], wanted: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"key": at * 1000, "doc_count": len(values)}
    mean = sum(values) / len(values)
    for name, aggregation in wanted.items():
        [kind] = aggregation
        if kind == "extended_stats":
            deviation = math.sqrt(sum((one - mean) ** 2 for one in values) / len(values))
            made[name] = {"count": len(values), "avg": mean, "std_deviation": deviation}
        elif kind == "percentiles":
            made[name] = {"values": {"95.0": max(values)}}
        elif kind == "filter":
            made[name] = {"doc_count": sum(one > 5 for one in values)}
        else:
            made[name] = {"value": {"avg": mean, "sum": sum(values), "max": None}[kind]}
    return made


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
