"""``airflow-cd rights``: the rights of Airflow CD that an auth manager can give apart from editing runs."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from airflow_cd.errors import Refused
from airflow_cd.states import Right


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("rights", help="list the rights of Airflow CD, or make them known to FAB")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="list the rights, by the names under which an auth manager is asked for them")
    actions.add_parser("create", help="create them as permissions of the FAB auth manager, which knows no others")


def run(given: argparse.Namespace) -> int:
    """List the rights, or create them."""
    if given.action == "create":
        _create()
    for right in Right:
        print(f"{right.value:<10} can edit on {right.resource}")
    return 0


def _create() -> None:
    try:
        utils = import_module("airflow.providers.fab.auth_manager.cli_commands.utils")
    except ImportError:
        raise Refused(
            "the FAB auth manager is not installed here.",
            state="nothing was created.",
            next_step="Install airflow-cd[fab] where Airflow runs; other auth managers take the names as they are.",
        ) from None
    with utils.get_application_builder() as builder:
        for right in Right:
            builder.sm.create_permission("can_edit", right.resource)
