"""The DAG a pipeline becomes: one task group for each environment, one inside it for each phase of a canary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, TaskGroup
from airflow.sdk.definitions.param import ParamsDict

from airflow_cd.capacity import USUAL
from airflow_cd.operators import (
    CanaryDeployOperator,
    DeploymentMarkerOperator,
    DeployOperator,
    PromoteOperator,
    RollbackOperator,
    SettleOperator,
    VerifyOperator,
)
from airflow_cd.pipeline.environment import Environment, longest_deploy
from airflow_cd.pipeline.plan import plan_of
from airflow_cd.pipeline.specification import Approval, Member, Pipeline, Strategy, environment_of
from airflow_cd.pipeline.strategies import Step
from airflow_cd.release import VERSION
from airflow_cd.sensors import ApprovalSensor, LeaseSensor
from airflow_cd.states import Role, RollbackMode
from airflow_cd.task_ids import TaskId, local_id, phase_name

if TYPE_CHECKING:
    from airflow_cd.plan import Plan


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
    if isinstance(member, Strategy):
        common = _common(pipeline, member.environment, plan)
        steps = member.steps(common["target"])
        return _verified(pipeline, member.environment, common, steps, member.mark, dag)
    if isinstance(member, Environment):
        common = _common(pipeline, member, plan)
        if member.verify is not None:
            return _verified(pipeline, member, common, [Step(phase_name(100), 100, verify=member.verify)], (), dag)
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
    task = _own(member, dag)
    return Ends([task], [task])


def _own(member: Member, dag: DAG) -> Any:
    """A task or task group of the author's own."""
    if hasattr(member, "task_id") and not callable(getattr(member, "function", None)):
        if not member.has_dag():
            dag.add_task(member)
        return member
    return member() if callable(member) else member


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
        "execution_timeout": longest_deploy(environment.timeout, [pipeline.target_of(environment)]),
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
    steps: Sequence[Step],
    mark: Sequence[str],
    dag: DAG,
) -> Ends:
    forward = {**common, **_release(pipeline, environment)}
    with TaskGroup(environment.name):
        lease = LeaseSensor(task_id=local_id(Role.LEASE), supersede=pipeline.supersede, **common)
        promote = PromoteOperator(task_id=local_id(Role.PROMOTE), **common)
        settle = SettleOperator(task_id=local_id(Role.SETTLE), mark=mark, **common)
        leaves: list[Any] = [promote]
        before: Any = lease
        following = [str(TaskId(environment.name, Role.DEPLOY, step.name)) for step in steps[1:]]
        for step, follow in zip(steps, [*following, promote.task_id], strict=True):
            with TaskGroup(step.name):
                deploy = CanaryDeployOperator(
                    task_id=local_id(Role.DEPLOY), phase=step.name, share=step.share, traffic=step.traffic, **forward
                )
                before >> deploy
                before, rollback = _watching(step, environment.name, deploy, follow, mark, common, dag)
            leaves += rollback
        before >> promote
        leaves >> settle.as_teardown(setups=lease, on_failure_fail_dagrun=True)
    return Ends([lease], [promote])


def _watching(
    step: Step,
    environment: str,
    deploy: CanaryDeployOperator,
    follow: str,
    mark: Sequence[str],
    common: Mapping[str, Any],
    dag: DAG,
) -> tuple[Any, list[Any]]:
    """What follows a deploy in its group: its last task, and the rollback where the step is verified."""
    last: Any = deploy
    if mark and step.marked:
        marker = DeploymentMarkerOperator(task_id=local_id(Role.MARK), conn_ids=mark, phase=step.name, **common)
        last = last >> marker
    if step.tests is not None:
        last = last >> _own(step.tests, dag)
    if step.verify is None:
        return last, []
    verify = VerifyOperator(
        task_id=local_id(Role.VERIFY),
        verification=step.verify,
        phase=step.name,
        follow=follow,
        rollback=str(TaskId(environment, Role.ROLLBACK, step.name)),
        **common,
    )
    rollback = RollbackOperator(
        task_id=local_id(Role.ROLLBACK), verify_task_id=verify.task_id, phase=step.name, mark=mark, **common
    )
    last >> verify
    [deploy, verify] >> rollback
    return verify, [rollback]
