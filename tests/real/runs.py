"""Runs of pipelines in a real Airflow, as a person asks for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_cd.demo.airflow_client import AirflowClient
from airflow_cd.demo.world import World
from tests import tiers
from tests.pace import PATIENCE
from tests.real.kubernetes.cluster import Cluster


@contextmanager
def airflow_on(cluster: Cluster, folder: Path, *dags: str) -> Iterator[World]:
    """An Airflow with a connection to a cluster, ``kubernetes_real``.

    :param cluster: the cluster.
    :param folder: of its DAGs; empty.
    :param dags: names of files in ``tests/real/dags``.
    """
    for name in dags:
        shutil.copy(Path(__file__).parent / "dags" / name, folder)
    extra = {"kube_config": json.dumps(cluster.kubeconfig)}
    settings = {
        **tiers.UNHURRIED,
        "AIRFLOW_CONN_KUBERNETES_REAL": json.dumps({"conn_type": "kubernetes", "extra": extra}),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    }
    with World(dags=folder, environments={"unused": 1}, rates={"unused": 1.0}, settings=settings) as started:
        yield started


def end_of(
    client: AirflowClient, dag: str, run_id: str, conf: Mapping[str, Any], *, approve: bool, seconds: float = PATIENCE
) -> str:
    """Ask for a release, approve it if it is to come so far, and wait for the run's end.

    :param client: the person.
    :param dag: the pipeline.
    :param run_id: of the run.
    :param conf: version and configuration.
    :param approve: whether the run comes to its approval.
    :param seconds: that each of the two may take.
    :returns: the state of the run.
    """
    run = client.trigger(dag, conf, run_id=run_id)
    if approve:
        client.wait_for_task(dag, run, "approve", "deferred", "awaiting_input", seconds=seconds)
        client.answer(dag, run, "approve", "Approve", "looks good")
    return client.wait_for_run(dag, run, seconds=seconds)
