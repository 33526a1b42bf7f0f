"""``airflow-cd backtest``: which past deployments a verification would have blocked, rightly and wrongly."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_cd.commands.parsing import add_ledger_url
from airflow_cd.commands.places import require_known
from airflow_cd.errors import VerificationError
from airflow_cd.states import DeploymentState
from airflow_cd.verification.baseline_choice import wrong_baseline
from airflow_cd.verification.sensitivity import SENSITIVITIES

if TYPE_CHECKING:
    from airflow_cd.ledger import Deployment, Ledger
    from airflow_cd.verification.backtest.replay import PastDeployment, PastPhase
    from airflow_cd.verification.logs.feedback import Opinions

_DESCRIPTION = """Judges past deployments again, each against the good ones before it, and once more with injected
regressions; shows how many a verification would have blocked, rightly (rolled back or injected) and wrongly
(promoted). Reads the ledger, or plain log files of one release each."""
_EPILOG = """  airflow-cd backtest --service shop --environment production --report out.html
  airflow-cd backtest --logs 1.0.log 1.1.log.gz 1.2.log 1.3.log --bad 1.2.log"""


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser(
        "backtest",
        help="replay a verification over past deployments, and over injected regressions",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--service", help="replay deployments of this service")
    parser.add_argument("--environment", help="in this environment")
    parser.add_argument("--last", type=int, default=50, metavar="N", help="how many of the newest (%(default)s)")
    parser.add_argument("--logs", nargs="+", metavar="FILE", help="a log file of each release, oldest first")
    parser.add_argument("--bad", nargs="+", default=[], metavar="FILE", help="those of --logs that should be blocked")
    parser.add_argument("--sensitivity", nargs="+", choices=SENSITIVITIES, default=list(SENSITIVITIES))
    parser.add_argument(
        "--baseline", default="all", help="all, previous, control, a deployment's id or a version (%(default)s)"
    )
    parser.add_argument(
        "--expected", nargs="+", default=[], metavar="PATTERN", help="events the pipeline expects, as in Verification"
    )
    parser.add_argument("--no-injected", action="store_true", help="do not inject regressions")
    parser.add_argument("--seed", type=int, default=0, help="seed of the injected regressions (%(default)s)")
    parser.add_argument("--report", metavar="FILE", help="write one HTML page")
    parser.add_argument(
        "--json", metavar="FILE", nargs="?", const="-", help="write JSON, to standard output by default"
    )
    add_ledger_url(parser)


def run(given: argparse.Namespace) -> int:
    """Replay the deployments, print and write the results."""
    from airflow_cd.report.backtest import Scope, as_json, as_text, render_backtest
    from airflow_cd.verification.backtest.replay import backtest

    mistake = wrong_baseline(given.baseline)
    if mistake is not None:
        raise VerificationError(f"{mistake}.")
    for path in (given.report, given.json):
        if path not in (None, "-") and not Path(path).parent.is_dir():
            raise VerificationError(f"{path} cannot be written: there is no folder {Path(path).parent}.")
    deployments, opinions, scene = _of_files(given) if given.logs else _of_ledger(given)
    found = backtest(
        deployments,
        sensitivities=list(dict.fromkeys(given.sensitivity)),
        baseline=given.baseline,
        opinions=opinions,
        inject=not given.no_injected,
        seed=given.seed,
        progress=_progress if sys.stderr.isatty() else None,
    )
    shown = Scope(scene[0], scene[1], given.baseline)
    if given.report:
        Path(given.report).write_text(render_backtest(shown, found), encoding="utf-8")
    if given.json:
        content = json.dumps(as_json(shown, found), indent=1)
        if given.json == "-":
            print(content)
            return 0
        Path(given.json).write_text(content + "\n", encoding="utf-8")
    print(as_text(shown, found))
    if given.report:
        print(f"Report: {given.report}")
    return 0


def _of_ledger(given: argparse.Namespace) -> tuple[list[PastDeployment], Opinions, tuple[str, str]]:
    from airflow_cd.commands.opening import open_ledger_in_use
    from airflow_cd.verification.logs.feedback import Opinions, usable_expectations

    if not given.service or not given.environment:
        raise VerificationError(
            "a backtest needs deployments.", next_step="Give --service and --environment, or log files with --logs."
        )
    ledger = open_ledger_in_use(given.url)
    require_known(ledger, given.service, given.environment)
    deployments = past_deployments(ledger, given.service, given.environment, given.last)
    feedback = [record.statement for record in ledger.feedback.in_force(given.service, given.environment)]
    return deployments, Opinions(feedback, usable_expectations(given.expected)), (given.service, given.environment)


def past_deployments(ledger: Ledger, service: str, environment: str, last: int = 50) -> list[PastDeployment]:
    """The newest deployments that have ended, oldest first; a failed rollback counts as rolled back.

    :param ledger: where they are recorded.
    :param service: of this service.
    :param environment: in this environment.
    :param last: how many at most.
    """
    ended = [
        deployment
        for deployment in ledger.deployments.matching(service, environment, limit=last)
        if deployment.state in (DeploymentState.PROMOTED, DeploymentState.ROLLED_BACK, DeploymentState.ROLLBACK_FAILED)
    ]
    return [_past(ledger, deployment) for deployment in reversed(ended)]


def _past(ledger: Ledger, deployment: Deployment) -> PastDeployment:
    from airflow_cd.verification.backtest.replay import PastDeployment

    return PastDeployment(
        deployment.id,
        deployment.release.version,
        f"{deployment.release.version} of {deployment.opened_at:%Y-%m-%d %H:%M}",
        True if deployment.state == DeploymentState.PROMOTED else _blamed_logs(ledger, deployment),
        deployment.outcome,
        _phases(ledger, deployment),
    )


def _blamed_logs(ledger: Ledger, deployment: Deployment) -> bool | None:
    """False for a bad deployment whose logs should show it; None when its metrics alone were to blame."""
    final = [verdict for verdict in ledger.verdicts.of(deployment.id) if verdict.final]
    evidence = final[-1].evidence if final else {}
    parts = {name: (evidence.get(name) or {}).get("verdict") for name in ("quality", "performance")}
    return None if parts == {"quality": "PASS", "performance": "FAIL"} else False


def _phases(ledger: Ledger, deployment: Deployment) -> list[PastPhase]:
    from airflow_cd.verification.backtest.replay import PastPhase
    from airflow_cd.verification.logs.profile import LogProfile

    kept = ledger.profiles.of(deployment.id)
    running = {(one.phase, one.source): LogProfile.from_bytes(one.content) for one in kept if one.kind == "control"}
    phases = []
    for one in kept:
        if one.kind == "logs":
            control = running.get((one.phase, one.source))
            known = control if control is not None and control.records else None
            phases.append(PastPhase(one.phase, one.source, LogProfile.from_bytes(one.content), known, one.teaches))
    return phases


def _of_files(given: argparse.Namespace) -> tuple[list[PastDeployment], Opinions, tuple[str, str]]:
    from airflow_cd.verification.backtest.replay import PastDeployment, PastPhase
    from airflow_cd.verification.files.logs import profile_stream
    from airflow_cd.verification.files.opening import opened
    from airflow_cd.verification.logs.feedback import Opinions, usable_expectations

    unknown = [path for path in given.bad if path not in given.logs]
    if unknown:
        raise VerificationError(
            f"--bad names {', '.join(unknown)}, not among --logs.", next_step="Name a file in both."
        )
    deployments = []
    for path in given.logs:
        with opened(path) as stream:
            profile = profile_stream(stream, instance="")
        good = path not in given.bad
        name = Path(path).name
        deployments.append(PastDeployment(path, name, name, good, "", [PastPhase("all", "file", profile, None, good)]))
    return deployments, Opinions(expected=usable_expectations(given.expected)), ("log files", "")


def _progress(done: int, of: int) -> None:
    print(f"\r{done} of {of} deployments replayed" + ("\n" if done == of else ""), end="", file=sys.stderr, flush=True)
