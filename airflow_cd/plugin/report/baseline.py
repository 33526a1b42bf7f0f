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
class Told:
    """A pin, a reset or an undoing, with what it means in words."""

    choice: BaselineChoice
    words: str


@dataclass(frozen=True)
class BaselineSection:
    """The section's content.

    :param now: the person's choice in force; None where the pipeline's counts.
    :param history: newest first.
    :param offered: what can be pinned: value and words.
    """

    now: Told | None
    history: Sequence[Told]
    offered: Sequence[tuple[str, str]]


def baseline_section(ledger: Ledger, service: str, environment: str) -> BaselineSection:
    """What is in force there, what people chose, and what there is to choose from."""
    taught = ledger.profiles.teachers(service, environment)
    history = ledger.baselines.history(service, environment)
    versions = dict(taught)
    for choice in history:
        if choice.choice and choice.choice not in _CHOICES and choice.choice not in versions:
            versions[choice.choice] = ledger.deployments.get(choice.choice).release.version
    told = [Told(choice, _words(choice, versions)) for choice in history]
    standing = ledger.baselines.choice(service, environment)
    now = next((one for one in told if standing is not None and one.choice.id == standing.id), None)
    offered = [*_CHOICES.items(), *((one, f"{version} alone ({one[:8]})") for one, version in taught.items())]
    return BaselineSection(now, told, offered)


def _words(choice: BaselineChoice, versions: dict[str, str]) -> str:
    named = choice.choice or ""
    what = _CHOICES.get(named) or (f"{versions[named]} alone ({named[:8]})" if named else "")
    if choice.action == "undo":
        return f"takes back the pin to {what}" if named else "takes back the reset"
    return f"pinned to {what}" if choice.action == "pin" else "reset: only what is promoted later teaches"
