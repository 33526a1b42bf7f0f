"""The sources of Prometheus against two real servers that speak its API."""

from __future__ import annotations

import itertools
import math
from contextlib import ExitStack
from typing import Any

import pytest

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.prometheus import PrometheusHook
from airflow_cd.sources import PrometheusMetrics, PrometheusQuery
from airflow_cd.sources.contract import MetricSourceContract
from airflow_cd.verification.samples import Metric, Window
from tests import tiers
from tests.sources import metric_servers
from tests.sources.prometheus_data import WINDOW, everything, moment

INSTANCES = ["shop-1", "shop-2"]
SERVERS = ("prometheus", "victoria-metrics")


@pytest.fixture(scope="module")
@tiers.starts("server")
def addresses(tmp_path_factory) -> Any:
    if why := metric_servers.missing("prometheus", "promtool", "victoria-metrics"):
        tiers.unavailable("prometheus", why)
    scraped = everything()
    with ExitStack() as stack:
        made = {
            "prometheus": stack.enter_context(metric_servers.prometheus(scraped, tmp_path_factory.mktemp("prom"))),
            "victoria-metrics": stack.enter_context(
                metric_servers.victoria_metrics(scraped, tmp_path_factory.mktemp("victoria"))
            ),
        }
        yield made


@pytest.fixture(params=SERVERS)
def server(addresses, connect, request) -> str:
    connect("prometheus_default", conn_type="prometheus", host=addresses[request.param])
    return str(request.param)


def values(sample, metric):
    frame = sample.frame[sample.frame["metric"] == metric]
    return {(row.instance, (row.time - moment(0)).total_seconds()): row.value for row in frame.itertuples()}


class TestMetricsContract(MetricSourceContract):
    @pytest.fixture
    def source(self, server):
        return PrometheusMetrics("opentelemetry", where='job="shop"')

    @pytest.fixture
    def broken(self, server):
        return PrometheusMetrics("micrometer")

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return INSTANCES


class TestQueryContract(MetricSourceContract):
    @pytest.fixture(params=["queue_depth", "orders_per_second"])
    def source(self, server, request):
        queries = {
            "queue_depth": "queue_depth{{instances}}",
            "orders_per_second": "sum by (instance) (rate(http_server_request_duration_seconds_count"
            '{job="shop", {instances}}[{bucket}]))',
        }
        return PrometheusQuery(queries[request.param], request.param)

    @pytest.fixture
    def broken(self, server):
        return PrometheusQuery("queue_dept{{instances}}", "queue_depth")

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return INSTANCES


def test_what_is_gone_does_not_count_on(server):
    frame = PrometheusMetrics("cadvisor").read(WINDOW, ["gone-1", "stays-1"]).frame
    last = frame.groupby("instance")["time"].max()
    assert last["stays-1"] == moment(570)
    # Prometheus answers an old sample for five minutes; the bucket of the last one is the last.
    assert last["gone-1"] == moment(270)


