"""Native histograms by the names of the signals, on a real Prometheus."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources import PrometheusMetrics, PrometheusQuery
from airflow_cd.sources.contract import MetricSourceContract
from tests import tiers
from tests.sources import metric_servers, remote_write
from tests.sources.prometheus_data import BEGIN, END, WINDOW, moment, scrapes

NAME = "http_server_request_duration_seconds"
RESET = END - 307.0


@pytest.fixture(scope="module")
@tiers.starts("server")
def address(tmp_path_factory) -> Any:
    if why := metric_servers.missing("prometheus"):
        tiers.unavailable("prometheus", why)

    def samples(share: float, begin: float, reset: float | None = None) -> list[bytes]:
        """Two requests a second; half of them take 0.1 s and half 0.2 s."""
        found = []
        for at in scrapes(max(begin, END - 1800.0), END):
            since = reset if reset is not None and at >= reset else begin
            each = int((at - since) * share)
            found.append(remote_write.histogram(at, each * 0.3, {0.1: each, 0.2: each} if each else {1.0: 0}))
        return found

    with remote_write.prometheus(tmp_path_factory.mktemp("native")) as url:
        for instance, begin, reset in (
            ("shop-1:8080", BEGIN, None),
            ("shop-2:8080", BEGIN, RESET),
            ("new-1:8080", END - 240.0, None),
        ):
            series = []
            for code, share in (("200", 0.9), ("503", 0.1)):
                labels = {"__name__": NAME, "instance": instance, "job": "shop", "http_response_status_code": code}
                series.append((labels, samples(share, begin, reset)))
            remote_write.write(url, series)
        # Its target has another label since: the series end, and others go on.
        for code, share in (("200", 0.9), ("503", 0.1)):
            labels = {"__name__": NAME, "instance": "renamed-1", "job": "shop", "http_response_status_code": code}
            held, at_last = samples(share, BEGIN), len(scrapes(END - 240.0, END))
            remote_write.write(url, [({**labels, "role": "canary"}, held[:-at_last])])
            remote_write.write(url, [({**labels, "role": "stable"}, held[-at_last:])])
        yield url


@pytest.fixture
def source(address, connect) -> PrometheusMetrics:
    connect("prometheus_default", conn_type="prometheus", host=address)
    return PrometheusMetrics("opentelemetry", where='job="shop"')


class TestContract(MetricSourceContract):
    @pytest.fixture
    def source(self, source):
        return source

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return ["shop-1", "shop-2"]


def test_requests_failures_and_durations(source):
    sample = source.read(WINDOW, ["shop-1"])
    frame = sample.frame
    assert {metric.name for metric in sample.metrics} == {
        "throughput",
        "error_rate",
        "response_time",
        "response_time.p95",
    }
    of = {name: frame[frame["metric"] == name]["value"] for name in set(frame["metric"])}
    assert sum(of["throughput"]) == pytest.approx(1200, abs=4)
    assert sum(of["error_rate"]) == pytest.approx(120, abs=4)
    assert of["response_time"].between(149, 151).all()
    # Between 177 and 250 ms: the bucket that 200 ms fall into.
    assert of["response_time.p95"].between(177, 250).all()
    assert frame[frame["metric"] == "response_time"]["deviation"].between(20, 80).all()


def test_a_histogram_that_begins_again_or_is_new_counts_from_0(source):
    frame = source.read(WINDOW, ["shop-2", "new-1"]).frame
    sums = frame[frame["metric"] == "throughput"].groupby("instance")["value"].sum()
    assert sums["shop-2"] == pytest.approx(1200, abs=40)
    assert sums["new-1"] == pytest.approx(480, abs=40)


def test_a_histogram_under_another_label_has_not_done_it_all_now(source):
    frame = source.read(WINDOW, ["renamed-1"]).frame
    of = {name: frame[frame["metric"] == name]["value"] for name in set(frame["metric"])}
    assert sum(of["throughput"]) == pytest.approx(1200, abs=40)
    assert sum(of["error_rate"]) == pytest.approx(120, abs=10)
    assert max(of["throughput"]) <= 70
    assert of["response_time"].between(149, 151).all()


def test_a_query_for_one_names_what_makes_a_number_of_it(source):
    with pytest.raises(SourceQueryRejected, match="histogram_quantile"):
        PrometheusQuery(f"{NAME}{{{{instances}}}}", "response_time").read(WINDOW, ["shop-1"])
    query = f"histogram_quantile(0.95, sum by (instance) (rate({NAME}{{{{instances}}}}[{{bucket}}])))"
    frame = PrometheusQuery(query, "response_time", bucket="1m").read(WINDOW, ["shop-1"]).frame
    assert frame["value"].between(0.17, 0.25).all()
    assert frame["time"].min() == moment(0)
