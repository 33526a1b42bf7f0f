"""What a file of many pipelines costs Airflow: CPU to parse and serialize, beside plain DAGs of as many tasks.

python -m benchmarks.dag_parsing [PIPELINES]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup
from airflow.serialization.serialized_objects import DagSerialization

from airflow_cd import Approval, Canary, Environment, Pipeline, Verification
from airflow_cd.pipeline.dag import build, parameters
from airflow_cd.sources import NewRelicMetrics, SumoLogicLogs


@dataclass(frozen=True)
class Cost:
    """CPU seconds for all DAGs, and bytes of JSON for one."""

    parse: float
    serialize: float
    size: int

    @property
    def total(self) -> float:
        """CPU seconds to parse and serialize."""
        return self.parse + self.serialize


def ours(name: str) -> DAG:
    """The DAG of seven stages as in dags/build_com.py."""
    production = Canary(
        Environment("production", instances=10),
        phases=[20, 100],
        mark=["new_relic_default"],
        verify=Verification(
            metrics=[NewRelicMetrics(app="shop")], logs=[SumoLogicLogs(query="_sourceCategory=production/shop")]
        ),
    )
    stages = [
        [Environment("dev"), Environment("test")],
        [Environment("edu"), Environment("sandbox"), Environment("staging")],
        Approval(approvers=["admin"]),
        production,
    ]
    return build(Pipeline(name, service="shop", stages=stages))


def plain(name: str, *, params: bool = False) -> DAG:
    """A DAG of the same groups and tasks in a row, all of them Airflow's own operator that does nothing.

    :param params: with the trigger form's parameters given before the tasks are made, as DAG files usually do.
    """
    with DAG(name, schedule=None, params=parameters() if params else None) as dag:
        before = None
        for environment in ("dev", "test", "edu", "sandbox", "staging"):
            with TaskGroup(environment):
                for task_id in ("lease", "deploy", "settle"):
                    before = _after(before, EmptyOperator(task_id=task_id))
        before = _after(before, EmptyOperator(task_id="approve"))
        with TaskGroup("production"):
            for task_id in ("lease", "promote", "settle"):
                before = _after(before, EmptyOperator(task_id=task_id))
            for phase in ("phase_20", "phase_100"):
                with TaskGroup(phase):
                    for task_id in ("deploy", "mark", "verify", "rollback"):
                        before = _after(before, EmptyOperator(task_id=task_id))
    return dag


def _after(before: EmptyOperator | None, task: EmptyOperator) -> EmptyOperator:
    if before is not None:
        before >> task
    return task


def cost(make: Callable[[str], DAG], pipelines: int) -> Cost:
    """What it costs to make and serialize so many DAGs."""
    began = time.process_time()
    dags = [make(f"pipeline_{number}") for number in range(pipelines)]
    parsed = time.process_time()
    stored = [DagSerialization.to_dict(dag) for dag in dags]
    serialized = time.process_time()
    return Cost(parsed - began, serialized - parsed, len(json.dumps(stored[0])))


def main() -> None:
    """Print both, and their ratio."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("pipelines", type=int, nargs="?", default=300)
    pipelines = arguments.parse_args().pipelines
    ways: dict[str, Callable[[str], DAG]] = {
        "plain DAGs": plain,
        "plain DAGs, params before": lambda name: plain(name, params=True),
        "ours": ours,
    }
    for make in ways.values():
        make("warm")
    costs = {name: cost(make, pipelines) for name, make in ways.items()}
    same = len(ours("same").tasks) == len(plain("same").tasks)
    print(f"{pipelines} DAGs of {len(ours('count').tasks)} tasks each{'' if same else ' (NOT the same number)'}")
    print(f"{'':<28}{'parse':>9}{'serialize':>11}{'together':>10}{'ratio':>7}{'JSON':>9}")
    for name, spent in costs.items():
        ratio = spent.total / costs["plain DAGs"].total
        print(
            f"{name:<28}{spent.parse:>7.2f} s{spent.serialize:>9.2f} s{spent.total:>8.2f} s{ratio:>7.2f}"
            f"{spent.size / 1000:>6.1f} kB"
        )


if __name__ == "__main__":
    main()