class TestCounting:
    def test_every_request_counts_once_in_what_scrapes_saw(self, server):
        sample = PrometheusMetrics("opentelemetry").read(WINDOW, ["shop-1"])
        requests, errors = values(sample, "throughput"), values(sample, "error_rate")
        # 1.8 and 0.2 a second, each rounded down at each scrape.
        assert sum(requests.values()) == pytest.approx(1200, abs=4)
        assert sum(errors.values()) == pytest.approx(120, abs=2)
        assert all(value == round(value) for value in requests.values())
        assert len(requests) == 20

    def test_a_histogram_gives_mean_scatter_and_percentile(self, server):
        sample = PrometheusMetrics("opentelemetry").read(WINDOW, ["shop-1"])
        assert list(values(sample, "response_time").values()) == pytest.approx([100.0] * 20)
        # Half of them below 100 ms, all below 250: nine tenths of the way through the second bucket.
        assert list(values(sample, "response_time.p95").values()) == pytest.approx([235.0] * 20, abs=3)
        means = sample.frame[sample.frame["metric"] == "response_time"]
        assert list(means["deviation"]) == pytest.approx([62.5] * 20, abs=1)

    def test_histograms_of_other_buckets_are_compared_by_the_ends_that_all_have(self, server):
        source = PrometheusMetrics("opentelemetry", where='job="ends"')
        sample = source.read(WINDOW, ["fine-1", "coarse-1"])
        found = values(sample, "response_time.p95")
        assert {round(value) for value in found.values()} == {480}
        assert "end otherwise on some instances" in sample.warnings[0]
        assert "by the ends that all have (0.1, 0.5)" in sample.warnings[0]
        alone = source.read(WINDOW, ["fine-1"])
        assert {round(value) for value in values(alone, "response_time.p95").values()} == {195}
        assert alone.warnings == ()

    @pytest.mark.parametrize(
        ("instance", "errors"),
        [
            ("both-1", None),
            ("phrase-1", None),
            ("other-1", 'http_code=~"5.."'),
            ("words-1", 'status="error"'),
        ],
    )
    def test_each_failure_counts_once_however_it_is_told(self, server, instance, errors):
        source = PrometheusMetrics("http", where='job="told"', errors=errors)
        sample = source.read(WINDOW, [instance])
        assert sum(values(sample, "throughput").values()) == 1200
        assert sum(values(sample, "error_rate").values()) == 600

    def test_a_counter_that_begins_again_counts_from_0(self, server):
        sample = PrometheusMetrics("opentelemetry").read(WINDOW, ["shop-2"])
        requests = values(sample, "throughput")
        # What was counted between the last scrape and the end of the process nobody can know: 8 s at most.
        assert 1200 - 2 * 15 - 4 <= sum(requests.values()) <= 1204
        assert min(requests.values()) > 0

    def test_what_failed_before_the_first_scrape_counts(self, server):
        sample = PrometheusMetrics("http").read(WINDOW, ["new-1"])
        assert sum(values(sample, "error_rate").values()) == 3.0
        assert sum(values(sample, "throughput").values()) == 5 + 15 + 3

    def test_a_process_that_is_scraped_late_has_not_done_it_all_now(self, server):
        sample = PrometheusMetrics("opentelemetry").read(WINDOW, ["old-1"])
        assert sum(values(sample, "throughput").values()) < 700

    def test_only_the_instance_itself_is_matched(self, server):
        odd = "shop.3+(a)|b\\c"
        sample = PrometheusMetrics("opentelemetry").read(WINDOW, [odd, "a", "b"])
        assert set(sample.frame["instance"]) == {odd}
        assert sum(values(sample, "throughput").values()) == pytest.approx(1200, abs=4)

    def test_groups(self, server):
        sample = PrometheusMetrics("opentelemetry", group_by="http_route").read(WINDOW, ["shop-1"])
        assert set(sample.frame["group"]) == {"/cart"}

    @pytest.mark.parametrize("offset", [1, 7, 29.5])
    def test_windows_at_odd_offsets_neither_lose_nor_repeat(self, server, offset):
        source = PrometheusMetrics("opentelemetry")
        whole = values(source.read(WINDOW, INSTANCES), "throughput")
        ends = [0, offset, offset + 60, offset + 95, 600]
        found: dict[Any, float] = {}
        for begin, end in [*itertools.pairwise(ends)][::-1]:
            part = values(source.read(Window(moment(begin), moment(end)), INSTANCES), "throughput")
            assert not found.keys() & part.keys()
            found |= part
        assert found == whole

    def test_more_points_than_an_answer_may_have(self, server):
        window = Window(moment(600 - 12_000), moment(600))
        sample = PrometheusQuery("queue_depth{{instances}}", "queue_depth", bucket="1s").read(window, ["shop-1"])
        times = sample.frame["time"]
        assert len(sample.frame) == 12_000
        assert times.is_unique
        assert (times.max() - times.min()).total_seconds() == 11_999

    def test_what_is_no_number_is_missing_and_what_never_ended_is_long(self, server):
        ratio = PrometheusQuery("empty_ratio{{instances}}", Metric("empty", "share", "lower_is_worse"))
        assert len(ratio.read(WINDOW, INSTANCES).frame) == 0
        waits = PrometheusQuery("wait_seconds{{instances}}", "wait_seconds", bucket="15s").read(WINDOW, ["shop-1"])
        assert math.inf in set(waits.frame["value"])
        levels = PrometheusQuery("wait_seconds{{instances}}", Metric("w", "gauge"), bucket="15s")
        assert set(levels.read(WINDOW, ["shop-1"]).frame["value"]) == {1.0}


