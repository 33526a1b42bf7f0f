"""The rollback DAG of a pipeline: it rolls one of the pipeline's environments back, at any time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import DAG, Param, TaskGroup

from airflow_cd.durations import parse_duration
from airflow_cd.operators import RollbackToOperator, SettleOperator
from airflow_cd.pipeline.dag import set_parameters
from airflow_cd.pipeline.environment import Environment, longest_deploy
from airflow_cd.pipeline.specification import Pipeline, environment_of
from airflow_cd.plan import Plan
from airflow_cd.sensors import LeaseSensor
from airflow_cd.states import Role
from airflow_cd.task_ids import ROLLBACK_GROUP, local_id

ASKED_FOR = "{{ params.environment }}"
"""The environment of its tasks: a parameter of the run."""

SHARED = ("access_control", "default_args", "on_failure_callback", "on_success_callback", "owner_links")
"""The author's DAG arguments that hold for the rollback DAG as well."""


def environments(pipeline: Pipeline) -> list[Environment]:
    """Every environment of a pipeline, in its order.

    :param pipeline: any.
    """
    found = [environment_of(member) for stage in pipeline.members() for member in stage]
    return [environment for environment in found if environment is not None]


def build_rollback(pipeline: Pipeline) -> DAG | None:
    """The rollback DAG of a pipeline.

    A DAG of its own, so that neither a paused pipeline nor a run that waits for an approval delays a rollback.

    :param pipeline: one without mistakes.
    :returns: None for a pipeline without an environment.
    """
    known = environments(pipeline)
    if not known:
        return None
    given = pipeline.dag_arguments
    arguments: dict[str, Any] = {name: given[name] for name in SHARED if name in given}
    longest = max(parse_duration(environment.timeout) for environment in known)
    common: dict[str, Any] = {
        "service": pipeline.deployed_service,
        "environment": ASKED_FOR,
        "target": {environment.name: pipeline.target_of(environment) for environment in known},
        "timeout_healthy": longest,
        # Its runs are bound to no steps, but have no other parameters than these.
        "plan": Plan(),
    }
    with (
        DAG(
            pipeline.rollback_name,
            description=f"Roll back {pipeline.deployed_service} now: artifact and configuration, in one environment.",
            schedule=None,
            catchup=False,
            # Airflow pauses new DAGs by default, and a rollback must run at once.
            is_paused_upon_creation=False,
            tags=["airflow-cd", "rollback"],
            **arguments,
        ) as dag,
        TaskGroup(ROLLBACK_GROUP),
    ):
        lease = LeaseSensor(task_id=local_id(Role.LEASE), supersede=True, going_back=True, **common)
        ends = longest_deploy(longest, common["target"].values())
        deploy = RollbackToOperator(
            task_id=local_id(Role.ROLLBACK_TO), mark=_marks(pipeline), execution_timeout=ends, **common
        )
        settle = SettleOperator(task_id=local_id(Role.SETTLE), going_back=True, **common)
        lease >> deploy >> settle.as_teardown(setups=lease, on_failure_fail_dagrun=True)
    set_parameters(dag, _parameters([environment.name for environment in known]))
    return dag


def _marks(pipeline: Pipeline) -> dict[str, Sequence[str]]:
    return {one.environment.name: one.mark for one in pipeline.strategies()}


def _parameters(names: list[str]) -> dict[str, Param]:
    return {
        "environment": Param(type="string", enum=names, title="Environment", description="Where to roll back."),
        "release": Param(
            default="",
            type=["string", "null"],
            title="Release",
            description="Version, or the beginning of the digest, of a release that was good there; empty for the one "
            "before what runs, or is being deployed, when this is asked for.",
        ),
        "reason": Param(type="string", minLength=1, title="Reason", description="The reason, recorded in the ledger."),
    }
