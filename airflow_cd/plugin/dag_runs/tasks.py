"""A run as Airflow's own database has it: its tasks, their results, and where each stands in the DAG of that run."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import DagRun
from airflow.models.renderedtifields import RenderedTaskInstanceFields
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_cd.operators import is_bound, role_of
from airflow_cd.pipeline.rollback_dag import ASKED_FOR
from airflow_cd.plugin.dag_runs.stuck import why_stopped
from airflow_cd.states import Role
from airflow_cd.task_ids import stage_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

FINISHED = ("success", "failed")
KEPT_SHAPES = 256


@dataclass(frozen=True)
class Place:
    """What the DAG says of a task.

    :param stage: the top-level task group it is in, or its own name.
    :param upstream: ids of the tasks it waits for.
    :param role: what it does in a delivery, whatever its class is called; None for a task of the author's own.
    :param service: what it delivers, ``""`` for a task that delivers nothing.
    :param environment: where it delivers to, ``""`` for a task that touches none.
    :param approvers: the only users who may answer what it asks; empty for a task that asks nothing, or everybody.
    :param groups: ids of all task groups it is in, whatever it is called.
    """

    stage: str
    upstream: tuple[str, ...] = ()
    role: Role | None = None
    service: str = ""
    environment: str = ""
    approvers: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RunTask:
    """One task of a run; of a mapped task each instance is one.

    :param state: Airflow's word; ``""`` while it has none.
    :param result: what an operator of ours noted of itself while it ran (``failed``, ``waiting`` ...).
    """

    task_id: str
    state: str
    started: datetime | None = None
    ended: datetime | None = None
    place: Place = Place("")
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        """Its stage; of a task that the DAG no longer has, the one in its id."""
        return self.place.stage or stage_of(self.task_id)


@dataclass(frozen=True)
class Run:
    """One run.

    :param state: Airflow's word; ``""`` when Airflow does not know the run.
    :param asked: what was asked for in the trigger form, as far as it differs from the form's defaults.
    :param by: who triggered it, ``""`` if nobody did.
    :param stopped: why Airflow schedules nothing of it although it has not ended, ``""`` when it does.
    """

    pipeline: str
    run_id: str
    state: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)
    by: str = ""
    tasks: Sequence[RunTask] = ()
    stopped: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing of it will run any more."""
        return self.state in FINISHED or not self.state


def run_of(dag_id: str, run_id: str) -> Run | None:
    """The run; None when Airflow does not know it (any more)."""
    with create_session() as session:
        row = session.execute(
            select(DagRun.state, DagRun.conf, DagRun.triggering_user_name).where(
                DagRun.dag_id == dag_id, DagRun.run_id == run_id
            )
        ).one_or_none()
        if row is None:
            return None
        tasks = session.execute(
            select(
                TaskInstance.task_id,
                TaskInstance.map_index,
                TaskInstance.state,
                TaskInstance.start_date,
                TaskInstance.end_date,
            )
            .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
            .order_by(TaskInstance.task_id, TaskInstance.map_index)
        ).all()
        places = _places(session, dag_id, run_id)
        results = _results(session, dag_id, run_id)
    state, conf, by = row
    asked = conf if isinstance(conf, dict) else {}
    return Run(
        dag_id,
        run_id,
        str(state or ""),
        asked,
        by or "",
        [
            RunTask(
                task_id,
                str(task_state or ""),
                started,
                ended,
                _asked_for(places.get(task_id, Place("")), asked),
                results.get((task_id, number), {}),
            )
            for task_id, number, task_state, started, ended in tasks
        ],
        why_stopped(dag_id, run_id),
    )


def _asked_for(place: Place, asked: Mapping[str, Any]) -> Place:
    """The place with its environment, where that is what the trigger form asks for."""
    if place.environment != ASKED_FOR:
        return place
    return replace(place, environment=str(asked.get("environment") or ""))


def _results(session: Session, dag_id: str, run_id: str) -> dict[tuple[str, int], dict[str, Any]]:
    rendered = RenderedTaskInstanceFields
    rows = session.execute(
        select(rendered.task_id, rendered.map_index, rendered.rendered_fields).where(
            rendered.dag_id == dag_id, rendered.run_id == run_id
        )
    )
    # Of a result that is too long, Airflow keeps a text.
    return {
        (task_id, number): fields["result"]
        for task_id, number, fields in rows
        if isinstance(fields, dict) and isinstance(fields.get("result"), dict)
    }


