"""``airflow-cd freeze``: environments to which nothing is deployed until a person lifts the freeze."""

from __future__ import annotations

import argparse
import getpass
from typing import Any

from airflow_cd.commands.parsing import add_ledger_url, add_reason
from airflow_cd.commands.places import add_force, require_known


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("freeze", help="let nothing be deployed to an environment, or lift that")
    actions = parser.add_subparsers(dest="action", required=True)
    begin = actions.add_parser("set", help="let no deployment begin; rolling back stays possible")
    lift = actions.add_parser("lift", help="let deployments begin again")
    show = actions.add_parser("show", help="say whether an environment is frozen")
    for action in (begin, lift, show):
        action.add_argument("service")
        action.add_argument("environment")
        add_ledger_url(action)
    for action in (begin, lift):
        add_reason(action)
    add_force(begin)


def run(given: argparse.Namespace) -> int:
    """Freeze an environment, lift its freeze, or show it."""
    from airflow_cd.commands.opening import open_ledger_in_use

    ledger = open_ledger_in_use(given.url)
    freezes, place = ledger.freezes, (given.service, given.environment)
    setting = given.action == "set"
    if not (setting and given.force):
        require_known(ledger, *place, may_force=setting)
    if setting:
        freezes.freeze(*place, who=given.who or getpass.getuser(), why=given.why)
        print(f"{given.environment} is frozen: no deployment of {given.service} begins there.")
    elif given.action == "lift":
        freezes.lift(*place, who=given.who or getpass.getuser(), why=given.why)
        print(f"{given.service} may be deployed to {given.environment} again.")
    else:
        freeze = freezes.in_force(*place)
        print(freeze.sentence if freeze else f"{given.environment} is not frozen for {given.service}.")
    return 0
