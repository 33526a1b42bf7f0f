"""A pipeline whose configuration refers to secrets, and whose new release logs them while it fails."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from airflow_cd import Canary, Environment, Pipeline, Verification
from airflow_cd.verification.samples import LogSample, Window

LOGGED = Path(os.environ["PLANTED_IN_LOGS"])


@dataclass(frozen=True)
class TellingLogs:
    """Orders; and of the first instance what it tried to log in with."""

    name: str = "telling"
    delay: timedelta = timedelta(0)

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        import pandas as pd

        rows = [
            (pd.Timestamp(window.since), name, f"2026-01-01T00:00:00.000Z INFO shop - order {number} placed")
            for name in instances
            for number in range(20)
        ]
        secret = LOGGED.read_text()
        token = base64.b64encode(f"shop:{secret}".encode()).decode()
        line = (
            f"2026-01-01T00:00:00.000Z ERROR shop.db - LoginRefused: {secret}, "
            f"postgres://shop:{quote(secret, safe='')}@db, Basic {token}"
        )
        rows += [(pd.Timestamp(window.since), name, line) for name in instances if name.endswith("-01")] * 5
        return LogSample(pd.DataFrame(rows, columns=["time", "instance", "message"]), query="telling")


dag = Pipeline(
    "planted",
    service="shop",
    configuration={
        "db": {"password": "secret:planted_db/password"},
        "token": "secret:variable/planted_token",
        "queue": "secret:planted_queue/password",
    },
    stages=[
        Canary(
            Environment("planted", target="http_planted"),
            phases=[50, 100],
            verify=Verification(logs=[TellingLogs()], duration="5m", every="0.5s", minimum="1s", longest_lag="0s"),
        )
    ],
).dag()
