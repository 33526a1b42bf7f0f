"""The source of InfluxDB against a real server."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import requests

from airflow_cd.errors import SourceQueryRejected, SourceUnavailable
from airflow_cd.hooks.influx_db import InfluxDbHook
from airflow_cd.sources import InfluxDbMetrics
from airflow_cd.sources.contract import MetricSourceContract
from airflow_cd.sources.influx_names import names_in
from airflow_cd.verification.samples import Metric, Window
from tests import tiers
from tests.hooks.vendor_servers import Answer, serving
from tests.sources import metric_servers

END = dt.datetime.now(dt.timezone.utc).replace(minute=0, second=0, microsecond=0) - dt.timedelta(hours=1)
WINDOW = Window(END - dt.timedelta(minutes=10), END)
HOSTS = ["shop-1", "shop-2"]
METRIC = Metric("response_time", "latency", "higher_is_worse", "ms")


@pytest.fixture(scope="module")
@tiers.starts("server")
def server(tmp_path_factory) -> Any:
    if why := metric_servers.missing("influxd"):
        tiers.unavailable("influxdb", why)
    with metric_servers.influx_db(tmp_path_factory.mktemp("influx")) as url:
        requests.post(f"{url}/query", data={"q": "CREATE DATABASE shop"}, timeout=10).raise_for_status()
        lines = [
            f"http,host={host},route=/cart duration={100 + second % 10} "
            f"{round((WINDOW.since + dt.timedelta(seconds=second)).timestamp() * 1e9)}"
            for second in range(-60, 660, 3)
            for host in HOSTS
        ]
        sent = requests.post(f"{url}/write?db=shop", data="\n".join(lines).encode(), timeout=10)
        sent.raise_for_status()
        yield url


class TestContract(MetricSourceContract):
    @pytest.fixture
    def source(self, server, connect):
        connect("influx_db_default", conn_type="influx_db", host=server)
        return InfluxDbMetrics('mean("duration")', "http", METRIC, "shop", count='"duration"')

    @pytest.fixture
    def broken(self, source):
        return InfluxDbMetrics('mean("duration")', "htpp", METRIC, "shop")

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return HOSTS

    def test_what_is_read(self, source):
        frame = source.read(WINDOW, ["shop-1"]).frame
        assert list(frame["count"]) == [10.0] * 20
        assert frame["value"].between(104, 105).all()
        assert source.instances(WINDOW) == HOSTS

    def test_words(self, source, server, connect):
        with pytest.raises(SourceUnavailable, match="no measurement 'htpp' in shop; did you mean 'http'"):
            InfluxDbMetrics('mean("duration")', "htpp", METRIC, "shop").read(WINDOW, HOSTS)
        with pytest.raises(SourceQueryRejected, match="no point of it has the tag 'pod'"):
            InfluxDbMetrics('mean("duration")', "http", METRIC, "shop", instance_tag="pod").read(WINDOW, HOSTS)
        with pytest.raises(SourceQueryRejected, match="database not found: shpo"):
            InfluxDbMetrics('mean("duration")', "http", METRIC, "shpo").read(WINDOW, HOSTS)
        assert "Nothing is known of shop-9" in source.read(WINDOW, ["shop-9"]).warnings[0]
        nobody = InfluxDbMetrics('mean("duration")', "http", METRIC, "shop", where="\"route\" = '/crat'")
        assert "nothing of it with \"route\" = '/crat'" in nobody.read(WINDOW, HOSTS).warnings[0]
        works, text = InfluxDbHook().test_connection()
        assert works, text


@pytest.mark.parametrize(
    ("fields", "says", "mend"),
    [
        ({"select": 'mean("duratoin")'}, "no point of it has the field 'duratoin'; did you mean 'duration'", "select"),
        ({"select": "mean(duratoin)"}, "the field 'duratoin'; did you mean 'duration'", "select"),
        ({"count": '"duratoin"'}, "the field 'duratoin'; did you mean 'duration'", "count"),
        ({"where": "\"ruote\" = '/cart'"}, "the field or tag 'ruote'; did you mean 'route'", "where"),
        ({"group_by": "ruote"}, "the tag 'ruote'; did you mean 'route'", "group_by"),
    ],
)
def test_a_name_that_the_measurement_does_not_have(server, connect, fields, says, mend):
    connect("influx_db_default", conn_type="influx_db", host=server)
    given = {"select": 'mean("duration")', "measurement": "http", "metric": METRIC, "database": "shop"}
    with pytest.raises(SourceQueryRejected, match=says) as raised:
        InfluxDbMetrics(**{**given, **fields}).read(WINDOW, HOSTS)
    assert raised.value.next_step == f"Correct {mend}."


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('percentile("a b", 95)', ["a b"]),
        ("\"x\" = 'y' AND z =~ /^w/ OR NOT time > 3u", ["x", "z"]),
        ('mean(a) / mean("b") * 1.5', ["a", "b"]),
    ],
)
def test_names_in_influxql(text, names):
    assert list(names_in(text)) == names


def test_an_answer_that_was_cut_is_none(connect):
    body = {"results": [{"series": [{"name": "http", "columns": ["time"], "values": [], "partial": True}]}]}
    with serving(lambda _: Answer(body=body)) as url:
        connect("influx_db_default", conn_type="influx_db", host=url)
        with pytest.raises(SourceUnavailable, match="with a part of what there is"):
            InfluxDbMetrics('mean("duration")', "http", METRIC, "shop").read(WINDOW, HOSTS)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"select": "mean(x); DROP DATABASE shop"}, "more than one statement"),
        ({"where": '"a" = \'x'}, "does not close"),
        ({"where": "\"a\" = 'x' GROUP BY b"}, "GROUP is added"),
        ({"measurement": ""}, "measurement: ''"),
    ],
)
def test_mistakes(fields, says):
    made = InfluxDbMetrics(**{"select": "mean(x)", "measurement": "m", "metric": METRIC, "database": "d", **fields})
    assert says in "\n".join(made.mistakes())
