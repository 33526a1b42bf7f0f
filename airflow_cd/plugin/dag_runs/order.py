"""What comes before what in a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from airflow_cd.plugin.dag_runs.tasks import Place, RunTask


def grouped(tasks: Sequence[RunTask], name_of: Callable[[RunTask], str]) -> dict[str, list[RunTask]]:
    """The tasks by a name each has, without those that have none; names in the order of their depth.

    :param tasks: of one run.
    :param name_of: the name of a task, ``""`` for one that has none.

    Groups that wait for each other in turns, as an author may write them, count as one of them did not.
    """
    groups: dict[str, list[RunTask]] = {}
    for task in tasks:
        if name := name_of(task):
            groups.setdefault(name, []).append(task)
    found = depths(groups)
    return {name: groups[name] for name in sorted(groups, key=lambda name: (found[name], name))}


def depths(groups: Mapping[str, Sequence[RunTask]]) -> dict[str, int]:
    """The longest way to each group, counted in groups; equal ones may run at once.

    :param groups: the tasks of each.
    """
    before = _before(groups)
    found: dict[str, int] = {}
    for start in groups:
        _walk(start, before, found)
    return found


def _before(groups: Mapping[str, Sequence[RunTask]]) -> dict[str, list[str]]:
    """The groups right before each."""
    group_of = {task.task_id: name for name, tasks in groups.items() for task in tasks}
    return {
        name: sorted({group_of[up] for task in tasks for up in task.place.upstream if up in group_of} - {name})
        for name, tasks in groups.items()
    }


def _walk(start: str, before: Mapping[str, Sequence[str]], found: dict[str, int]) -> None:
    """Find the depth of one group and of all before it."""
    # Not by recursion: an author's chain of stages may be longer than Python's stack.
    way, open_now = [start], {start}
    while way:
        name = way[-1]
        missing = next((up for up in before[name] if up not in found and up not in open_now), None)
        if missing is not None and name not in found:
            way.append(missing)
            open_now.add(missing)
            continue
        if name not in found:
            found[name] = 1 + max((found[up] for up in before[name] if up in found), default=-1)
        open_now.discard(way.pop())


def environment_depths(shape: Mapping[str, Place]) -> dict[str, int]:
    """How deep in a DAG the environments are that its tasks deliver to; equal ones may be reached at once.

    What stands between two of them without an environment of its own, as an approval does, counts.
    """
    tasks = [RunTask(task_id, "", place=place) for task_id, place in shape.items()]
    found = depths(grouped(tasks, lambda task: task.stage))
    by_environment: dict[str, int] = {}
    for task in tasks:
        if name := task.place.environment:
            by_environment[name] = min(found[task.stage], by_environment.get(name, found[task.stage]))
    return by_environment
