"""Pipelines whose verifications take every slot they may have, and one whose environment is rolled back meanwhile."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from airflow_cd import Canary, Environment, Pipeline, Verification
from airflow_cd.verification.samples import LogSample, Window


@dataclass(frozen=True)
class Quiet:
    """A source that nothing comes from for as long as it is watched."""

    name: str = "quiet"
    delay: timedelta = timedelta(0)

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        import pandas as pd

        return LogSample(frame=pd.DataFrame(columns=["time", "instance", "message"]), query="nothing")


def pipeline(environment: str) -> Pipeline:
    verify = Verification(logs=[Quiet()], duration="10m", every="5s", longest_lag="0s")
    canary = Canary(Environment(environment, instances=2), phases=[50, 100], verify=verify)
    return Pipeline(f"busy_{environment}", service="shop", stages=[canary])


for name in os.environ["BUSY_ENVIRONMENTS"].split(","):
    if (dag := pipeline(name).dag()) is not None:
        globals()[dag.dag_id] = dag
