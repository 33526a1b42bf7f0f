"""The ledger: the durable record of deployments, leases, verdicts, baselines and what people did.

A SQL database of its own, SQLite or PostgreSQL, reached over its own URL. Works without Airflow's database, API
server or scheduler: what a rollback must know is here.
"""

from airflow_cd.ledger.ledger import Ledger, open_ledger
from airflow_cd.ledger.location import ledger_url
from airflow_cd.ledger.records import (
    DEPLOYMENT_STATES,
    Action,
    AuditRecord,
    BaselineChoice,
    Deployment,
    FeedbackRecord,
    Lease,
    Phase,
    Profile,
    Question,
    RunningInstance,
    VerdictRecord,
    Veto,
    Waiting,
)

__all__ = [
    "DEPLOYMENT_STATES",
    "Action",
    "AuditRecord",
    "BaselineChoice",
    "Deployment",
    "FeedbackRecord",
    "Lease",
    "Ledger",
    "Phase",
    "Profile",
    "Question",
    "RunningInstance",
    "VerdictRecord",
    "Veto",
    "Waiting",
    "ledger_url",
    "open_ledger",
]
