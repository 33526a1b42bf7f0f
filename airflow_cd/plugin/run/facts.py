"""What the ledger holds of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from airflow_cd.ledger import Action, AuditRecord, Deployment, Finding, Lease, Ledger, Phase, Question, VerdictRecord
from airflow_cd.ledger.records import RunningInstance
from airflow_cd.plugin.dag_runs.stuck import sentences, somebody_works
from airflow_cd.plugin.dag_runs.tasks import Run
from airflow_cd.release import Release
from airflow_cd.states import DeploymentState, Role
from airflow_cd.targets import TargetLabel, label_of

ASKING = (Role.APPROVAL, Role.VERIFY)


@dataclass(frozen=True)
class RunFacts:
    """The ledger's records of one run.

    :param deployments: in the order they were opened.
    :param phases: by id of the deployment; ``verdicts`` (oldest first) and ``actions`` likewise.
    :param questions: by task.
    :param manual_actions: what people did by hand, refused attempts too; oldest first.
    :param running: by environment, what was last seen to run there.
    :param targets: by environment that it has deployed to, how it is reached, where that is known.
    :param good: by environment that a question proposes a release for, the one that was last promoted there.
    :param owners: by environment that the run has not deployed to, who owns it now.
    :param stopped: why Airflow schedules nothing of it although it has not ended, ``""`` when it does.
    :param working: environments on which a process of it, or the guard, is at work.
    :param findings: what the guard found of it, newest first.
    :param notes: the same for a reader.
    """

    deployments: Sequence[Deployment] = ()
    phases: Mapping[str, Sequence[Phase]] = field(default_factory=dict)
    verdicts: Mapping[str, Sequence[VerdictRecord]] = field(default_factory=dict)
    actions: Mapping[str, Sequence[Action]] = field(default_factory=dict)
    questions: Mapping[str, Question] = field(default_factory=dict)
    manual_actions: Sequence[AuditRecord] = ()
    running: Mapping[str, Sequence[RunningInstance]] = field(default_factory=dict)
    targets: Mapping[str, TargetLabel] = field(default_factory=dict)
    good: Mapping[str, Release | None] = field(default_factory=dict)
    owners: Mapping[str, Lease] = field(default_factory=dict)
    stopped: str = ""
    working: Collection[str] = ()
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = ()

    def left(self, environment: str, *, over: bool) -> bool:
        """Whether nobody goes on with what the run has begun in the environment.

        :param environment: its name.
        :param over: whether the run has ended.
        """
        return over or (bool(self.stopped) and environment not in self.working)


def facts_of(ledger: Ledger, run: Run) -> RunFacts:
    """Gather them.

    :param ledger: where they are.
    :param run: the run as Airflow has it.
    """
    deployments = list(reversed(ledger.deployments.matching(pipeline=run.pipeline, run_id=run.run_id)))
    manual_actions = list(reversed(ledger.audit.actions(pipeline=run.pipeline, run_id=run.run_id)))
    questions = _questions(ledger, run, manual_actions)
    deployed = {found.environment: found.service for found in deployments}
    stopped = run.stopped
    findings = ledger.guarding.findings(run.pipeline, run.run_id)
    working = {
        name for name, service in deployed.items() if somebody_works(ledger, service, name, run.pipeline, run.run_id)
    }
    left = any(
        not DeploymentState(found.state).final and (run.over or stopped) and found.environment not in working
        for found in deployments
    )
    return RunFacts(
        stopped=stopped,
        working=working,
        findings=findings,
        notes=sentences(ledger, stopped, findings, left=bool(left)),
        deployments=deployments,
        phases={found.id: ledger.phases.of(found.id) for found in deployments},
        verdicts={found.id: ledger.verdicts.of(found.id) for found in deployments},
        actions={found.id: ledger.actions.of(found.id) for found in deployments},
        questions=questions,
        manual_actions=manual_actions,
        running={name: ledger.instances.running(service, name) for name, service in deployed.items()},
        targets=_targets(ledger, deployments),
        good=_good(ledger, questions.values()),
        owners={} if run.over else _owners(ledger, run, deployed),
    )


def _targets(ledger: Ledger, deployments: Sequence[Deployment]) -> dict[str, TargetLabel]:
    found = ledger.work.targets_of((one.service, one.environment, one.pipeline, one.run_id) for one in deployments)
    labels = {environment: label_of(target) for (_, environment, _, _), target in found.items()}
    return {environment: label for environment, label in labels.items() if label is not None}


def _good(ledger: Ledger, questions: Iterable[Question]) -> dict[str, Release | None]:
    proposed = {name: release for question in questions for name, release in question.proposed.items()}
    good = {name: ledger.deployments.last_promoted(release.service, name) for name, release in proposed.items()}
    return {name: last.release if last else None for name, last in good.items()}


def _owners(ledger: Ledger, run: Run, deployed: Collection[str]) -> dict[str, Lease]:
    wanted = {task.place.environment: task.place.service for task in run.tasks if task.place.environment}
    leases = {name: ledger.leases.current(service, name) for name, service in wanted.items() if name not in deployed}
    return {name: lease for name, lease in leases.items() if lease is not None}


def _questions(ledger: Ledger, run: Run, manual_actions: Sequence[AuditRecord]) -> dict[str, Question]:
    # What people answered is there even when Airflow has forgotten the run's tasks.
    asking = {task.task_id for task in run.tasks if task.place.role in ASKING or task.state == "awaiting_input"}
    asking |= {action.task_id for action in manual_actions if action.task_id}
    found = {name: ledger.questions.get(run.pipeline, run.run_id, name) for name in sorted(asking)}
    return {name: question for name, question in found.items() if question is not None}
