"""``airflow-cd feedback``: people's feedback on events, which outranks the rules."""

from __future__ import annotations

import argparse
import getpass
from typing import TYPE_CHECKING, Any

from airflow_cd.commands.parsing import add_ledger_url, add_reason
from airflow_cd.commands.places import require_known
from airflow_cd.errors import LedgerRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_cd.ledger import FeedbackRecord, Ledger

_SAYS = {
    "not-a-risk": "not_a_risk",
    "not-a-risk-at-any-frequency": "not_a_risk_at_any_frequency",
    "always-a-risk": "always_a_risk",
    "default": "default",
}
_SEARCHED = 50  # deployments whose evidence an event is looked for in


def add_parser(commands: Any) -> None:
    """Add the command to ``airflow-cd``."""
    parser = commands.add_parser("feedback", help="list, give or undo feedback on events: not a risk, always a risk")
    actions = parser.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", help="list the feedback in force, with who gave it and why")
    listing.add_argument("service")
    listing.add_argument("environment", nargs="?", help="in this environment (default: all)")
    listing.add_argument("--history", action="store_true", help="list all feedback ever given and undone")
    setting = actions.add_parser("set", help="give feedback on an event; it applies from the next look on")
    setting.add_argument("service")
    setting.add_argument("event", help="its id from the report, or the beginning of it")
    setting.add_argument(
        "says",
        choices=list(_SAYS),
        help="not-a-risk: it may occur, but an unexpected frequency still counts; not-a-risk-at-any-frequency: nor "
        "does that; always-a-risk: it fails a release even when known; default: the rules decide",
    )
    setting.add_argument("--environment", help="where it holds (default: every environment of the service)")
    undoing = actions.add_parser("undo", help="undo feedback; what was in force before it is again")
    undoing.add_argument("number", type=int, help="its number, from the list")
    for action in (setting, undoing):
        add_reason(action)
    for action in (listing, setting, undoing):
        add_ledger_url(action)


def run(given: argparse.Namespace) -> int:
    """List, give or undo feedback on a service's events."""
    from airflow_cd.commands.opening import open_ledger_in_use

    ledger = open_ledger_in_use(given.url)
    if given.action != "undo":
        require_known(ledger, given.service, given.environment)
    if given.action == "list":
        return _list(ledger, given)
    who = given.who or getpass.getuser()
    if given.action == "undo":
        undone = ledger.feedback.undo(given.number, who=who, why=given.why)
        print(f"Feedback {given.number} is undone: {undone.says.replace('_', ' ')}, event {undone.event_id}.")
        return 0
    event_id, template, sample = _event(ledger, given.service, given.environment, given.event)
    recorded = ledger.feedback.record(
        given.service,
        event_id,
        _SAYS[given.says],
        who=who,
        why=given.why,
        environment=given.environment,
        template=template,
        sample=sample,
    )
    where = given.environment or "every environment"
    judgement = recorded.says.replace("_", " ")
    print(f"{recorded.id}: event {event_id} of {given.service} in {where}: {judgement}.\n    {template}")
    return 0


def _list(ledger: Ledger, given: argparse.Namespace) -> int:
    history = ledger.feedback.history(given.service, given.environment)
    if given.history:
        found = history
    elif given.environment:
        found = ledger.feedback.in_force(given.service, given.environment)
    else:
        found = _in_force(history)
    for record in found:
        print("\n    ".join(_lines(record)))
    if not found:
        print(f"No feedback on events of {given.service}{f' in {given.environment}' * bool(given.environment)}.")
    return 0


def _in_force(history: list[FeedbackRecord]) -> list[FeedbackRecord]:
    """The newest feedback in force on each event, for each environment."""
    standing: dict[tuple[str, str | None], FeedbackRecord] = {}
    for record in history:
        if record.undoes is None and not record.undone:
            standing.setdefault((record.event_id, record.environment), record)
    return list(standing.values())


def _lines(record: FeedbackRecord) -> Iterator[str]:
    where = record.environment or "everywhere"
    word = record.says.replace("_", " ")
    state = f"  undoes {record.undoes}" if record.undoes is not None else "  undone" if record.undone else ""
    yield f"{record.id}  {record.event_id}  {word}  {where}  by {record.who}, {record.at:%Y-%m-%d %H:%M} UTC{state}"
    yield record.why
    if record.template:
        yield " ".join(record.template.split())[:160]


def _event(ledger: Ledger, service: str, environment: str | None, wanted: str) -> tuple[str, str, str]:
    """Id, template and a sample of the event, from the evidence of the newest deployments."""
    found: dict[str, tuple[str, str]] = {}
    for deployment in ledger.deployments.matching(service, environment, limit=_SEARCHED):
        for verdict in ledger.verdicts.of(deployment.id):
            for event in (verdict.evidence.get("quality") or {}).get("events") or ():
                if str(event.get("id", "")).startswith(wanted):
                    samples = event.get("samples") or [""]
                    found.setdefault(event["id"], (event.get("template") or "", samples[-1]))
    if len(found) == 1:
        [(event_id, (template, sample))] = found.items()
        return event_id, template, sample
    raise LedgerRefused(
        f"{wanted!r} is the beginning of several events: {', '.join(sorted(found)[:5])}."
        if found
        else f"no event {wanted!r} is in the last {_SEARCHED} deployments of {service}.",
        service=service,
        environment=environment,
        state="nothing was recorded.",
        next_step="Copy the id from the verification report, where it is shown below the event.",
    )
