"""Which errors a service raises: the same failures have other classes for a target than for a source."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_cd.errors import (
    Refused,
    SourceQueryRejected,
    SourceRejected,
    SourceThrottled,
    SourceUnauthorized,
    SourceUnavailable,
    TargetRejected,
    TargetUnauthorized,
    TargetUnavailable,
    Unavailable,
)


@dataclass(frozen=True)
class ErrorFamily:
    """The classes of the errors that calls of one kind of service raise.

    :param unavailable: no answer, a time-out, a TLS failure, a server error, an answer that is not JSON.
    :param throttled: 429.
    :param unauthorized: 401, 402 and 403, and a connection without the credentials it needs.
    :param rejected: every other 4xx.
    :param misconfigured: a connection that cannot work: no such connection, wrong settings, a redirect that is not
        followed.
    :param passing_404: whether a 404 that is not JSON may pass: something before the service answers so while what is
        behind it is replaced. False by default.
    """

    unavailable: type[Unavailable]
    throttled: type[Unavailable]
    unauthorized: type[Refused]
    rejected: type[Refused]
    misconfigured: type[Refused]
    passing_404: bool = False


TARGET = ErrorFamily(TargetUnavailable, TargetUnavailable, TargetUnauthorized, TargetRejected, TargetRejected)
SOURCE = ErrorFamily(
    SourceUnavailable, SourceThrottled, SourceUnauthorized, SourceQueryRejected, SourceRejected, passing_404=True
)
