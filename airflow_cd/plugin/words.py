"""English for the members of enumerations: the one place where pages look up what is shown for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_cd.answers import ROLL_BACK
from airflow_cd.operators.question import TIMED_OUT
from airflow_cd.plugin.states import EnvironmentState, ServiceState, StepState
from airflow_cd.states import DeploymentState
from airflow_cd.task_ids import BAKE, FINISH, GREEN, SWITCH

ANYBODY = "anyone who may edit the run"

SERVICE_STATES: Mapping[ServiceState, str] = {
    ServiceState.WAITING: "Waiting for an answer",
    ServiceState.IN_PROGRESS: "In progress",
    ServiceState.FAILED: "Failed",
    ServiceState.VETOED: "Vetoed",
    ServiceState.FROZEN: "Frozen",
}

_DEPLOYMENT_STATES: Mapping[str, str] = {
    DeploymentState.RUNNING: "in progress",
    DeploymentState.PROMOTED: "promoted",
    DeploymentState.ROLLING_BACK: "rolling back",
    DeploymentState.ROLLED_BACK: "rolled back",
    DeploymentState.ROLLBACK_FAILED: "rollback failed",
}
_MANUAL_ROLLBACK_STATES: Mapping[str, str] = {
    **_DEPLOYMENT_STATES,
    DeploymentState.RUNNING: "rolling back to {}",
    DeploymentState.PROMOTED: "rolled back to {}",
}

_ENVIRONMENT_STATES: Mapping[EnvironmentState, str] = {
    EnvironmentState.NOTHING_PROMOTED: "Nothing of {service} has been promoted in {environment} yet.",
    EnvironmentState.RUNNING: "{service} {version} runs in {environment}.",
    EnvironmentState.REPLACED: "{service} {version} was promoted in {environment}, and something else runs there.",
    EnvironmentState.DEPLOYING: "{service} {version} is being deployed in {environment}.",
    EnvironmentState.RESTORING: "{environment} is being rolled back to {service} {version}.",
    EnvironmentState.ROLLING_BACK: "{service} {version} is being rolled back in {environment}.",
    EnvironmentState.LEFT_UNFINISHED: "{environment} is between two releases: {service} {version} was left unfinished.",
    EnvironmentState.ROLLBACK_FAILED: "{environment} is between two releases: {service} {version} could not be rolled "
    "back.",
}

_STEP_STATES: Mapping[StepState, str] = {
    StepState.TO_COME: "to come",
    StepState.QUEUED: "queued for the environment",
    StepState.DEPLOYING: "deploying",
    StepState.DEPLOYED: "deployed",
    StepState.VERIFYING: "verifying",
    StepState.PROMOTING: "promoting",
    StepState.SETTLING: "finishing",
    StepState.WAITING_FOR_ANSWER: "waiting for an answer",
    StepState.IN_PROGRESS: "in progress",
    StepState.PASSED: "passed",
    StepState.PROMOTED: "promoted",
    StepState.RESTORED: "rolled back to {}",
    StepState.RESTORING: "rolling back",
    StepState.APPROVED: "approved",
    StepState.DONE: "done",
    StepState.FAILED: "failed",
    StepState.INCONCLUSIVE: "inconclusive",
    StepState.REJECTED: "rejected",
    StepState.TIMED_OUT: TIMED_OUT,
    StepState.ROLLING_BACK: "rolling back",
    StepState.ROLLED_BACK: "rolled back",
    StepState.ROLLBACK_FAILED: "rollback failed",
    StepState.LEFT_UNFINISHED: "left unfinished",
    StepState.FIRST_RELEASE: "first release: nothing to compare with",
    StepState.NOT_REACHED: "not reached",
    StepState.NOT_VERIFIED: "not verified",
    StepState.SKIPPED: "skipped",
}


def deployment_label(state: str, version: str, *, rollback: bool) -> str:
    """The state of a deployment, as people say it.

    :param state: a :class:`~airflow_cd.states.DeploymentState`.
    :param version: version of the release that it brings.
    :param rollback: whether it is a person's rollback to that release: the ledger keeps it as promoted when it is done.
    """
    labels = _MANUAL_ROLLBACK_STATES if rollback else _DEPLOYMENT_STATES
    return labels.get(state, state.replace("_", " ")).format(version)


def environment_sentence(state: EnvironmentState, service: str, version: str, environment: str) -> str:
    """How an environment stands, in a sentence.

    :param state: the state.
    :param service: what is deployed there.
    :param version: of the release that the state is about, ``""`` where nothing was promoted.
    :param environment: its name.
    """
    return _ENVIRONMENT_STATES[state].format(service=service, version=version, environment=environment)


def step_label(state: StepState, version: str = "") -> str:
    """The state of a stage or a phase, as people say it.

    :param state: the state.
    :param version: version of the release that the step brings, for a rollback that is done.
    """
    return _STEP_STATES[state].format(version or "an earlier release")


def approvers_label(approvers: Sequence[str]) -> str:
    """Who may answer a question.

    :param approvers: user names; empty for everybody who may edit the run.
    """
    return " or ".join(approvers) or ANYBODY


def default_label(options: Sequence[str]) -> str:
    """What becomes of a question that nobody answers in time, as a clause.

    :param options: its answers.
    """
    return "the release is rolled back" if ROLL_BACK in options else "the default answer is applied, which is no"


_PHASES: Mapping[str, str] = {
    GREEN: "New side",
    SWITCH: "Switch to the new side",
    BAKE: "Bake",
    FINISH: "The old side gets the release",
}


def phase_title(name: str, share: int | None, traffic: int | None) -> str:
    """A phase as people say it.

    :param name: of the phase.
    :param share: percent of the environment, None when it is not known.
    :param traffic: percent of the requests, where the share does not say it.
    """
    if name in _PHASES or share is None:
        return _PHASES.get(name, name)
    return f"Canary {share} %" if share < 100 or traffic not in (None, 100) else "100 %"
