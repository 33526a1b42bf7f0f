"""``airflow-cd target check``: what would fail in an environment, before anything is deployed to it."""

from __future__ import annotations

import argparse
import json
import time
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
    check.add_argument("connection", help="id of the connection, such as docker_production or http_staging")
    check.add_argument("--environment", help="name of the environment; by default what follows the kind in the id")
    check.add_argument("--service", default="service", help="what is deployed there")
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
    """Check a target."""
    from airflow_cd.targets import resolve_target
    from airflow_cd.targets.examination import examine

    environment = given.environment or given.connection.partition("_")[2] or given.connection
    try:
        target = resolve_target(given.connection, environment)
    except ValueError as error:
        raise Refused(f"{error}.", state="nothing was checked.") from error
    wrong = 0
    for finding in examine(target, given.service):
        wrong += finding.wrong
        print(f"{'WRONG' if finding.wrong else 'ok   '}  {finding.text}")
    if given.deploy and not wrong:
        wrong += not _deploy(target, given)
    elif given.deploy:
        print("       Nothing was deployed: mend that first.")
    print(f"{environment}: {'a deployment would fail.' if wrong else 'nothing that would fail was found.'}")
    return FAILED if wrong else DONE


def _deploy(target: Target, given: argparse.Namespace) -> bool:
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
        Release(given.service, artifact.rpartition(":")[2], artifact, configuration) if artifact else None
        for artifact in (*given.deploy, given.broken, given.missing)
    )
    if good is None or other is None:
        raise Refused("--deploy needs two artifacts.", state="nothing was deployed.")
    before = target.instances()
    try:
        return run_contract(Subject(target, good, other, broken, missing, given.timeout))
    finally:
        _bring_back(target, before, given.service, given.timeout, newer_token())


def _bring_back(target: Target, before: list[Instance], service: str, timeout: float, token: int) -> None:
    from airflow_cd.instances import Track
    from airflow_cd.release import Release, most_common
    from airflow_cd.targets.base import in_place, makes_replicas
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
        if not shared or in_place(target):
            target.restore(list(wanted), key=f"check-back-{time.time_ns()}", token=token)
        if settled := getattr(target, "settled", None):
            settled(token=token)
    except AirflowCdError as error:
        print(f"WRONG  What ran before could not be brought back: {error}")
    else:
        print("ok     What ran before runs again.")