class TestSeriesThatAppear:
    """What has happened, however long their processes had counted before."""

    @pytest.mark.parametrize(
        ("instance", "errors", "requests"),
        [
            ("first-1", 45, 600 + 45),
            ("other-route-1", 3, 600 + 3),
            ("back-1", 1, 600 + 1),
            ("renamed-1", 0, 600),
            ("died-1", 5, 3 + 5),
            # Of the old process until its last scrape, of the new one until END - 12.
            ("replaced-1", 7, 450 + 10 + 135 + 3 + 7),
        ],
    )
    def test_each_request_counts_once(self, server, instance, errors, requests):
        sample = PrometheusMetrics("http", where='job="appearing"').read(WINDOW, [instance])
        assert sum(values(sample, "error_rate").values()) == errors
        assert sum(values(sample, "throughput").values()) == requests
        assert max(values(sample, "throughput").values()) <= 30 + 45
        assert sample.warnings == ()

    def test_first_errors_of_a_young_process_count_however_many_they_are(self, server):
        sample = PrometheusMetrics("http", where='job="appearing"').read(WINDOW, ["burst-1"])
        assert sum(values(sample, "error_rate").values()) == 300
        assert sample.warnings == ()

    def test_a_process_is_another_one_where_it_has_failed_less(self, server):
        window = Window(moment(600 - 150), moment(600))
        sample = PrometheusMetrics("http", where='job="appearing"').read(window, ["soon-1"])
        assert sum(values(sample, "error_rate").values()) == 20
        assert sum(values(sample, "throughput").values()) == 100 + 138 + 20

    def test_what_cannot_be_known_to_have_happened_now_is_left_out_and_said(self, server):
        sample = PrometheusMetrics("http", where='job="appearing"').read(WINDOW, ["days-1", "first-1"])
        errors = sample.frame[sample.frame["metric"] == "error_rate"].groupby("instance")["value"].sum()
        assert dict(errors) == {"days-1": 0, "first-1": 45}
        assert sum(values(sample, "throughput").values()) == 1200 + 45
        [warning] = sample.warnings
        assert "Series of http_requests_total of days-1 appeared with more than they can have counted" in warning

    def test_what_a_process_did_while_nobody_could_scrape_it_is_not_all_of_its_life(self, server):
        sample = PrometheusMetrics("http", where='job="appearing"').read(WINDOW, ["away-1"])
        assert sum(values(sample, "throughput").values()) <= 150 + 15 + 600

    def test_a_counter_that_is_no_number_once_has_no_value_then(self, server):
        sample = PrometheusMetrics("http", where='job="appearing"').read(WINDOW, ["nan-1"])
        found, nan = values(sample, "throughput"), server == "prometheus"
        if nan:
            assert list(found.values()) == [60.0] * 18
            assert list(values(sample, "error_rate").values()) == [30.0] * 18
        else:  # VictoriaMetrics keeps no such samples.
            assert sum(found.values()) == 1200
        assert [*sample.warnings] == nan * [
            "http_requests_total of nan-1 is no number (NaN) at times; what it counted just then is left out."
        ]

    def test_durations_that_are_no_number_leave_the_requests(self, server):
        sample = PrometheusMetrics("opentelemetry").read(WINDOW, ["unmeasured-1"])
        assert list(values(sample, "throughput").values()) == [30.0] * 20
        assert values(sample, "response_time") == {}
        assert bool(sample.warnings) == (server == "prometheus")

    def test_durations_under_another_label_are_those_of_the_bucket(self, server):
        sample = PrometheusMetrics("opentelemetry").read(WINDOW, ["turned-1"])
        assert max(values(sample, "throughput").values()) <= 62
        assert list(values(sample, "response_time").values()) == pytest.approx([100.0] * 20, abs=1)
        assert list(values(sample, "response_time.p95").values()) == pytest.approx([235.0] * 20, abs=3)

    def test_looks_at_every_bucket_agree_with_one_at_all(self, server):
        source, names = PrometheusMetrics("http", where='job="appearing"'), ["first-1", "back-1", "renamed-1"]
        whole = values(source.read(WINDOW, names), "error_rate")
        found: dict[Any, float] = {}
        for at in range(0, 600, 30):
            found |= values(source.read(Window(moment(at), moment(at + 30)), names), "error_rate")
        assert found == whole

    def test_more_is_asked_only_where_a_series_has_appeared(self, server, monkeypatch):
        asked: list[str] = []
        sent = PrometheusHook.range
        monkeypatch.setattr(
            PrometheusHook, "range", lambda hook, query, *more: asked.append(query) or sent(hook, query, *more)
        )
        source = PrometheusMetrics("http", where='job="appearing"')
        source.read(Window(moment(0), moment(300)), ["first-1"])
        assert not [query for query in asked if '"back"' in query]
        source.read(Window(moment(300), moment(600)), ["first-1"])
        assert len([query for query in asked if '"back"' in query]) == 1


