"""What is read from texts and files: log lines, metrics, addresses, durations, parameters."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow_cd.commits.record import is_web_page
from airflow_cd.durations import parse_duration
from airflow_cd.hooks import nrql
from airflow_cd.hooks.sumo_logic import may_redirect
from airflow_cd.http.body import Body, TooLarge, Undecodable
from airflow_cd.http.redaction import Redactor, shown_address, user_info_of
from airflow_cd.http.retry import parse_retry_after
from airflow_cd.plugin.audit.bodies import is_too_deep, why_refused
from airflow_cd.release import planned_release
from airflow_cd.secret_values.detection import form_of, suspicion
from airflow_cd.secret_values.references import Reference
from airflow_cd.secret_values.sealing import Sealer
from airflow_cd.sources.buckets import Buckets
from airflow_cd.sources.cloud_watch_streams import Streams
from airflow_cd.sources.metric_files import Point, gathered
from airflow_cd.sources.otlp import OtlpStamps
from airflow_cd.sources.otlp_files import OtlpFileMetrics
from airflow_cd.sources.otlp_series import happened
from airflow_cd.sources.statsd import StatsdStamps, parsed
from airflow_cd.targets.aws_lambda.alias import own_description
from airflow_cd.targets.aws_lambda.variables import RELEASE, configuration_of, given_of, own_of
from airflow_cd.targets.revisions.note import Note
from airflow_cd.task_ids import read_task_id
from airflow_cd.verification.files.metrics import read_metrics
from airflow_cd.verification.files.opening import InputFile, opened
from airflow_cd.verification.logs.block_masking import mask
from airflow_cd.verification.logs.cleaning import clean_line, clean_record
from airflow_cd.verification.logs.counting import count_records
from airflow_cd.verification.logs.headers.ansi import without_colours
from airflow_cd.verification.logs.headers.failures import exception_in, reports_failure, suggests_failure
from airflow_cd.verification.logs.headers.json_records import unfold_json
from airflow_cd.verification.logs.headers.levels import level_in
from airflow_cd.verification.logs.headers.prefixes import without_prefix
from airflow_cd.verification.logs.headers.reader import read_header
from airflow_cd.verification.logs.headers.requests import read_request
from airflow_cd.verification.logs.headers.stamps import without_stamp
from airflow_cd.verification.logs.masking import mask_line, without_marks
from airflow_cd.verification.logs.recognition import signature_of_line, signature_of_record
from airflow_cd.verification.logs.refining import refine
from airflow_cd.verification.logs.traces.joining import RecordJoiner, join_lines
from airflow_cd.verification.metrics.names.reading import read_name
from airflow_cd.verification.samples import Metric, Window
from tests.attacks.fuzz.trial import Reader

LOG = (
    "2026-11-28T08:00:00.123Z ", "Nov 28 08:00:00 host app[12]: ", "<134>1 ", "INFO ", "[ERROR] ", "level=warn ",
    'msg="', "com.acme.Shop - ", "[main] ", '10.0.0.7 - - [28/Nov/2026:08:00:00 +0000] "GET /a?b=c HTTP/1.1" 500 7',
    "\tat com.acme.Shop.pay(Shop.java:88)\n", "Caused by: java.io.IOException: gone\n", "\t... 12 more\n",
    "Traceback (most recent call last):\n", '  File "/srv/a.py", line 8, in b\n', "ValueError: x\n",
    "panic: runtime error\n\ngoroutine 1 [running]:\n", "main.go:12 +0x1d\n", "    at f (/a/b.js:1:2)\n",
    "\x1b[31m", "0xdeadbeef", "550e8400-e29b-41d4-a716-446655440000", '{"level":"error","msg":"', '"}', "{}",
    "2026-11-28 08:00:00 stdout F ", "exception", "=", "[", "\\", "://", "a@", "%2", "aA1", "1.5e9", "\n", 'key="a b" ',
    "Unhandled exception. System.Exception: x\n   at A.B() in C.cs:line 3\n",
    "thread 'main' panicked at src/a.rs:1:2:\n",
    "PHP Fatal error:  Uncaught Error: x in /a.php:3\nStack trace:\n#0 {main}\n", "-----", "... ", "status=503 ",
)  # fmt: skip
JSON_LOG = (
    '{"', "level", "severity", "message", "msg", "log", '":"', '","', '":{"', "}}", '"}', '":[', "]", '":500,"',
    "exception", "stack_trace", "err", "time", "@timestamp", "error", "\\u0000", "\\ud800", '\\"', '{"log":"a\\n"}',
    "1e999", "-", "null", "true", "[[[[", '":{"type":"X","frames":[{"file":"a","line":1}]}',
)  # fmt: skip
METRICS = (
    "time,metric,value\n", "time,a,b\n", "time,instance,metric,group,value,count\n", "2026-11-23T08:00:00Z,", "1,",
    "p95,", "12.5\n", "\n", '"', '""', ",", "nan", "inf", "1e400", "1764316800", "1764316800000,", "http_total,", "\t",
    ";", 'le="0.5"', "\ufeff", "0x1", "a,a,a\n", "٣", "-", "1_000", "28/11/2026,",
)  # fmt: skip
ADDRESSES = (
    "https://", "http://", "//", "user:pass", "@", "api.sumologic.com", "[::1]", "[", "]", ":443", ":99999",
    "/a/b", "?x=",
    "#", "\\", "%00", "%2f", "..", "xn--", "Wed, 21 Oct 2026 07:28:00 GMT", "120", "1e9", "-1", "Bearer ", "key=",
)  # fmt: skip
PARAMETERS = (
    "1.2", "v1.2-rc.1+b", "10m", "1h30m", "5 s", '{"a": 1}', "{", "}", "null", "secret:a/b",
    "secret:variable/x", "plain:",
    "sealed:", "production.phase_20.deploy", ".", "__", "NaN", "{service}", "{version.__class__}", "postgres://u:p@h/d",
    "AKIA", "ghp_", "eyJ", "-----BEGIN ", "PRIVATE KEY", "[", "]", "password", ":", "0" * 40, "P1DT2H", "infinity",
)  # fmt: skip


GIVEN = {"version": "1.2", "artifact": "shop:1.2", "code": "0", "kinds": {"LIMIT": "json"}, "own": {"LIMIT": "1"}}
STATSD = (
    "Flushing stats at  Fri Apr 03 2020 15:18:13 GMT+0900\n", "{\n", "}\n", "  counters: {", " 'a.b': 1,", " timers: {",
    " a: [ 1, 2 ]", "... 7 more items", "gauges: {}", "sets:", "timer_data: { a: { count: 3, sum: 4 } }", "}, ",
    "1764316800 ", "2026-11-23T05:00:00Z ", "2026-99-99T05:00:00Z ", "a.b:1|c|@0.1|#x:y\n", "a.b 1 1764316800\n",
    "a=1 (count)\n", ":1:2|ms\n", "|@0", "1e999", "\x1b[32m", "\n", "'", "\\'", "[",
)  # fmt: skip
OTLP = (
    "resourceMetrics", "resource", "scopeMetrics", "metrics", "dataPoints", "attributes", "key", "value", "stringValue",
    "timeUnixNano", "startTimeUnixNano", "asInt", "asDouble", "count", "sum", "bucketCounts", "explicitBounds",
    "scale", "positive", "offset", "zeroCount", "flags", "aggregationTemporality", "NaN", "1795852800000000000", "-1",
)  # fmt: skip
OTLP_BATCH = {"resourceMetrics": [{
    "resource": {"attributes": [{"key": "service.instance.id", "value": {"stringValue": "a"}}]},
    "scopeMetrics": [{"metrics": [
        {"name": "g", "gauge": {"dataPoints": [{"timeUnixNano": "1795852800000000000", "asDouble": 1.5}]}},
        {"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [{
            "timeUnixNano": "1795852800000000000", "startTimeUnixNano": "1795852700000000000", "count": "3", "sum": 1.0,
            "bucketCounts": ["1", "2"], "explicitBounds": [0.5]}]}},
        {"name": "e", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [{
            "timeUnixNano": "1795852800000000000", "count": "3", "sum": 1.0, "scale": 3, "zeroCount": "1",
            "positive": {"offset": -2, "bucketCounts": ["1", "1"]}, "negative": {"bucketCounts": []}}]}},
    ]}],
}]}  # fmt: skip


def _statsd(text: str) -> None:
    stamps, now = StatsdStamps(), datetime(2026, 11, 28, 8, tzinfo=timezone.utc)
    _gather(parsed([(stamps.of(line) or now, line) for line in text.split("\n")], "a").points)


def _otlp(content: Any) -> None:
    source = OtlpFileMetrics("/metrics.json", "h")
    line = json.dumps(content)
    OtlpStamps().of(line)
    raw, _ = source._parsed({"": [(datetime(2026, 11, 28, 8, tzinfo=timezone.utc), line)]})
    _gather(happened(raw, "", "status", lambda _: 0.0).points)


def _gather(points: Sequence[Point]) -> None:
    hour = Buckets(datetime(2026, 11, 28, 8, tzinfo=timezone.utc), timedelta(minutes=1), 60)
    gathered(points, {name: Metric(name, "latency") for name in "agheb"}, hour, ["a"])


def _line(text: str) -> None:
    masked = mask_line(text)
    read_header(masked)
    read_request(masked)
    for read in (level_in, exception_in, reports_failure, suggests_failure):
        read(text)
    for strip in (without_colours, without_prefix, without_stamp):
        strip(text)


def _record(text: str) -> None:
    troubles: dict[str, int] = {}
    signature_of_record(clean_record(clean_line(text, troubles), troubles))
    signature_of_line(mask_line(text))


def _joined(text: str) -> None:
    lines = text.split("\n")
    list(join_lines(lines))
    joiner = RecordJoiner()
    list(joiner.feed(lines))
    list(joiner.finish())


def _counted(text: str) -> None:
    count_records(text.split("\n"))


def _masked(text: str) -> None:
    lines = text.encode("utf-8", "replace").decode().replace("\n", " ").split("\r")
    lines = text.encode("utf-8", "replace").decode().replace("\n", " ").split("\r")
    if mask(lines) != [refine(mask_line(without_marks(line))) for line in lines]:
        raise AssertionError("a block is masked otherwise than its lines")


def _address(text: str) -> None:
    shown_address(text)
    user_info_of(text)
    is_web_page(text)
    may_redirect("https://api.sumologic.com", text, [text[:40]])
    seconds = parse_retry_after(text)
    if seconds is not None and not seconds >= 0:
        raise AssertionError(f"a pause of {seconds} s")


def _redacted(text: str) -> None:
    if "secret-of-the-shop" in Redactor(["secret-of-the-shop"])(text):
        raise AssertionError("it is not redacted")


def _secret(text: str) -> None:
    suspicion("/" + text[:30], text)
    form_of(text)
    Reference.parse("secret:" + text)


def _release(text: str) -> None:
    planned_release("shop", text[:20], "{service}:{version}", {}, text, environment="dev")


def _body(content: bytes) -> None:
    is_too_deep(content)
    why_refused("PATCH", "/api/v2/dags/a/dagRuns", content)


def _answer(content: bytes) -> None:
    for encoding in (None, "gzip", "deflate"):
        try:
            body = Body(encoding, 1_000_000)
            body.take(content)
            body.content()
        except (TooLarge, Undecodable):
            pass


def _metrics(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.csv"
        path.write_bytes(content)
        read_metrics(InputFile(str(path), "canary", "metrics", "m"))


def _file(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.log"
        path.write_bytes(content)
        with opened(str(path)) as stream:
            stream.read()


def _query(text: str) -> None:
    nrql.is_balanced(text)
    list(nrql.clauses(text))
    nrql.is_name(text)


def _overrides(content: Any) -> None:
    planned_release("shop", "1.0", "{service}:{version}", {}, content, environment="dev")
    planned_release("shop", "1.0", "{service}:{version}", {}, json.dumps(content), environment="dev")


def _note(text: str) -> object:
    note = Note.of(text)
    return note.as_set({"7": 100.0}), own_description(text), Note.of(note.text)


def _variables(value: Any) -> object:
    variables = {RELEASE: json.dumps(value), "LIMIT": "5"}
    return configuration_of(variables, given_of(variables)), own_of(variables)


def _streams(text: str) -> object:
    now = datetime(2026, 3, 1, tzinfo=timezone.utc)
    streams, window = Streams(text), Window(now, now + timedelta(minutes=5))
    if list(streams.mistakes()):
        return None
    return streams.of("7", window), streams.prefixes(window), streams.instance_in(text)


READERS: Sequence[Reader] = (
    Reader("log line", _line, LOG),
    Reader("log record", _record, LOG),
    Reader("log lines joined", _joined, LOG),
    Reader("log records counted", _counted, LOG),
    Reader("log block masked", _masked, LOG),
    Reader("JSON log line", unfold_json, JSON_LOG),
    Reader("metric name", read_name, ("http_request_duration_seconds_bucket", "_total", ".p95", "cpu", "rate",
        "/", "_")),
    Reader("metric file", _metrics, METRICS, binary=True),
    Reader("StatsD lines", _statsd, STATSD),
    Reader("note of weights", _note, ("airflow-cd", " token=", "7", " canary=", " part=20", " keys=a,b", "[", "]")),
    Reader("release of a version", _variables, ("kinds", "own", "json", "1.2", "code"), seeds=(GIVEN,)),
    Reader("names of streams", _streams, ("%Y", "/%m", "%d", "%", "[{instance}]", "*", "shop", "7", "{", "\\")),
    Reader("OTLP batch", _otlp, tuple(OTLP), seeds=(OTLP_BATCH,)),
    Reader("file", _file, ("\x1f\x8b\x08", "BZh9", "(\xb5/\xfd", "\xfd7zXZ", *LOG[:6]), binary=True),
    Reader("HTTP body", _answer, ("\x1f\x8b\x08\x00", '{"a":', "x" * 50, "]"), binary=True),
    Reader("request body", _body, ('{"conf":', "{", "[", '"', "\\", "]", "}", ":", "a"), binary=True),
    Reader("address", _address, ADDRESSES),
    Reader("redaction", _redacted, ("secret-of-the-shop", "secret-of-", "c2VjcmV0LW9mLXRoZS1zaG9w", *ADDRESSES)),
    Reader("NRQL", _query, ("SELECT ", "FROM ", "WHERE ", "'", "`", '"', "\\", "(", ")", "--", "/*", "LIMIT MAX")),
    Reader("secret", _secret, PARAMETERS, allowed=(ValueError,)),
    Reader("seal", lambda text: Sealer(["a key"]).open("sealed:" + text, "/x"), ("A", "=", "_-", "1.")),
    Reader("duration", parse_duration, PARAMETERS, allowed=(ValueError,)),
    Reader("version, overrides", _release, PARAMETERS),
    Reader("overrides", _overrides, PARAMETERS, seeds=({"db": {"host": "h", "ports": [1, 2]}, "flag": True},)),
    Reader("task id", read_task_id, PARAMETERS),
)  # fmt: skip
