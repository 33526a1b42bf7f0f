from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pytest

from airflow_cd.errors import SourceQueryRejected, SourceUnauthorized
from airflow_cd.sources import NewRelicMetrics, NewRelicQuery
from airflow_cd.verification.samples import FURTHER_METRIC_COLUMNS, METRIC_COLUMNS, Metric, Window
from tests.hooks.vendor_servers import Answer, Asked, Scripted, serving

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
EPOCH = int(BEGIN.timestamp())
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=2))
DUPLICATES = Metric("queue", "gauge")


def answer(*rows: dict[str, Any], messages: tuple[str, ...] = ()) -> Answer:
    found = {"results": list(rows), "metadata": {"messages": list(messages)}, "queryProgress": None}
    return Answer(body={"data": {"actor": {"account": {"nrql": found}}}})


def row(host: str, name: str, begin: int, **values: Any) -> dict[str, Any]:
    times = {"beginTimeSeconds": begin, "endTimeSeconds": begin + 60}
    return {**times, "facet": [host, name], "host": host, "name": name, **values}


@pytest.fixture
def asked_of(connect):
    """Serve answers to queries of buckets; returns those queries. Whatever else is asked has no answer."""
    stack = []

    def start(*answers: Answer) -> list[str]:
        script = Scripted(*answers)
        queries: list[str] = []

        def respond(asked: Asked) -> Answer:
            if " TIMESERIES " not in asked.body["variables"]["query"]:
                return answer()
            queries.append(asked.body["variables"]["query"])
            return script(asked)

        server = serving(respond)
        url = server.__enter__()
        stack.append(server)
        connect("new_relic_default", conn_type="new_relic", host=url, password="NRAK-X", login="7")
        return queries

    yield start
    for server in stack:
        server.__exit__(None, None, None)


def table(sample: Any) -> dict[tuple[str, str, str], tuple[float, int]]:
    return {
        (line.instance, line.group, line.metric): (round(line.value, 6), line.count)
        for line in sample.frame.itertuples()
    }


