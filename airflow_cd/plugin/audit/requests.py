"""What a request to Airflow's API asks of tasks and runs, read as Airflow itself reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.routing import compile_path

ROOT = "/api/v2/dags/"
CHANGING = ("PATCH", "POST", "DELETE")

FORWARD = ("success", "skipped")
"""States from which a run may go on."""

_MARKS = ("success", "failed", "skipped")
_RUN = ROOT + "{dag}/dagRuns/{run}"
_TASK = _RUN + "/taskInstances/{task}"


def _route(template: str) -> Any:
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
class Hand:
    """One thing a person asks of one task, group of tasks or run.

    :param task_id: of the task or the group; ``""`` for the whole run.
    :param option: what is answered, where it is an answer.
    :param group: whether it is a group.
    :param around: whether tasks before or after it are meant, too; ``other_runs``: whether those of other runs.
    """

    pipeline: str
    run_id: str
    task_id: str
    action: str
    why: str = ""
    option: str | None = None
    group: bool = False
    around: bool = False
    other_runs: bool = False

    @property
    def forward(self) -> bool:
        """Whether it marks something so that the run may go on."""
        return self.action.startswith("marked ") and self.action.rpartition(" ")[2] in FORWARD


def hands_in(method: str, path: str, body: Any) -> Iterator[Hand]:
    """What a request asks for, as far as a delivery is concerned.

    :param path: below the server's root, decoded once, as the router has it.
    :param body: the request's JSON, or None.
    """
    content = body if isinstance(body, dict) else {}
    if method == "PATCH":
        yield from _patched(path, content)
    elif method == "DELETE" and (found := TASKS[0].match(path)):
        yield Hand(found["dag"], found["run"], found["task"], "deleted")
    elif method == "POST" and content.get("dry_run") is False:
        yield from _cleared(path, content)


def _patched(path: str, content: dict[str, Any]) -> Iterator[Hand]:
    if found := ANSWER.match(path):
        option = next(iter(_list(content.get("chosen_options"))), "")
        given = content.get("params_input")
        why = _text((given if isinstance(given, dict) else {}).get("reason"))
        yield Hand(found["dag"], found["run"], found["task"], f"answered {option}", why, _text(option))
    elif found := ALL_TASKS.match(path):
        for action, entity in _entities(content, "task_id"):
            place = (
                _text(entity.get("dag_id")) or found["dag"],
                _text(entity.get("dag_run_id")) or found["run"],
                _text(entity.get("task_id")),
            )
            if action == "update":
                yield from _marks(place, entity)
            elif action == "delete":
                yield Hand(*place, "deleted")
    elif found := GROUP.match(path):
        yield from _marks((found["dag"], found["run"], found["task"]), content, group=True)
    elif found := RUNS.match(path):
        for action, entity in _entities(content, "dag_run_id"):
            if action == "update":
                run = (_text(entity.get("dag_id")) or found["dag"], _text(entity.get("dag_run_id")))
                yield from _marks_run(run, entity)
    elif found := RUN.match(path):
        yield from _marks_run((found["dag"], found["run"]), content)
    elif (found := TASKS[0].match(path) or TASKS[1].match(path)) and found.groupdict().get("map") != "dry_run":
        yield from _marks((found["dag"], found["run"], found["task"]), content)


def _marks(place: tuple[str, str, str], content: Mapping[str, Any], *, group: bool = False) -> Iterator[Hand]:
    state = _text(content.get("new_state")).lower()
    if state in _MARKS:
        yield Hand(
            *place,
            f"marked group {state}" if group else f"marked {state}",
            _text(content.get("note")),
            group=group,
            around=bool(content.get("include_upstream") or content.get("include_downstream")),
            other_runs=bool(content.get("include_future") or content.get("include_past")),
        )


def _marks_run(place: tuple[str, str], content: Mapping[str, Any]) -> Iterator[Hand]:
    if state := _text(content.get("state")):
        yield Hand(*place, "", f"marked run {state}", _text(content.get("note")))


def _cleared(path: str, content: dict[str, Any]) -> Iterator[Hand]:
    if found := CLEAR.match(path):
        for task in _list(content.get("task_ids")) or [""]:
            name = task[0] if isinstance(task, list) and task else task
            yield Hand(found["dag"], _text(content.get("dag_run_id")), _text(name), "cleared")
    elif found := CLEAR_RUN.match(path):
        yield Hand(found["dag"], found["run"], "", "cleared run", _text(content.get("note")))
    elif found := CLEAR_RUNS.match(path):
        for run in _list(content.get("dag_runs")):
            if isinstance(run, dict):
                place = (_text(run.get("dag_id")) or found["dag"], _text(run.get("dag_run_id")))
                yield Hand(*place, "", "cleared run", _text(content.get("note")))


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
