"""The run that a task belongs to, as the ledger names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.ledger import KnownRun, Ledger


def run_of(ledger: Ledger, context: Context) -> KnownRun:
    """The task's run; records of an earlier run that had its id are told apart from now on.

    :param ledger: where they are.
    :param context: of the task.
    :raises LedgerUnavailable: the ledger is away.
    """
    run = context["dag_run"]
    return ledger.runs.begin(run.dag_id, run.run_id, run.run_after)
