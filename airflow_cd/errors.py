"""Every error that this package raises on purpose, by whether trying again can help.

::

    AirflowCdError
    ├── Refused                      final: the same request gets the same answer
    │   ├── PipelineError            a pipeline is defined incorrectly; names every mistake
    │   ├── ReleaseError             a release cannot be built from what was asked for
    │   ├── RunRefused               a run is asked for with something that Airflow may not keep
    │   ├── NotApproved              an approval has not let this release through
    │   ├── PlanChanged              the pipeline is not the one that the run began with
    │   ├── UnknownParameter         the run was asked for something that its pipeline does not know
    │   ├── DeploymentFailed         instances did not come up on the release
    │   ├── TargetUnauthorized       401 or 403
    │   ├── TargetRejected           the request itself is wrong (400, 404 of an environment, 422)
    │   ├── ArtifactNotFound         the artifact does not exist (any more)
    │   ├── TargetConflict           a newer fencing token exists: this caller was overruled
    │   ├── SourceUnauthorized       401 or 403
    │   ├── SourceRejected           the connection, or what was asked for, is wrong
    │   │   └── SourceQueryRejected  the query itself is wrong
    │   ├── LedgerRefused            the request is wrong or contradicts the ledger's records
    │   │   ├── LeaseLost            this run no longer owns the environment
    │   │   ├── BaselineMissing      the deployment named as a baseline cannot be one
    │   │   ├── ReleaseVetoed        the release was rolled back here and its veto is in force
    │   │   ├── EnvironmentFrozen    a person has frozen the environment, and nobody has lifted that
    │   │   └── DeploymentSettled    this run's deployment is over, or a newer one has taken its place
    │   └── VerificationError        a verification is configured incorrectly or cannot be computed
    └── Unavailable                  try again, no sooner than ``retry_after``
        ├── RollbackIncomplete       a rollback could not finish yet
        ├── TargetUnavailable        no answer, a time-out, a TLS failure, 429, a 5xx that stayed
        ├── SourceUnavailable        the same of a source of metrics or logs
        │   └── SourceThrottled      its rate limit stayed exceeded after every retry
        ├── SecretUnavailable        a secret of the configuration cannot be looked up now
        ├── LedgerUnavailable        locked, full, read-only, away, or not migrated yet
        │   └── WrongLedger          another ledger than the one in use, which another machine may have
        └── LeaseHeld                another run owns the environment

``TargetError``, ``SourceError`` and ``LedgerError`` name the part at fault: an error of a part belongs to one of them,
too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

E = TypeVar("E", bound="AirflowCdError")


class AirflowCdError(Exception):
    """The base of all errors of this package.

    :param what: one sentence: what happened, naming the thing at fault.
    :param pipeline: the pipeline (DAG) it happened in, where known.
    :param service: the service it happened to, where known.
    :param environment: the environment it happened to, where known.
    :param release: the release it is about, as it prints (``shop 1.2 (bd93a013)``), where known.
    :param instances: names of the instances at fault, where known.
    :param state: what was left behind, and in which state.
    :param next_step: what a person can do now.
    """

    def __init__(
        self,
        what: str,
        *,
        pipeline: str | None = None,
        service: str | None = None,
        environment: str | None = None,
        release: str | None = None,
        instances: Sequence[str] = (),
        state: str | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.pipeline = pipeline
        self.service = service
        self.environment = environment
        self.release = release
        self.instances = tuple(instances)
        self.state = state
        self.next_step = next_step

    def __str__(self) -> str:
        place = " / ".join(part for part in (self.pipeline, self.environment) if part)
        text = f"[{place}] {self.what}" if place else self.what
        if self.state:
            text += f" State: {self.state}"
        if self.next_step:
            text += f" Next: {self.next_step}"
        return text

    def at(self: E, *, pipeline: str | None = None, service: str | None = None, environment: str | None = None) -> E:
        """Add where it happened, where the code that raised it could not know.

        :param pipeline: kept unless the error names one already; so are the others.
        :param service: the service.
        :param environment: the environment.
        :returns: the error itself.
        """
        self.pipeline = self.pipeline or pipeline
        self.service = self.service or service
        self.environment = self.environment or environment
        return self


class Refused(AirflowCdError):
    """Final: the same request would get the same answer, so it is not tried again."""


class Unavailable(AirflowCdError):
    """Temporary: the same request may succeed later.

    :param retry_after: seconds to wait before the next try, as the other side asked; None where it did not.
    """

    def __init__(self, what: str, *, retry_after: float | None = None, **more: Any) -> None:
        super().__init__(what, **more)
        self.retry_after = retry_after


class PipelineError(Refused):
    """A pipeline is defined incorrectly.

    :param mistakes: every mistake found, one sentence each.
    """

    def __init__(self, mistakes: Sequence[str], *, pipeline: str | None = None) -> None:
        self.mistakes = tuple(mistakes)
        listed = "".join(f"\n  {number}. {mistake}" for number, mistake in enumerate(self.mistakes, 1))
        noun = "mistake" if len(self.mistakes) == 1 else "mistakes"
        super().__init__(f"the pipeline has {len(self.mistakes)} {noun}:{listed}", pipeline=pipeline)


class ReleaseError(Refused):
    """A release cannot be built from what was asked for."""


class RunRefused(Refused, ValueError):
    """A run is asked for with something that Airflow may not keep."""


class NotApproved(Refused):
    """An approval before the deployment was not given, or was given for another release."""


class PlanChanged(Refused):
    """The pipeline differs from the one that the run began with."""


class UnknownParameter(Refused):
    """The run has a parameter that its pipeline does not have."""


class DeploymentFailed(Refused):
    """Instances did not come up healthy on the release they were given, or the release did not stay.

    :param unhealthy: names of the instances that run the release and are not healthy: those fail because of it. Any
        other reason (an instance that is gone, or runs something else) implies nothing about the release.
    """

    def __init__(self, what: str, *, unhealthy: Sequence[str] = (), **more: Any) -> None:
        super().__init__(what, **more)
        self.unhealthy = tuple(unhealthy)


class RollbackIncomplete(Unavailable):
    """A rollback could not finish: part of the environment is not back on its release. Trying again resumes it.

    :param away: whether nothing but an answer of the target, or of another process, is missing, so that waiting helps.
    """

    def __init__(self, what: str, *, away: bool = False, **more: Any) -> None:
        super().__init__(what, **more)
        self.away = away


class SecretUnavailable(Unavailable):
    """A secret that a configuration refers to cannot be looked up: the secrets backend or Airflow does not answer."""


class TargetError(AirflowCdError):
    """An environment cannot be read or changed."""


class TargetUnavailable(TargetError, Unavailable):
    """The target does not answer: connection, time-out, TLS, too many requests, or a server error that stayed."""


class TargetUnauthorized(TargetError, Refused):
    """The target refuses the credentials (401) or what they allow (403)."""


class TargetRejected(TargetError, Refused):
    """The target refuses the request itself: sending it again cannot help."""


class ArtifactNotFound(TargetError, Refused):
    """The artifact does not exist where the target takes artifacts from."""


class TargetConflict(TargetError, Refused):
    """The target has received a newer fencing token: the caller was overruled and must stop."""


class SourceError(AirflowCdError):
    """Metrics or logs cannot be read, which implies nothing about the application."""


class SourceUnavailable(SourceError, Unavailable):
    """The source does not answer, or fails on its own side."""


class SourceThrottled(SourceUnavailable):
    """The source's rate limit stayed exceeded after every retry."""


