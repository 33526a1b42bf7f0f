"""What the ledger returns: immutable values; all times are aware and in UTC."""

from __future__ import annotations

from airflow_cd.ledger.records.deliveries import (
    Action,
    Deployment,
    GivenSecret,
    GoodRelease,
    Phase,
    Profile,
    RunningInstance,
    VerdictRecord,
)
from airflow_cd.ledger.records.holding import (
    Claim,
    Finding,
    InTheWay,
    KnownRun,
    Lease,
    Waiting,
    Work,
)
from airflow_cd.ledger.records.people import (
    AuditRecord,
    BaselineChoice,
    ChainState,
    FeedbackRecord,
    Freeze,
    Intended,
    Intent,
    Mark,
    Question,
    Veto,
)

__all__ = [
    "Action",
    "AuditRecord",
    "BaselineChoice",
    "ChainState",
    "Claim",
    "Deployment",
    "FeedbackRecord",
    "Finding",
    "Freeze",
    "GivenSecret",
    "GoodRelease",
    "InTheWay",
    "Intended",
    "Intent",
    "KnownRun",
    "Lease",
    "Mark",
    "Phase",
    "Profile",
    "Question",
    "RunningInstance",
    "VerdictRecord",
    "Veto",
    "Waiting",
    "Work",
]
