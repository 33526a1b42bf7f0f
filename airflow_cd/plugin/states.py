"""States that only the pages have: what a service, a stage or a phase looks like to a reader."""

from __future__ import annotations

from airflow_cd.states import TextEnum


class Look(TextEnum):
    """How a state is drawn; its label says the same to those who do not see colours."""

    GOOD = "good"
    BAD = "bad"
    WAIT = "wait"
    IDLE = "idle"


class ServiceState(TextEnum):
    """What a reader of the Deployments page may filter by; a service may be in several at once."""

    WAITING = "waiting"
    IN_PROGRESS = "in_progress"
    FAILED = "failed"
    VETOED = "vetoed"
    FROZEN = "frozen"


class EnvironmentState(TextEnum):
    """How one environment of a service stands."""

    NOTHING_PROMOTED = "nothing_promoted"
    RUNNING = "running"
    REPLACED = "replaced"
    """Somebody else runs something else than was promoted."""
    DEPLOYING = "deploying"
    RESTORING = "restoring"
    """A person's rollback is under way."""
    ROLLING_BACK = "rolling_back"
    LEFT_UNFINISHED = "left_unfinished"
    ROLLBACK_FAILED = "rollback_failed"


class StepState(TextEnum):
    """How far a step of a run has come: a stage, or a phase of a canary."""

    TO_COME = "to_come"
    QUEUED = "queued"
    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    VERIFYING = "verifying"
    PROMOTING = "promoting"
    SETTLING = "settling"
    WAITING_FOR_ANSWER = "waiting_for_answer"
    IN_PROGRESS = "in_progress"

    PASSED = "passed"
    PROMOTED = "promoted"
    RESTORED = "restored"
    """A person's rollback has brought back an earlier release."""
    APPROVED = "approved"
    DONE = "done"

    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    """Nobody answered in time, so the default answer, which is no, was applied."""
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"
    LEFT_UNFINISHED = "left_unfinished"

    FIRST_RELEASE = "first_release"
    """Deployed where nothing ran before: there was nothing to compare with."""
    NOT_REACHED = "not_reached"
    NOT_VERIFIED = "not_verified"
    SKIPPED = "skipped"

    RESTORING = "restoring"
    """A person's rollback is under way."""

    @property
    def look(self) -> Look:
        """How it is drawn."""
        return _LOOKS.get(self, Look.WAIT)

    @property
    def sign(self) -> str:
        """One character for it, beside its label."""
        return _SIGNS.get(self) or _SIGNS_OF_LOOKS[self.look]


_LOOKS = {
    **dict.fromkeys(
        (StepState.PASSED, StepState.PROMOTED, StepState.RESTORED, StepState.APPROVED, StepState.DONE), Look.GOOD
    ),
    **dict.fromkeys(
        (
            StepState.FAILED,
            StepState.REJECTED,
            StepState.TIMED_OUT,
            StepState.ROLLING_BACK,
            StepState.ROLLED_BACK,
            StepState.ROLLBACK_FAILED,
            StepState.LEFT_UNFINISHED,
        ),
        Look.BAD,
    ),
    **dict.fromkeys(
        (
            StepState.TO_COME,
            StepState.FIRST_RELEASE,
            StepState.NOT_REACHED,
            StepState.NOT_VERIFIED,
            StepState.SKIPPED,
        ),
        Look.IDLE,
    ),
}
_SIGNS = {
    StepState.RESTORED: "↩",
    StepState.ROLLED_BACK: "↩",
    StepState.ROLLING_BACK: "↩",
    StepState.WAITING_FOR_ANSWER: "?",
    StepState.QUEUED: "…",
    StepState.NOT_REACHED: "–",
    StepState.SKIPPED: "–",
}
_SIGNS_OF_LOOKS = {Look.GOOD: "✓", Look.BAD: "✗", Look.WAIT: "●", Look.IDLE: "○"}