class SourceAnswerTooLarge(SourceUnavailable):
    """The source's answer is more than is kept in memory: asking for less at a time helps, waiting does not."""


class SourceUnauthorized(SourceError, Refused):
    """The source refuses the credentials, or what they allow."""


class SourceRejected(SourceError, Refused):
    """The source cannot be asked like this: its connection, or what was asked for, is wrong."""


class SourceQueryRejected(SourceRejected):
    """The source refuses the query: sending it again cannot help."""


class LedgerError(AirflowCdError):
    """The ledger did not do what it was asked for."""


class LedgerUnavailable(LedgerError, Unavailable):
    """The ledger cannot be read or written now: locked, full, read-only, away, or not migrated yet."""


class WrongLedger(LedgerUnavailable):
    """The ledger that was opened here is not the one that Airflow, or the run, uses; another worker may have it."""


class LedgerRefused(LedgerError, Refused):
    """The request is wrong, or contradicts the ledger's records."""


class LeaseHeld(LedgerError, Unavailable):
    """Another run owns the environment.

    :param owner: the run that owns it or is first in the queue, as ``run <id> of <pipeline>``.
    :param position: position of the asking run in the queue, from 1.
    """

    def __init__(self, what: str, *, owner: str, position: int, **more: Any) -> None:
        super().__init__(what, **more)
        self.owner = owner
        self.position = position


class LeaseLost(LedgerRefused):
    """The run does not own the environment: a newer fencing token exists.

    :param owner: the run that owns it, as ``run <id> of <pipeline>``; None if none does.
    """

    def __init__(self, what: str, *, owner: str | None = None, **more: Any) -> None:
        super().__init__(what, **more)
        self.owner = owner


class BaselineMissing(LedgerRefused):
    """The deployment named as a baseline was never promoted, has taught nothing, or is from before a reset."""


class ReleaseVetoed(LedgerRefused):
    """The release was rolled back in this environment, and its veto is in force."""


class EnvironmentFrozen(LedgerRefused):
    """A person has frozen the environment: no deployment begins there until the freeze is lifted."""


class DeploymentSettled(LedgerRefused):
    """The run's deployment is over (promoted or rolled back), or a newer one has replaced it."""


class VerificationError(Refused):
    """A verification is configured incorrectly, or cannot be computed from its data."""