class TestMetrics:
    def test_one_query_for_all_metrics(self, asked_of):
        queries = asked_of(answer())
        sample = NewRelicMetrics(app="storefront", where="http.method = 'GET'").read(WINDOW, ["shop-2", "shop-1"])
        assert len(queries) == 1
        assert queries[0] == (
            "SELECT count(*) AS 'requests', average(duration) AS 'mean', stddev(duration) AS 'deviation', "
            "filter(count(*), WHERE error IS true) AS 'errors', apdex(duration, t: 0.5) AS 'apdex', "
            "percentile(duration, 95) AS 'p95' "
            "FROM Transaction WHERE appName = 'storefront' AND (http.method = 'GET') "
            "AND host IN ('shop-1', 'shop-2') FACET host, name LIMIT MAX "
            f"SINCE {EPOCH}000 UNTIL {EPOCH + 120}000 TIMESERIES 60 seconds"
        )
        assert sample.query == queries[0]

    def test_how_far_response_times_scatter(self, asked_of):
        asked_of(answer(row("shop-1", "cart", EPOCH, requests=10, mean=0.12, deviation=0.05, p95={"95": 0.4})))
        frame = NewRelicMetrics(app="storefront").read(WINDOW, ["shop-1"]).frame.set_index("metric")
        assert frame["deviation"]["response_time"] == pytest.approx(50.0)
        assert frame["deviation"].drop("response_time").isna().all()

    def test_values_and_units(self, asked_of):
        asked_of(
            answer(
                row("shop-1", "cart", EPOCH, requests=10, mean=0.12, errors=2, apdex={"score": 0.9, "count": 10},
                    p95={"95": 0.4}),
                row("shop-1", "pay", EPOCH + 60, requests=4, mean=0.5, errors=0, apdex=0.75, p95=0.8),
                messages=("sampled",),
            )
        )  # fmt: skip
        sample = NewRelicMetrics(app="storefront").read(WINDOW, ["shop-1"])
        assert table(sample) == {
            ("shop-1", "cart", "response_time"): (120.0, 10),
            ("shop-1", "cart", "response_time.p95"): (400.0, 10),
            ("shop-1", "cart", "error_rate"): (2.0, 10),
            ("shop-1", "cart", "throughput"): (10.0, 10),
            ("shop-1", "cart", "apdex"): (0.9, 10),
            ("shop-1", "pay", "response_time"): (500.0, 4),
            ("shop-1", "pay", "response_time.p95"): (800.0, 4),
            ("shop-1", "pay", "error_rate"): (0.0, 4),
            ("shop-1", "pay", "throughput"): (4.0, 4),
            ("shop-1", "pay", "apdex"): (0.75, 4),
        }
        assert set(sample.frame["time"]) == {BEGIN, BEGIN + dt.timedelta(minutes=1)}
        assert sample.warnings == ("sampled",)
        assert [(m.name, m.kind, m.direction, m.unit) for m in sample.metrics] == [
            ("response_time", "latency", "higher_is_worse", "ms"),
            ("response_time.p95", "latency", "higher_is_worse", "ms"),
            ("error_rate", "errors", "higher_is_worse", "errors"),
            ("throughput", "throughput", "either", "requests"),
            ("apdex", "apdex", "lower_is_worse", "apdex"),
        ]

    def test_empty_buckets_and_nulls_have_no_rows(self, asked_of):
        asked_of(
            answer(
                row("shop-1", "cart", EPOCH, requests=0, mean=None, errors=0, apdex=None, p95={"95": None}),
                row("shop-1", "cart", EPOCH + 60, requests=3, mean=None, errors=None, apdex={"score": None}, p95={}),
                row("shop-1", "pay", EPOCH, requests=None),
                {"requests": 3, "host": "shop-1", "name": "x", "mean": 1.0},
            )
        )
        sample = NewRelicMetrics(app="storefront").read(WINDOW, ["shop-1"])
        assert table(sample) == {("shop-1", "cart", "error_rate"): (0.0, 3), ("shop-1", "cart", "throughput"): (3.0, 3)}

    def test_facets_without_attribute_names(self, asked_of):
        bare = {"beginTimeSeconds": EPOCH, "facet": ["shop-1", "cart"], "requests": 2, "mean": 0.1}
        asked_of(answer(bare))
        sample = NewRelicMetrics(app="s", metrics=("response_time",)).read(WINDOW, ["shop-1"])
        assert table(sample) == {("shop-1", "cart", "response_time"): (100.0, 2)}

    def test_a_bucket_of_no_year_is_left_out(self, asked_of):
        good = {"beginTimeSeconds": EPOCH, "facet": "shop-1", "requests": 2, "mean": 0.1}
        asked_of(answer(*({**good, "beginTimeSeconds": at} for at in (1e308, -1e18, 1e12)), good))
        sample = NewRelicMetrics(app="s", metrics=("response_time",)).read(WINDOW, ["shop-1"])
        assert table(sample) == {("shop-1", "", "response_time"): (100.0, 2)}

    def test_a_single_facet_is_no_list(self, asked_of):
        queries = asked_of(answer({"beginTimeSeconds": EPOCH, "facet": "shop-1", "requests": 2, "mean": 0.1}))
        sample = NewRelicMetrics(app="s", metrics=("response_time",), group_by="").read(WINDOW, ["shop-1"])
        assert table(sample) == {("shop-1", "", "response_time"): (100.0, 2)}
        assert " FACET host LIMIT MAX " in queries[0]

    def test_strangers_are_left_out(self, asked_of):
        asked_of(answer(row("other", "cart", EPOCH, requests=9, mean=1.0)))
        assert len(NewRelicMetrics(app="s").read(WINDOW, ["shop-1"]).frame) == 0

    def test_nothing_found_has_columns_and_types(self, asked_of):
        asked_of(answer(), answer(row("a", "b", EPOCH, requests=1, mean=1.0)))
        source = NewRelicMetrics(app="s")
        empty, full = source.read(WINDOW, ["a"]).frame, source.read(WINDOW, ["a"]).frame
        assert tuple(empty.columns) == (*METRIC_COLUMNS, *FURTHER_METRIC_COLUMNS)
        assert list(empty.dtypes) == list(full.dtypes)
        assert str(empty["time"].dtype) == "datetime64[ns, UTC]"
        assert len(full) > 0

    def test_no_instance_is_not_asked_for(self, asked_of):
        queries = asked_of(answer())
        assert len(NewRelicMetrics(app="s").read(WINDOW, []).frame) == 0
        assert queries == []

    def test_long_windows_and_many_instances_take_several_queries(self, asked_of):
        queries = asked_of(answer())
        day = Window(BEGIN, BEGIN + dt.timedelta(hours=8))
        NewRelicMetrics(app="s").read(day, [f"host-{n}" for n in range(150)])
        assert len(queries) == 4
        assert all(query.count("host-") <= 100 for query in queries)

    def test_a_rest_of_a_bucket_is_read_too(self, asked_of):
        queries = asked_of(answer())
        NewRelicMetrics(app="s", bucket="1m").read(Window(BEGIN, BEGIN + dt.timedelta(seconds=70)), ["a"])
        assert [query.partition(" SINCE ")[2] for query in queries] == [
            f"{EPOCH}000 UNTIL {EPOCH + 60}000 TIMESERIES 60 seconds",
            f"{EPOCH + 60}000 UNTIL {EPOCH + 70}000 TIMESERIES 10 seconds",
        ]

    def test_the_limit_of_groups_is_said(self, asked_of, monkeypatch):
        monkeypatch.setattr("airflow_cd.hooks.nrql.MOST_FACETS", 2)
        asked_of(answer(row("a", "x", EPOCH, requests=1, mean=1.0), row("a", "y", EPOCH, requests=1, mean=1.0)))
        assert "its limit of 2 groups" in NewRelicMetrics(app="s").read(WINDOW, ["a"]).warnings[0]

    @pytest.mark.parametrize("name", ["x' OR 'a'='a", "a\\", "", "a\nb"])
    def test_a_hostile_instance_is_refused(self, asked_of, name):
        queries = asked_of(answer())
        with pytest.raises(SourceQueryRejected, match="instance name"):
            NewRelicMetrics(app="s").read(WINDOW, ["a", name])
        assert queries == []

    def test_a_mistake_that_was_let_through_is_not_sent(self, asked_of):
        queries = asked_of(answer())
        with pytest.raises(SourceQueryRejected, match=r"app: .*quote"):
            NewRelicMetrics(app="Bob's").read(WINDOW, ["a"])
        assert queries == []

    def test_the_vendors_refusal_comes_through(self, asked_of):
        asked_of(Answer(401, {"errors": [{"message": "no", "extensions": {"error_code": "BAD_API_KEY"}}]}))
        with pytest.raises(SourceUnauthorized):
            NewRelicMetrics(app="s").read(WINDOW, ["a"])

    @pytest.mark.parametrize("value", [math.nan, math.inf, True, "0.1"])
    def test_what_is_no_number_is_left_out(self, asked_of, value):
        found = answer(row("a", "x", EPOCH, requests=1, mean=0.0, apdex=0.0))
        found.body["data"]["actor"]["account"]["nrql"]["results"][0]["mean"] = value
        asked_of(found)
        sample = NewRelicMetrics(app="s", metrics=("response_time", "apdex")).read(WINDOW, ["a"])
        assert table(sample) == {("a", "x", "apdex"): (0.0, 1)}


