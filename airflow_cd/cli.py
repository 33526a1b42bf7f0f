"""The command ``airflow-cd``."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from airflow_cd.commands.parsing import CommandParser
from airflow_cd.errors import AirflowCdError

COMMANDS = ("verify", "backtest", "demo", "ledger", "veto", "feedback", "baseline")
"""Modules of :mod:`airflow_cd.commands`, in the order in which the help names them."""
INTERRUPTED = 130


def _module(name: str) -> ModuleType:
    return import_module(f"airflow_cd.commands.{name}")


def _parser() -> tuple[CommandParser, dict[str, CommandParser]]:
    """The whole parser, and that of each command by its name."""
    parser = CommandParser(prog="airflow-cd", description="Continuous delivery on Apache Airflow.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        _module(name).add_parser(commands)
    return parser, dict(commands.choices)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    :returns: its exit code; for an error of ours the command's code for that, after one readable line on standard
        error, and for a bug the same after its traceback.
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
        return command.failure
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit:
        raise
    except BaseException:  # noqa: BLE001 - a Rust panic is no Exception, and nothing may look like a verdict
        traceback.print_exc()
        print(f"{command.prog}: this is a bug of airflow-cd. Next: report it with the lines above.", file=sys.stderr)
        return command.failure
    return code


if __name__ == "__main__":
    sys.exit(main())
