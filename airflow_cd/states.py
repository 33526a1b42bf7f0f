"""States and kinds that the ledger, tasks and pages share: an enumeration for each.

A member equals its text in the ledger (Python 3.10 has no ``enum.StrEnum``). Texts shown to people are looked up from
members, never the other way round.
"""

from __future__ import annotations

import enum


class TextEnum(str, enum.Enum):
    """An enumeration whose members print, compare and serialize as their texts."""

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, format_spec: str) -> str:
        return format(str(self.value), format_spec)


class DeploymentState(TextEnum):
    """How far a deployment has come; *promoted* and *rolled back* are final."""

    RUNNING = "running"
    PROMOTED = "promoted"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"

    @property
    def final(self) -> bool:
        """Whether a deployment in this state is settled: nothing changes it any more."""
        return self in (DeploymentState.PROMOTED, DeploymentState.ROLLED_BACK)


class PhaseState(TextEnum):
    """How far a phase has come: deploying, deployed, or the outcome of its last final verdict."""

    STARTED = "started"
    DEPLOYED = "deployed"
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class RollbackMode(TextEnum):
    """Who decides on a rollback after a failed verification."""

    AUTOMATIC = "automatic"
    HUMAN = "human"


class RollbackCause(TextEnum):
    """Why a deployment is rolled back, which decides whether its release is vetoed: uncertain is not guilty."""

    FAILED = "failed"  # the verdict is FAIL
    UNHEALTHY = "unhealthy"  # instances ran the release and were not healthy
    PERSON = "person"
    INCONCLUSIVE = "inconclusive"  # nothing was found against the release, or for it
    FAULT = "fault"  # a worker, the target, the ledger or a source: not the release
    RUN_ENDED = "run_ended"  # before anything had decided

    @property
    def vetoes(self) -> bool:
        """Whether it is held against the release."""
        return self in (RollbackCause.FAILED, RollbackCause.UNHEALTHY, RollbackCause.PERSON)


class ActionKind(TextEnum):
    """A side effect on an environment, or on what watches it."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    DRAIN = "drain"
    RESTORE = "restore"
    MARK = "mark"


class HumanAction(TextEnum):
    """A manual action in the audit log."""

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
    ANSWERED = "answered"  # sent by a person, with the option after it
    ANSWER_RECORDED = "answer"  # taken as the answer of a question
    LIFTED_VETO = "lift veto"
    FROZE = "freeze"
    LIFTED_FREEZE = "lift freeze"
    GAVE_FEEDBACK = "feedback"
    UNDID_FEEDBACK = "undo feedback"
    PINNED_BASELINE = "pin baseline"
    RESET_BASELINE = "reset baseline"
    UNDID_BASELINE = "undo baseline"


class Role(TextEnum):
    """What a task does in a delivery; a subclass keeps the role of its operator, whatever its name."""

    LEASE = "lease"
    DEPLOY = "deploy"
    MARK = "mark"
    VERIFY = "verify"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    ROLLBACK_TO = "rollback_to"
    SETTLE = "settle"
    APPROVAL = "approval"


class StuckCause(TextEnum):
    """Why a run cannot go on, so that the guard finishes its work on an environment."""

    ENDED = "ended"
    DELETED = "deleted"
    PAUSED = "paused"
    FILE_BROKEN = "file_broken"  # Airflow marks every DAG of such a file stale, and schedules none of their runs
    FILE_GONE = "file_gone"
    WORKER_DIED = "worker_died"
    STALLED = "stalled"  # a scheduler runs, and nothing of the run is started
    NO_SCHEDULER = "no_scheduler"
    AIRFLOW_AWAY = "airflow_away"  # its database
    PUT_BACK = "put_back"  # it is over: somebody else runs again what it has rolled back
    REPLACED = "replaced"  # it is over: somebody else runs something else where it has promoted a release


class FindingState(TextEnum):
    """What became of a run that the guard found stuck."""

    ACTING = "acting"
    FAILING = "failing"  # tried, and tried again until it succeeds
    DONE = "done"
    OVER = "over"  # another run, or the run itself, has settled it
    TOLD = "told"  # a person was told, and nothing is done about it


class Right(str, enum.Enum):
    """What may be a right of its own, apart from editing a pipeline's runs."""

    VETO = "veto"
    FEEDBACK = "feedback"
    BASELINE = "baseline"
    ROLLBACK = "rollback"
    FREEZE = "freeze"

    @property
    def resource(self) -> str:
        """What the auth manager knows it by: ``can edit on Airflow CD veto``, say."""
        return f"Airflow CD {self.value}"