class TestNothing:
    @pytest.fixture
    def account(self, connect):
        """An account whose transactions are of one app and of two hosts; one query has no host."""

        def respond(asked: Asked) -> Answer:
            query = asked.body["variables"]["query"]
            if " FACET appName " in query:
                return answer({"facet": "storefront", "appName": "storefront", "count": 9})
            there = "FROM Queue" in query or "appName = 'storefront'" in query
            if " TIMESERIES " in query or not there or " FACET host " not in query:
                return answer()
            return answer(*({"facet": host, "host": host, "requests": 9} for host in ("shop-1", "shop-2")))

        with serving(respond) as url:
            connect("new_relic_default", conn_type="new_relic", host=url, password="NRAK-X", login="7")
            yield

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            (NewRelicMetrics("storefront"), "Nothing is known of shop-9: the attribute host holds shop-1, shop-2."),
            (NewRelicMetrics("storefrnot"), "no transaction of the app 'storefrnot' in the hour before; did you mean"),
            (NewRelicMetrics("storefront", host_attribute="pod"), "of any instance with the attribute pod"),
            (NewRelicQuery("SELECT max(x) FROM Queue", DUPLICATES), "Nothing is known of shop-9: the attribute host"),
            (NewRelicQuery("SELECT max(x) FROM Quuee", DUPLICATES), "Nothing that is asked for has happened in the"),
        ],
    )
    def test_names_that_are_not_there(self, account, source, says):
        (warning,) = source.read(WINDOW, ["shop-9"]).warnings
        assert says in warning

    def test_an_instance_that_is_quiet_is_not_unknown(self, account):
        assert NewRelicMetrics("storefront").read(WINDOW, ["shop-1"]).warnings == ()