class TestWords:
    """What a person reads who has written something wrong."""

    def test_a_metric_that_is_not_there(self, server):
        with pytest.raises(SourceUnavailable, match=r"no metric queue_dept.*did you mean 'queue_depth'"):
            PrometheusQuery("queue_dept{{instances}}", "queue_depth").read(WINDOW, INSTANCES)

    def test_signals_that_nobody_exports(self, server):
        with pytest.raises(SourceUnavailable, match=r"no metric http_server_requests_seconds_count.*'micrometer'"):
            PrometheusMetrics("micrometer").read(WINDOW, INSTANCES)

    def test_labels_that_fit_nothing(self, server):
        with pytest.raises(SourceUnavailable, match=r"but not with job=.shoop.*Correct `where`"):
            PrometheusMetrics("opentelemetry", where='job="shoop"').read(WINDOW, INSTANCES)

    def test_a_label_that_nothing_has(self, server):
        with pytest.raises(SourceQueryRejected, match=r"no series of it has the label 'pod'.*instance_label"):
            PrometheusMetrics("opentelemetry", instance_label="pod").read(WINDOW, INSTANCES)

    @pytest.mark.parametrize(
        ("instances", "says"),
        [
            (["other-1"], r"other-1 failed: they have no label status or code or status_code .*http_code"),
            (["words-1"], r"words-1 failed: status holds error, success"),
            # The release before told it otherwise.
            (["both-1", "other-1"], r"requests of other-1 failed"),
        ],
    )
    def test_requests_of_which_nothing_says_whether_they_failed(self, server, instances, says):
        with pytest.raises(SourceQueryRejected, match=says) as raised:
            PrometheusMetrics("http", where='job="told"').read(WINDOW, instances)
        assert "errors='http_code=~\"5..\"'" in raised.value.next_step
        sample = PrometheusMetrics("http", where='job="told"', errors="").read(WINDOW, instances)
        assert [metric.name for metric in sample.metrics] == ["throughput"]

    def test_requests_that_nobody_has_answered_yet(self, server):
        frame = PrometheusMetrics("http", where='job="hung"').read(WINDOW, ["hung-1"]).frame
        assert {"throughput", "error_rate"} <= set(frame["metric"])

    def test_labels_of_failures_that_nothing_has(self, server):
        # Perhaps nothing has failed yet; perhaps it is misspelt.
        misspelt = PrometheusMetrics("http", where='job="told"', errors='http_cod=~"5.."').read(WINDOW, ["other-1"])
        assert "No request has had the label http_cod so far" in misspelt.warnings[0]
        assert "labels are code, http_code" in misspelt.warnings[0]
        known = PrometheusMetrics("http", where='job="told"', errors='http_code="599"').read(WINDOW, ["other-1"])
        assert known.warnings == ()

    def test_parts_of_several_series_are_not_added_up(self, server):
        with pytest.raises(SourceQueryRejected, match=r"several series of shop-1, told apart by shard"):
            PrometheusQuery("shard_depth{{instances}}", "error_rate").read(WINDOW, INSTANCES)

    def test_an_instance_that_nobody_knows(self, server):
        sample = PrometheusMetrics("opentelemetry").read(WINDOW, ["shop-1", "shop-9"])
        assert set(sample.frame["instance"]) == {"shop-1"}
        assert any("Nothing is known of shop-9: the label instance" in text for text in sample.warnings)
        assert any("shop-1:8080" in text for text in sample.warnings)

    def test_a_time_in_which_nothing_happened(self, server):
        sample = PrometheusMetrics("http").read(Window(moment(595), moment(660)), ["new-1"])
        assert any("nothing happened in this window" in text for text in sample.warnings)

    def test_requests_that_somebody_else_reports(self, server):
        [warning] = PrometheusMetrics("istio").read(WINDOW, ["way-1"]).warnings
        assert 'istio_requests_total, but has had none with reporter="destination": reporter holds waypoint' in warning

    def test_a_range_that_holds_no_two_scrapes(self, server):
        query = PrometheusQuery("rate(queue_depth{{instances}}[10s])", Metric("arrivals", "throughput"))
        sample = query.read(WINDOW, INSTANCES)
        # VictoriaMetrics looks back further by itself.
        said = "or a range of the query holds fewer than two scrapes" in "".join(sample.warnings)
        assert said == (server == "prometheus") == (not len(sample.frame))

    @pytest.mark.parametrize(
        ("instance", "label", "one"), [("pair-1", "prometheus_replica", "a"), ("jobs-1", "job", "shop")]
    )
    def test_series_that_are_there_twice(self, server, instance, label, one):
        twice = PrometheusMetrics("http").read(WINDOW, [instance])
        [warning] = twice.warnings
        assert f"http_requests_total of {instance} is there 2 times, by {label}" in warning
        assert f"where='{label}=\"{one}\"'" in warning
        once = PrometheusMetrics("http", where=f'{label}="{one}"').read(WINDOW, [instance])
        assert once.warnings == ()
        assert 2 * once.frame["count"].sum() == twice.frame["count"].sum()

    def test_two_processes_on_one_host(self, server):
        [warning] = PrometheusMetrics("process").read(WINDOW, ["two-1"]).warnings
        assert "instance holds two-1:8080 and two-1:9100 of two-1, and all of it is added up" in warning

    def test_a_time_before_a_young_server_had_anything(self, server):
        before = Window(moment(-90000), moment(-89400))
        for source in (PrometheusMetrics("opentelemetry"), PrometheusQuery("queue_depth{{instances}}", "queue_depth")):
            sample = source.read(before, INSTANCES)
            assert not len(sample.frame)
            assert any("nothing happened in this window" in text for text in sample.warnings), sample.warnings

    @pytest.mark.parametrize(
        ("matcher", "says"),
        [
            ('job="shpo"', 'queue_depth, but has had none with job="shpo": job holds shop'),
            ('jbo="shop"', "with jbo=\"shop\": no series of it has the label 'jbo'"),
        ],
    )
    def test_a_query_whose_labels_fit_nothing(self, server, matcher, says):
        query = f"max by (instance) (queue_depth{{{matcher},{{instances}}}})"
        warnings = "\n".join(PrometheusQuery(query, "queue_depth").read(WINDOW, INSTANCES).warnings)
        assert says in warnings
        assert "nothing happened" not in warnings

    def test_requests_of_a_metric_that_is_not_there(self, server):
        requests = "sum by (instance) (increase(nope_total{{instances}}[{bucket}]))"
        with pytest.raises(SourceUnavailable, match="no metric nope_total"):
            PrometheusQuery("queue_depth{{instances}}", "p95_seconds", requests=requests).read(WINDOW, INSTANCES)

    def test_requests_whose_labels_fit_nothing(self, server):
        requests = 'sum by (instance) (increase(http_requests_total{code="299", {instances}}[{bucket}]))'
        source = PrometheusQuery("queue_depth{{instances}}", "p95_seconds", requests=requests)
        warnings = "\n".join(source.read(WINDOW, INSTANCES).warnings)
        assert 'http_requests_total, but has had none with code="299": code holds 200, ' in warnings
        assert "nothing happened" not in warnings

    def test_a_label_to_break_down_by_that_nothing_has(self, server):
        for source in (
            PrometheusMetrics("opentelemetry", group_by="http_ruote"),
            PrometheusQuery("queue_depth{{instances}}", "queue_depth", group_by="http_ruote"),
        ):
            with pytest.raises(SourceQueryRejected, match=r"no series of it has the label 'http_ruote'") as raised:
                source.read(WINDOW, INSTANCES)
            assert "Correct group_by" in raised.value.next_step

    def test_a_query_that_loses_the_label_to_break_down_by(self, server):
        source = PrometheusQuery("sum by (instance) (shard_depth{{instances}})", "shard_depth", group_by="shard")
        sample = source.read(WINDOW, INSTANCES)
        assert len(sample.frame)
        assert "has the label shard, so nothing is broken down" in sample.warnings[-1]

    def test_several_series_of_an_instance(self, server):
        with pytest.raises(SourceQueryRejected, match=r"several series of shop-1, told apart by shard"):
            PrometheusQuery("shard_depth{{instances}}", "shard_depth").read(WINDOW, INSTANCES)
        grouped = PrometheusQuery("shard_depth{{instances}}", "shard_depth", group_by="shard").read(WINDOW, INSTANCES)
        assert set(grouped.frame["group"]) == {"a", "b"}

    def test_a_query_that_loses_the_instance(self, server):
        with pytest.raises(SourceQueryRejected, match=r"without the label 'instance'.*sum by \(instance\)"):
            PrometheusQuery("sum(queue_depth{{instances}})", "queue_depth").read(WINDOW, INSTANCES)

    def test_a_query_that_cannot_be_parsed(self, server):
        with pytest.raises(SourceQueryRejected, match=r"rejected the (query|request)"):
            PrometheusQuery("sum by (queue_depth{{instances}})", "queue_depth").read(WINDOW, INSTANCES)

    def test_instances_are_listed(self, server):
        assert "shop-1:8080" in PrometheusMetrics("opentelemetry", where='job="shop"').instances(WINDOW)
        assert PrometheusQuery("queue_depth{{instances}}", "q").instances(WINDOW) == ["shop-1:8080", "shop-2:8080"]

    def test_the_test_button(self, server):
        works, text = PrometheusHook("prometheus_default").test_connection()
        assert works, text
        assert "answers queries" in text


