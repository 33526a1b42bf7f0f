"""Every page asks whether its ledger is the one that Airflow, and the run it is about, use; and says which it shows."""

from __future__ import annotations

from fastapi import Request

from airflow_cd.errors import AirflowCdError
from airflow_cd.ledger import open_ledger
from airflow_cd.plugin.access import User
from airflow_cd.same_ledger import ledger_in_use, ledger_of_run, require_same


def same_ledger(request: Request, user: User) -> None:
    """Refuse a page of another ledger.

    :param request: the request, whose path may name a run.
    :param user: asked for first, so that nobody else learns of ledgers.
    :raises WrongLedger: this server's ledger is not the one that Airflow, or the run, uses.
    """
    ledger = open_ledger()
    require_same(ledger, ledger_in_use(), whose="this server", since="this Airflow uses")
    named = request.path_params
    if "dag_id" in named and "run_id" in named:
        began = ledger_of_run(named["dag_id"], named["run_id"])
        require_same(ledger, began, whose="this server", since="this run began with")


def ledger_shown() -> str:
    """Which ledger a page shows, for a person: its kind and the beginning of its identity; ``""`` while it is away."""
    try:
        ledger = open_ledger()
        return f"{ledger.engine.dialect.name.capitalize()} ledger {ledger.identity.get()[:8]}"
    except AirflowCdError:
        return ""
