"""``airflow-cd waiting``: what runs wait for a person to answer, for whom, and what becomes of it without an answer."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from airflow_cd.commands.parsing import add_ledger_url
from airflow_cd.spelling import suggestion
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.ledger import Ledger
    from airflow_cd.ledger.overview import OpenQuestion


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("waiting", help="list what waits for a person: approvals, and canaries that are held")
    parser.add_argument("service", nargs="?", default="", help="only of this service")
    add_ledger_url(parser)


def run(given: argparse.Namespace) -> int:
    """List the open questions, the one that has waited longest first."""
    from airflow_cd.commands.opening import open_ledger_in_use

    ledger = open_ledger_in_use(given.url)
    questions = ledger.overview.open_questions()
    chosen = [one for one in questions if given.service in ("", one.service)]
    for question in chosen:
        print(_shown(question))
    if not chosen:
        print(f"Nothing{f' of {given.service}' if given.service else ''} waits for an answer.")
        _doubt(ledger, given.service)
    return 0


def _doubt(ledger: Ledger, service: str) -> None:
    """Say that the service may be misspelt. It may be new as well: then nothing of it waits indeed."""
    known = {name for name, _ in ledger.places.seen()}
    if service and service not in known:
        print(ended(f"The ledger has never seen a service {service!r}: {suggestion(service, known)}"), file=sys.stderr)


def _shown(question: OpenQuestion) -> str:
    from airflow_cd.report.words import one_line, visible

    who = " or ".join(question.approvers) or "anyone who may edit the run"
    until = f", at most until {question.deadline:%Y-%m-%d %H:%M} UTC" if question.deadline else ""
    return (
        f"{one_line(visible(question.subject), 300)}\n"
        f"    waits for {who} since {question.asked_at:%Y-%m-%d %H:%M} UTC{until}\n"
        f"    {', '.join(question.options)}: task {question.task_id} of run {question.run_id} of {question.pipeline}"
    )