def test_credentials_and_the_host(addresses, connect, tmp_path):
    with metric_servers.prometheus(metric_servers.Scraped(everything().series[-10:]), tmp_path, guarded=True) as url:
        source = PrometheusQuery("queue_depth{{instances}}", "queue_depth")
        connect(
            "prometheus_default",
            conn_type="prometheus",
            host=url,
            login=metric_servers.USER,
            password=metric_servers.PASSWORD,
        )
        assert len(source.read(WINDOW, INSTANCES).frame) > 0
        connect("prometheus_default", conn_type="prometheus", host=url, login=metric_servers.USER, password="wrong")
        with pytest.raises(SourceUnauthorized, match=rf"{url}.*does not accept the credentials") as raised:
            source.read(WINDOW, INSTANCES)
        assert "wrong" not in str(raised.value)
        connect(
            "prometheus_default",
            conn_type="prometheus",
            host=f"{url}/grafana",
            login=metric_servers.USER,
            password=metric_servers.PASSWORD,
        )
        with pytest.raises(SourceError, match="base URL of this API"):
            source.read(WINDOW, INSTANCES)
        closed = metric_servers.free_port()
        connect("prometheus_default", conn_type="prometheus", host=f"127.0.0.1:{closed}", extra='{"deadline": 1}')
        with pytest.raises(SourceUnavailable, match=f"127.0.0.1:{closed}.*cannot be reached"):
            source.read(WINDOW, INSTANCES)


def test_what_is_not_over_is_not_read(addresses, connect, monkeypatch):
    """Where what was scraped last may still be missing, a bucket is none yet."""
    connect("prometheus_default", conn_type="prometheus", host=addresses["prometheus"])
    monkeypatch.setattr("airflow_cd.sources.prometheus.utc_now", lambda: moment(300))
    sample = PrometheusMetrics("opentelemetry", delay="40s").read(WINDOW, ["shop-1"])
    assert sample.frame["time"].max() == moment(210)
