"""Which baseline an environment's canaries are compared with, as the report shows and offers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_cd.ledger import BaselineChoice, Ledger

RESET = "reset"
_CHOICES = {
    "all": "all good deployments",
    "previous": "the previous good deployment",
    "control": "the control alone",
}


@dataclass(frozen=True)
class BaselineEntry:
    """A pin, a reset or an undo, with its label."""

    choice: BaselineChoice
    label: str


@dataclass(frozen=True)
class BaselineSection:
    """The section's content.

    :param now: the person's choice in force; None where the pipeline's counts.
    :param history: newest first.
    :param offered: what can be pinned: value and label.
    """

    now: BaselineEntry | None
    history: Sequence[BaselineEntry]
    offered: Sequence[tuple[str, str]]


def baseline_section(ledger: Ledger, service: str, environment: str) -> BaselineSection:
    """What is in force, what people chose, and what there is to choose from.

    :param ledger: where it is.
    :param service: what is deployed.
    :param environment: where.
    """
    learned = ledger.profiles.teachers(service, environment)
    history = ledger.baselines.history(service, environment)
    versions = dict(learned)
    for choice in history:
        if choice.choice and choice.choice not in _CHOICES and choice.choice not in versions:
            versions[choice.choice] = ledger.deployments.get(choice.choice).release.version
    entries = [BaselineEntry(choice, _label(choice, versions)) for choice in history]
    standing = ledger.baselines.choice(service, environment)
    now = next((one for one in entries if standing is not None and one.choice.id == standing.id), None)
    offered = [*_CHOICES.items(), *((one, f"{version} alone ({one[:8]})") for one, version in learned.items())]
    return BaselineSection(now, entries, offered)


def _label(choice: BaselineChoice, versions: dict[str, str]) -> str:
    named = choice.choice or ""
    what = _CHOICES.get(named) or (f"{versions[named]} alone ({named[:8]})" if named else "")
    if choice.action == "undo":
        return f"undoes the pin to {what}" if named else "undoes the reset"
    return f"pinned to {what}" if choice.action == "pin" else "reset: it is learned anew from later promotions"
