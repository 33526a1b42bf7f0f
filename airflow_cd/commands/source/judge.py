"""``airflow-cd source judge``: a verdict on what runs now, from live sources, without a pipeline or a deployment."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_cd.clock import machine_now
from airflow_cd.commands.outputs import check_outputs, write_output
from airflow_cd.commands.source.written import written
from airflow_cd.errors import Refused
from airflow_cd.exit_codes import DONE, FAILED, INCONCLUSIVE
from airflow_cd.verification.sensitivity import SENSITIVITIES

if TYPE_CHECKING:
    from airflow_cd.verification.settings import Verification
    from airflow_cd.verification.verdict import Judgement
    from airflow_cd.verification.watch import Watch

_EPILOG = """exit codes: 0 PASS, 1 FAIL, 2 INCONCLUSIVE, 3 an error

  airflow-cd source judge "PrometheusMetrics('micrometer')" "FileLogs('/var/log/shop/{instance}.log')" \\
      --canary shop-3 --control shop-1 shop-2 --last 10m
  airflow-cd source judge "LokiLogs('{app=\\"shop\\"}')" --canary shop-1 shop-2 --since 2026-11-29T14:05:00Z"""


def add_parser(actions: Any) -> None:
    """Add the command to ``airflow-cd source``."""
    parser = actions.add_parser(
        "judge",
        help="judge what some instances did by now, against others or against the time before",
        description="Reads sources over the last minutes and judges the canary as a verification of a pipeline would: "
        "against the control of the same minutes, and against all of them before. Nothing is changed or recorded.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="a source as a pipeline file writes it: \"PrometheusMetrics('micrometer')\"",
    )
    parser.add_argument("--canary", nargs="+", required=True, metavar="NAME", help="instances on the new release")
    parser.add_argument("--control", nargs="+", default=[], metavar="NAME", help="instances on the running release")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--since", metavar="TIME", help="when the new release was there, such as 2026-11-29T14:05:00Z")
    when.add_argument("--last", default="10m", metavar="DURATION", help="how far back to judge (10m)")
    parser.add_argument(
        "--before", metavar="DURATION", help="how much of the time before to compare with (as long again; 0s for none)"
    )
    parser.add_argument("--sensitivity", choices=SENSITIVITIES, default="medium", help="as of verify (%(default)s)")
    parser.add_argument("--report", metavar="FILE", help="write the report as one HTML page")


def run(given: argparse.Namespace) -> int:
    """Judge and print; the exit code is the verdict."""
    check_outputs([given.report] if given.report else [])
    judgement = _watch(given).run().judgement
    print(_summary(judgement))
    if given.report:
        from airflow_cd.report.page import render_report
        from airflow_cd.report.report import Report

        write_output(given.report, render_report(Report(judgement)))
        print(f"\nReport    {given.report}")
    return {"PASS": DONE, "FAIL": FAILED}.get(str(judgement.verdict), INCONCLUSIVE)


def _watch(given: argparse.Namespace) -> Watch:
    from airflow_cd.verification.samples import LogSource, MetricSource, Window
    from airflow_cd.verification.settings import Verification
    from airflow_cd.verification.source_kinds import kind_of
    from airflow_cd.verification.watch import Watch

    if both := sorted(set(given.canary) & set(given.control)):
        raise Refused(f"{both[0]} is given as canary and as control.", state="nothing was read.")
    metrics: list[MetricSource] = []
    logs: list[LogSource] = []
    delays: list[timedelta] = []
    for text in given.sources:
        source: Any = written(text)
        if mistakes := list(getattr(source, "mistakes", list)()):
            raise Refused(f"{mistakes[0]}.", state="nothing was read.", next_step="Correct the source.")
        if hasattr(source, "examined"):
            raise Refused(
                f"{text} cannot be read back: it is known only while it is watched.",
                state="nothing was read.",
                next_step="Look at it once: airflow-cd source check.",
            )
        (logs if kind_of(source) == "logs" else metrics).append(source)
        delays.append(source.delay)
    # Up to where everything has come: nobody waits here for more, whoever asks can ask again.
    until = machine_now() - max(delays)
    since = _moment(given.since, until) if given.since else until - _length("last", given.last)
    length = until - since
    before = length if given.before is None else _length("before", given.before, zero=True)
    verification = Verification(
        metrics=metrics,
        logs=logs,
        duration=length,
        every=min(timedelta(seconds=2), length),
        longest_lag="0s",
        sensitivity=given.sensitivity,
    )
    return Watch(
        _usable(verification),
        canary=sorted(set(given.canary)),
        control=sorted(set(given.control)),
        since=since,
        until=until,
        before=Window(since - before, since) if before else None,
        clock=machine_now,
    )


def _usable(verification: Verification) -> Verification:
    if mistakes := verification.mistakes():
        raise Refused(f"{mistakes[0]}.", state="nothing was read.", next_step="Correct the sources, or the times.")
    return verification


def _length(name: str, text: str, *, zero: bool = False) -> timedelta:
    from airflow_cd.durations import parse_duration

    try:
        length = parse_duration(text)
    except ValueError as error:
        raise Refused(f"--{name}: {error}.", state="nothing was read.") from error
    if not length and not zero:
        raise Refused(f"--{name} must be greater than zero.", state="nothing was read.")
    return length


def _moment(text: str, until: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Refused(
            f"--since: {text!r} is no time.", state="nothing was read.", next_step="Write 2026-11-29T14:05:00Z."
        ) from None
    moment = moment.astimezone(timezone.utc)
    if moment >= until:
        raise Refused(f"--since: nothing can be read yet of what came after {text}.", state="nothing was read.")
    return moment


def _summary(judgement: Judgement) -> str:
    from airflow_cd.commands.verify.summary import Paint, plain, verdict_blocks

    notes = [f"Note      {plain(text)}" for text in judgement.warnings]
    notes += [f"Error     {plain(text)}" for text in judgement.source_errors]
    blocks = [*verdict_blocks(judgement, Paint(sys.stdout)), notes]
    return "\n\n".join("\n".join(block) for block in blocks if block)