class TestSpecification:
    def test_defaults(self):
        source = NewRelicMetrics(app="storefront")
        assert source.mistakes() == []
        assert source.name == "New Relic storefront"
        assert source.delay == dt.timedelta(seconds=30)
        assert source.bucket == dt.timedelta(minutes=1)
        assert NewRelicMetrics(app="storefront", metrics=["apdex"], delay="30s").metrics == ("apdex",)

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"app": ""}, "app: '' is empty"),
            ({"app": None}, "app: None"),
            ({"app": "x' OR 1=1"}, "quote"),
            ({"conn_id": " "}, "conn_id"),
            ({"metrics": ()}, "not a tuple of metric names"),
            ({"metrics": "apdex"}, "not a tuple of metric names"),
            ({"metrics": ("latency",)}, "'latency' is not a metric; known are response_time"),
            ({"metrics": ("response_time.p0",)}, "not a metric"),
            ({"metrics": (None,)}, "None is not a metric"),
            ({"metrics": ("apdex", "apdex")}, "named twice"),
            ({"where": "a = 'x"}, "does not close"),
            ({"where": "a = 1) OR (1 = 1"}, "does not close"),
            ({"where": "a = 1 SINCE 1 day ago"}, "SINCE cannot be part of a condition"),
            ({"host_attribute": "host name"}, "host_attribute"),
            ({"group_by": "name, x"}, "group_by"),
            ({"apdex_t": 0}, "apdex_t"),
            ({"apdex_t": "fast"}, "apdex_t"),
            ({"bucket": "soon"}, "bucket: 'soon' is not a duration"),
            ({"bucket": "500ms"}, "at least 1s"),
            ({"bucket": "1500ms"}, "whole number of seconds"),
            ({"delay": -1}, "delay: -1 is not a duration"),
        ],
    )
    def test_mistakes_are_named(self, fields, says):
        mistakes = NewRelicMetrics(**{"app": "shop", **fields}).mistakes()
        assert says in "\n".join(mistakes)
        assert all(mistake.startswith("NewRelicMetrics(") for mistake in mistakes)

    def test_all_mistakes_are_found_at_once(self):
        assert len(NewRelicMetrics(app="a'b", metrics=("x",), bucket="y", delay="z").mistakes()) == 4

    def test_percentiles_are_free(self):
        assert NewRelicMetrics(app="s", metrics=("response_time.p50", "response_time.p99.9")).mistakes() == []


