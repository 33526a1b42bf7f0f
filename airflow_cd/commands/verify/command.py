"""The options of ``airflow-cd verify``, and what it writes."""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, get_args

from airflow_cd.commands.outputs import check_outputs, write_output
from airflow_cd.exit_codes import DONE, FAILED, INCONCLUSIVE
from airflow_cd.verification.samples import MetricKind
from airflow_cd.verification.sensitivity import SENSITIVITIES

if TYPE_CHECKING:
    from airflow_cd.verification.files.verification import FilesToVerify, Verified

_ALLOCATIONS = 50_000  # between two collections

_DESCRIPTION = """Compares logs and metrics of a new release (the canary) with those of earlier ones, and judges whether
it is safe. Files may be compressed (gzip, bzip2, xz, zstandard); - is standard input."""
_EPILOG = """exit codes: 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 an error

  airflow-cd verify --baseline old.log --canary new.log --report out.html
  airflow-cd verify --baseline monday.log.gz tuesday.log.gz --canary new-1.log new-2.log --control still-old.log
  kubectl logs deploy/shop-canary | airflow-cd verify --baseline old.log --canary - --json -
  airflow-cd verify --metrics-baseline old.csv --metrics-canary new.csv --kind basket=gauge"""

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


_KINDS: tuple[MetricKind, ...] = get_args(MetricKind)


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser(
        "verify",
        usage="%(prog)s --baseline OLD.log --canary NEW.log [--report OUT.html] [more options: see --help]",
        help="judge log files and metrics of a new release against earlier ones, without Airflow",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    logs = parser.add_argument_group("logs")
    _add_files(logs, "--baseline", "logs of earlier good deployments, a file for each, the newest last")
    _add_files(logs, "--canary", "logs of the new release, a file for each instance")
    _add_files(logs, "--control", "logs of instances on the old release in the same period")
    logs.add_argument(
        "--expected",
        action="append",
        default=[],
        metavar="PATTERN",
        help="an event that the release is expected to log: its class or a part of its message, with * for any text, "
        "or re:REGEX; may be repeated",
    )
    logs.add_argument(
        "--error",
        action="append",
        default=[],
        metavar="PATTERN",
        help="what is an error whatever level its record states, for loggers that state none: a part of its message, "
        "with * for any text, or re:REGEX; may be repeated",
    )
    metrics = parser.add_argument_group(
        "metrics",
        "CSV or Parquet with the columns time, metric and value (instance, group and count where there are),\n"
        "or with a time and a column for each metric",
    )
    _add_files(metrics, "--metrics-baseline", "metrics of earlier releases")
    _add_files(metrics, "--metrics-canary", "metrics of the new release")
    _add_files(metrics, "--metrics-control", "metrics of instances on the old release in the same period")
    metrics.add_argument(
        "--kind",
        action="append",
        default=[],
        type=_metric_setting,
        metavar="METRIC=KIND",
        help=f"{', '.join(_KINDS[:-1])} or {_KINDS[-1]}, where the metric's name does not imply it",
    )
    metrics.add_argument(
        "--direction",
        action="append",
        default=[],
        type=_metric_setting,
        metavar="METRIC=WORSE",
        help="which direction is worse: higher, lower or either",
    )
    metrics.add_argument(
        "--minimum-effect",
        type=_share,
        default=0.2,
        metavar="SHARE",
        help="smallest change that counts as a regression (20%%)",
    )
    metrics.add_argument(
        "--min-requests",
        type=_count,
        metavar="N",
        help="fewest requests to judge by (50; 10 rows without counts)",
    )
    metrics.add_argument(
        "--decisive",
        nargs="+",
        action="extend",
        default=[],
        metavar="METRIC",
        help="the metrics that decide; all others only inform (default: all decide)",
    )
    metrics.add_argument(
        "--warm-up",
        type=_seconds,
        metavar="DURATION",
        help="longest time in which a process that has just started may be slow (2m, at most 30%% of the time)",
    )
    parser.add_argument(
        "--sensitivity",
        choices=SENSITIVITIES,
        default="medium",
        help="how much evidence, and which severity, fails a release; a new exception always does (%(default)s)",
    )
    parser.add_argument("--report", metavar="FILE", help="write the report as one HTML page")
    parser.add_argument(
        "--json", metavar="FILE", help="write all results as JSON; - for standard output, in place of text"
    )
    parser.add_argument("--quiet", action="store_true", help="print errors only; the exit code is the verdict")


def run(given: argparse.Namespace) -> int:
    """Verify the files, print and write the results; the exit code is the verdict."""
    with _rare_collections():
        return _verified(given)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for garbage in cycles less often: importing and reading make many objects and hardly any cycles."""
    usual = gc.get_threshold()
    gc.set_threshold(_ALLOCATIONS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _verified(given: argparse.Namespace) -> int:
    from airflow_cd.commands.verify.progress import ReadingProgress
    from airflow_cd.commands.verify.summary import summary
    from airflow_cd.verification.files.verification import verify_files, with_layout

    _check_outputs(given)
    with ReadingProgress(sys.stderr, shown=not given.quiet) as progress:
        verified = verify_files(_files(given), progress.of)
        if given.report or given.json:
            progress.show("drawing")
            verified = with_layout(verified)
    _write(given, verified)
    if not given.quiet and given.json != "-":
        _make_printable(sys.stdout)
        _print(summary(verified, sys.stdout, report=given.report) + "\n")
    return {"PASS": DONE, "FAIL": FAILED}.get(str(verified.judgement.verdict), INCONCLUSIVE)


def _add_files(group: Any, option: str, text: str) -> None:
    group.add_argument(option, nargs="+", action="extend", default=[], metavar="FILE", help=text)


def _files(given: argparse.Namespace) -> FilesToVerify:
    from airflow_cd.verification.files.verification import SIDES, FilesToVerify

    return FilesToVerify(
        logs={side: getattr(given, side) for side in SIDES},
        metrics={side: getattr(given, f"metrics_{side}") for side in SIDES},
        sensitivity=given.sensitivity,
        expected=given.expected,
        errors=given.error,
        kinds=dict(given.kind),
        directions=dict(given.direction),
        minimum_effect=given.minimum_effect,
        min_requests=given.min_requests,
        warm_up=given.warm_up,
        decisive=given.decisive,
    )


def _write(given: argparse.Namespace, verified: Verified) -> None:
    from airflow_cd.report.report import Report

    if given.report:
        from airflow_cd.report.page import render_report

        write_output(given.report, render_report(Report.of_files(verified)))
    if given.json:
        content = json.dumps(Report.of_files(verified).as_dict(), ensure_ascii=True, indent=1) + "\n"
        if given.json == "-":
            _print(content)
        else:
            write_output(given.json, content)


def _check_outputs(given: argparse.Namespace) -> None:
    files = _files(given)
    inputs = [path for side in (*files.logs.values(), *files.metrics.values()) for path in side]
    check_outputs([path for path in (given.report, given.json) if path not in (None, "-")], inputs)


def _print(text: str) -> None:
    """Write to standard output; a reader that has closed it (``| head``) does not change the verdict."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more when it exits, and would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _make_printable(stream: Any) -> None:
    """Let a terminal that lacks a character show its escape sequence instead of failing."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")


def _metric_setting(text: str) -> tuple[str, str]:
    name, _, word = text.rpartition("=")
    if not (name and word):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form METRIC=VALUE")
    return name, word


def _share(text: str) -> float:
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(%?)\s*", text)
    value = float(match[1]) / (100 if match[2] else 1) if match else 0.0
    if not 0 < value <= 10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share such as 0.2 or 20%")
    return value


def _seconds(text: str) -> float:
    from airflow_cd.durations import parse_duration

    try:
        return parse_duration(float(text) if _NUMBER.fullmatch(text.strip()) else text).total_seconds()
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