def _places(session: Session, dag_id: str, run_id: str) -> Mapping[str, Place]:
    """Of the newest version of the DAG that a task of the run has: a cleared task may have a newer one."""
    newest = session.execute(
        select(SerializedDagModel.dag_version_id, SerializedDagModel.dag_hash)
        .join(DagVersion, DagVersion.id == SerializedDagModel.dag_version_id)
        .join(TaskInstance, TaskInstance.dag_version_id == DagVersion.id)
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        .order_by(DagVersion.version_number.desc())
        .limit(1)
    ).one_or_none()
    return _shape(newest[0], newest[1]) if newest else {}


def shape_of_run(dag_id: str, run_id: str) -> Mapping[str, Place]:
    """The tasks of the version of a DAG that a run has; empty when Airflow does not know the run.

    :param dag_id: id of the DAG.
    :param run_id: id of the run.
    """
    with create_session() as session:
        return _places(session, dag_id, run_id)


def shape_of(dag_id: str) -> Mapping[str, Place]:
    """The tasks of the newest version of a DAG; empty when Airflow does not know it."""
    with create_session() as session:
        newest = _newest(session, dag_id)
    return _shape(*newest) if newest else {}


def parameters_of(dag_id: str) -> Collection[str] | None:
    """The names of the parameters that a run of a pipeline may have.

    :param dag_id: id of the DAG.
    :returns: None for a DAG that no pipeline has become, whose runs may have any.
    """
    with create_session() as session:
        newest = _newest(session, dag_id)
    return _parameters(*newest) if newest else None


def _newest(session: Session, dag_id: str) -> tuple[Any, str] | None:
    row = session.execute(
        select(SerializedDagModel.dag_version_id, SerializedDagModel.dag_hash)
        .join(DagVersion, DagVersion.id == SerializedDagModel.dag_version_id)
        .where(DagVersion.dag_id == dag_id)
        .order_by(DagVersion.version_number.desc())
        .limit(1)
    ).one_or_none()
    return (row[0], row[1]) if row else None


@functools.lru_cache(maxsize=KEPT_SHAPES)
def _shape(version: Any, _content: str) -> Mapping[str, Place]:
    """Every reader of a live page asks for it every few seconds, and a large DAG takes long to read."""
    dag = _dag(version)
    if dag is None:
        return {}
    stages = {
        task_id: name
        for name, child in dag.task_group.children.items()
        for task_id in ([task.task_id for task in child.iter_tasks()] if hasattr(child, "iter_tasks") else [name])
    }
    groups: dict[str, set[str]] = {}
    for name, group in dag.task_group.get_task_group_dict().items():
        for task in group.iter_tasks() if name is not None else ():
            groups.setdefault(task.task_id, set()).add(name)
    return {
        task.task_id: replace(
            _place(task, stages.get(task.task_id, "")), groups=frozenset(groups.get(task.task_id, ()))
        )
        for task in dag.task_dict.values()
    }


@functools.lru_cache(maxsize=KEPT_SHAPES)
def _parameters(version: Any, _content: str) -> Collection[str] | None:
    dag = _dag(version)
    return None if dag is None else known_parameters(dag)


def known_parameters(dag: Any) -> Collection[str] | None:
    """The names of the parameters that a run of a DAG may have.

    :param dag: as Airflow has deserialized it.
    :returns: None for a DAG that no pipeline has become, whose runs may have any.
    """
    if not any(is_bound(task) for task in dag.task_dict.values()):
        return None
    return frozenset({*dag.params, *(name for task in dag.task_dict.values() for name in task.params)})


def _dag(version: Any) -> Any:
    with create_session() as session:
        serialized = session.scalars(
            select(SerializedDagModel).where(SerializedDagModel.dag_version_id == version)
        ).one_or_none()
        if serialized is None:
            return None
        serialized.load_op_links = False
        return serialized.dag


def _place(task: Any, stage: str) -> Place:
    upstream = tuple(sorted(task.upstream_task_ids))
    role = role_of(task)
    if role is None:
        return Place(stage, upstream)
    return Place(
        stage, upstream, role, _text(task, "service"), _text(task, "environment"), approvers=_texts(task, "approvers")
    )


def _text(task: Any, name: str) -> str:
    value = _field(task, name)
    return value if isinstance(value, str) else ""


def _texts(task: Any, name: str) -> tuple[str, ...]:
    value = _field(task, name)
    return tuple(str(item) for item in value) if isinstance(value, list | tuple) else ()


def _field(task: Any, name: str) -> Any:
    # What all instances of a mapped task share is not an attribute of the task.
    return getattr(task, name, None) or getattr(task, "partial_kwargs", {}).get(name)
