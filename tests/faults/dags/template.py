"""The pipeline of one fault, in a file of its own so that it can be broken: its name is that of the environment."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from airflow_cd import Canary, Environment, Pipeline, Verification, clock
from airflow_cd.verification.samples import LogSample, Window
from tests.steady_logs import errors, orders

SCRIPTS = Path(os.environ["FAULT_SCRIPTS"])
NAME = Path(__file__).stem

if (off := SCRIPTS / f"{NAME}.clock").exists():
    # Of this process alone, as on one of many machines.
    true, ahead = clock.machine_now, timedelta(seconds=float(off.read_text()))
    clock.machine_now = lambda: true() + ahead


@dataclass(frozen=True)
class ScriptedLogs:
    """Orders, and from the moment on that the test has written down, an exception of the new release."""

    name: str = "scripted"
    delay: timedelta = timedelta(0)

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        import pandas as pd

        (SCRIPTS / f"{NAME}.looked").touch()
        rows = orders(window, instances)
        bad = SCRIPTS / f"{NAME}.bad"
        if bad.exists():
            since = datetime.fromisoformat(bad.read_text())
            rows += errors(window, [name for name in instances if name.endswith("-01")], since)
        frame = pd.DataFrame(rows, columns=["time", "instance", "message"])
        frame["time"] = pd.to_datetime(frame["time"], utc=True)
        return LogSample(frame=frame, query=f"scripted {NAME}")


settings = json.loads((SCRIPTS / f"{NAME}.json").read_text())
dag = Pipeline(
    NAME,
    service="shop",
    stages=[
        Canary(
            Environment(NAME, target="http_production"),
            phases=[50, 100],
            verify=Verification(
                logs=[ScriptedLogs()],
                duration=settings.get("duration", "10m"),
                every="0.5s",
                minimum="1s",
                longest_lag="0s",
            ),
        )
    ],
).dag()
