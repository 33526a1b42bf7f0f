"""The ledger: the durable record of deployments, leases, verdicts, baselines and manual actions.

A SQL database of its own, SQLite or PostgreSQL, reached over its own URL. It works without Airflow's database, API
server and scheduler: what a rollback must know is here.

One module for each part (``leases``, ``deployments``, ``vetoes`` ...), all of them over one :mod:`store <.store>`;
``records`` holds what they return, ``models`` the tables, ``schema`` and ``migrations`` their versions, ``location``
where the database is.
"""

from airflow_cd.ledger.ledger import Ledger, open_ledger
from airflow_cd.ledger.location import ledger_url
from airflow_cd.ledger.records import (
    Action,
    AuditRecord,
    BaselineChoice,
    Deployment,
    FeedbackRecord,
    Finding,
    Freeze,
    InTheWay,
    KnownRun,
    Lease,
    Phase,
    Profile,
    Question,
    RunningInstance,
    VerdictRecord,
    Veto,
    Waiting,
    Work,
)

__all__ = [
    "Action",
    "AuditRecord",
    "BaselineChoice",
    "Deployment",
    "FeedbackRecord",
    "Finding",
    "Freeze",
    "InTheWay",
    "KnownRun",
    "Lease",
    "Ledger",
    "Phase",
    "Profile",
    "Question",
    "RunningInstance",
    "VerdictRecord",
    "Veto",
    "Waiting",
    "Work",
    "ledger_url",
    "open_ledger",
]
