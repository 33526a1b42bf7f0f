"""Refuses a service or environment that nobody knows: what is said of a misspelt one protects and shows nothing."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from airflow_cd.errors import LedgerRefused
from airflow_cd.spelling import suggestion
from airflow_cd.wording import ended

if TYPE_CHECKING:
    from airflow_cd.ledger import Ledger


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add the option that lets a person mean a place to which nothing has been deployed yet."""
    parser.add_argument(
        "--force", action="store_true", help="do it although nothing has ever been deployed there, by that name"
    )


def require_known(ledger: Ledger, service: str, environment: str | None = None, *, may_force: bool = False) -> None:
    """Make sure that a run has ever been at a place.

    :param ledger: where runs are recorded.
    :param service: what is deployed.
    :param environment: where; None for any environment.
    :param may_force: whether the command has :func:`add_force`.
    :raises LedgerRefused: nothing has; it names what is most like it.
    """
    seen = ledger.places.seen()
    there = [place for name, place in seen if name == service]
    if environment in there or (there and environment is None):
        return
    if environment is not None and ledger.freezes.in_force(service, environment) is not None:
        return
    if not seen:
        what = f"the ledger {ledger.name()} has seen no deployment yet, of any service"
    elif not there:
        what = f"the ledger has never seen a service {service!r}: {suggestion(service, {name for name, _ in seen})}"
    else:
        what = f"nothing of {service} was ever deployed to {environment!r}: {suggestion(str(environment), there)}"
    raise LedgerRefused(
        ended(what),
        state="nothing was changed.",
        next_step="Correct the name" + (", or add --force if it is right." if may_force else "."),
    )
