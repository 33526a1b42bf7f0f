"""Capacity that is kept for going back: whatever verifies, a rollback finds a worker slot, before everything else.

Verifications hold a slot for minutes. They run in a pool of their own, smaller than what Airflow has; tasks that bring
an environment back have the highest priority there is, and no weight is added up along a DAG.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

VERIFICATIONS = "airflow_cd_verifications"
"""The pool of all verifications."""

URGENT: dict[str, Any] = {"priority_weight": 2_147_483_647, "weight_rule": "absolute"}
"""Arguments of a task that brings an environment back: the highest weight that Airflow keeps."""

USUAL: dict[str, Any] = {"priority_weight": 1, "weight_rule": "absolute"}
"""Arguments of any other task of ours."""

_DESCRIPTION = "Verifications of Airflow CD; fewer than all worker slots, so that a rollback never waits for one."
_MOST = 128  # what Airflow's default pool has


def verification_slots(total: int) -> int:
    """How many verifications may run at once: a quarter of the slots, and at least one, is left for going back.

    :param total: worker slots altogether; 0 for no limit.
    """
    if total <= 0:
        return _MOST
    return max(1, total - max(1, total // 4))


def worker_slots() -> int:
    """How many tasks Airflow runs at once, as far as its configuration says so."""
    from airflow.configuration import conf

    total: int = conf.getint("core", "parallelism", fallback=32)
    if "Celery" in conf.get("core", "executor", fallback=""):
        # One worker there is at least.
        total = min(total or _MOST, conf.getint("celery", "worker_concurrency", fallback=16))
    return total


def make_pool(session: Session | None = None) -> bool:
    """Make the pool of verifications, unless it is there: what a person has changed stays.

    :param session: of Airflow's database, whose transaction stays the caller's; by default one of its own.
    :returns: whether it was made now.
    """
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session
    from sqlalchemy import select

    if session is None:
        with create_session() as own:
            return make_pool(own)
    if session.scalar(select(Pool.id).where(Pool.pool == VERIFICATIONS)) is not None:
        return False
    slots = verification_slots(worker_slots())
    # Of two that make it at once one fails, and must not take the caller's transaction with it.
    with session.begin_nested():
        session.add(Pool(pool=VERIFICATIONS, slots=slots, description=_DESCRIPTION, include_deferred=False))
    return True
