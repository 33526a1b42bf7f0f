"""What an attempt of a task that asks people may take from the attempts before it.

An attempt that follows a lost answer goes on with the question that was asked; one that follows an attempt which found
the ledger or the target away starts over; after one that was killed nobody knows. Airflow tells these apart only by
what the attempts leave in the task's state store, which survives retries and needs no ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import Unavailable

if TYPE_CHECKING:
    from airflow.sdk import Context

KEY = "airflow_cd_unavailable"


def attempt_since_cleared(context: Context) -> int:
    """Which attempt this is since the task was last cleared, from 1; Airflow's own number counts them all.

    :param context: of the task.
    """
    ti = context["ti"]
    return ti.try_number - max(0, ti.max_tries - (ti.task.retries or 0))


def starts_over(context: Context) -> bool:
    """Whether nothing has been asked since the task was cleared, and the attempts before, if any, ended by themselves.

    :param context: of the task.
    """
    if attempt_since_cleared(context) == 1:
        return True
    return context["task_state_store"].get(KEY) == _note(context["ti"].try_number - 1, asked=False)


@contextmanager
def remembering(context: Context, *, asked: bool) -> Iterator[None]:
    """Leave a note for the next attempt when something in the body is unavailable.

    :param context: of the task.
    :param asked: whether a person may have been asked since the task was cleared.
    """
    store, number = context["task_state_store"], context["ti"].try_number
    try:
        yield
    except Unavailable:
        store.set(KEY, _note(number, asked=asked))
        raise
    except BaseException:
        # It is tried again inside one attempt, too: what was left then does not hold for what was asked since.
        if store.get(KEY) == _note(number, asked=False):
            store.set(KEY, _note(number, asked=True))
        raise


def _note(try_number: int, *, asked: bool) -> dict[str, Any]:
    return {"try_number": try_number, "asked": asked}
