"""``airflow-cd check``: whether pipeline files are right, and what a run of them would do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from airflow_cd.errors import Refused
from airflow_cd.exit_codes import DONE, FAILED


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser(
        "check",
        help="check pipeline files, and say what a run of them would do",
        description="Runs each file as Airflow would when it parses it. Nothing is called, deployed or recorded.",
        epilog="exit codes: 0 every file is right, warnings or not; 1 one has mistakes; 3 an error",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a Python file of the DAGs folder")


def run(given: argparse.Namespace) -> int:
    """Check the files."""
    files = [Path(name).absolute() for name in given.files]
    for name, file in zip(given.files, files, strict=True):
        if not file.is_file():
            raise Refused(f"there is no file {name}.", state="nothing was checked.")
    from airflow_cd.pipeline.checking import artifact, check_file, steps, warnings

    code = DONE
    for name, file in zip(given.files, files, strict=True):
        found = check_file(file)
        for pipeline in found.pipelines:
            print(f"{name}: pipeline {pipeline.name} is right. A run of it deploys {pipeline.deployed_service} to:")
            print(f"    artifact: {artifact(pipeline)}")
            print("".join(f"    {line}\n" for line in steps(pipeline)), end="")
            for warning in warnings(pipeline):
                print(f"{name}: WARNING: pipeline {pipeline.name}: {warning}")
        if found.others:
            print(f"{name}: no pipeline, but a DAG of your own; Airflow can read it.")
        for mistake in found.mistakes:
            code = FAILED
            print(f"{name}: {mistake}")
    return code
