"""``airflow-cd baseline``: which good deployments canaries are compared with; a pin outranks the pipeline's choice."""

from __future__ import annotations

import argparse
import getpass
from typing import TYPE_CHECKING, Any

from airflow_cd.commands.parsing import add_ledger_url, add_reason
from airflow_cd.commands.places import add_force, require_known
from airflow_cd.states import DeploymentState
from airflow_cd.verification.baseline_choice import BASELINES

if TYPE_CHECKING:
    from airflow_cd.ledger import BaselineChoice, Ledger

_LISTED = 20


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("baseline", help="list, pin or reset what canaries are compared with")
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="list the deployments that can be pinned, and what people chose")
    pin = actions.add_parser("pin", help="compare with this one, whatever the pipeline's choice is")
    reset = actions.add_parser("reset", help="forget what was learned up to now, and any pin")
    undo = actions.add_parser("undo", help="undo the newest pin or reset")
    for action in (listing, pin, reset, undo):
        action.add_argument("service")
        action.add_argument("environment")
        if action is not listing:
            add_reason(action)
        add_ledger_url(action)
    for action in (pin, reset):
        add_force(action)
    pin.add_argument("choice", help="all, previous, control, a deployment's id or a version")


def run(given: argparse.Namespace) -> int:
    """List, pin, reset or undo."""
    from airflow_cd.commands.opening import open_ledger_in_use

    ledger = open_ledger_in_use(given.url)
    may_force = given.action in ("pin", "reset")
    if not (may_force and given.force):
        require_known(ledger, given.service, given.environment, may_force=may_force)
    if given.action == "list":
        return _list(ledger, given.service, given.environment)
    person = {"who": given.who or getpass.getuser(), "why": given.why}
    if given.action == "pin":
        ledger.baselines.pin(given.service, given.environment, given.choice, **person)
    elif given.action == "reset":
        ledger.baselines.reset(given.service, given.environment, **person)
    else:
        ledger.baselines.undo(given.service, given.environment, **person)
    print(_in_force(ledger, given.service, given.environment))
    return 0


def _list(ledger: Ledger, service: str, environment: str) -> int:
    print(_in_force(ledger, service, environment))
    listed = False
    for deployment in ledger.deployments.matching(service, environment, DeploymentState.PROMOTED, limit=_LISTED):
        kept = [one for one in ledger.profiles.of(deployment.id) if one.teaches and one.kind != "control"]
        if kept:
            listed = True
            sources = ", ".join(sorted({one.source for one in kept}))
            print(
                f"{deployment.id}  {deployment.release.version}  {deployment.opened_at:%Y-%m-%d %H:%M} UTC  {sources}"
            )
    if not listed:
        print(f"No deployment of {service} in {environment} can be compared with yet.")
    history = ledger.baselines.history(service, environment)
    if history:
        print("What people chose, newest first:")
    for choice in history:
        print(f"    {_line(ledger, choice)}{'  undone' if choice.undone else ''}")
    return 0


def _in_force(ledger: Ledger, service: str, environment: str) -> str:
    choice = ledger.baselines.choice(service, environment)
    if choice is None:
        return f"{service} in {environment}: no pin; the pipeline's choice is in force."
    return f"{service} in {environment}: {_line(ledger, choice)}"


def _line(ledger: Ledger, choice: BaselineChoice) -> str:
    what = choice.action
    if choice.choice in BASELINES:
        what = f"{choice.action} {choice.choice}"
    elif choice.choice:
        what = f"{choice.action} {ledger.deployments.get(choice.choice).release.version} ({choice.choice[:8]})"
    return f"{what}, by {choice.who}, {choice.at:%Y-%m-%d %H:%M} UTC: {choice.why}"
