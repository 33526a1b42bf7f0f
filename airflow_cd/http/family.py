"""Which errors a service raises: the same failures have other classes for a target than for a source."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_cd.errors import (
    Refused,
    SourceAnswerTooLarge,
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
    :param too_large: an answer of more bytes than are kept in memory.
    :param throttled: 429.
    :param unauthorized: 401, 402 and 403, and a connection without the credentials it needs.
    :param rejected: every other 4xx.
    :param misconfigured: a connection that cannot work: no such connection, wrong settings, a redirect that is not
        followed.
    :param passing_404: whether a 404 that is not JSON may pass: something before the service answers so while what is
        behind it is replaced. False by default.
    """

    unavailable: type[Unavailable]
    too_large: type[Unavailable]
    throttled: type[Unavailable]
    unauthorized: type[Refused]
    rejected: type[Refused]
    misconfigured: type[Refused]
    passing_404: bool = False


TARGET = ErrorFamily(
    unavailable=TargetUnavailable,
    too_large=TargetUnavailable,
    throttled=TargetUnavailable,
    unauthorized=TargetUnauthorized,
    rejected=TargetRejected,
    misconfigured=TargetRejected,
)
SOURCE = ErrorFamily(
    unavailable=SourceUnavailable,
    too_large=SourceAnswerTooLarge,
    throttled=SourceThrottled,
    unauthorized=SourceUnauthorized,
    rejected=SourceQueryRejected,
    misconfigured=SourceRejected,
    passing_404=True,
)
