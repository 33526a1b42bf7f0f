"""A canary of a function by the operators, judged by CloudWatch's log streams of its versions.

Lambda is in memory; the logs are on moto's server, read through AWS's own client.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_cd.clock import now
from airflow_cd.ledger import Ledger
from airflow_cd.operators import VerifyOperator
from airflow_cd.release import Release
from airflow_cd.sources import CloudWatchLogs
from airflow_cd.states import DeploymentState, RollbackCause
from airflow_cd.targets.aws_lambda import LambdaTarget
from tests.operators.canary_steps import deploy, promote, roll_back, verify
from tests.operators.world import World
from tests.targets.aws_lambda.functions_in_memory import Functions

GIVEN = {"region_name": "eu-central-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
GOOD, BAD = (Release("shop", version, f"shop:{version}", {"LIMIT": 5}) for version in ("1.1", "1.2"))
SECONDS = 120
"""How long versions log, from when a canary gets requests; a busy machine looks late."""


@pytest.fixture
def source() -> CloudWatchLogs:
    return CloudWatchLogs(f"/aws/lambda/{uuid.uuid4()}", stream="%Y/%m/%d/[{instance}]*", delay="0s")


@pytest.fixture
def logs(source: CloudWatchLogs) -> Iterator[Any]:
    import boto3

    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client("logs", endpoint_url=f"http://{host}:{port}", **GIVEN)  # type: ignore[call-overload]
    # What moto holds is the process's, whichever server is asked.
    client.create_log_group(logGroupName=source.group)
    yield client
    server.stop()


@pytest.fixture
def world(
    new_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: LambdaTarget, logs: Any, connect: Any
) -> World:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    monkeypatch.setenv("AIRFLOW__AIRFLOW_CD__SQL_ALCHEMY_CONN", url)
    monkeypatch.setattr(VerifyOperator, "do_branch", lambda self, context, task: None)
    extra = json.dumps({"region_name": "eu-central-1", "endpoint_url": logs.meta.endpoint_url})
    connect("aws_default", conn_type="aws", login="a", password="b", extra=extra)
    made = World(new_ledger)
    made.target = target  # type: ignore[assignment]
    return made


def served(logs: Any, group: str, *versions: str, failing: str = "") -> None:
    """What versions log from now on, in a stream of an execution environment each."""
    begin = now()
    for version in versions:
        stream = f"{begin:%Y/%m/%d}/[{version}]6a1fce"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        events = []
        for tick in range(SECONDS * 5):
            at = round((begin + timedelta(seconds=tick / 5)).timestamp() * 1000)
            events.append({"timestamp": at, "message": f"[INFO]\t{begin:%FT%TZ}\tid-{tick}\torder {tick} placed\n"})
            if version == failing and tick % 3 == 0:
                said = f"[ERROR]\t{begin:%FT%TZ}\tid-{tick}\tTaxTableMissing: no table for region 9\n"
                events.append({"timestamp": at, "message": said})
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def test_a_bad_version_is_drained_and_restored(
    world: World, functions: Functions, logs: Any, source: CloudWatchLogs
) -> None:
    deploy(world, BAD, 10)
    assert functions.weights() == {"1": 90, "2": 10}
    served(logs, source.group, "1", "2", failing="2")
    left = verify(world, source, 10)
    assert functions.weights() == {"1": 100}
    roll_back(world, 10, left)
    bad = world.delivery().require_deployment()
    assert (bad.state, bad.cause) == (DeploymentState.ROLLED_BACK, RollbackCause.FAILED)
    assert "TaxTableMissing" in (bad.outcome or "")


def test_a_good_version_is_promoted(world: World, functions: Functions, logs: Any, source: CloudWatchLogs) -> None:
    deploy(world, GOOD, 10)
    served(logs, source.group, "1", "2")
    left = verify(world, source, 10)
    assert set(left.values()) == {"next"}
    deploy(world, GOOD, 100)
    promote(world)
    assert world.delivery().require_deployment().state == DeploymentState.PROMOTED
    assert functions.weights() == {"2": 100}
    assert sorted(functions.versions) == ["1", "2"]
