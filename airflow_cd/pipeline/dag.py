"""The DAG a pipeline becomes: one task group for each environment, one inside it for each phase of a canary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, TaskGroup
from airflow.sdk.definitions.param import ParamsDict

from airflow_cd.capacity import USUAL
from airflow_cd.durations import parse_duration
from airflow_cd.operators import (
    CanaryDeployOperator,
    DeploymentMarkerOperator,
    DeployOperator,
    PromoteOperator,
    RollbackOperator,
    SettleOperator,
    VerifyOperator,
)
from airflow_cd.pipeline.plan import plan_of
from airflow_cd.pipeline.specification import (
    Approval,
    Canary,
    Environment,
    Member,
    Pipeline,
    environment_of,
)
from airflow_cd.release import VERSION
from airflow_cd.sensors import ApprovalSensor, LeaseSensor
from airflow_cd.states import Role, RollbackMode
from airflow_cd.task_ids import TaskId, local_id, phase_name

if TYPE_CHECKING:
    from airflow_cd.plan import Plan
    from airflow_cd.verification.settings import Verification


@dataclass(frozen=True)
class Ends:
    """Where a member of a stage begins and ends.

    :param first: the tasks that wait for the stage before.
    :param last: the tasks that the next stage waits for; never a rollback.
    """

    first: Sequence[Any]
    last: Sequence[Any]


def parameters() -> dict[str, Param]:
    """The trigger form."""
    return {
        "version": Param(
            type="string",
            minLength=1,
            # A line end at the end, which `$` forgives, is none of a version.
            pattern=f"^{VERSION}$(?!\n)",
            title="Version",
            description="The version to deploy, such as 1.2.",
        ),
        "configuration": Param(
            default={},
            type=["object", "null"],
            title="Configuration overrides",
            description="Run-time configuration for this run, on top of the pipeline's and each environment's. "
            "A null removes a key. References to secrets, never secrets.",
        ),
        "reason": Param(
            default="", type=["string", "null"], title="Reason", description="The reason, recorded in the ledger."
        ),
        "rollback": Param(
            default=str(RollbackMode.AUTOMATIC),
            type="string",
            enum=[str(mode) for mode in RollbackMode],
            title="Rollback",
            description="After a failed verification: roll back at once, or drain the canary and ask a person. One "
            "that is inconclusive leaves the canary where it is and asks a person, unless the pipeline says otherwise.",
        ),
        "learn": Param(
            default=False,
            type="boolean",
            title="First release",
            description="Nothing to compare with: deploy as first release. Where nothing of the service runs yet this "
            "is noticed without it, and not verified: once it runs healthy it is the baseline. Set it for a service "
            "that something else has deployed so far: what it logs is then taken as known good.",
        ),
    }


def build(pipeline: Pipeline) -> DAG:
    """The DAG of a pipeline; the same pipeline always becomes the same DAG.

    :param pipeline: one without mistakes.
    """
    arguments: dict[str, Any] = {"schedule": None, "catchup": False, "tags": ["airflow-cd"], **pipeline.dag_arguments}
    with DAG(pipeline.name, description=pipeline.description or None, **arguments) as dag:
        before: Sequence[Any] = ()
        plan = plan_of(pipeline)
        stages = pipeline.members()
        for number, stage in enumerate(stages):
            built = [_member(pipeline, member, dag, plan, _environments(stages[number + 1 :])) for member in stage]
            for ends in built:
                for task in before:
                    for first in ends.first:
                        task >> first
            before = [task for ends in built for task in ends.last]
    set_parameters(dag, parameters())
    weigh_alone(dag)
    return dag


def weigh_alone(dag: DAG) -> None:
    """Let no task of the author's own inherit the weight of what follows it, rollbacks among them.

    :param dag: with all its tasks.
    """
    for task in dag.tasks:
        task.weight_rule = USUAL["weight_rule"]


def set_parameters(dag: DAG, params: Mapping[str, Param]) -> None:
    """Give a DAG its parameters, now that it has its tasks.

    Airflow copies and validates what a DAG has of them for every task that is made, several times; a run reads them
    from the DAG all the same.

    :param dag: with all its tasks.
    :param params: by name; those that the author gave in ``default_args`` stay.
    """
    dag.params = ParamsDict({**params, **{name: dag.params.get_param(name) for name in dag.params}})


def _environments(stages: Sequence[Sequence[Member]]) -> list[Environment]:
    """The environments up to the next approval: what an approval lets through."""
    through: list[Environment] = []
    for stage in stages:
        for member in stage:
            if isinstance(member, Approval):
                return through
            if (environment := environment_of(member)) is not None:
                through.append(environment)
    return through


def _member(pipeline: Pipeline, member: Member, dag: DAG, plan: Plan, then: Sequence[Environment]) -> Ends:
    if isinstance(member, Canary):
        assert member.verify is not None  # noqa: S101 - Pipeline.mistakes() has refused it
        common = _common(pipeline, member.environment, plan)
        return _verified(pipeline, member.environment, common, member.verify, list(member.phases), member.mark)
    if isinstance(member, Environment):
        common = _common(pipeline, member, plan)
        if member.verify is not None:
            return _verified(pipeline, member, common, member.verify, [100], ())
        return _environment(pipeline, member, common)
    if isinstance(member, Approval):
        sensor = ApprovalSensor(
            task_id=member.name,
            approvers=member.approvers or (),
            wait=member.timeout,
            service=pipeline.deployed_service,
            environments=[environment.name for environment in then],
            artifact=pipeline.artifact,
            configurations={environment.name: _configuration(pipeline, environment) for environment in then},
            commits=pipeline.commits,
            plan=plan,
        )
        return Ends([sensor], [sensor])
    if hasattr(member, "task_id") and not callable(getattr(member, "function", None)):
        if not member.has_dag():
            dag.add_task(member)
        return Ends([member], [member])
    task = member() if callable(member) else member
    return Ends([task], [task])


def _common(pipeline: Pipeline, environment: Environment, plan: Plan) -> dict[str, Any]:
    return {
        "service": pipeline.deployed_service,
        "environment": environment.name,
        "target": pipeline.target_of(environment),
        "timeout_healthy": environment.timeout,
        "plan": plan,
    }


def _configuration(pipeline: Pipeline, environment: Environment) -> dict[str, Any]:
    return {**pipeline.configuration, **environment.configuration}


def _release(pipeline: Pipeline, environment: Environment) -> dict[str, Any]:
    return {
        "artifact": pipeline.artifact,
        "configuration": _configuration(pipeline, environment),
        "commits": pipeline.commits,
        # A deployment that outlives this is killed by Airflow, and then rolled back like one that failed.
        "execution_timeout": parse_duration(environment.timeout) * 2,
    }


def _environment(pipeline: Pipeline, environment: Environment, common: Mapping[str, Any]) -> Ends:
    with TaskGroup(environment.name):
        lease = LeaseSensor(task_id=local_id(Role.LEASE), supersede=pipeline.supersede, **common)
        deploy = DeployOperator(task_id=local_id(Role.DEPLOY), **common, **_release(pipeline, environment))
        settle = SettleOperator(task_id=local_id(Role.SETTLE), **common)
        lease >> deploy >> settle.as_teardown(setups=lease, on_failure_fail_dagrun=True)
    return Ends([lease], [deploy])


def _verified(
    pipeline: Pipeline,
    environment: Environment,
    common: Mapping[str, Any],
    verification: Verification,
    phases: Sequence[int],
    mark: Sequence[str],
) -> Ends:
    forward = {**common, **_release(pipeline, environment)}
    with TaskGroup(environment.name):
        lease = LeaseSensor(task_id=local_id(Role.LEASE), supersede=pipeline.supersede, **common)
        promote = PromoteOperator(task_id=local_id(Role.PROMOTE), **common)
        settle = SettleOperator(task_id=local_id(Role.SETTLE), mark=mark, **common)
        leaves: list[Any] = [promote]
        before: Any = lease
        for number, share in enumerate(phases):
            phase = phase_name(share)
            follow = promote.task_id
            if number + 1 < len(phases):
                follow = str(TaskId(environment.name, Role.DEPLOY, phase_name(phases[number + 1])))
            with TaskGroup(phase):
                deploy = CanaryDeployOperator(task_id=local_id(Role.DEPLOY), phase=phase, share=share, **forward)
                verify = VerifyOperator(
                    task_id=local_id(Role.VERIFY),
                    verification=verification,
                    phase=phase,
                    follow=follow,
                    rollback=str(TaskId(environment.name, Role.ROLLBACK, phase)),
                    **common,
                )
                rollback = RollbackOperator(
                    task_id=local_id(Role.ROLLBACK), verify_task_id=verify.task_id, phase=phase, mark=mark, **common
                )
                before >> deploy
                if mark:
                    marker = DeploymentMarkerOperator(task_id=local_id(Role.MARK), conn_ids=mark, phase=phase, **common)
                    deploy >> marker >> verify
                else:
                    deploy >> verify
                [deploy, verify] >> rollback
            leaves.append(rollback)
            before = verify
        before >> promote
        leaves >> settle.as_teardown(setups=lease, on_failure_fail_dagrun=True)
    return Ends([lease], [promote])
