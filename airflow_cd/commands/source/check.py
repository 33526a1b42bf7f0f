"""``airflow-cd source check``: what a source answers now, before a verification depends on it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_cd.commands.source.written import written
from airflow_cd.errors import AirflowCdError, Refused
from airflow_cd.exit_codes import DONE, FAILED

if TYPE_CHECKING:
    from airflow_cd.pipeline.environment import Environment
    from airflow_cd.pipeline.specification import Pipeline
    from airflow_cd.verification.samples import LogSource, MetricSource


def add_parser(actions: Any) -> None:
    """Add the command to ``airflow-cd source``."""
    check = actions.add_parser(
        "check",
        help="read a source once: rows, lag, kinds, units, levels",
        description="Reads every source once, as a verification would, and says what came: rows, instances, lag, what "
        "metrics are taken for, which levels and which layout records have. Nothing is changed or recorded.",
        epilog="exit codes: 0 every source has data of every instance; 1 one has not; 3 an error",
    )
    check.add_argument(
        "source",
        metavar="SOURCE",
        help="a pipeline file, or a source as a pipeline file writes it: \"PrometheusMetrics('micrometer')\"",
    )
    check.add_argument(
        "--instances",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names of instances; by default what the target of the pipeline has, or what the source knows",
    )
    check.add_argument("--last", default="10m", metavar="DURATION", help="how far back to read (10m)")


def run(given: argparse.Namespace) -> int:
    """Check the sources."""
    from airflow_cd.durations import parse_duration
    from airflow_cd.sources.examination import examine

    try:
        last = parse_duration(given.last)
    except ValueError as error:
        raise Refused(f"--last: {error}.", state="nothing was read.") from error
    code = DONE
    for source, instances in _sources(given):
        print(f"{source.name}")
        for finding in examine(source, instances, last):
            if finding.wrong:
                code = FAILED
            print(f"    {'WRONG' if finding.wrong else 'ok   '}  {finding.text}")
    return code


def _sources(given: argparse.Namespace) -> Iterator[tuple[MetricSource | LogSource, list[str]]]:
    file = Path(given.source)
    if not file.is_file():
        yield written(given.source), list(given.instances)
        return
    from airflow_cd.pipeline.checking import check_file

    found = check_file(file.absolute())
    if found.mistakes:
        raise Refused(f"{given.source}: {found.mistakes[0]}", state="nothing was read.")
    seen: set[str] = set()
    for pipeline in found.pipelines:
        for environment, verification in _verified(pipeline):
            sources = [one for one in (*verification.metrics, *verification.logs) if repr(one) not in seen]
            instances = list(given.instances) or (_instances_of(pipeline, environment) if sources else [])
            for source in sources:
                seen.add(repr(source))
                yield source, instances
    if not seen:
        raise Refused(f"{given.source}: no stage of it is verified.", state="nothing was read.")


def _verified(pipeline: Pipeline) -> Iterator[tuple[Environment, Any]]:
    from airflow_cd.pipeline.specification import environment_of

    for member in (one for stage in pipeline.members() for one in stage):
        environment, verification = environment_of(member), getattr(member, "verify", None)
        if environment is not None and verification is not None:
            yield environment, verification


def _instances_of(pipeline: Pipeline, environment: Environment) -> list[str]:
    """What the target has; none where it cannot be asked, then the source may know some."""
    try:
        return [one.name for one in pipeline.target_of(environment).instances()]
    except (AirflowCdError, ValueError) as error:
        print(f"The target of {environment.name} cannot be asked for its instances: {error}")
        return []
