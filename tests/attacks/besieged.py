"""A run that waits for an approval, put back as it was whenever an attack has changed it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from airflow_cd import Approval, Environment, Pipeline
from airflow_cd.ledger import Ledger
from airflow_cd.plugin.dag_runs.identity import tell_apart
from tests.plugin.audit.airflow_server import APPROVER, DAG_ID, RUN_ID, running

WAITS, BEHIND = "approve", "production.deploy"
UNTOUCHED = "awaiting_input"
# Stopping a run, or taking it away, lets nothing through; what became of it then is not asked.
ENDED = ("", "failed", "removed", "None")
NOT_ASKED_FOR = ("None", "")
NOT_BEGUN = ("None", "", "upstream_failed", "removed", "failed")


class Besieged:
    """The run; a context.

    :param ledger: of the server.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._stack = ExitStack()

    def __enter__(self) -> Besieged:
        self._build()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def restore(self) -> None:
        """Let it wait again, after what was done to it."""
        question = self.ledger.questions.get(DAG_ID, RUN_ID, WAITS)
        waits = question is not None and question.option is None and self._state(WAITS) == UNTOUCHED
        if not waits or self._state(BEHIND) not in NOT_ASKED_FOR or self._state("") != "running":
            self._stack.close()
            self._build()

    def _build(self) -> None:
        stages = [Environment("dev"), Approval(approvers=[APPROVER]), Environment("production")]
        self._state = self._stack.enter_context(running(Pipeline(DAG_ID, service="shop", stages=stages).dag()))
        tell_apart(self.ledger, DAG_ID, RUN_ID)
        self.ledger.questions.ask(
            pipeline=DAG_ID, run_id=RUN_ID, task_id=WAITS, deadline=None, options=["Approve", "Reject"],
            approvers=[APPROVER], subject="Deploy?", body="",
        )  # fmt: skip
        _asks_in_airflow()

    def let_through(self) -> str:
        """What got past the approval, ``""`` for nothing."""
        if (state := self._state(WAITS)) not in (UNTOUCHED, *ENDED):
            return f"the approval is {state}"
        # A run that is stopped fails what waits, and skips what has not begun.
        stopped = self._state(WAITS) == "failed"
        if (state := self._state(BEHIND)) not in NOT_BEGUN and not (stopped and state == "skipped"):
            return f"what follows is {state}"
        question = self.ledger.questions.get(DAG_ID, RUN_ID, WAITS)
        return "the ledger has an approval" if question is not None and question.option == "Approve" else ""


def _asks_in_airflow() -> None:
    """Airflow's own record of the question, without which it refuses every answer."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        ti: Any = session.scalars(select(TaskInstance).where(TaskInstance.task_id == WAITS)).one()
        session.add(
            HITLDetail(
                ti_id=ti.id,
                options=["Approve", "Reject"],
                subject="Deploy?",
                body="",
                defaults=None,
                multiple=False,
                params={},
                assignees=None,
            )
        )
