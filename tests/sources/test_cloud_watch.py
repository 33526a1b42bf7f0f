"""CloudWatch's logs and metrics against moto's server, which AWS's own client takes for AWS."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
import requests

from airflow_cd.errors import SourceQueryRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.cloud_watch import CloudWatch
from airflow_cd.sources import CloudWatchLogs, CloudWatchMetrics
from airflow_cd.sources.contract import LogSourceContract, MetricSourceContract
from airflow_cd.verification.samples import Metric, Window

NOW = dt.datetime.now(dt.timezone.utc).replace(second=0, microsecond=0)
WINDOW = Window(NOW - dt.timedelta(minutes=20), NOW - dt.timedelta(minutes=10))
HOSTS = ["i-1", "i-2"]
REGION = "eu-central-1"
SERVICE = {"Service": "shop"}


@pytest.fixture(scope="module")
def endpoint() -> Any:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    _fill(url)
    yield url
    server.stop()


def _fill(url: str) -> None:
    import boto3

    given = {"endpoint_url": url, "region_name": "eu-central-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    logs, metrics = boto3.client("logs", **given), boto3.client("cloudwatch", **given)
    logs.create_log_group(logGroupName="shop")
    for host in HOSTS:
        stream = f"web/{host}"
        logs.create_log_stream(logGroupName="shop", logStreamName=stream)
        events = [
            {
                "timestamp": round((WINDOW.since + dt.timedelta(seconds=second)).timestamp() * 1000),
                "message": f"{'ERROR failed' if second % 60 == 0 else 'INFO served'} {second} on {host}\n",
            }
            for second in range(-30, 630)
        ]
        logs.put_log_events(logGroupName="shop", logStreamName=stream, logEvents=events)
        for minute in range(-1, 11):
            at = WINDOW.since + dt.timedelta(minutes=minute, seconds=10)
            dimensions = [{"Name": "InstanceId", "Value": host}, {"Name": "Service", "Value": "shop"}]
            data = [
                {"MetricName": "Latency", "Dimensions": dimensions, "Timestamp": at, "Value": value, "Unit": "Seconds"}
                for value in (0.1, 0.3)
            ]
            data += [{"MetricName": "Orders", "Dimensions": dimensions, "Timestamp": at, "Value": 3.0}]
            metrics.put_metric_data(Namespace="Shop", MetricData=data)


@pytest.fixture
def aws(endpoint: str, connect: Any) -> str:
    extra = json.dumps({"region_name": "eu-central-1", "endpoint_url": endpoint})
    connect("aws_default", conn_type="aws", login="a", password="b", extra=extra)
    return endpoint


class TestLogs(LogSourceContract):
    @pytest.fixture
    def source(self, aws):
        return CloudWatchLogs("shop", "web/{instance}")

    @pytest.fixture
    def broken(self, aws):
        return CloudWatchLogs("shpo", "web/{instance}")

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return HOSTS

    def test_what_is_read(self, source):
        frame = source.read(WINDOW, ["i-1"]).frame
        assert list(frame["message"].head(2)) == ["ERROR failed 0 on i-1", "INFO served 1 on i-1"]
        assert len(frame) == 600
        assert source.instances(WINDOW) == HOSTS

    def test_words(self, source, connect):
        with pytest.raises(SourceQueryRejected, match=r"ResourceNotFoundException.*log group"):
            CloudWatchLogs("shpo").read(WINDOW, HOSTS)
        assert source.read(WINDOW, ["i-9"]).warnings == ("shop has no stream web/i-9.",)
        connect(
            "aws_default",
            conn_type="aws",
            login="a",
            password="b",
            extra=json.dumps({"region_name": "eu-central-1", "endpoint_url": "http://127.0.0.1:1"}),
        )
        with pytest.raises(SourceUnavailable, match="cannot be reached"):
            source.read(WINDOW, HOSTS)
        assert "stream: {instance} is missing" in "".join(CloudWatchLogs("shop", "web").mistakes())

    def test_an_empty_page_is_not_the_end(self, monkeypatch):
        pages = [{"events": [], "nextToken": "a"}, {"events": [], "nextToken": "b"}, {"events": [1]}]
        asked = []

        class Client:
            def filter_log_events(self, **given: Any) -> Any:
                asked.append(given.get("nextToken"))
                return pages[len(asked) - 1]

        monkeypatch.setattr(CloudWatch, "_client", lambda *_: Client())
        assert [page["events"] for page in CloudWatch("aws_default").pages("logs", "filter_log_events")] == [
            [],
            [],
            [1],
        ]
        assert asked == [None, "a", "b"]

    def test_an_answer_without_an_end_is_given_up(self, monkeypatch):
        class Client:
            number = 0

            def filter_log_events(self, **given: Any) -> Any:
                self.number += 1
                return {"events": [], "nextToken": str(self.number)}

        monkeypatch.setattr(CloudWatch, "_client", lambda *_: Client())
        with pytest.raises(SourceUnavailable, match="has not ended"):
            list(CloudWatch("aws_default").pages("logs", "filter_log_events"))


class TestMetrics(MetricSourceContract):
    @pytest.fixture
    def source(self, aws):
        return CloudWatchMetrics("Shop", "Latency", dimensions={"Service": "shop"})

    @pytest.fixture
    def broken(self, aws):
        return CloudWatchMetrics("Shop", "Latensy", dimensions={"Service": "shop"})

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return HOSTS

    def test_what_is_read(self, source):
        frame = source.read(WINDOW, ["i-1"]).frame
        assert list(frame["value"]) == pytest.approx([0.2] * 10)
        assert list(frame["count"]) == [2.0] * 10
        orders = CloudWatchMetrics("Shop", "Orders", Metric("orders", "count"), dimensions={"Service": "shop"})
        assert list(orders.read(WINDOW, ["i-1"]).frame["value"]) == [3.0] * 10
        assert source.instances(WINDOW) == HOSTS
        # Parts and rates of one period are not those of another.
        for name in ("order_error_rate", "orders_per_second"):
            parts = CloudWatchMetrics("Shop", "Orders", name, dimensions={"Service": "shop"})
            assert "Average" in parts.read(WINDOW, ["i-1"]).query

    def test_the_newest_periods_may_not_be_published_yet(self, source, monkeypatch):
        monkeypatch.setattr("airflow_cd.sources.cloud_watch_metrics.utc_now", lambda: WINDOW.until)
        frame = source.read(WINDOW, ["i-1"]).frame
        assert frame["time"].max() == WINDOW.until - dt.timedelta(minutes=3 + 1)

    def test_words(self, source, aws):
        with pytest.raises(SourceUnavailable, match="no metric Latensy in Shop; did you mean 'Latency'"):
            CloudWatchMetrics("Shop", "Latensy").read(WINDOW, HOSTS)
        with pytest.raises(SourceQueryRejected, match="by InstanceId, Service, and not by InstanceId"):
            CloudWatchMetrics("Shop", "Latency").read(WINDOW, HOSTS)
        assert "Nothing is known of i-9" in source.read(WINDOW, ["i-9"]).warnings[0]
        assert "periods of whole minutes" in "".join(CloudWatchMetrics("a", "b", bucket="7s").mistakes())


@pytest.fixture
def keys(endpoint: str) -> Any:
    """Access keys of who may read, and of who may not; those of nobody are refused meanwhile."""
    import boto3

    given = {"endpoint_url": endpoint, "region_name": REGION, "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    iam = boto3.client("iam", **given)
    found = {}
    for name in ("reader", "stranger"):
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        found[name] = {"login": key["AccessKeyId"], "password": key["SecretAccessKey"]}
    # What AWS calls cloudwatch is called monitoring here.
    allowed = {"Effect": "Allow", "Action": ["logs:*", "monitoring:*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="reader", PolicyName="reads", PolicyDocument=policy)
    requests.post(f"{endpoint}/moto-api/reset-auth", data=b"0", timeout=10).raise_for_status()
    yield found
    requests.post(f"{endpoint}/moto-api/reset-auth", data=b"inf", timeout=10).raise_for_status()


def test_what_is_wrong_with_the_credentials(keys, endpoint, connect):
    extra = json.dumps({"region_name": REGION, "endpoint_url": endpoint})
    reader = keys["reader"]
    connect("aws_default", conn_type="aws", extra=extra, **reader)
    sources = [CloudWatchLogs("shop", "web/{instance}"), CloudWatchMetrics("Shop", "Orders", dimensions=SERVICE)]
    assert all(len(source.read(WINDOW, HOSTS).frame) for source in sources)
    for credentials, says in (
        ({**reader, "password": "guessed" * 6}, r"refuses the credentials \(403\).*signature"),
        ({**reader, "login": "AKIAEXAMPLE"}, r"refuses the credentials \(403\).*token.* is invalid"),
        (keys["stranger"], r"refuses the credentials \(403\).*stranger is not authorized"),
        ({}, "there are no credentials"),
    ):
        connect("aws_default", conn_type="aws", extra=extra, **credentials)
        for source in sources:
            with pytest.raises(SourceUnauthorized, match=rf"connection 'aws_default'.*{says}") as raised:
                source.read(WINDOW, HOSTS)
            assert "\n" not in str(raised.value)
            assert "access key" in (raised.value.next_step or "")


def test_being_told_to_wait_is_noted(monkeypatch):
    from airflow_cd.verification.throttling import noted
    from tests.http.scripted_server import Answer, ScriptedServer

    server = ScriptedServer()
    kind = {"Content-Type": "application/x-amz-json-1.1"}
    throttled = Answer(400, {"__type": "ThrottlingException", "message": "Rate exceeded"}, kind)
    server.answer_with(throttled, throttled, Answer(200, {"events": []}, kind))
    monkeypatch.setenv("AIRFLOW_CONN_AWS_SLOW", json.dumps({
        "conn_type": "aws", "login": "a", "password": "b",
        "extra": {"region_name": "eu-central-1", "endpoint_url": server.url},
    }))  # fmt: skip
    try:
        with noted() as notes:
            CloudWatch("aws_slow").first("logs", "filter_log_events", logGroupName="shop")
    finally:
        server.stop()
    assert len(server.asked) == 3
    assert notes.all.times == 2
    assert 0 < notes.all.waited < 30
