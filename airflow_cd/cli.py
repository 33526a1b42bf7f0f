"""The command ``airflow-cd``."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from airflow_cd import __version__
from airflow_cd.commands.parsing import CommandParser
from airflow_cd.errors import AirflowCdError
from airflow_cd.exit_codes import ERROR, INTERRUPTED

COMMANDS = (
    "verify",
    "backtest",
    "check",
    "target",
    "source",
    "demo",
    "ledger",
    "guard",
    "waiting",
    "audit",
    "veto",
    "freeze",
    "feedback",
    "baseline",
    "rights",
)
"""Modules of :mod:`airflow_cd.commands`, in the order in which the help lists them."""


def _module(name: str) -> ModuleType:
    return import_module(f"airflow_cd.commands.{name}")


def _parser() -> tuple[CommandParser, dict[str, CommandParser]]:
    """The whole parser, and that of each command by its name."""
    parser = CommandParser(
        prog="airflow-cd",
        description="Continuous delivery on Apache Airflow.",
        epilog="exit codes: 0 done, or PASS; 1 FAIL, or what was checked is not as it should be; 2 INCONCLUSIVE; "
        "3 an error",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        _module(name).add_parser(commands)
    return parser, dict(commands.choices)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :param arguments: the command line without the program's name; by default that of the process.
    :returns: the exit code, see :mod:`airflow_cd.exit_codes`. An error is reported as one line on standard
        error, a bug with its traceback.
    """
    parser, commands = _parser()
    given, unread = parser.parse_known_args(arguments)
    command = commands[given.command]
    if unread:
        command.error(f"unrecognized arguments: {' '.join(unread)}")
    try:
        code: int = _module(given.command).run(given)
    except AirflowCdError as error:
        print(error, file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit:
        raise
    except BaseException:  # noqa: BLE001 - a Rust panic is no Exception, and must not look like a verdict
        traceback.print_exc()
        print(f"{command.prog}: this is a bug in airflow-cd. Next: report it with the lines above.", file=sys.stderr)
        return ERROR
    return code


if __name__ == "__main__":
    sys.exit(main())
