"""The ledger that manual actions are recorded in: the one that Airflow, and the run they are about, use."""

from __future__ import annotations

from airflow_cd.ledger import Ledger, open_ledger
from airflow_cd.same_ledger import ledger_in_use, ledger_of_run, require_same


def audited(pipeline: str, run_id: str = "") -> Ledger:
    """Open the ledger for what somebody does to a run.

    Another ledger has neither the questions nor the approvers of the run: it would let everybody through, and record it
    where nobody looks.

    :param pipeline: id of the DAG.
    :param run_id: of the run; ``""`` where there is none yet.
    :raises WrongLedger: this server's ledger is not the one that Airflow, or the run, uses.
    :raises LedgerUnavailable: it cannot be opened.
    """
    ledger = open_ledger()
    require_same(ledger, ledger_in_use(), whose="this server", since="this Airflow uses")
    if run_id:
        require_same(ledger, ledger_of_run(pipeline, run_id), whose="this server", since="this run began with")
    return ledger
