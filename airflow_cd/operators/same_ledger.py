"""A task works with the ledger its run began with, and a run with the one that its Airflow uses, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import LedgerUnavailable
from airflow_cd.operators.role import role_of
from airflow_cd.same_ledger import DESCRIPTION, KEY, require_same
from airflow_cd.states import Role

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.ledger import Ledger


def same_ledger(ledger: Ledger, context: Context, *, first: bool) -> None:
    """Refuse to work with another ledger than the tasks before this one; pass its identity on where it is the first.

    :param ledger: as this task's worker has opened it.
    :param context: of the task.
    :param first: whether the task is the one with which a run's work on an environment begins: it passes the identity
        on, and compares it with that of the ledger which this Airflow uses.
    :raises WrongLedger: it is another one; nothing was read from it or written to it.
    :raises LedgerUnavailable: the ledger is away, or Airflow does not say which one it uses.
    """
    ti = context["ti"]
    passed_on = next(_passed_on(ti), None)
    identity = require_same(ledger, passed_on, whose="this worker", since="this run began with")
    if first:
        require_same(ledger, _in_use(identity), whose="this worker", since="this Airflow uses")
        ti.xcom_push(key=KEY, value=identity)


def _passed_on(ti: Any) -> Iterator[str]:
    """What the lease tasks before this one have passed on, the nearest first."""
    task = ti.task
    if not getattr(task, "has_dag", lambda: False)():
        return
    above = task.get_flat_relative_ids(upstream=True)
    leases = [name for name in above if role_of(task.dag.get_task(name)) is Role.LEASE]
    group = task.task_id.split(".", 1)[0]
    for name in sorted(leases, key=lambda name: (name.split(".", 1)[0] != group, name)):
        value = ti.xcom_pull(task_ids=name, key=KEY)
        if isinstance(value, str):
            yield value


def _in_use(identity: str) -> str | None:
    """The identity of the ledger that this Airflow uses; this one, from now on, where it uses none yet."""
    from airflow.sdk import Variable
    from airflow.sdk.execution_time import task_runner

    if not hasattr(task_runner, "SUPERVISOR_COMMS"):
        return None  # outside Airflow
    try:
        known: str | None = Variable.get(KEY, default=None)
        if known is None:
            Variable.set(KEY, identity, description=DESCRIPTION)
    except Exception as error:
        raise LedgerUnavailable(
            f"Airflow does not say which ledger it uses: {error}.",
            state="nothing was read from the ledger or written to it.",
            next_step=f"Check that tasks may read and write the Airflow variable {KEY}; the next attempt asks again.",
        ) from error
    return known
