from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pandas as pd

from airflow_cd.delivery.quiet_logs import QuietLogs
from airflow_cd.http.redaction import Redactor
from airflow_cd.verification.samples import LogSample, Window

NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
WINDOW = Window(NOW, NOW + timedelta(minutes=1))


@dataclass
class Source:
    messages: list[Any]
    name: str = "app log"
    delay: timedelta = field(default=timedelta(0))

    def read(self, window: Window, instances: Any) -> LogSample:
        frame = pd.DataFrame(
            {"time": pd.to_datetime([NOW] * len(self.messages)), "instance": "a", "message": self.messages}
        )
        return LogSample(frame, "q")


@dataclass
class Target:
    redact: Redactor


def read(messages: list[Any], *secrets: str) -> LogSample:
    source = QuietLogs(Source(messages), Target(Redactor(secrets)))  # type: ignore[arg-type]
    assert source.name == "app log"
    return source.read(WINDOW, ["a"])


def test_a_password_that_the_service_logs_is_taken_out_in_every_form() -> None:
    messages = ["login failed: tulip/9&x", b"basic c2hvcDp0dWxpcC85Jng=", "pw=tulip%2F9%26x", "http://a@b is up"]
    shown = list(read(messages, "tulip/9&x").frame["message"])
    assert (shown[0], shown[2], shown[3]) == ("login failed: ***", "pw=***", "http://a@b is up")
    assert "dWxpcC85" not in shown[1]


def test_records_without_one_are_what_the_source_gave() -> None:
    messages = ["a", b"b \xff"]
    assert list(read(messages, "tulip/9&x").frame["message"]) == messages
    assert list(read(messages).frame["message"]) == messages
    assert read([], "tulip/9&x").frame.empty
