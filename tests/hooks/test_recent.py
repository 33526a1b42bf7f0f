"""What a *Test* button says of what there is now: how much, and how old the newest is."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_cd.hooks.datadog import DatadogHook
from airflow_cd.hooks.loki import LokiHook
from airflow_cd.hooks.recent import milliseconds, recent
from airflow_cd.hooks.splunk import SplunkHook
from tests.hooks.vendor_servers import Answer, serving
from tests.sources import stores
from tests.sources.splunk_store import SplunkStore


def now() -> datetime:
    return datetime.now(timezone.utc)


@pytest.mark.parametrize(
    ("number", "ago", "says"),
    [
        (2718, 1.5, r"2,718 records of the last 5 minutes, the newest 1\.[5-9] s old\Z"),
        (1, None, r"1 record of the last 5 minutes\Z"),
        (0, None, r"0 records of the last 5 minutes\Z"),
        (3, -3600, r"the newest 3(600|599)\.\d s ahead of the clock of this machine\Z"),
        (3, -0.5, r"the newest 0\.0 s old\Z"),
    ],
)
def test_what_is_said(number: int, ago: float | None, says: str) -> None:
    newest = None if ago is None else (time.time() - ago) * 1000
    assert re.search(says, recent(number, "record", newest))


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1000.0),
        ("1970-01-01T00:00:01.5Z", 1500.0),
        ("1970-01-01T00:00:00.123456789Z", 123.456),
        ("1970-01-01T01:00:01.25+01:00", 1250.0),
        ("1970-13-01T00:00:01Z", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_times(stamp: str | None, expected: float | None) -> None:
    assert milliseconds(stamp) == (None if expected is None else pytest.approx(expected))


class Datadog(stores.DatadogStore):
    def respond(self, asked: Any) -> Answer:
        return Answer(body={"metrics": ["a", "b"]}) if asked.path == "/api/v1/metrics" else super().respond(asked)


@pytest.mark.parametrize(
    ("kind", "hook", "says"),
    [
        (Datadog, DatadogHook, "2 log events of the last 5 minutes, the newest {} s old; 2 metrics of the last hour"),
        (stores.LokiStore, LokiHook, "2 lines of the last 5 minutes, the newest {} s old, in streams with app"),
        (SplunkStore, SplunkHook, "2 events of the last 5 minutes, the newest {} s old, in shop"),
    ],
)
def test_a_button_says_what_there_is(
    monkeypatch: pytest.MonkeyPatch, kind: type[stores.Store], hook: Any, says: str
) -> None:
    records = [stores.Record(now() - timedelta(seconds=ago), "shop-1", "x", str(ago)) for ago in (7, 60, 400)]
    with serving(kind(records, now)) as url:
        fields = {"conn_type": "x", "host": url, "password": "api:app"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{hook.default_conn_name.upper()}", json.dumps(fields))
        works, text = hook().test_connection()
    assert works, text
    assert re.search(says.format(r"[789]\.\d"), text), text
