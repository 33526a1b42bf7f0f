"""Servers of ours that answer queries of metrics as services' public documents say, by a function of instance and time.

Each has a measurement of every instance and second, which can be found after the lag of its troubles.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from statistics import fmean
from typing import Any

from tests.hooks.vendor_servers import Answer, Asked
from tests.sources.google_servers import DESCRIPTORS, token_for
from tests.sources.stores import Store, form_of, of_aws


@dataclass
class MetricStore(Store):
    """Measurements of instances.

    :param value: of an instance and a time in seconds.
    :param hosts: names of the instances.
    """

    value: Callable[[str, float], float] = lambda name, at: 1.0
    hosts: tuple[str, ...] = ("shop-1", "shop-2")

    def buckets(self, name: str, begin: float, end: float, width: int) -> Iterator[tuple[int, float, int]]:
        """Start, mean and number of what an instance measured in each bucket that holds something by now."""
        newest = self.clock().timestamp() - self.troubles.lag
        for start in range(math.ceil(begin), math.ceil(end), width):
            found = [self.value(name, at) for at in range(start, start + width) if at <= newest]
            if found:
                yield start, fmean(found), len(found)


class InfluxDbStore(MetricStore):
    """InfluxDB: series of a ``SELECT`` that is grouped by time and instance."""

    def respond(self, asked: Asked) -> Answer:
        query = form_of(asked)["q"]
        times = re.search(r"time >= (\d+)ms AND time < (\d+)ms GROUP BY time\((\d+)s\)", query)
        if times is None:
            raise AssertionError(query)
        begin, end, width = int(times[1]) / 1000, int(times[2]) / 1000, int(times[3])
        series = []
        for name in re.findall(r"host\"? = '(.*?)'", query):
            rows = [[at * 10**9, mean, count] for at, mean, count in self.buckets(name, begin, end, width)]
            columns = ["time", "value", "airflow_cd_count"]
            series += [{"name": "http", "tags": {"host": name}, "columns": columns, "values": rows}] if rows else []
        return Answer(body={"results": [{"statement_id": 0, "series": series}]})


class DatadogMetricStore(MetricStore):
    """Datadog: points of a query with a rollup; null where there is none yet."""

    def respond(self, asked: Asked) -> Answer:
        query = asked.params["query"]
        width = int(re.search(r"rollup\(avg, (\d+)\)", query)[1])  # type: ignore[index]
        begin, end = (int(asked.params[name]) for name in ("from", "to"))
        series = []
        for name in re.search(r"IN \((.*?)\)", query)[1].split(","):  # type: ignore[index]
            found = {at: mean for at, mean, _ in self.buckets(name, begin, end, width)}
            points = [[at * 1000.0, found.get(at)] for at in range(begin, end, width)]
            series.append({"interval": width, "tag_set": [f"host:{name}"], "pointlist": points})
        return Answer(body={"status": "ok", "series": series})


class GoogleMonitoringStore(MetricStore):
    """Google Cloud Monitoring: points at the ends of their intervals, the newest first, in pages."""

    def __call__(self, asked: Asked) -> Answer:
        given = token_for(asked)
        return given if given is not None and asked.path == "/token" else super().__call__(asked)

    def respond(self, asked: Asked) -> Answer:
        path, params = asked.path.removeprefix("/v3/projects/shop/"), asked.params
        if path != "timeSeries":
            kind = path.removeprefix("metricDescriptors/")
            return Answer(body={"type": kind, **DESCRIPTORS[kind]})
        begin, end = (_seconds(params[f"interval.{name}Time"]) for name in ("start", "end"))
        width = int(params["aggregation.alignmentPeriod"].removesuffix("s"))
        hosts = json.loads(f"[{re.search(r'one_of[(](.*)[)]', params['filter'])[1]}]")  # type: ignore[index]
        points = [(name, *one) for name in hosts for one in reversed([*self.buckets(name, begin, end, width)])]
        first = int(params.get("pageToken", 0))
        page: dict[str, list[dict[str, Any]]] = {}
        for name, at, mean, _ in points[first : first + self.troubles.page]:
            interval = {"startTime": _stamp(at), "endTime": _stamp(at + width)}
            page.setdefault(name, []).append({"interval": interval, "value": {"doubleValue": mean}})
        series = [
            {"metric": {"labels": {}}, "resource": {"labels": {"instance_id": name}}, "points": own}
            for name, own in page.items()
        ]
        last = first + self.troubles.page
        more = {"nextPageToken": str(last)} if last < len(points) else {}
        return Answer(body={"timeSeries": series, **more})


class NewRelicStore(MetricStore):
    """NerdGraph: rows of an NRQL query by host and time, and of one that asks which hosts there are."""

    def respond(self, asked: Asked) -> Answer:
        query = asked.body["variables"]["query"]
        times = re.search(r"SINCE (\d+) UNTIL (\d+)(?: TIMESERIES (\d+) seconds)?", query)
        if times is None:
            raise AssertionError(query)
        begin, end = int(times[1]) / 1000, int(times[2]) / 1000
        if times[3] is None:
            rows: list[dict[str, Any]] = [{"host": name, "facet": name} for name in self.hosts]
        else:
            counted = re.search(r"count\(\*\) AS '(.*?)'", query)[1]  # type: ignore[index]
            hosts = re.findall(r"'(.*?)'", re.search(r"host IN \((.*?)\)", query)[1])  # type: ignore[index]
            width = int(times[3])
            rows = [
                {"facet": name, "host": name, "beginTimeSeconds": at, "endTimeSeconds": at + width}
                | {counted: number, "average.took": mean if number else None}
                for name in hosts
                for at, mean, number in self.buckets(name, begin, end, width)
            ]
        found = {"results": rows, "metadata": {"messages": []}, "queryProgress": {"completed": True}}
        return Answer(body={"data": {"actor": {"account": {"nrql": found}}}})


class CloudWatchMetricStore(MetricStore):
    """CloudWatch: results of queries, by pages of so many values."""

    def __call__(self, asked: Asked) -> Answer:
        return of_aws(super().__call__(asked))

    def respond(self, asked: Asked) -> Answer:
        begin, end = asked.body["StartTime"], asked.body["EndTime"]
        values = []
        for query in asked.body["MetricDataQueries"]:
            stat = query["MetricStat"]
            name, counts = stat["Metric"]["Dimensions"][0]["Value"], stat["Stat"] == "SampleCount"
            for at, mean, number in self.buckets(name, begin, end, stat["Period"]):
                values.append((query["Id"], at, float(number) if counts else mean))
        first = int(asked.body.get("NextToken", 0))
        last = first + self.troubles.page
        page: dict[str, list[tuple[int, float]]] = {}
        for name, at, value in values[first:last]:
            page.setdefault(name, []).append((at, value))
        results = [
            {"Id": name, "Timestamps": [at for at, _ in own], "Values": [value for _, value in own]}
            for name, own in page.items()
        ]
        more = {"NextToken": str(last)} if last < len(values) else {}
        return Answer(body={"MetricDataResults": results, **more})


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _stamp(seconds: float) -> str:
    return (datetime.fromtimestamp(0, timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
