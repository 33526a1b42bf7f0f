"""``airflow-cd verify``: judges plain files, without Airflow and without any deployment."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import VerificationError
from airflow_cd.verification.sensitivity import SENSITIVITIES

if TYPE_CHECKING:
    from airflow_cd.verification.files.verification import FilesToVerify, Verified

PASSED, FAILED, INCONCLUSIVE, BROKEN = 0, 1, 2, 3

_DESCRIPTION = """Compares what a new release (the canary) wrote with what earlier ones did, and says whether it
is safe. Files may be compressed (gzip, bzip2, xz, zstandard); - is standard input."""
_EPILOG = """exit code: 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 an error of ours or of the input

  airflow-cd verify --baseline old.log --canary new.log --report out.html
  airflow-cd verify --baseline monday.log.gz tuesday.log.gz --canary new-1.log new-2.log --control still-old.log
  kubectl logs deploy/shop-canary | airflow-cd verify --baseline old.log --canary - --json -
  airflow-cd verify --metrics-baseline old.csv --metrics-canary new.csv --kind basket=gauge"""


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser(
        "verify",
        usage="%(prog)s --baseline OLD.log --canary NEW.log [--report OUT.html] [more options: see --help]",
        help="judge log files and metrics of a new release against those of before, without Airflow",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.failure = parser.usage_failure = BROKEN
    logs = parser.add_argument_group("logs")
    _add_files(logs, "--baseline", "what earlier good deployments logged, a file for each, the newest last")
    _add_files(logs, "--canary", "what the new release logged, a file for each instance")
    _add_files(logs, "--control", "what instances on the old release logged meanwhile")
    logs.add_argument(
        "--expected",
        action="append",
        default=[],
        metavar="PATTERN",
        help="an event that the release is meant to bring and that is no risk: its class or a part of its message, "
        "* for anything, or re:REGEX; may be repeated",
    )
    metrics = parser.add_argument_group(
        "metrics",
        "CSV or Parquet with the columns time, metric and value (instance, group and count where there are),\n"
        "or with a time and a column for each metric",
    )
    _add_files(metrics, "--metrics-baseline", "what was measured before")
    _add_files(metrics, "--metrics-canary", "what was measured of the new release")
    _add_files(metrics, "--metrics-control", "what was measured meanwhile of instances on the old release")
    metrics.add_argument(
        "--kind",
        action="append",
        default=[],
        type=_named_word,
        metavar="METRIC=KIND",
        help="latency, errors, throughput, apdex or gauge, where the metric's name does not tell it",
    )
    metrics.add_argument(
        "--direction",
        action="append",
        default=[],
        type=_named_word,
        metavar="METRIC=WORSE",
        help="which way is worse: higher, lower or either",
    )
    metrics.add_argument(
        "--minimum-effect",
        type=_share,
        default=0.2,
        metavar="SHARE",
        help="smallest change that counts as a regression (20%%)",
    )
    metrics.add_argument(
        "--min-requests", type=_count, metavar="N", help="fewest requests to judge by (50; 10 rows where uncounted)"
    )
    parser.add_argument(
        "--sensitivity",
        choices=SENSITIVITIES,
        default="medium",
        help="how little evidence, and which severity, fails a release; a new exception does at any (%(default)s)",
    )
    parser.add_argument("--report", metavar="FILE", help="write the report as one HTML page")
    parser.add_argument("--json", metavar="FILE", help="write everything as JSON; - for standard output, alone")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors: the exit code is the answer")


def run(given: argparse.Namespace) -> int:
    """Verify, tell, write; the exit code is the verdict."""
    from airflow_cd.commands.verify_progress import Watching
    from airflow_cd.commands.verify_words import told
    from airflow_cd.verification.files.verification import verify_files, with_layout

    _check_results(given)
    with Watching(sys.stderr, shown=not given.quiet) as watching:
        verified = verify_files(_files(given), watching.file)
        if given.report or given.json:
            watching.say("drawing")
            verified = with_layout(verified)
    _write(given, verified)
    if not given.quiet and given.json != "-":
        _make_printable(sys.stdout)
        _say(told(verified, sys.stdout, report=given.report) + "\n")
    return {"PASS": PASSED, "FAIL": FAILED}.get(str(verified.judgement.verdict), INCONCLUSIVE)


def _add_files(group: Any, option: str, text: str) -> None:
    group.add_argument(option, nargs="+", action="extend", default=[], metavar="FILE", help=text)


def _files(given: argparse.Namespace) -> FilesToVerify:
    from airflow_cd.verification.files.verification import SIDES, FilesToVerify

    return FilesToVerify(
        logs={side: getattr(given, side) for side in SIDES},
        metrics={side: getattr(given, f"metrics_{side}") for side in SIDES},
        sensitivity=given.sensitivity,
        expected=given.expected,
        kinds=dict(given.kind),
        directions=dict(given.direction),
        minimum_effect=given.minimum_effect,
        min_requests=given.min_requests,
    )


def _write(given: argparse.Namespace, verified: Verified) -> None:
    from airflow_cd.report.report import Report

    if given.report:
        from airflow_cd.report.page import render_report

        _written(given.report, render_report(Report.of_files(verified)))
    if given.json:
        content = json.dumps(Report.of_files(verified).as_dict(), ensure_ascii=True, indent=1) + "\n"
        if given.json == "-":
            _say(content)
        else:
            _written(given.json, content)


def _written(path: str, content: str) -> None:
    try:
        Path(path).write_text(content, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _check_results(given: argparse.Namespace) -> None:
    """Say that a result cannot be written before anything is read for it; never write over what is to be read."""
    results = [path for path in (given.report, given.json) if path not in (None, "-")]
    files = _files(given)
    taken = {Path(path).resolve() for side in (*files.logs.values(), *files.metrics.values()) for path in side}
    for path in results:
        folder = Path(path).parent
        if not folder.is_dir():
            raise _unwritable(path, f"there is no folder {folder}")
        if Path(path).is_dir():
            raise _unwritable(path, "it is a folder")
        if Path(path).resolve() in taken:
            raise _unwritable(path, "it is one of the files that are given, or another result")
        taken.add(Path(path).resolve())


def _unwritable(path: str, why: str) -> VerificationError:
    return VerificationError(
        f"{path} cannot be written: {why}.", next_step="Name another file, in a folder that exists."
    )


def _say(text: str) -> None:
    """Write on standard output. Who has heard enough and left (``| head``) changes nothing about the verdict."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end, and would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _make_printable(stream: Any) -> None:
    """Let a terminal that lacks a character show its number instead of failing."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")


def _named_word(text: str) -> tuple[str, str]:
    name, equals, word = text.rpartition("=")
    if not (equals and name and word):
        raise argparse.ArgumentTypeError(f"{text!r} is not like METRIC=WORD")
    return name, word


def _share(text: str) -> float:
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(%?)\s*", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < value <= 10:
        raise argparse.ArgumentTypeError(f"{text!r} is no share such as 0.2 or 20%")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)
