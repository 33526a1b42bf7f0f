"""The command ``airflow-cd``."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence

from airflow_cd.errors import AirflowCdError, LedgerError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="airflow-cd", description="Continuous delivery on Apache Airflow.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="run the whole story on this machine")
    demo.add_argument("--exit", action="store_true", help="end after the story; code 0 only if it went as expected")
    demo.add_argument("--port", type=int, default=8080, help="port of the Airflow UI, 0 for a free one (%(default)s)")
    _ledger_parser(commands.add_parser("ledger", help="look after the ledger's database"))
    _veto_parser(commands.add_parser("veto", help="releases that were rolled back, and are not deployed again"))
    return parser


def _with_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="the ledger; default: option sql_alchemy_conn in section [airflow_cd]")


def _ledger_parser(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    for name, text in (("migrate", "bring the schema to this version"), ("revision", "say which version it has")):
        _with_url(actions.add_parser(name, help=text))


def _veto_parser(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="the vetoes in force, and those that were lifted")
    lift = actions.add_parser("lift", help="allow a release in an environment again")
    for action in (listing, lift):
        action.add_argument("service")
        action.add_argument("environment")
        _with_url(action)
    lift.add_argument("release", help="its version, or the beginning of its digest where several have the version")
    lift.add_argument("--why", required=True, help="the reason, for the ledger")
    lift.add_argument("--who", default=getpass.getuser(), help="who decided that (%(default)s)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code, 1 with one readable line on standard error for an error of ours."""
    given = _parser().parse_args(arguments)
    try:
        if given.command == "demo":
            from airflow_cd.demo.command import run

            return run(port=given.port, leave=not given.exit)
        return _ledger(given) if given.command == "ledger" else _veto(given)
    except AirflowCdError as error:
        print(error, file=sys.stderr)
        return 1


def _ledger(given: argparse.Namespace) -> int:
    from airflow_cd.ledger import open_ledger

    ledger = open_ledger(given.url, check=False)
    if given.action == "migrate":
        ledger.migrate()
    print(ledger.revision() or "empty: run `airflow-cd ledger migrate`")
    return 0


def _veto(given: argparse.Namespace) -> int:
    from airflow_cd.ledger import open_ledger

    ledger = open_ledger(given.url)
    vetoes = ledger.vetoes(given.service, given.environment)
    if given.action == "list":
        for veto in vetoes:
            state = f"lifted by {veto.lifted_by}: {veto.lifted_why}" if veto.lifted_at else "in force"
            print(
                f"{veto.version}  {veto.digest[7:15]}  since {veto.at:%Y-%m-%d %H:%M} UTC  {state}\n    {veto.reason}"
            )
        if not vetoes:
            print(f"Nothing of {given.service} was ever rolled back in {given.environment}.")
        return 0
    wanted = given.release.removeprefix("sha256:")
    fitting = {
        veto.digest: veto
        for veto in vetoes
        if veto.lifted_at is None and (veto.version == given.release or veto.digest[7:].startswith(wanted))
    }
    if len(fitting) != 1:
        found = ", ".join(f"{veto.version} {veto.digest[7:15]}" for veto in fitting.values())
        raise LedgerError(
            f"{given.release} names several vetoed releases: {found}."
            if fitting
            else f"no veto is in force against {given.service} {given.release}.",
            environment=given.environment,
            state="nothing was changed.",
            next_step="Name one by its digest."
            if fitting
            else f"Look at `airflow-cd veto list {given.service} {given.environment}`.",
        )
    [digest] = fitting
    lifted = ledger.lift_veto(given.service, given.environment, digest, who=given.who, why=given.why)
    print(f"{given.service} {lifted.version} may be deployed to {given.environment} again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
