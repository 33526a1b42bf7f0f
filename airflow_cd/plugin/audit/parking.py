"""Hold what people say to a task that is about to wait for it back until it waits.

A question can be seen a moment before its task is parked. Airflow accepts a mark or an answer in that moment; then it
wakes nobody, or parks the task after all, and the run waits until its time is over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable

from starlette.concurrency import run_in_threadpool

from airflow_cd.plugin.audit.intents import Planned
from airflow_cd.plugin.dag_runs.identity import states

LONGEST = 20.0
"""Seconds; longer than a loaded machine takes from showing a question to parking its task."""
EVERY = 0.1

_ON_ITS_WAY = ("running", "queued")


async def until_parked(tasks: Iterable[tuple[Planned, Collection[str]]]) -> None:
    """Return when none of the tasks is on its way to wait any more, or after :data:`LONGEST` seconds.

    :param tasks: ids of tasks of the run that an action is about.
    """
    deadline = time.monotonic() + LONGEST
    waiting: dict[tuple[str, str], set[str]] = {}
    for plan, names in tasks:
        if names:
            waiting.setdefault((plan.action.pipeline, plan.action.run_id), set()).update(names)
    while waiting and time.monotonic() < deadline:
        found = {place: await run_in_threadpool(states, *place, names) for place, names in waiting.items()}
        waiting = {
            place: left
            for place, known in found.items()
            if (left := {name for name, state in known.items() if state in _ON_ITS_WAY})
        }
        if waiting:
            await asyncio.sleep(EVERY)
