"""``airflow-cd veto``: releases that were rolled back, and are not deployed again until a person lifts the veto."""

from __future__ import annotations

import argparse
import getpass
from typing import TYPE_CHECKING, Any

from airflow_cd.commands.parsing import add_ledger_url, add_reason
from airflow_cd.commands.places import require_known
from airflow_cd.errors import LedgerRefused

if TYPE_CHECKING:
    from airflow_cd.ledger import Ledger


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("veto", help="list or lift the vetoes on releases that were rolled back")
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser(
        "list", help="list the vetoes in force; of one environment every veto, lifted ones included"
    )
    listing.add_argument("service", nargs="?", help="by default every service")
    listing.add_argument("environment", nargs="?", help="by default every environment")
    lift = actions.add_parser("lift", help="allow a release in an environment again")
    lift.add_argument("service")
    lift.add_argument("environment")
    for action in (listing, lift):
        add_ledger_url(action)
    lift.add_argument("release", help="its version, or the beginning of its digest where several have the version")
    add_reason(lift)


def run(given: argparse.Namespace) -> int:
    """List vetoes, or lift one."""
    from airflow_cd.commands.opening import open_ledger_in_use

    ledger = open_ledger_in_use(given.url)
    if given.service is not None:
        require_known(ledger, given.service, given.environment)
    if given.environment is None:
        return _list_in_force(ledger, given.service)
    if given.action == "list":
        return _list(ledger, given.service, given.environment)
    return _lift(ledger, given)


def _list_in_force(ledger: Ledger, service: str | None) -> int:
    vetoes = [veto for veto in ledger.overview.vetoes_in_force() if service in (None, veto.service)]
    for veto in vetoes:
        since = f"since {veto.at:%Y-%m-%d %H:%M} UTC"
        print(f"{veto.service} in {veto.environment}: {veto.version}  {veto.digest[7:15]}  {since}")
    if vetoes:
        print("For the reason of each: airflow-cd veto list SERVICE ENVIRONMENT")
    else:
        print(f"No veto is in force{f' against {service}' if service else ''}.")
    return 0


def _list(ledger: Ledger, service: str, environment: str) -> int:
    vetoes = ledger.vetoes.of(service, environment)
    for veto in vetoes:
        state = f"lifted by {veto.lifted_by}: {veto.lifted_why}" if veto.lifted_at else "in force"
        print(f"{veto.version}  {veto.digest[7:15]}  since {veto.at:%Y-%m-%d %H:%M} UTC  {state}\n    {veto.reason}")
    if not vetoes:
        print(f"No release of {service} was ever rolled back in {environment}.")
    return 0


def _lift(ledger: Ledger, given: argparse.Namespace) -> int:
    wanted = given.release.removeprefix("sha256:")
    matching = {
        veto.digest: veto
        for veto in ledger.vetoes.of(given.service, given.environment)
        if veto.lifted_at is None and (veto.version == given.release or veto.digest[7:].startswith(wanted))
    }
    if len(matching) != 1:
        found = ", ".join(f"{veto.version} {veto.digest[7:15]}" for veto in matching.values())
        raise LedgerRefused(
            f"{given.release} matches several vetoed releases: {found}."
            if matching
            else f"no veto is in force against {given.service} {given.release}.",
            service=given.service,
            environment=given.environment,
            state="nothing was changed.",
            next_step="Give the digest of one."
            if matching
            else f"See `airflow-cd veto list {given.service} {given.environment}`.",
        )
    [digest] = matching
    who = given.who or getpass.getuser()
    lifted = ledger.vetoes.lift(given.service, given.environment, digest, who=who, why=given.why)
    print(f"{given.service} {lifted.version} may be deployed to {given.environment} again.")
    return 0
