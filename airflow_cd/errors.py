"""Every error this package raises on purpose.

::

    AirflowCdError
    ├── PipelineError            a pipeline is written wrongly; names every mistake
    ├── ReleaseError             a release cannot be built from what was asked for
    ├── TargetError              an environment cannot be read or changed
    │   ├── TargetUnreachable    no answer, a time-out, a TLS failure, a 5xx that stayed
    │   ├── TargetUnauthorized   401 or 403
    │   ├── TargetRejected       the request itself is refused (400, 404 of an environment, 422)
    │   ├── ArtifactNotFound     the artifact does not exist (any more)
    │   └── TargetConflict       a newer fencing token has been seen: this caller was overruled
    ├── DeploymentFailed         instances did not come up on the release
    ├── SourceError              metrics or logs cannot be read; never an application failure
    │   ├── SourceUnreachable
    │   ├── SourceUnauthorized
    │   ├── SourceThrottled
    │   └── SourceQueryRejected  the query itself is wrong; retrying cannot help
    ├── LedgerError              the ledger cannot be read or written, or is of another version
    │   ├── LeaseHeld            another run owns the environment
    │   ├── LeaseLost            this run no longer owns the environment
    │   ├── BaselineMissing      the one deployment that was asked for as a baseline cannot be one
    │   ├── ReleaseVetoed        the release was rolled back here and nobody lifted the veto
    │   └── DeploymentSettled    this run's deployment is over, or a newer one has taken its place
    └── VerificationError        a verification is configured wrongly or cannot be computed
"""

from __future__ import annotations

from collections.abc import Sequence


class AirflowCdError(Exception):
    """Something went wrong that a person has to understand.

    :param what: one sentence: what happened, naming the thing at fault.
    :param pipeline: the pipeline (DAG) it happened in, where known.
    :param environment: the environment it happened to, where known.
    :param state: what was left in which state.
    :param next_step: what to do now.
    """

    def __init__(
        self,
        what: str,
        *,
        pipeline: str | None = None,
        environment: str | None = None,
        state: str | None = None,
        next_step: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.pipeline = pipeline
        self.environment = environment
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

    def at(self, *, pipeline: str | None = None, environment: str | None = None) -> AirflowCdError:
        """Fill in where it happened, when the raiser could not know; returns itself."""
        self.pipeline = self.pipeline or pipeline
        self.environment = self.environment or environment
        return self


class PipelineError(AirflowCdError):
    """A pipeline is written wrongly.

    :param mistakes: every mistake found, one sentence each.
    """

    def __init__(self, mistakes: Sequence[str], *, pipeline: str | None = None) -> None:
        self.mistakes = tuple(mistakes)
        listed = "".join(f"\n  {number}. {mistake}" for number, mistake in enumerate(self.mistakes, 1))
        noun = "mistake" if len(self.mistakes) == 1 else "mistakes"
        super().__init__(f"the pipeline has {len(self.mistakes)} {noun}:{listed}", pipeline=pipeline)


class ReleaseError(AirflowCdError):
    """A release cannot be built from what was asked for."""


class TargetError(AirflowCdError):
    """An environment cannot be read or changed."""


class TargetUnreachable(TargetError):
    """The target does not answer: connection, time-out, TLS, or a server error that stayed."""


class TargetUnauthorized(TargetError):
    """The target refuses the credentials (401) or what they allow (403)."""


class TargetRejected(TargetError):
    """The target refuses the request itself: sending it again cannot help."""


class ArtifactNotFound(TargetError):
    """The artifact does not exist where the target takes artifacts from."""


class TargetConflict(TargetError):
    """The target has seen a newer fencing token: the caller was overruled and must stop."""


class DeploymentFailed(AirflowCdError):
    """Instances did not come up healthy on the release they were given."""


class SourceError(AirflowCdError):
    """Metrics or logs cannot be read. Says nothing about the application."""


class SourceUnreachable(SourceError):
    """The source does not answer, or fails on its own side."""


class SourceUnauthorized(SourceError):
    """The source refuses the credentials, or what they allow."""


class SourceThrottled(SourceError):
    """The source's rate limit stayed exceeded after every retry."""


class SourceQueryRejected(SourceError):
    """The source refuses the query: sending it again cannot help."""


class LedgerError(AirflowCdError):
    """The ledger cannot be read or written, or its schema is of another version."""


class LeaseHeld(LedgerError):
    """Another run owns the environment."""


class LeaseLost(LedgerError):
    """This run no longer owns the environment: somebody with a newer fencing token does."""


class BaselineMissing(LedgerError):
    """The one deployment that was asked for as a baseline was never promoted, has taught nothing, or was reset."""


class ReleaseVetoed(LedgerError):
    """The release was rolled back in this environment and nobody has lifted the veto."""


class DeploymentSettled(LedgerError):
    """This run's deployment is over (promoted or rolled back), or a newer one has taken its place."""


class VerificationError(AirflowCdError):
    """A verification is configured wrongly, or cannot be computed from what was read."""
