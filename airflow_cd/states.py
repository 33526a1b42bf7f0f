"""The states and kinds that the ledger, tasks and pages share: one enumeration for each, compared by its members.

A member is its text as the ledger keeps it (Python 3.10 has no ``enum.StrEnum``). What is shown to people is looked
up from members, never the other way round.
"""

from __future__ import annotations

import enum


class Word(str, enum.Enum):
    """A text from a fixed set, which prints, compares and serializes as itself."""

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, format_spec: str) -> str:
        return format(str(self.value), format_spec)


class DeploymentState(Word):
    """How far a deployment has come; *promoted* and *rolled back* are final."""

    RUNNING = "running"
    PROMOTED = "promoted"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"

    @property
    def final(self) -> bool:
        """Whether nothing changes it any more."""
        return self in (DeploymentState.PROMOTED, DeploymentState.ROLLED_BACK)


class PhaseState(Word):
    """How far a phase has come: on its instances, then what its last final verdict made of it."""

    STARTED = "started"
    DEPLOYED = "deployed"
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class RollbackMode(Word):
    """Who decides on a rollback after a failed verification."""

    AUTOMATIC = "automatic"
    HUMAN = "human"


class ActionKind(Word):
    """A side effect on an environment, or on what watches it."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    DRAIN = "drain"
    RESTORE = "restore"
    MARK = "mark"


class HumanAction(Word):
    """What a person did by hand."""

    MARKED_SUCCESS = "marked success"
    MARKED_FAILED = "marked failed"
    MARKED_SKIPPED = "marked skipped"
    MARKED_GROUP_SUCCESS = "marked group success"
    MARKED_GROUP_FAILED = "marked group failed"
    MARKED_GROUP_SKIPPED = "marked group skipped"
    MARKED_RUN_SUCCESS = "marked run success"
    MARKED_RUN_FAILED = "marked run failed"
    MARKED_RUN_QUEUED = "marked run queued"
    CLEARED = "cleared"
    CLEARED_RUN = "cleared run"
    DELETED = "deleted"
    ANSWERED = "answered"
    LIFTED_VETO = "lift veto"
    GAVE_FEEDBACK = "feedback"
    UNDID_FEEDBACK = "undo feedback"
    PINNED_BASELINE = "pin baseline"
    RESET_BASELINE = "reset baseline"
    UNDID_BASELINE = "undo baseline"


class Role(Word):
    """What a task does in a delivery, whatever its class is called: a subclass keeps its operator's role."""

    LEASE = "lease"
    DEPLOY = "deploy"
    MARK = "mark"
    VERIFY = "verify"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    ROLLBACK_TO = "rollback_to"
    SETTLE = "settle"
    APPROVAL = "approval"
