"""What an attempt of a task that asks people may take from the attempts before it.

An attempt that follows a lost answer goes on with the question that was asked; one that follows an attempt which found
the ledger or the target away starts over; after one that was killed nobody knows. Airflow tells these apart only by
what the attempts leave in the task's state store, which survives retries and needs no ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import Unavailable

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_cd.ledger import Question

KEY = "airflow_cd_unavailable"


def attempt_since_cleared(context: Context) -> int:
    """Which attempt this is since the task was last cleared, from 1; Airflow's own number counts them all.

    :param context: of the task.
    """
    ti = context["ti"]
    return ti.try_number - max(0, ti.max_tries - (ti.task.retries or 0))


@dataclass(frozen=True)
class Life:
    """One life of a task: from when its run was made, or it was cleared, until it is cleared again.

    :param number: Airflow's ``max_tries``, which every clearing of a task that was tried raises, and no retry does.
    :param run_started: when the run was started, which no other run with the same id was at that moment; None while
        Airflow does not say.
    """

    number: int
    run_started: datetime | None

    def asked(self, question: Question) -> bool:
        """Whether the question was asked in this life.

        :param question: of the same task.
        """
        return (question.life, question.run_started) == (self.number, self.run_started)


def life_of(context: Context) -> Life:
    """The present life of a task.

    :param context: of the task.
    """
    return Life(context["ti"].max_tries, context["dag_run"].start_date)


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
