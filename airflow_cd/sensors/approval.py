"""The approval: a sensor that waits for a person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_cd.capacity import USUAL
from airflow_cd.commits import commits_to
from airflow_cd.delivery.outlasting import outlast
from airflow_cd.durations import parse_duration
from airflow_cd.operators.failure import failing_as_airflow_expects
from airflow_cd.operators.let_through import let_through
from airflow_cd.operators.question import APPROVE, REJECT, Answer, ask, given_answer, present_question, read_answer
from airflow_cd.operators.rendered_secrets import RefusesSecrets
from airflow_cd.operators.role import RoleMixin
from airflow_cd.operators.runs import begin_run, run_of
from airflow_cd.operators.same_ledger import same_ledger
from airflow_cd.release import changed_beside_version, changes, planned_release
from airflow_cd.report.words import as_code, quoted
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.commits import CommitList, Commits, CommitSource
    from airflow_cd.ledger import Ledger
    from airflow_cd.plan import Plan
    from airflow_cd.release import Release

__all__ = ["APPROVE", "FIRST_RELEASE", "REJECT", "ApprovalSensor"]

LONGEST = 1_000
"""Characters of a reason, or of a parameter, in the text of a question."""
LISTED = 10
"""Commits in the text of a question; its page lists more."""


FIRST_RELEASE = "If nothing runs there: nothing to compare with, deployed as first release without a verification."


class ApprovalSensor(RefusesSecrets, RoleMixin, BaseSensorOperator):
    """Wait for a person to approve, at no cost: no worker, no triggerer, no pool slot.

    Approve and Reject show as a required action; marking the task success on the grid approves, marking it failed
    rejects. A rejection fails the run, and so does a time-out.

    :param approvers: user names that may answer; empty: everybody who may edit the run. Templated.
    :param wait: how long to wait for an answer, such as ``"7d"`` or a timedelta; then the answer is *Reject*.
    :param service: name of what would be deployed, for the evidence; the DAG's id by default.
    :param environments: names of the environments it would be deployed to next, for the evidence; by default those of
        the deploys that follow.
    :param artifact: how a version names its artifact, as :class:`~airflow_cd.operators.deploy.DeployOperator` has it.
    :param configurations: by environment, its run-time configuration; the evidence then shows what would change there.
        Of an environment that is not among them, what is approved is read from the deploys up to the next approval: an
        approval binds what was shown, and a deploy of anything else is refused. Templated.
    :param commits: where the commits of a version are; the evidence then shows those that it would bring.
    :param version: version that would be deployed; templated, by default the run's parameter ``version``.
    :param reason: why; templated, by default the run's parameter ``reason``.
    :param overrides: the run's configuration on top, a mapping or its JSON; templated, by default the run's parameter
        ``configuration``.
    :param plan: what the pipeline does; an approval of another plan is void.
    """

    # The approvers are among them to be in the serialized DAG: they count before anything has been asked.
    template_fields: Sequence[str] = ("version", "reason", "overrides", "configurations", "approvers", "result")
    template_fields_renderers = {"result": "json", "configurations": "json"}  # noqa: RUF012 - Airflow's own signature
    overwrite_rtif_after_execution = True
    role = Role.APPROVAL
    ui_color = "#e8f5c8"

    def __init__(
        self,
        *,
        approvers: Sequence[str] = (),
        wait: str | timedelta = "7d",
        service: str = "",
        environments: Sequence[str] = (),
        artifact: str = "{service}:{version}",
        configurations: Mapping[str, Mapping[str, Any]] | None = None,
        commits: CommitSource | None = None,
        version: str = "{{ params.version }}",
        reason: str = "{{ params.get('reason') or '' }}",
        overrides: Mapping[str, Any] | str = "{{ (params.get('configuration') or {}) | tojson }}",
        plan: Plan | None = None,
        **kwargs: Any,
    ) -> None:
        # An answer that Airflow's resume race throws away is honoured from the ledger on the next try.
        kwargs.setdefault("retries", 5)
        kwargs.setdefault("retry_delay", timedelta(seconds=1))
        kwargs = {**USUAL, **kwargs}
        super().__init__(**kwargs)
        self.approvers = tuple(approvers)
        self.wait = wait
        self.service = service
        self.environments = tuple(environments)
        self.artifact = artifact
        self.configurations = dict(configurations or {})
        self.commits = commits
        self.version = version
        self.reason = reason
        self.overrides = overrides
        self.plan = plan
        self.result: dict[str, Any] | str = ""

    def execute(self, context: Context) -> str:
        """Ask, or take the answer that was lost while Airflow resumed this task.

        An answer counts for the life of the task in which it was asked for: not for a run that has the id of a deleted
        one, nor after the task was cleared.

        :param context: of the task.
        :returns: the option that was chosen.
        :raises TaskAwaitingInput: the question was asked; Airflow resumes the task with the answer.
        :raises AirflowFailException: it was rejected, or what is to be deployed cannot be built.
        :raises LedgerUnavailable: the ledger is away.
        """
        return outlast(lambda: self._attempt(context), log=self.log.warning)

    def _attempt(self, context: Context) -> str:
        with self._with_ledger(context) as ledger:
            begin_run(ledger, context, self, self.plan)
            known = present_question(ledger, context)
            if known is not None and (answer := given_answer(known, default=REJECT)):
                return self._answered(answer)
            return self._ask(ledger, context)

    def _ask(self, ledger: Ledger, context: Context) -> NoReturn:
        ti = context["ti"]
        self.refuse_secrets()
        proposed = self._proposed(context)
        commits = self._commits(ledger)
        where = ", ".join(self._through(proposed)) or "the next stage"
        ask(
            ledger,
            context,
            subject=f"Deploy {self.service or ti.dag_id} {self._named(ledger, proposed)} to {where}?",
            body=self._evidence(ledger, context, proposed, commits),
            options=[APPROVE, REJECT],
            default=REJECT,
            timeout=parse_duration(self.wait),
            method="execute_complete",
            approvers=self.approvers,
            proposed=proposed,
            commits=commits,
        )

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Take the answer.

        :param context: of the task.
        :param event: Airflow's record of the answer.
        :returns: the option that was chosen: *Approve*.
        :raises AirflowFailException: it was rejected, timed out, approved by somebody who is not an approver, or the
            pipeline is not the one that was approved.
        :raises LedgerUnavailable: the ledger is away; the next attempt takes the answer.
        """
        return outlast(lambda: self._attempt_complete(context, event), log=self.log.warning)

    def _attempt_complete(self, context: Context, event: dict[str, Any]) -> str:
        with self._with_ledger(context) as ledger:
            answer = read_answer(ledger, context, event, default=REJECT)
            if answer.option == APPROVE:
                begin_run(ledger, context, self, self.plan)
            return self._answered(answer)

    @contextmanager
    def _with_ledger(self, context: Context) -> Iterator[Ledger]:
        from airflow_cd.ledger import open_ledger

        with failing_as_airflow_expects(self, pipeline=context["ti"].dag_id, service=self.service):
            ledger = open_ledger()
            same_ledger(ledger, context, first=False)
            yield ledger

    def _answered(self, answer: Answer) -> str:
        self.result = {"answer": answer.option, "who": answer.by, "why": answer.why}
        self.log.info("Answer: %s, by %s: %s", answer.option, answer.by, answer.why or "no reason given")
        if self.approvers and answer.option == APPROVE and answer.who not in self.approvers:
            raise AirflowFailException(
                f"{quoted(answer.by)} approved but is not an approver; approvers are {', '.join(self.approvers)}. "
                "State: nothing was deployed. Next: clear this task and let an approver answer."
            )
        if answer.option != APPROVE:
            raise AirflowFailException(
                f"Rejected by {quoted(answer.by)}: {answer.why or 'no reason given'}. "
                "State: nothing further is deployed. Next: start a new run to try again."
            )
        return answer.option

    def _proposed(self, context: Context) -> dict[str, Release]:
        """What each environment would get."""
        told = {
            environment: planned_release(
                self.service, self.version, self.artifact, configuration, self.overrides, environment=environment
            )
            for environment, configuration in self.configurations.items()
        }
        return {**told, **let_through(self, context, known=list(told))}

    def _through(self, proposed: Mapping[str, Release]) -> list[str]:
        """The environments that are deployed to next."""
        return list(dict.fromkeys([*self.environments, *proposed]))

    def _named(self, ledger: Ledger, proposed: Mapping[str, Release]) -> str:
        """The version, and what else is new where the version is not: if that is the same everywhere."""
        running = {name: ledger.deployments.last_promoted(release.service, name) for name, release in proposed.items()}
        changed = {
            changed_beside_version(last.release if last else None, proposed[name]) for name, last in running.items()
        }
        only = changed.pop() if len(changed) == 1 else ""
        return quoted(self.version) + (f" ({quoted(only)})" if only else "")

    def _commits(self, ledger: Ledger) -> dict[str, Commits]:
        """What the version would bring to each environment."""
        if self.commits is None:
            return {}
        running = {
            environment: ledger.deployments.last_promoted(self.service, environment)
            for environment in self.environments
        }
        before = {environment: last.release.version if last else None for environment, last in running.items()}
        return commits_to(self.commits, before, self.version)

    def _evidence(
        self, ledger: Ledger, context: Context, proposed: Mapping[str, Release], commits: Mapping[str, Commits]
    ) -> str:
        """What an approver wants to know: what was asked for, by whom and why, what changes, what earlier stages found.

        Nothing in it that people or logs have written is markup.
        """
        ti, run = context["ti"], context["dag_run"]
        lines = [f"**{self.service or ti.dag_id}** {as_code(self.version)}", ""]
        lines.append(f"- Asked for by {as_code(run.triggering_user_name or 'nobody: the run has a schedule')}")
        lines.append(f"- Reason: {as_code(self.reason, LONGEST) if self.reason else 'none given'}")
        if self.overrides not in ("", "{}", {}):
            lines.append(f"- Configuration overrides: {as_code(_json(self.overrides), LONGEST)}")
        lines += [f"- {as_code(name)}: {as_code(value, LONGEST)}" for name, value in _others(context)]
        lines.append("")
        for environment in self._through(proposed):
            last = ledger.deployments.last_promoted(self.service, environment)
            running = as_code(last.release) if last else "nothing that Airflow CD deployed"
            lines.append(f"- {environment} runs {running}")
            if last is None:
                lines.append(f"  - {FIRST_RELEASE}")
            if environment in proposed:
                for name, was, now in changes(last.release if last else None, proposed[environment]):
                    lines.append(
                        f"  - {as_code(name)}: {as_code(_json(was), LONGEST)} → {as_code(_json(now), LONGEST)}"
                    )
            if environment in commits:
                lines += _commit_lines(commits[environment])
        lines.append("")
        run_id = run_of(ledger, context).run_id
        for deployment in reversed(ledger.deployments.matching(pipeline=ti.dag_id, run_id=run_id)):
            outcome = f" {as_code(deployment.outcome)}" if deployment.outcome else ""
            lines.append(f"- {deployment.environment}: {deployment.state.replace('_', ' ')}{outcome}")
        return "\n".join(lines)


def _others(context: Context) -> list[tuple[str, str]]:
    """Every parameter of the run that has no line of its own, by name."""
    given = {**(context.get("params") or {}), **(context["dag_run"].conf or {})}
    return [(name, _json(given[name])) for name in sorted(given) if name not in ("version", "reason", "configuration")]


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _commit_lines(commits: Commits) -> list[str]:
    """One sentence, and a line for each of the newest; people wrote them, so they are code, which no reader follows."""
    lines = [f"  - {as_code(commits.summary)}" if commits.unknown else f"  - {commits.summary}"]
    for sign, listed in (("+", commits.brought), ("−", commits.taken_away)):
        lines += _some(sign, listed)
    return lines


def _some(sign: str, listed: CommitList) -> list[str]:
    shown = listed.commits[:LISTED]
    lines = [
        f"    - {sign} {as_code(commit.short)} {as_code(commit.subject)}, {as_code(commit.author)}" for commit in shown
    ]
    more = listed.total - len(shown)
    return [*lines, f"    - {sign} and {more} more"] if more > 0 else lines
