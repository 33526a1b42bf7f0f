"""One pipeline for each case, in an environment of its own, judged by logs that its test writes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator

from airflow_cd import Approval, Canary, Environment, Pipeline, Verification
from airflow_cd.ledger import open_ledger
from airflow_cd.sources import CheckResults, NewRelicMetrics
from airflow_cd.verification.samples import LogSample, Window
from tests.steady_logs import errors, orders

SCRIPTS = Path(os.environ["CANARY_SCRIPTS"])
CASES = json.loads((SCRIPTS / "cases.json").read_text())


@dataclass(frozen=True)
class ScriptedLogs:
    """Logs as the test's file for the pipeline says, read anew at each look."""

    case: str
    name: str = "scripted"
    delay: timedelta = timedelta(0)

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        import pandas as pd

        (SCRIPTS / f"{self.case}.pid").write_text(str(os.getpid()))
        script = json.loads((SCRIPTS / f"{self.case}.json").read_text())
        if script.get("die"):
            os._exit(1)
        if script.get("silent") and window.until > datetime.fromisoformat(script["after"]):
            return LogSample(frame=pd.DataFrame(columns=["time", "instance", "message"]), query=f"scripted {self.case}")
        rows = orders(window, instances)
        if bad := script.get("bad"):
            # Only the new release is bad, and from its present phase on, however late the test could say so.
            ledger = open_ledger()
            [deployment] = ledger.deployments.matching("shop", self.case, limit=1)
            phase = ledger.phases.of(deployment.id)[-1]
            since = phase.deployed_at or deployment.opened_at
            rows += errors(window, [name for name in instances if name.endswith(bad)], since)
        frame = pd.DataFrame(rows, columns=["time", "instance", "message"])
        frame["time"] = pd.to_datetime(frame["time"], utc=True)
        return LogSample(frame=frame, query=f"scripted {self.case}")


def returned(result: Any) -> Any:
    return result


def _smoke(checks: Any) -> PythonOperator:
    # A machine that is busy enough lets Airflow take the worker for dead.
    again = {"retries": 5, "retry_delay": timedelta(seconds=1)}
    return PythonOperator(task_id="smoke", python_callable=returned, op_args=[checks], **again)


def pipeline(case: str) -> Pipeline:
    given = CASES[case]
    logs: list[Any] = [ScriptedLogs(case)]
    metrics = []
    if conn_id := given.get("new_relic"):
        logs = []
        metrics = [NewRelicMetrics(app="shop", conn_id=conn_id, bucket="1s", delay="1s")]
    if given.get("checks"):
        metrics = [CheckResults("smoke")]
    verify = Verification(
        metrics=metrics,
        logs=logs,
        duration=given.get("duration", "3s"),
        every="0.5s",
        minimum="1s",
        longest_lag="0s",  # these sources are in time, and the tests pass in real time
        ask_timeout=given.get("ask_timeout", "10m"),
    )
    environment = Environment(case, target=given.get("target", f"http_{case}"), instances=2)
    production = Canary(environment, phases=[50, 100], verify=verify)
    stages: list[Any] = [Approval(approvers=["alice"]), production] if given.get("approval") else [production]
    if checks := given.get("checks"):
        # Beside the canary, as a run of tests would be; it ends while the canary is watched.
        stages = [[production, _smoke(checks)]]
    return Pipeline(f"canary_{case}", service="shop", stages=stages)


for case in sorted(CASES):
    if (dag := pipeline(case).dag()) is not None:
        globals()[dag.dag_id] = dag
