"""How much an event of a log weighs, and what it is called in a sentence."""

from __future__ import annotations

from airflow_cd.verification.verdict import SEVERITIES, Event


def title_of(event: Event) -> str:
    """What an event is called where a sentence names it: its exception, or the start of its template.

    :param event: of a comparison.
    """
    return event.exception or " ".join(event.template.split())[:80]


def weight_of(event: Event) -> str:
    """The severity an event counts as: an exception weighs as much as an error, whatever level it was logged at.

    :param event: of a comparison.
    """
    return "error" if event.frames and not at_least(event.severity, "error") else event.severity


def at_least(severity: str, least: str) -> bool:
    """Whether a severity is as grave as another one, or graver.

    :param severity: one of :data:`~airflow_cd.verification.verdict.SEVERITIES`.
    :param least: likewise.
    """
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)
