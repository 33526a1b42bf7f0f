"""The manual actions in a request to Airflow's API, read as Airflow itself reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.routing import compile_path

from airflow_cd.states import HumanAction

ROOT = "/api/v2/dags/"
CHANGING = ("PATCH", "POST", "DELETE")

FORWARD = (
    HumanAction.MARKED_SUCCESS,
    HumanAction.MARKED_SKIPPED,
    HumanAction.MARKED_GROUP_SUCCESS,
    HumanAction.MARKED_GROUP_SKIPPED,
    HumanAction.MARKED_RUN_SUCCESS,
)
"""Marks after which a run may go on."""

Found: TypeAlias = "re.Match[str]"

_MARKS = {
    "success": HumanAction.MARKED_SUCCESS,
    "failed": HumanAction.MARKED_FAILED,
    "skipped": HumanAction.MARKED_SKIPPED,
}
_GROUP_MARKS = {
    "success": HumanAction.MARKED_GROUP_SUCCESS,
    "failed": HumanAction.MARKED_GROUP_FAILED,
    "skipped": HumanAction.MARKED_GROUP_SKIPPED,
}
# Airflow refuses any other state.
_RUN_MARKS = {
    "success": HumanAction.MARKED_RUN_SUCCESS,
    "failed": HumanAction.MARKED_RUN_FAILED,
    "queued": HumanAction.MARKED_RUN_QUEUED,
}
_RUN = ROOT + "{dag}/dagRuns/{run}"
_TASK = _RUN + "/taskInstances/{task}"


def _route(template: str) -> re.Pattern[str]:
    # The router's own way of matching: a path that only it understands would get past us.
    return compile_path(template)[0]


TASKS = (_route(_TASK), _route(_TASK + "/{map}"))
ALL_TASKS = _route(_RUN + "/taskInstances")
ANSWER = _route(_TASK + "/{map}/hitlDetails")
RUN = _route(_RUN)
RUNS = _route(ROOT + "{dag}/dagRuns")
GROUP = _route(_RUN + "/taskGroupInstances/{task}")
CLEAR = _route(ROOT + "{dag}/clearTaskInstances")
CLEAR_RUN = _route(_RUN + "/clear")
CLEAR_RUNS = _route(ROOT + "{dag}/clearDagRuns")


@dataclass(frozen=True)
class RequestedAction:
    """One thing that a person asks of one task, task group or run.

    :param task_id: of the task or the group; ``""`` for the whole run.
    :param kind: what is asked.
    :param why: the reason given, ``""`` without one.
    :param option: what is answered, where it is an answer.
    :param group: whether it is a task group.
    :param around: whether tasks upstream or downstream of it are meant, too.
    :param other_runs: whether tasks of earlier or later runs are meant, too.
    """

    pipeline: str
    run_id: str
    task_id: str
    kind: HumanAction
    why: str = ""
    option: str | None = None
    group: bool = False
    around: bool = False
    other_runs: bool = False

    @property
    def text(self) -> str:
        """The action as the ledger keeps it."""
        return str(self.kind) if self.option is None else f"{self.kind} {self.option}"

    @property
    def forward(self) -> bool:
        """Whether it marks something so that the run may go on."""
        return self.kind in FORWARD


def manual_actions_in(method: str, path: str, body: Any) -> Iterator[RequestedAction]:
    """What a request asks for, as far as a delivery is concerned.

    :param method: HTTP method, in capitals.
    :param path: below the server's root, decoded once, as the router has it.
    :param body: the request's JSON, or None.
    """
    content = body if isinstance(body, dict) else {}
    if method == "PATCH":
        yield from _patched(path, content)
    elif method == "DELETE" and (found := TASKS[0].match(path)):
        yield RequestedAction(found["dag"], found["run"], found["task"], HumanAction.DELETED)
    elif method == "POST" and content.get("dry_run") is False:
        yield from _cleared(path, content)


def _patched(path: str, content: Mapping[str, Any]) -> Iterator[RequestedAction]:
    for route, read in _PATCHES:
        if found := route.match(path):
            yield from read(found, content)
            return


def _answer(found: Found, content: Mapping[str, Any]) -> Iterator[RequestedAction]:
    option = _text(next(iter(_list(content.get("chosen_options"))), ""))
    given = content.get("params_input")
    why = _text((given if isinstance(given, dict) else {}).get("reason"))
    yield RequestedAction(found["dag"], found["run"], found["task"], HumanAction.ANSWERED, why, option)


def _tasks(found: Found, content: Mapping[str, Any]) -> Iterator[RequestedAction]:
    for action, entity in _entities(content, "task_id"):
        place = (
            _text(entity.get("dag_id")) or found["dag"],
            _text(entity.get("dag_run_id")) or found["run"],
            _text(entity.get("task_id")),
        )
        if action == "update":
            yield from _marked(place, entity, _MARKS)
        elif action == "delete":
            yield RequestedAction(*place, HumanAction.DELETED)


def _group(found: Found, content: Mapping[str, Any]) -> Iterator[RequestedAction]:
    yield from _marked((found["dag"], found["run"], found["task"]), content, _GROUP_MARKS)


def _runs(found: Found, content: Mapping[str, Any]) -> Iterator[RequestedAction]:
    for action, entity in _entities(content, "dag_run_id"):
        if action == "update":
            place = (_text(entity.get("dag_id")) or found["dag"], _text(entity.get("dag_run_id")))
            yield from _marked_run(place, entity)


def _run(found: Found, content: Mapping[str, Any]) -> Iterator[RequestedAction]:
    yield from _marked_run((found["dag"], found["run"]), content)


def _task(found: Found, content: Mapping[str, Any]) -> Iterator[RequestedAction]:
    if found.groupdict().get("map") != "dry_run":
        yield from _marked((found["dag"], found["run"], found["task"]), content, _MARKS)


# The first that matches counts.
_PATCHES: Sequence[tuple[re.Pattern[str], Callable[[Found, Mapping[str, Any]], Iterator[RequestedAction]]]] = (
    (ANSWER, _answer),
    (ALL_TASKS, _tasks),
    (GROUP, _group),
    (RUNS, _runs),
    (RUN, _run),
    (TASKS[0], _task),
    (TASKS[1], _task),
)


def _marked(
    place: tuple[str, str, str], content: Mapping[str, Any], marks: Mapping[str, HumanAction]
) -> Iterator[RequestedAction]:
    if kind := marks.get(_text(content.get("new_state")).lower()):
        yield RequestedAction(
            *place,
            kind,
            _text(content.get("note")),
            group=marks is _GROUP_MARKS,
            around=bool(content.get("include_upstream") or content.get("include_downstream")),
            other_runs=bool(content.get("include_future") or content.get("include_past")),
        )


def _marked_run(place: tuple[str, str], content: Mapping[str, Any]) -> Iterator[RequestedAction]:
    if kind := _RUN_MARKS.get(_text(content.get("state"))):
        yield RequestedAction(*place, "", kind, _text(content.get("note")))


def _cleared(path: str, content: Mapping[str, Any]) -> Iterator[RequestedAction]:
    why = _text(content.get("note"))
    if found := CLEAR.match(path):
        for task in _list(content.get("task_ids")) or [""]:
            name = task[0] if isinstance(task, list) and task else task
            run_id = _text(content.get("dag_run_id"))
            yield RequestedAction(found["dag"], run_id, _text(name), HumanAction.CLEARED)
    elif found := CLEAR_RUN.match(path):
        yield RequestedAction(found["dag"], found["run"], "", HumanAction.CLEARED_RUN, why)
    elif found := CLEAR_RUNS.match(path):
        for run in _list(content.get("dag_runs")):
            if isinstance(run, dict):
                place = (_text(run.get("dag_id")) or found["dag"], _text(run.get("dag_run_id")))
                yield RequestedAction(*place, "", HumanAction.CLEARED_RUN, why)


def _entities(content: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Action and entity of a bulk request; an entity that is only named is one with that name."""
    for action in _list(content.get("actions")):
        if isinstance(action, dict):
            for entity in _list(action.get("entities")):
                yield _text(action.get("action")), entity if isinstance(entity, dict) else {name: entity}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
