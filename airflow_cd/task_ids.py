"""The ids of a pipeline's tasks, built and read: ``<environment>.<name>``, ``<environment>.<phase>.<name>``.

::

    dev.lease  dev.deploy  dev.settle                            an environment
    production.lease  production.promote  production.settle      an environment that is verified, a canary
    production.phase_20.deploy  .mark  .verify  .rollback        each of its phases
    production.green  production.switch                          the phases of a new side that takes over
    production.bake  production.finish                           and what follows where the release before is kept
    rollback.lease  rollback.deploy  rollback.settle             the rollback DAG, whose environment is a parameter

In a DAG that Airflow knows, a task's environment and role are fields of the serialized task, which hold in hand-written
DAGs and for subclasses too (:func:`airflow_cd.operators.role_of`). Ids are read where Airflow has no DAG (any more).
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_cd.states import Role

ROLLBACK_GROUP = "rollback"
"""The task group of a rollback DAG."""

GREEN = "green"
"""The phase of a new side that gets no requests yet."""
SWITCH = "switch"
"""The phase in which a new side gets all requests."""
BAKE = "bake"
"""The phase in which a release that has the whole environment is watched on."""
FINISH = "finish"
"""The phase in which what was kept of the release before gets the new one."""

_PHASE = "phase_"
_TRAFFIC = "_traffic_"
_NAMES = {role: str(role) for role in Role} | {Role.ROLLBACK_TO: str(Role.DEPLOY)}
_IN_PHASE = (Role.DEPLOY, Role.MARK, Role.VERIFY, Role.ROLLBACK)
_IN_ENVIRONMENT = (Role.LEASE, Role.DEPLOY, Role.PROMOTE, Role.SETTLE)


@dataclass(frozen=True)
class TaskId:
    """What the id of a pipeline's task says.

    :param environment: the environment, which is also the task's stage; :data:`ROLLBACK_GROUP` in a rollback DAG.
    :param role: what the task does there.
    :param phase: name of its phase (``phase_20``); ``""`` outside a phase.
    """

    environment: str
    role: Role
    phase: str = ""

    def __str__(self) -> str:
        groups = (self.environment, self.phase) if self.phase else (self.environment,)
        return ".".join((*groups, local_id(self.role)))


def read_task_id(task_id: str) -> TaskId | None:
    """What a task's id says, None when it is not one that a pipeline gives.

    A task of the author's own may have such an id by chance; only the serialized DAG knows.
    """
    *groups, name = task_id.split(".", 3)
    allowed = {1: _IN_ENVIRONMENT, 2: _IN_PHASE}.get(len(groups), ())
    role = next((role for role in allowed if local_id(role) == name), None)
    if role is None or not all(groups):
        return None
    if groups == [ROLLBACK_GROUP] and role is Role.DEPLOY:
        role = Role.ROLLBACK_TO
    return TaskId(groups[0], role, groups[1] if len(groups) > 1 else "")


def local_id(role: Role) -> str:
    """The id of a task inside its groups: what an author of a DAG passes as ``task_id``."""
    return _NAMES[role]


def verify_task(environment: str, phase: str) -> str:
    """Id of the task that verifies a phase of an environment."""
    return str(TaskId(environment, Role.VERIFY, phase))


def stage_of(task_id: str) -> str:
    """The outermost group of any task, or the task itself when it is in none."""
    return task_id.split(".", 1)[0]


def phase_of(task_id: str) -> str:
    """The group inside the outermost one, which in an environment's is the phase; ``""`` when there is none."""
    groups = task_id.split(".")[:-1]
    return groups[1] if len(groups) > 1 else ""


def innermost_group(task_id: str) -> str:
    """The group next to any task, which is its phase where an author has put the environment into a group.

    ``""`` when it is in the outermost one, or in none.
    """
    groups = task_id.split(".")[:-1]
    return groups[-1] if len(groups) > 1 else ""


def phase_name(share: int, traffic: int | None = None) -> str:
    """Name of the phase that brings a release to a share of the environment.

    :param share: percent.
    :param traffic: percent of the requests, where the share does not say it; None by default.
    """
    return f"{_PHASE}{share}" + (f"{_TRAFFIC}{traffic}" if traffic is not None else "")


def share_of_phase(name: str) -> int | None:
    """The share in percent that a phase's name gives, None for a name of the author's own."""
    number = name.removeprefix(_PHASE).split(_TRAFFIC)[0]
    return int(number) if name.startswith(_PHASE) and number.isdecimal() else None