class TestQuery:
    def test_clauses_are_put_in_their_places(self, asked_of):
        queries = asked_of(answer())
        source = NewRelicQuery("SELECT filter(average(x), WHERE y = 1) FROM Queue WHERE z = 'a b' OR q = 2", DUPLICATES)
        source.read(WINDOW, ["a"])
        assert len(queries) == 1
        assert queries[0] == (
            "SELECT count(*) AS 'measured_requests', filter(average(x), WHERE y = 1) FROM Queue "
            "WHERE (z = 'a b' OR q = 2) AND host IN ('a') FACET host LIMIT MAX "
            f"SINCE {EPOCH}000 UNTIL {EPOCH + 120}000 TIMESERIES 60 seconds"
        )

    def test_without_a_condition(self, asked_of):
        queries = asked_of(answer())
        NewRelicQuery("FROM Queue SELECT max(depth)", DUPLICATES, group_by="queue").read(WINDOW, ["a"])
        assert queries[0].startswith(
            "FROM Queue SELECT count(*) AS 'measured_requests', max(depth) WHERE host IS NOT NULL AND host IN ('a') "
            "FACET host, queue LIMIT MAX SINCE "
        )

    @pytest.mark.parametrize("value", [3.5, {"95": 3.5}, {"score": 3.5, "count": 9}])
    def test_value(self, asked_of, value):
        found = {"beginTimeSeconds": EPOCH, "endTimeSeconds": EPOCH + 60, "facet": "a", "host": "a"}
        asked_of(answer({**found, "measured_requests": 2, "average.x": value}))
        sample = NewRelicQuery("SELECT average(x) FROM Queue", DUPLICATES).read(WINDOW, ["a"])
        assert table(sample) == {("a", "", "queue"): (3.5, 2)}
        assert sample.metrics == (DUPLICATES,)

    def test_events_without_a_value_are_said(self, asked_of):
        found = {"beginTimeSeconds": EPOCH, "facet": "a", "host": "a", "measured_requests": 2, "average.x": None}
        asked_of(answer(found))
        sample = NewRelicQuery("SELECT average(x) FROM Queue", DUPLICATES).read(WINDOW, ["a"])
        assert len(sample.frame) == 0
        assert sample.warnings == ("1 buckets hold events but no value of queue.",)

    def test_two_values_are_refused(self, asked_of):
        found = {"beginTimeSeconds": EPOCH, "facet": "a", "host": "a", "measured_requests": 2, "x": 1, "y": 2}
        asked_of(answer(found))
        with pytest.raises(SourceQueryRejected, match=r"selects 2 values \(x, y\)"):
            NewRelicQuery("SELECT sum(x), sum(y) FROM Queue", DUPLICATES).read(WINDOW, ["a"])

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "nrql: '' is empty"),
            ("SELECT average(x)", "FROM is missing"),
            ("SELECT average(x) FROM A SINCE 1 day ago", "SINCE is added"),
            ("SELECT average(x) FROM A FACET b LIMIT 3", "LIMIT is added"),
            ("SELECT average(x FROM A", "does not close"),
            ("SELECT average(x) FROM A WHERE b = 1) OR (1 = 1", "does not close"),
            ("SELECT average(x) FROM A WHERE b = 1 WHERE c = 2", "WHERE is there twice"),
        ],
    )
    def test_mistakes(self, text, says):
        assert says in "\n".join(NewRelicQuery(text, DUPLICATES).mistakes())

    def test_metric_must_be_one(self):
        assert "is not a Metric" in "\n".join(NewRelicQuery("SELECT sum(x) FROM A", "x").mistakes())  # type: ignore[arg-type]
