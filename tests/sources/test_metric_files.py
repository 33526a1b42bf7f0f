"""Metrics that are written to files: OTLP of the collector, StatsD of its backends."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.errors import SourceQueryRejected, SourceUnavailable
from airflow_cd.sources import OtlpFileMetrics, StatsdFileMetrics, file_reading
from airflow_cd.sources.contract import MetricSourceContract
from airflow_cd.verification.samples import Metric, MetricSample, Window
from tests.sources.test_file_logs import NOW, written

END = NOW.replace(second=0) - dt.timedelta(minutes=3)
BEGIN = END - dt.timedelta(minutes=8)
WINDOW = Window(BEGIN, END)
STARTED = BEGIN - dt.timedelta(hours=1)
LATENCY = "http.server.request.duration"
DURATION = Metric("response_time", "latency", unit="s")


def at(seconds: float) -> dt.datetime:
    return BEGIN + dt.timedelta(seconds=seconds)


def nanoseconds(moment: dt.datetime) -> str:
    return str(int(moment.timestamp()) * 10**9)


def point(end: float, *, start: dt.datetime = STARTED, status: str = "", **value: Any) -> dict[str, Any]:
    attributes = [{"key": "http.response.status_code", "value": {"intValue": status}}] if status else []
    times = {"startTimeUnixNano": nanoseconds(start), "timeUnixNano": nanoseconds(at(end))}
    return {"attributes": attributes, **times, **value}


def batch(instance: str, *metrics: dict[str, Any], scope_name: str = "shop", **resource: str) -> str:
    """A line as the file exporter writes it."""
    named = {"service.instance.id": instance, **resource}
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in named.items()]
    scope = {"scope": {"name": scope_name}, "metrics": list(metrics)}
    return json.dumps({"resourceMetrics": [{"resource": {"attributes": attributes}, "scopeMetrics": [scope]}]})


def instrument(name: str, form: str, *points: dict[str, Any], unit: str = "s", **more: Any) -> dict[str, Any]:
    return {"name": name, "unit": unit, form: {"dataPoints": list(points), **more}}


def histogram(end: float, count: int, *, start: dt.datetime = STARTED, status: str = "") -> dict[str, Any]:
    """Of measurements half of which last 0.05 to 0.1 s, the others 0.1 to 0.2 s; the mean is 0.1 s."""
    half = str(count // 2)
    value = {"count": str(count), "sum": count * 0.1, "bucketCounts": ["0", half, half, "0"]}
    return point(end, start=start, status=status, explicitBounds=[0.05, 0.1, 0.2], **value)


def otlp(path: Path, *lines: str) -> OtlpFileMetrics:
    written(path, *lines)
    return OtlpFileMetrics(f"{path}*", {LATENCY: DURATION})


class TestOtlpContract(MetricSourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        batches = [
            batch(
                name,
                instrument(
                    LATENCY, "histogram", histogram(minute * 60 - 5, minute * 10 + 1000), aggregationTemporality=2
                ),
            )
            for minute in range(-3, 10)
            for name in ("a", "b", "other")
        ]
        half = len(batches) // 2
        (tmp_path / "metrics.json.1.gz").write_bytes(gzip.compress(("\n".join(batches[:half]) + "\n").encode()))
        written(tmp_path / "metrics.json", *batches[half:])
        return OtlpFileMetrics(f"{tmp_path}/metrics.json*", {LATENCY: DURATION})

    @pytest.fixture
    def broken(self, tmp_path):
        return OtlpFileMetrics(f"{tmp_path}/nothing.json", LATENCY)

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return ["a", "b"]

    def test_what_happened_since_the_point_before(self, source):
        frame = source.read(WINDOW, ["a"]).frame
        mean, percentile = (frame[frame["metric"] == name] for name in ("response_time", "response_time.p95"))
        assert list(mean["count"]) == [10.0] * 8
        assert list(mean["value"]) == pytest.approx([0.1] * 8)
        assert list(percentile["value"]) == pytest.approx([0.19] * 8)
        assert source.instances(WINDOW) == ["a", "b", "other"]


class TestOtlp:
    def test_exponential_histograms(self, tmp_path):
        # Of scale 1 a bucket is half a power of two wide: 9 in (1, 1.41], one in (4, 5.66].
        value = {"count": 10, "sum": 15.0, "scale": 1, "zeroCount": "0"}
        value["positive"] = {"offset": 0, "bucketCounts": ["9", "0", "0", "0", "1"]}
        source = otlp(
            tmp_path / "m.json",
            batch("a", instrument(LATENCY, "exponentialHistogram", point(30, **value), aggregationTemporality=1)),
        )
        rows = source.read(WINDOW, ["a"]).frame.set_index("metric")
        assert rows.loc["response_time", "value"] == 1.5
        assert rows.loc["response_time", "count"] == 10
        assert rows.loc["response_time.p95", "value"] == pytest.approx(4 + (2**2.5 - 4) / 2)

    def test_a_new_process_counts_from_0_and_an_old_one_from_its_first_point(self, tmp_path):
        new = [histogram(second, 10 * (second // 60), start=at(30)) for second in (90, 150)]
        lines = [batch("new", instrument(LATENCY, "histogram", one, aggregationTemporality=2)) for one in new]
        lines += [batch("old", instrument(LATENCY, "histogram", histogram(90, 5000), aggregationTemporality=2))]
        frame = otlp(tmp_path / "m.json", *lines).read(WINDOW, ["new", "old"]).frame
        counted = frame[frame["metric"] == "response_time"].groupby("instance")["count"].sum()
        assert dict(counted) == {"new": 20.0}

    def test_a_process_that_starts_again_counts_from_0(self, tmp_path):
        points = [histogram(30, 100), histogram(90, 120), histogram(150, 400, start=at(100))]
        line = batch("a", instrument(LATENCY, "histogram", *points, aggregationTemporality=2))
        frame = otlp(tmp_path / "m.json", line).read(WINDOW, ["a"]).frame
        assert list(frame[frame["metric"] == "response_time"]["count"]) == [20.0, 400.0]

    def test_points_that_stand_there_twice_count_once(self, tmp_path):
        points = [histogram(30, 10), histogram(30, 10)]
        line = batch("a", instrument(LATENCY, "histogram", *points, aggregationTemporality=1))
        frame = otlp(tmp_path / "m.json", line, line).read(WINDOW, ["a"]).frame
        assert list(frame[frame["metric"] == "response_time"]["count"]) == [10.0]

    def test_failures_by_status(self, tmp_path):
        points = [histogram(30, 90, status="200"), histogram(30, 10, status="503")]
        line = batch("a", instrument(LATENCY, "histogram", *points, aggregationTemporality=1))
        rows = otlp(tmp_path / "m.json", line).read(WINDOW, ["a"]).frame.set_index("metric")
        assert tuple(rows.loc["response_time.errors", ["value", "count"]]) == (10.0, 100.0)

    def test_histograms_of_other_buckets_are_compared_by_the_ends_that_all_have(self, tmp_path):
        lines = []
        for name, bounds, counts in (("a", [0.1, 0.15, 0.2, 0.5], [0, 0, 20, 0, 0]), ("b", [0.1, 0.5], [0, 20, 0])):
            value = {"count": "20", "sum": 3.6, "bucketCounts": counts, "explicitBounds": bounds}
            delta = instrument(LATENCY, "histogram", point(30, **value), aggregationTemporality=1)
            lines.append(batch(name, delta))
        sample = otlp(tmp_path / "m.json", *lines).read(WINDOW, ["a", "b"])
        found = sample.frame[sample.frame["metric"] == "response_time.p95"]
        assert list(found["value"]) == pytest.approx([0.48, 0.48])
        assert "by the ends that all have (0.1, 0.5)" in sample.warnings[0]
        alone = otlp(tmp_path / "m.json", *lines).read(WINDOW, ["a"])
        assert alone.frame["value"].iloc[1] == pytest.approx(0.1975)
        assert alone.warnings == ()

    def test_requests_of_which_nothing_says_whether_they_failed(self, tmp_path):
        told = instrument(LATENCY, "histogram", histogram(30, 20, status="200"), aggregationTemporality=1)
        untold = instrument(LATENCY, "histogram", histogram(30, 20), aggregationTemporality=1)
        with pytest.raises(SourceQueryRejected, match=r"of b has the attribute http\.response\.status_code: no"):
            otlp(tmp_path / "m.json", batch("a", told), batch("b", untold)).read(WINDOW, ["a", "b"])
        named = replace(otlp(tmp_path / "n.json", batch("a", told)), status_attribute="http.satus")
        with pytest.raises(SourceQueryRejected, match=r"of a has the attribute http\.satus"):
            named.read(WINDOW, ["a"])

    def test_sums_and_gauges(self, tmp_path):
        path = tmp_path / "m.json"
        written(
            path,
            batch(
                "a",
                instrument(
                    "orders",
                    "sum",
                    point(30, asInt="3"),
                    point(50, asInt="4"),
                    aggregationTemporality=1,
                    isMonotonic=True,
                ),
            ),
            batch(
                "a", instrument("queue", "sum", point(30, asInt="3"), point(50, asInt="5"), aggregationTemporality=2)
            ),
            batch(
                "a",
                instrument(
                    "memory", "gauge", point(30, asDouble=7.5), point(40, asDouble="NaN"), point(50, flags=1), unit="By"
                ),
            ),
        )
        wanted = {"orders": Metric("orders", "count"), "queue": Metric("queue", "gauge"), "memory": "memory"}
        sample = OtlpFileMetrics(str(path), wanted).read(WINDOW, ["a"])
        assert dict(sample.frame.set_index("metric")["value"]) == {"orders": 7.0, "queue": 4.0, "memory": 7.5}
        assert next(one for one in sample.metrics if one.name == "memory").unit == "By"

    def test_fields_in_the_other_spelling(self, tmp_path):
        text = batch("a", instrument("orders", "sum", point(30, asInt="3"), aggregationTemporality=1, isMonotonic=True))
        for name, other in (
            ("resourceMetrics", "resource_metrics"),
            ("dataPoints", "data_points"),
            ("asInt", "as_int"),
            ("timeUnixNano", "time_unix_nano"),
            ("aggregationTemporality", "aggregation_temporality"),
        ):
            text = text.replace(f'"{name}"', f'"{other}"')
        written(tmp_path / "m.json", text)
        source = OtlpFileMetrics(f"{tmp_path}/m.json", {"orders": Metric("orders", "count")})
        assert list(source.read(WINDOW, ["a"]).frame["value"]) == [3.0]

    def test_words(self, tmp_path):
        source = otlp(tmp_path / "m.json", batch("a", instrument("orders", "gauge", point(30, asInt="3"))), "{half")
        with pytest.raises(SourceUnavailable, match=r"hold no http\.server\.request\.duration; there is orders"):
            source.read(WINDOW, ["a"])
        other = OtlpFileMetrics(source.paths, "orders", instance_attribute="host.name")
        warnings = other.read(WINDOW, ["a"]).warnings
        assert "1 lines are no batches" in warnings[0]
        assert "No point has the attribute host.name" in warnings[1]
        assert "Nothing is known of b" in OtlpFileMetrics(source.paths, "orders").read(WINDOW, ["b"]).warnings[1]


def total(end: float, value: int, *, start: dt.datetime = STARTED) -> dict[str, Any]:
    """Orders since a start, as one process counts them."""
    return instrument("orders", "sum", point(end, start=start, asInt=value), aggregationTemporality=2, isMonotonic=True)


def orders(path: Path, *lines: str) -> MetricSample:
    written(path / "m.json", *lines)
    return OtlpFileMetrics(f"{path}/m.json", {"orders": Metric("orders", "count")}).read(WINDOW, ["a", "b"])


class TestWritersOfOneInstance:
    """Processes, services and libraries of one instance count each for themselves."""

    EVERY = range(-120, 481, 30)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"process.pid": "7"}, {"process.pid": "8"}),
            ({"service.name": "shop"}, {"service.name": "billing"}),
            ({"scope_name": "otelhttp"}, {"scope_name": "otelgin"}),
        ],
    )
    def test_they_are_added_up(self, tmp_path, one, other):
        lines = [
            batch("a", total(end + later, start + end // 30), **who)
            for end in self.EVERY
            for later, start, who in ((0, 1000, one), (4, 50, other))
        ]
        sample = orders(tmp_path, *lines)
        assert set(sample.frame["value"]) == {4.0}
        assert len(sample.frame) == 8

    def test_processes_that_started_at_other_times(self, tmp_path):
        later = STARTED + dt.timedelta(seconds=3)
        lines = [
            batch("a", total(end + start.second % 2, first + end // 30, start=start))
            for end in self.EVERY
            for first, start in ((1000, STARTED), (50, later))
        ]
        assert set(orders(tmp_path, *lines).frame["value"]) == {4.0}

    def test_a_resource_that_is_known_better_later_is_still_the_same(self, tmp_path):
        started = at(10)
        lines = [batch("a", total(end, end, start=started)) for end in range(30, 120, 30)]
        lines += [batch("a", total(end, end, start=started), **{"k8s.pod.uid": "u"}) for end in range(120, 241, 30)]
        assert orders(tmp_path, *lines).frame["value"].sum() == 240.0

    @pytest.mark.parametrize("start", [STARTED, dt.datetime.fromtimestamp(0, dt.timezone.utc)])
    @pytest.mark.parametrize("firsts", [(1000, 50), (1000, 50, 300)])
    @pytest.mark.parametrize("apart", [0, 4])
    def test_those_that_nothing_tells_apart_are_left_out_and_named(self, tmp_path, firsts, start, apart):
        lines = [
            batch("a", total(end + apart * number, first + end // 30, start=start))
            for end in self.EVERY
            for number, first in enumerate(firsts)
        ]
        lines += [batch("b", total(end, 7 + end // 30)) for end in self.EVERY]
        sample = orders(tmp_path, *lines)
        assert set(sample.frame["instance"]) == {"b"}
        assert "orders of a was left out: several processes write it" in sample.warnings[0]

    def test_a_count_that_falls_now_and_then_begins_again(self, tmp_path):
        never = dt.datetime.fromtimestamp(0, dt.timezone.utc)
        lines = [batch("a", total(end, 10 * (end % 240 // 30 + 1), start=never)) for end in self.EVERY]
        assert set(orders(tmp_path, *lines).frame["value"]) == {20.0}

    @pytest.mark.parametrize("temporality", [1, 2])
    def test_points_without_a_sum_that_stand_there_twice(self, tmp_path, temporality):
        lines = []
        for number, end in enumerate((30, 90)):
            one = {key: value for key, value in histogram(end, 10 + 10 * number).items() if key != "sum"}
            lines += [batch("a", instrument(LATENCY, "histogram", one, aggregationTemporality=temporality))] * 2
        sample = otlp(tmp_path / "m.json", *lines).read(WINDOW, ["a"])
        counts = list(sample.frame.loc[sample.frame["metric"] == "response_time.p95", "count"])
        assert counts == ([10.0, 20.0] if temporality == 1 else [10.0])


def flush(second: float, counters: str, timers: str = "{}", timer_data: str = "{}") -> str:
    """What the console backend prints, as Node.js shows an object."""
    local = at(second).astimezone(dt.timezone(dt.timedelta(hours=9)))
    return "\n".join(
        [
            f"Flushing stats at  {local:%a %b %d %Y %H:%M:%S} GMT+0900 (Japan Standard Time)",
            "{",
            "  counters: {",
            "    'statsd.bad_lines_seen': 0,",
            f"    {counters}",
            "  },",
            f"  timers: {timers},",
            "  gauges: { 'shop.queue': 4 },",
            f"  timer_data: {timer_data},",
            "  counter_rates: { 'shop.orders': 0.3 },",
            "  sets: { 'shop.users': [ 'x', 'y' ] },",
            "  pctThreshold: [ 90 ]",
            "}",
        ]
    )


METRICS = {
    "shop.orders": Metric("orders", "count"),
    "shop.time": Metric("time", "latency", unit="ms"),
    "shop.queue": Metric("queue", "gauge"),
    "shop.users": Metric("users", "gauge"),
}


class TestStatsdContract(MetricSourceContract):
    @pytest.fixture
    def source(self, tmp_path):
        for name in ("a", "b"):
            flushes = [
                flush(second, f"'shop.orders': {second % 7 + 1}", "{ 'shop.time': [ 10, 30 ] }")
                for second in range(-60, 540, 10)
            ]
            (tmp_path / f"{name}.log.1.gz").write_bytes(gzip.compress(("\n".join(flushes[:20]) + "\n").encode()))
            written(tmp_path / f"{name}.log", *flushes[20:])
        return StatsdFileMetrics(f"{tmp_path}/{{instance}}.log*", METRICS)

    @pytest.fixture
    def broken(self, tmp_path):
        return StatsdFileMetrics(f"{tmp_path}/{{instance}}.nothing", METRICS)

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return ["a", "b"]

    def test_what_is_read(self, source):
        rows = source.read(Window(BEGIN, at(30)), ["a"]).frame.set_index("metric")
        # Flushes at 10, 20 and 30 s are of what happened in the bucket that ends at 30 s.
        assert rows.loc["orders", "value"] == (10 % 7) + (20 % 7) + (30 % 7) + 3
        assert tuple(rows.loc["time", ["value", "count", "deviation"]]) == (20.0, 6.0, 10.0)
        assert rows.loc["time.p95", "value"] == 30.0
        assert rows.loc["queue", "value"] == 4.0
        assert rows.loc["users", "value"] == 2.0


def statsd(path: Path, *lines: str) -> StatsdFileMetrics:
    written(path / "a.log", *lines)
    return StatsdFileMetrics(f"{path}/{{instance}}.log", METRICS)


class TestStatsd:
    def test_what_a_flush_does_not_show_is_counted(self, tmp_path):
        data = "{ 'shop.time': { count: 500, sum: 10000, std: 3 } }"
        text = flush(10, "'shop.orders': 1", "{ 'shop.time': [ 10, 30, ... 398 more items ] }", data)
        rows = statsd(tmp_path, text).read(WINDOW, ["a"]).frame.set_index("metric")
        assert tuple(rows.loc["time", ["value", "count"]]) == (20.0, 500.0)
        assert "time.p95" not in rows.index

    def test_colours_and_an_older_nodes_layout(self, tmp_path):
        text = (
            f"\x1b[36mFlushing stats at  {at(10):%a %b %d %Y %H:%M:%S} GMT+0000\x1b[39m\n"
            "{ counters: \n   { \x1b[32m'shop.orders'\x1b[39m: \x1b[33m3\x1b[39m },\n  timers: {},\n  gauges: {} }"
        )
        frame = statsd(tmp_path, text).read(WINDOW, ["a"]).frame
        assert list(frame["value"]) == [3.0]

    def test_a_flush_that_is_being_written_is_left_for_the_next_read(self, tmp_path):
        whole = flush(10, "'shop.orders': 1")
        sample = statsd(tmp_path, whole, flush(20, "'shop.orders': 1").partition("timers")[0]).read(WINDOW, ["a"])
        assert sample.warnings == ()
        assert sample.frame.set_index("metric").loc["orders", "value"] == 1.0

    @pytest.mark.parametrize(
        ("lines", "metric", "value"),
        [
            (["{iso} shop.orders:3|c|@0.5|#route:/cart", "{iso} shop.orders:1|c"], "orders", 7.0),
            (["{epoch} shop.time:10:30|ms"], "time", 20.0),
            (["{iso} shop.orders=3 (count)", "{iso} shop.queue=9 (gauge)"], "orders", 3.0),
            (["shop.queue 4 {epoch}", "shop.queue 6 {epoch}"], "queue", 5.0),
        ],
    )
    def test_lines_with_a_time(self, tmp_path, lines, metric, value):
        stamps = {"iso": f"{at(10):%Y-%m-%dT%H:%M:%S.000Z}", "epoch": str(int(at(10).timestamp()))}
        frame = statsd(tmp_path, *(line.format(**stamps) for line in lines)).read(WINDOW, ["a"]).frame
        assert frame.set_index("metric").loc[metric, "value"] == value

    def test_words(self, tmp_path):
        source = statsd(tmp_path, f"shop.queues 4 {int(at(10).timestamp())}", "hello")
        with pytest.raises(SourceUnavailable, match=r"hold no shop\.orders; did you mean 'shop\.queues'"):
            source.read(WINDOW, ["a"])
        nothing = statsd(tmp_path, f"shop.queue 4 {int(at(-600).timestamp())}").read(WINDOW, ["a"])
        assert nothing.warnings == ("Nothing was written at that time, of any metric.",)
        with pytest.raises(SourceQueryRejected, match="whose file is it"):
            StatsdFileMetrics("/var/log/statsd.log", METRICS).read(WINDOW, ["a"])
        assert "names none" in "".join(StatsdFileMetrics("/{instance}", {}).mistakes())
        assert math.isnan(source.read(Window(BEGIN, BEGIN), ["a"]).frame["value"].max())


class TestMoreThanIsReadAtATime:
    """What is left out is said, and a bucket of which a part was left out is left out too."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch):
        def set_most(most: int) -> None:
            monkeypatch.setitem(file_reading.lines_of.__kwdefaults__, "most", most)

        monkeypatch.setattr("airflow_cd.sources.log_files._PORTION", 1000)
        return set_most

    def test_statsd(self, tmp_path, small):
        lines = [f"{at(second):%Y-%m-%dT%H:%M:%S}Z shop.orders:1|c" for second in range(1, 481)]
        source = statsd(tmp_path, *lines)
        whole = source.read(WINDOW, ["a"])
        assert set(whole.frame["value"]) == {30.0}
        small(sum(map(len, lines)) // 2)
        sample = source.read(WINDOW, ["a"])
        assert 1 < len(sample.frame) < len(whole.frame)
        assert set(sample.frame["value"]) == {30.0}
        assert list(sample.frame["time"]) == list(whole.frame["time"])[-len(sample.frame) :]
        [warning] = sample.warnings
        first = sample.frame["time"].min()
        assert warning == (
            f"The files of a hold more than is read at a time: what was before {first:%H:%M:%S} UTC was left out."
        )

    def test_a_flush_that_was_cut_is_no_strange_line(self, tmp_path, small):
        flushes = [flush(second, "'shop.orders': 2") for second in range(10, 490, 10)]
        source = statsd(tmp_path, *flushes)
        for share in range(20, 30):
            small(sum(map(len, flushes)) * share // 60)
            sample = source.read(WINDOW, ["a"])
            assert set(sample.frame.set_index("metric").loc["orders", "value"]) == {6.0}
            assert len(sample.warnings) == 1

    @pytest.mark.parametrize("every", [15, 60])
    @pytest.mark.parametrize("started", [STARTED, BEGIN], ids=["long ago", "in the window"])
    def test_otlp(self, tmp_path, small, every, started):
        points = [histogram(second, second // every * 10, start=started) for second in range(every, 481, every)]
        lines = [batch("a", instrument(LATENCY, "histogram", one, aggregationTemporality=2)) for one in points]
        source = otlp(tmp_path / "m.json", *lines)
        for share in (3, 5, 7):
            small(sum(map(len, lines)) * share // 10)
            sample = source.read(WINDOW, ["a"])
            counts = sample.frame.loc[sample.frame["metric"] == "response_time", "count"]
            assert set(counts) == {60 / every * 10}
            assert "The files hold more than is read at a time" in sample.warnings[0]
