"""Reading a pipeline file as Airflow does, to say what is wrong with it, or what a run of it would do."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from airflow.sdk import DAG

from airflow_cd.durations import format_duration, parse_duration
from airflow_cd.errors import PipelineError
from airflow_cd.pipeline.environment import Environment
from airflow_cd.pipeline.specification import Approval, Member, Pipeline, Strategy, noticing
from airflow_cd.pipeline.strategies import BlueGreen, Canary
from airflow_cd.task_ids import FINISH
from airflow_cd.verification.settings import Verification

VERSION_ASKED_FOR = "<version>"
"""What stands for the version that each run asks for; none may look like it."""


@dataclass(frozen=True)
class CheckedFile:
    """What a file holds.

    :param pipelines: with a DAG, in the order in which they were made.
    :param mistakes: everything that is wrong, a sentence or a list each.
    :param others: DAGs in a file without a pipeline.
    """

    pipelines: tuple[Pipeline, ...]
    mistakes: tuple[str, ...]
    others: int = 0


def check_file(path: Path) -> CheckedFile:
    """Run a file as Airflow's DAG processor would, and look at the pipelines that it made.

    :param path: of the file.
    """
    mistakes: list[str] = []
    others = 0
    with noticing() as made, _importable(path.parent):
        spec = importlib.util.spec_from_file_location(f"airflow_cd_checked_{path.stem}", path)
        try:
            if spec is None or spec.loader is None:
                return CheckedFile((), ("it is no Python file.",))
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module
            spec.loader.exec_module(module)
            others = sum(isinstance(one, DAG) for one in vars(module).values())
        except PipelineError as error:
            mistakes.append(str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the file raises, Airflow shows it
            mistakes.append(_raised(error, path))
        finally:
            sys.modules.pop(f"airflow_cd_checked_{path.stem}", None)
    if not mistakes:
        mistakes = [
            f"pipeline {one.name!r} has no DAG, so Airflow does not see it: end it with .dag()"
            for one in made
            if not one.has_dag
        ]
        if not made and not others:
            mistakes.append("there is no pipeline in it, and no other DAG.")
    return CheckedFile(tuple(one for one in made if one.has_dag), tuple(mistakes), others if not made else 0)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the file import its neighbours, and leave no compiled file beside it."""
    before = sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = before


def _raised(error: BaseException, path: Path) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == str(path) else None
    where = f"line {line or lines[-1]}: " if line or lines else ""
    return f"{where}{type(error).__name__}: {error}"


def artifact(pipeline: Pipeline) -> str:
    """The artifact that a run deploys, with the version left to be filled in.

    :param pipeline: one without mistakes.
    """
    return pipeline.artifact.format(service=pipeline.deployed_service, version=VERSION_ASKED_FOR)


def warnings(pipeline: Pipeline) -> Iterator[str]:
    """What is no mistake, and hardly meant, a sentence each.

    :param pipeline: one without mistakes.
    """
    if VERSION_ASKED_FOR not in artifact(pipeline):
        yield (
            f"its artifact {pipeline.artifact!r} is the same whatever version a run asks for; with {{version}} in it, "
            "each run deploys what it names."
        )


def steps(pipeline: Pipeline) -> Iterator[str]:
    """What a run does, stage by stage, as lines.

    :param pipeline: one without mistakes.
    """
    for number, stage in enumerate(pipeline.members(), 1):
        for place, member in enumerate(stage):
            first, *more = _member(pipeline, member)
            yield f"{number}.  {first}" if not place else f"    {first}, at the same time"
            yield from (f"      {line}" for line in more)


def _member(pipeline: Pipeline, member: Member) -> Iterator[str]:
    if isinstance(member, Approval):
        who = " or ".join(member.approvers) if member.approvers else "anybody who may edit the run"
        yield f"{member.name}: waits for {who}, {member.timeout} at most"
    elif isinstance(member, Canary):
        shares = ", then ".join(phase.words for phase in member.planned)
        yield f"{member.environment.name}: {shares} of the instances, over {_target(pipeline, member.environment)}"
        yield from _watched(member.verify)
        yield from _kept(pipeline, member)
    elif isinstance(member, BlueGreen):
        over = _target(pipeline, member.environment)
        yield f"{member.environment.name}: a new side without requests, then with all of them, over {over}"
        yield from _watched(member.verify)
        yield from _kept(pipeline, member)
    elif isinstance(member, Environment):
        yield f"{member.name}: every instance, over {_target(pipeline, member)}"
        yield from _watched(member.verify)
    else:
        name = getattr(member, "task_id", None) or getattr(member, "group_id", None) or getattr(member, "__name__", "")
        yield f"{name}: of your own"


def _kept(pipeline: Pipeline, member: Strategy) -> Iterator[str]:
    if isinstance(member, Canary):
        for phase in member.planned:
            if parse_duration(pause := member.pause_of(phase)):
                yield f"{phase.words}: watched on for {pause} before the next"
    if parse_duration(member.bake):
        yield f"watched on for {member.bake} before it is promoted"
    if member.steps(pipeline.target_of(member.environment))[-1].name == FINISH:
        yield "what ran before is kept without requests until then: going back is a switch"


def _target(pipeline: Pipeline, environment: Environment) -> str:
    given = environment.target or f"{pipeline.target}_{environment.name}"
    return given if isinstance(given, str) else type(given).__name__


def _watched(verification: Verification | None) -> Iterator[str]:
    if verification is None:
        yield "not verified"
        return
    sources = ", ".join([*(source.name for source in verification.metrics), *(one.name for one in verification.logs)])
    yield f"each watched for {verification.duration} at sensitivity {verification.sensitivity}: {sources}"
    if longer := verification.waits_longer:
        yield (
            f"a PASS may take {format_duration(longer)} more, once for a release: so late may errors come; "
            "longest_lag bounds it"
        )
    if verification.advisory:
        yield "advisory: never failed"
    policies = {"inconclusive": "too little evidence", "no_data": "no data", "source_error": "a source that errs"}
    says: dict[str, list[str]] = {}
    for key, what in policies.items():
        says.setdefault(verification.policy(key), []).append(what)
    yield "; ".join(f"{', '.join(what)}: {policy}" for policy, what in says.items())
