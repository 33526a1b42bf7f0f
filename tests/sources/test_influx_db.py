"""The source of InfluxDB against a real server."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
import time
from typing import Any

import pytest
import requests

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceUnauthorized, SourceUnavailable
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
ADMIN = (metric_servers.USER, metric_servers.PASSWORD)
READER = {"conn_type": "influx_db", "login": "reader", "password": "reads"}


@pytest.fixture(scope="module")
@tiers.starts("server")
def server(tmp_path_factory) -> Any:
    if why := metric_servers.missing("influxd"):
        tiers.unavailable("influxdb", why)
    with metric_servers.influx_db(tmp_path_factory.mktemp("influx")) as url:
        for statement in (
            "CREATE DATABASE shop",
            "CREATE RETENTION POLICY short ON shop DURATION 14d REPLICATION 1",
            "CREATE USER reader WITH PASSWORD 'reads'",
            "GRANT READ ON shop TO reader",
            "CREATE USER stranger WITH PASSWORD 'reads'",
        ):
            requests.post(f"{url}/query", data={"q": statement}, auth=ADMIN, timeout=10).raise_for_status()
        lines = [
            f"http,host={host},route=/cart duration={100 + second % 10} "
            f"{round((WINDOW.since + dt.timedelta(seconds=second)).timestamp() * 1e9)}"
            for second in range(-60, 660, 3)
            for host in HOSTS
        ]
        for second in range(-300, 600, 10):
            at = round((WINDOW.since + dt.timedelta(seconds=second)).timestamp() * 1e9)
            for place, route in enumerate("ab"):  # counters, one of which is far ahead
                lines.append(f"served,host=shop-1,route={route} requests={place * 1e6 + second} {at}")
            lines.append(f'told,host=shop-1 took="100" {at}')
        lines.append(f"queue,host=shop-1 depth=3 {time.time_ns()}")
        sent = requests.post(f"{url}/write?db=shop", data="\n".join(lines).encode(), auth=ADMIN, timeout=10)
        sent.raise_for_status()
        kept = f"kept,host=shop-1 duration=5 {round(WINDOW.since.timestamp() * 1e9)}"
        sent = requests.post(f"{url}/write?db=shop&rp=short", data=kept.encode(), auth=ADMIN, timeout=10)
        sent.raise_for_status()
        yield url


class TestContract(MetricSourceContract):
    @pytest.fixture
    def source(self, server, connect):
        connect("influx_db_default", host=server, **READER)
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
        with pytest.raises(SourceUnauthorized, match=r"does not allow this \(403\): .*requires READ on shpo"):
            InfluxDbMetrics('mean("duration")', "http", METRIC, "shpo").read(WINDOW, HOSTS)
        assert "Nothing is known of shop-9" in source.read(WINDOW, ["shop-9"]).warnings[0]
        nobody = InfluxDbMetrics('mean("duration")', "http", METRIC, "shop", where="\"route\" = '/crat'")
        assert "nothing of it with \"route\" = '/crat'" in nobody.read(WINDOW, HOSTS).warnings[0]
        connect("influx_db_default", host=server, login=ADMIN[0], password=ADMIN[1])
        with pytest.raises(SourceQueryRejected, match="database not found: shpo"):
            InfluxDbMetrics('mean("duration")', "http", METRIC, "shpo").read(WINDOW, HOSTS)

    @pytest.mark.parametrize(
        ("wrong", "error", "says"),
        [
            ({"password": "guessed"}, SourceUnauthorized, r"does not accept the credentials \(401\).*Check login"),
            ({"login": "", "password": ""}, SourceUnauthorized, r"does not accept the credentials \(401\)"),
            ({"login": "stranger"}, SourceUnauthorized, r"does not allow this \(403\): .*requires READ on shop"),
            ({"host": "{}/nothing"}, SourceError, r"/nothing.*Check whether the host.*base URL"),
            (
                {"host": "127.0.0.1:1", "extra": json.dumps({"deadline": 1})},
                SourceUnavailable,
                r"http://127\.0\.0\.1:1\) cannot be reached",
            ),
        ],
    )
    def test_what_is_wrong_with_the_connection(self, source, server, connect, wrong, error, says):
        given = {**READER, "host": server, **wrong}
        connect("influx_db_default", **given | {"host": given["host"].format(server)})
        with pytest.raises(error, match=says) as raised:
            source.read(WINDOW, HOSTS)
        assert source.conn_id in str(raised.value)
        assert "guessed" not in str(raised.value)

    def test_the_test_button(self, source, server, connect):
        works, text = InfluxDbHook().test_connection()
        assert works, text
        assert re.search(r"Of shop: points of 1 measurement of the last 5 minutes, the newest \d+\.\d s old", text)
        connect("influx_db_default", host=server, **{**READER, "login": "stranger"})
        works, text = InfluxDbHook().test_connection()
        assert not works
        assert "shows this login no database" in text


@pytest.mark.parametrize("cuts", [(0, 600), (0, 30, 60, 600), (0, 210, 600)])
def test_counters_grow_series_by_series_and_over_seams(server, connect, cuts):
    connect("influx_db_default", host=server, **READER)
    requests_of = Metric("requests", "throughput", "either")
    source = InfluxDbMetrics('non_negative_difference(last("requests"))', "served", requests_of, "shop")
    moments = [WINDOW.since + dt.timedelta(seconds=second) for second in cuts]
    parts = [source.read(Window(*ends), ["shop-1"]).frame for ends in itertools.pairwise(moments)]
    assert [value for part in parts for value in part["value"]] == [60.0] * 20  # 30 of each route
    assert source.read(WINDOW, ["shop-2"]).frame.empty


def test_a_retention_policy_is_named(server, connect):
    connect("influx_db_default", host=server, **READER)
    with pytest.raises(
        SourceQueryRejected, match=r"has 'kept' in shop, and not in the default .*, but in short"
    ) as raised:
        InfluxDbMetrics('mean("duration")', "kept", METRIC, "shop").read(WINDOW, ["shop-1"])
    assert "retention_policy" in raised.value.next_step
    source = InfluxDbMetrics('mean("duration")', "kept", METRIC, "shop", retention_policy="short")
    assert list(source.read(WINDOW, ["shop-1"]).frame["value"]) == [5.0]
    assert source.instances(WINDOW) == ["shop-1"]


def test_a_field_of_texts_is_refused(server, connect):
    connect("influx_db_default", host=server, **READER)
    with pytest.raises(SourceQueryRejected, match=r"""last\("took"\) of 'told' is the text '100'"""):
        InfluxDbMetrics('last("took")', "told", METRIC, "shop").read(WINDOW, ["shop-1"])


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
    connect("influx_db_default", host=server, **READER)
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
        ({"where": "time > now() - 5m"}, "where: the window is added"),
        ({"select": "mean(x), max(x)"}, "several numbers"),
        ({"select": "mean(x) AS took"}, "AS is added"),
    ],
)
def test_mistakes(fields, says):
    made = InfluxDbMetrics(**{"select": "mean(x)", "measurement": "m", "metric": METRIC, "database": "d", **fields})
    assert says in "\n".join(made.mistakes())
