"""``airflow-cd target check``: what would fail in an environment, before anything is deployed to it."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import AirflowCdError, Refused
from airflow_cd.exit_codes import DONE, FAILED

if TYPE_CHECKING:
    from airflow_cd.release import Release
    from airflow_cd.targets import Instance, Target


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("target", help="look at an environment, and say what would fail there")
    actions = parser.add_subparsers(dest="action", required=True)
    check = actions.add_parser(
        "check",
        help="look at an environment; with --deploy, try everything a deployment does",
        description="Asks what a deployment asks before it begins: what runs, how it is, whether it could be deployed "
        "again. Nothing is changed without --deploy.",
        epilog="exit codes: 0 nothing would fail; 1 something would; 3 an error",
    )
    check.add_argument(
        "target",
        metavar="TARGET",
        help="a pipeline file, whose targets are all looked at as it makes them; or the id of a connection, such as "
        "docker_production or http_staging",
    )
    check.add_argument(
        "--environment",
        help="name of the environment; by default all of the pipeline file, or what follows the kind in the id",
    )
    check.add_argument("--service", help="what is deployed there; by default what the pipeline deploys")
    check.add_argument(
        "--deploy",
        nargs=2,
        metavar=("ARTIFACT", "OTHER"),
        help="run the whole contract of targets with two artifacts that come up: it deploys, drains and EMPTIES every "
        "instance, and brings back what ran before",
    )
    check.add_argument("--broken", metavar="ARTIFACT", help="with --deploy: one that does not come up")
    check.add_argument("--missing", metavar="ARTIFACT", help="with --deploy: one that does not exist")
    check.add_argument("--configuration", default="{}", metavar="JSON", help="with --deploy: what they need to come up")
    check.add_argument("--timeout", type=float, default=60.0, help="with --deploy: seconds for one deployment (60)")


def run(given: argparse.Namespace) -> int:
    """Check one target, or all of a pipeline file."""
    places = list(_places(given))
    if given.deploy and len(places) > 1:
        raise Refused(
            f"--deploy tries one environment, and {given.target} has {', '.join(one.name for one in places)}.",
            state="nothing was checked.",
            next_step="Name it: --environment NAME.",
        )
    return FAILED if sum([_wrong(place, given) for place in places]) else DONE


@dataclass(frozen=True)
class _Place:
    """An environment, what is deployed to it, and how it is reached."""

    name: str
    service: str
    target: Target


def _wrong(place: _Place, given: argparse.Namespace) -> int:
    """Look at one environment; how much would fail there."""
    from airflow_cd.targets import label_of_target
    from airflow_cd.targets.examination import examine

    wrong = 0
    print(f"{place.name}, {label_of_target(place.target)}")
    for finding in examine(place.target, place.service):
        wrong += finding.wrong
        print(f"{'WRONG' if finding.wrong else 'ok   '}  {finding.text}")
    if given.deploy and not wrong:
        wrong += not _deploy(place.target, place.service, given)
    elif given.deploy:
        print("       Nothing was deployed: mend that first.")
    print(f"{place.name}: {'a deployment would fail.' if wrong else 'nothing that would fail was found.'}")
    return wrong


def _places(given: argparse.Namespace) -> Iterator[_Place]:
    from airflow_cd.targets import resolve_target

    file = Path(given.target)
    if file.is_file():
        yield from _of_file(file, given)
        return
    if file.suffix == ".py" or "/" in given.target:
        raise Refused(f"there is no file {given.target}.", state="nothing was checked.")
    environment = given.environment or given.target.partition("_")[2] or given.target
    try:
        yield _Place(environment, given.service or "service", resolve_target(given.target, environment))
    except ValueError as error:
        raise Refused(f"{error}.", state="nothing was checked.") from error


def _of_file(file: Path, given: argparse.Namespace) -> Iterator[_Place]:
    """The environments of the pipelines of a file; one that several of them share is looked at once."""
    from airflow_cd.pipeline.checking import check_file
    from airflow_cd.pipeline.specification import environment_of
    from airflow_cd.spelling import suggestion
    from airflow_cd.wording import ended

    found = check_file(file.absolute())
    if found.mistakes:
        raise Refused(f"{given.target}: {found.mistakes[0]}", state="nothing was checked.")
    places: list[_Place] = []
    for pipeline in found.pipelines:
        for environment in filter(None, (environment_of(one) for stage in pipeline.members() for one in stage)):
            service = given.service or pipeline.deployed_service
            place = _Place(environment.name, service, pipeline.target_of(environment))
            places += [place] if place not in places else []
    if not places:
        raise Refused(f"{given.target}: no stage of it deploys anything.", state="nothing was checked.")
    wanted = [one for one in places if given.environment in (None, one.name)]
    if not wanted:
        there = ended(suggestion(given.environment, {one.name for one in places}))
        raise Refused(f"{given.target} has no environment {given.environment!r}; {there}", state="nothing was checked.")
    yield from wanted


def _deploy(target: Target, service: str, given: argparse.Namespace) -> bool:
    try:
        from airflow_cd.targets.contract_live import Subject, newer_token
        from airflow_cd.targets.contract_live import run as run_contract
    except ImportError:
        raise Refused("--deploy needs pytest, which is not installed here.", next_step="pip install pytest") from None
    from airflow_cd.release import Release

    try:
        configuration = json.loads(given.configuration)
    except ValueError as error:
        raise Refused(f"--configuration is not JSON: {error}.", state="nothing was deployed.") from error
    good, other, broken, missing = (
        Release(service, artifact.rpartition(":")[2], artifact, configuration) if artifact else None
        for artifact in (*given.deploy, given.broken, given.missing)
    )
    if good is None or other is None:
        raise Refused("--deploy needs two artifacts.", state="nothing was deployed.")
    before = target.instances()
    try:
        return run_contract(Subject(target, good, other, broken, missing, given.timeout))
    finally:
        _bring_back(target, before, service, given.timeout, newer_token())


def _bring_back(target: Target, before: list[Instance], service: str, timeout: float, token: int) -> None:
    from airflow_cd.instances import Track
    from airflow_cd.release import Release, most_common
    from airflow_cd.targets.base import makes_replicas
    from airflow_cd.targets.rollout import wait_until

    wanted: dict[str, Release | None] = {
        one.name: Release(service, one.version or one.artifact, one.artifact, dict(one.configuration))
        if one.artifact is not None
        else None
        for one in before
    }
    shared: dict[str, Any] = {}
    if makes_replicas(target):
        # Other replicas run by now: what most of them ran, the stable ones run again.
        wanted, shared = {Track.STABLE: most_common(wanted.values()), Track.CANARY: None}, {"share": 100}
    try:
        for number, release in enumerate(dict.fromkeys(wanted.values())):
            names = [name for name, one in wanted.items() if one == release]
            target.deploy(release, names, key=f"check-back-{time.time_ns()}-{number}", token=token, **shared)
        wait_until(target, wanted, timeout=timeout)
        # What comes up may be without traffic until it is given some.
        target.restore(list(wanted), key=f"check-back-{time.time_ns()}", token=token)
        if settled := getattr(target, "settled", None):
            settled(token=token)
    except AirflowCdError as error:
        print(f"WRONG  What ran before could not be brought back: {error}")
    else:
        print("ok     What ran before runs again.")
