"""Logs and metrics of the versions of a function, as Lambda writes them to CloudWatch; on moto's server."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from airflow_cd.sources import CloudWatchLogs, CloudWatchMetrics
from airflow_cd.sources.cloud_watch_streams import Streams
from airflow_cd.sources.contract import LogSourceContract, MetricSourceContract
from airflow_cd.verification.samples import Metric, Window

NOW = dt.datetime.now(dt.timezone.utc).replace(second=0, microsecond=0)
WINDOW = Window(NOW - dt.timedelta(minutes=20), NOW - dt.timedelta(minutes=10))
GROUP, STREAM = "/aws/lambda/shop", "%Y/%m/%d/[{instance}]*"
VERSIONS = ["7", "8"]
ALIAS = {"FunctionName": "shop", "Resource": "shop:live"}


@pytest.fixture(scope="module")
def endpoint() -> Any:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    _fill(f"http://{host}:{port}")
    yield f"http://{host}:{port}"
    server.stop()


def _fill(url: str) -> None:
    import boto3

    given = {"endpoint_url": url, "region_name": "eu-central-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    logs, metrics = boto3.client("logs", **given), boto3.client("cloudwatch", **given)
    logs.create_log_group(logGroupName=GROUP)
    for version in (*VERSIONS, "71"):
        # One execution environment began yesterday and still serves; the other has begun since.
        for days, part in ((1, 0), (0, 1)):
            stream = f"{WINDOW.since - dt.timedelta(days=days):%Y/%m/%d}/[{version}]{days}ce41c0"
            logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
            events = [
                {
                    "timestamp": round((WINDOW.since + dt.timedelta(seconds=second)).timestamp() * 1000),
                    "message": f"[INFO]\t2026-05-01T10:00:00.000Z\tid\torder {second} of version {version}\n",
                }
                for second in range(part, 600, 2)
            ]
            logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)
    for version, failed in (("7", 0.0), ("8", 1.0)):
        for minute in range(10):
            at = WINDOW.since + dt.timedelta(minutes=minute, seconds=10)
            sets = [{**ALIAS, "ExecutedVersion": version}, ALIAS, {"FunctionName": "shop"}]
            data = [
                {"MetricName": "Errors", "Dimensions": _listed(one), "Timestamp": at, "Value": value, "Unit": "Count"}
                for one in sets
                for value in (0.0, 0.0, 0.0, failed)
            ]
            metrics.put_metric_data(Namespace="AWS/Lambda", MetricData=data)


def _listed(dimensions: dict[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


@pytest.fixture
def aws(endpoint: str, connect: Any) -> None:
    extra = json.dumps({"region_name": "eu-central-1", "endpoint_url": endpoint})
    connect("aws_default", conn_type="aws", login="a", password="b", extra=extra)


class TestLogsOfVersions(LogSourceContract):
    @pytest.fixture
    def source(self, aws):
        return CloudWatchLogs(GROUP, STREAM)

    @pytest.fixture
    def broken(self, aws):
        return CloudWatchLogs("/aws/lambda/shpo", STREAM)

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return VERSIONS

    def test_every_execution_environment_of_a_version_is_read(self, source):
        frame = source.read(WINDOW, ["7"]).frame
        assert len(frame) == 600
        assert set(frame["instance"]) == {"7"}
        assert frame["message"].str.endswith("of version 7").all(), "and none of version 71"
        assert source.instances(WINDOW) == ["7", "71", "8"]
        assert source.read(WINDOW, ["9"]).warnings == (f"{GROUP} has no stream %Y/%m/%d/[9]*.",)


def test_a_stream_that_several_names_fit_is_of_the_longest(aws, endpoint) -> None:
    import boto3

    given = {"endpoint_url": endpoint, "region_name": "eu-central-1"}
    logs = boto3.client("logs", **given, aws_access_key_id="a", aws_secret_access_key="b")
    logs.create_log_group(logGroupName="pods")
    at = round((WINDOW.since + dt.timedelta(seconds=30)).timestamp() * 1000)
    for stream in ("web-1", "web-api-1"):
        logs.create_log_stream(logGroupName="pods", logStreamName=stream)
        event = {"timestamp": at, "message": f"of {stream}"}
        logs.put_log_events(logGroupName="pods", logStreamName=stream, logEvents=[event])
    frame = CloudWatchLogs("pods", "{instance}-*").read(WINDOW, ["web", "web-api"]).frame
    assert dict(zip(frame["instance"], frame["message"], strict=True)) == {"web": "of web-1", "web-api": "of web-api-1"}
    assert len(frame) == 2


class TestMetricsOfVersions(MetricSourceContract):
    @pytest.fixture
    def source(self, aws):
        return CloudWatchMetrics(
            "AWS/Lambda",
            "Errors",
            Metric("error_rate", "errors"),
            dimension="ExecutedVersion",
            dimensions=ALIAS,
            per_request=True,
        )

    @pytest.fixture
    def broken(self, aws):
        return CloudWatchMetrics("AWS/Lambda", "Erors", dimension="ExecutedVersion", dimensions=ALIAS)

    @pytest.fixture
    def window(self):
        return WINDOW

    @pytest.fixture
    def instances(self):
        return VERSIONS

    def test_errors_of_a_version_are_counted_among_its_calls(self, source):
        frame = source.read(WINDOW, VERSIONS).frame
        assert frame.groupby("instance")["value"].mean().to_dict() == {"7": 0.0, "8": 1.0}
        assert set(frame["count"]) == {4.0}
        assert source.instances(WINDOW) == VERSIONS


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("%Y/%m/%d/[]*", "{instance} is missing"),
        ("{instance}*", "cannot tell web-1 from web-10: put what ends a name between {instance} and *"),
        ("*/[{instance}]", "* stands at the end of a name"),
        ("%Y-%H/[{instance}]*", "%H in '%Y-%H/[{instance}]*' is none of %Y, %m, %d"),
    ],
)
def test_a_name_of_streams_that_cannot_be_is_refused(template: str, said: str) -> None:
    assert said in "".join(CloudWatchLogs(GROUP, template).mistakes())


def test_days_are_those_of_the_window_and_the_one_before() -> None:
    at = dt.datetime(2026, 3, 1, 0, 5, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    window = Window(at, at + dt.timedelta(minutes=10))
    assert Streams("%Y/%m/%d/shop[{instance}]*").of("7", window) == ["2026/02/27/shop[7]", "2026/02/28/shop[7]"]
    assert Streams("app-{instance}*").of("7", window) == ["app-7"]
    assert Streams("100%-{instance}").of("web:1", window) == []
    assert Streams("100%-{instance}").instance_in("100%-web") == "web"
