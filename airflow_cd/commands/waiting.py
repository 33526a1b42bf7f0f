"""``airflow-cd waiting``: what runs wait for a person to answer, for whom, and what becomes of it without an answer."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from airflow_cd.commands.parsing import add_ledger_url

if TYPE_CHECKING:
    from airflow_cd.ledger.overview import OpenQuestion


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("waiting", help="list what waits for a person: approvals, and canaries that are held")
    parser.add_argument("service", nargs="?", default="", help="only of this service")
    add_ledger_url(parser)


def run(given: argparse.Namespace) -> int:
    """List the open questions, the one that has waited longest first."""
    from airflow_cd.commands.opening import open_ledger_in_use

    questions = open_ledger_in_use(given.url).overview.open_questions()
    chosen = [one for one in questions if given.service in ("", one.service)]
    for question in chosen:
        print(_shown(question))
    if not chosen:
        print(f"Nothing{f' of {given.service}' if given.service else ''} waits for an answer.")
    return 0


def _shown(question: OpenQuestion) -> str:
    from airflow_cd.report.words import one_line, visible

    who = " or ".join(question.approvers) or "anyone who may edit the run"
    until = f", at most until {question.deadline:%Y-%m-%d %H:%M} UTC" if question.deadline else ""
    return (
        f"{one_line(visible(question.subject), 300)}\n"
        f"    waits for {who} since {question.asked_at:%Y-%m-%d %H:%M} UTC{until}\n"
        f"    {', '.join(question.options)}: task {question.task_id} of run {question.run_id} of {question.pipeline}"
    )
