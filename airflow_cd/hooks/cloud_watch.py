"""Amazon CloudWatch: its official client, with what goes wrong in the words of this package."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_cd.errors import (
    SourceError,
    SourceQueryRejected,
    SourceRejected,
    SourceThrottled,
    SourceUnauthorized,
    SourceUnavailable,
)
from airflow_cd.http.connection import ConnectionSettings
from airflow_cd.http.family import SOURCE
from airflow_cd.verification.throttling import note_wait

MOST_PAGES = 2_000
"""Pages of an answer, many of which may be empty, before it is given up."""

_UNAUTHORIZED = (
    "AccessDenied",
    "UnrecognizedClient",
    "InvalidSignature",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "AuthFailure",
    "OptInRequired",
)
_THROTTLED = ("Throttl", "TooManyRequests", "LimitExceeded", "RequestLimitExceeded")
_AWAY = ("ServiceUnavailable", "InternalFailure", "InternalService", "InternalError", "RequestTimeout")
_ATTEMPTS = 6


class CloudWatch:
    """Calls Amazon CloudWatch over one Airflow connection of type ``aws``.

    With Airflow's provider for Amazon its hook makes the client, roles and profiles included; without it login and
    password are the access key, and the extra has ``region_name``, ``aws_session_token`` and ``endpoint_url``.

    :param conn_id: the connection.
    :param region: of the service; the connection's by default.
    """

    def __init__(self, conn_id: str, region: str = "") -> None:
        self.conn_id = conn_id
        self.region = region
        self._told: list[float] = []

    def pages(self, service: str, operation: str, **given: Any) -> Iterator[Mapping[str, Any]]:
        """Every page of an operation: an empty one is not the end, a missing token is.

        :param service: ``logs`` or ``cloudwatch``.
        :param operation: of the client, ``filter_log_events``.
        :param given: its arguments.
        :raises SourceError: it failed, or did not end.
        """
        client = self._client(service)
        for _ in range(MOST_PAGES):
            page = self._called(client, operation, given)
            yield page
            name = "nextToken" if "nextToken" in page else "NextToken"
            token = page.get(name)
            if not token or given.get(name) == token:
                return
            given = {**given, name: token}
        raise SourceUnavailable(
            f"CloudWatch (connection {self.conn_id!r}) has not ended its answer after {MOST_PAGES} pages.",
            next_step="Ask for less: name the streams, or a filter.",
        )

    def first(self, service: str, operation: str, **given: Any) -> Mapping[str, Any]:
        """The first page alone.

        :param service: as of :meth:`pages`; so are the others.
        :param operation: of the client.
        :param given: its arguments.
        :raises SourceError: it failed.
        """
        return next(self.pages(service, operation, **given))

    def _called(self, client: Any, operation: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found: Mapping[str, Any] = getattr(client, operation)(**given)
        except ClientError as error:
            raise self._refused(error) from None
        except BotoCoreError as error:
            raise self._unanswered(error) from None
        return found

    def _refused(self, error: Any) -> SourceError:
        answer = error.response.get("Error", {})
        code, text = str(answer.get("Code", "")), str(answer.get("Message", "")) or str(error)
        said = f"CloudWatch (connection {self.conn_id!r}, {self._place()})"
        if any(word in code for word in _UNAUTHORIZED):
            return SourceUnauthorized(
                f"{said} refuses the credentials: {code}: {text}.", next_step="Check the access key and its policy."
            )
        if any(word in code for word in _THROTTLED):
            self._told.clear()
            note_wait(0.0)  # the last time, after which its client did not try again
            return SourceThrottled(f"{said} is limiting the rate of requests: {code}.", next_step="Ask less often.")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        if status >= 500 or any(word in code for word in _AWAY):
            return SourceUnavailable(f"{said} failed: {code}: {text}.", next_step="Try again later.")
        return SourceQueryRejected(
            f"{said} rejected the request: {code}: {text}.", next_step="Correct the source, or the connection's region."
        )

    def _unanswered(self, error: Exception) -> SourceError:
        from botocore.exceptions import EndpointConnectionError, HTTPClientError, NoCredentialsError, NoRegionError

        said = f"CloudWatch (connection {self.conn_id!r})"
        if isinstance(error, NoCredentialsError):
            return SourceUnauthorized(f"{said}: there are no credentials.", next_step="Enter an access key.")
        if isinstance(error, NoRegionError):
            return SourceRejected(f"{said}: there is no region.", next_step="Put region_name into the extra.")
        if isinstance(error, (EndpointConnectionError, HTTPClientError)):
            return SourceUnavailable(f"{said} cannot be reached: {error}.", next_step="Check region and network.")
        return SourceQueryRejected(f"{said}: {type(error).__name__}: {error}.", next_step="Correct the source.")

    def _place(self) -> str:
        return self.region or "the connection's region"

    def _client(self, service: str) -> Any:
        client = self._made(service)
        # The client tries again by itself: its events alone tell how often AWS told it to wait.
        client.meta.events.register_first("needs-retry.*", self._answered)
        client.meta.events.register_first("before-send.*", self._sends)
        return client

    def _answered(self, response: tuple[Any, Mapping[str, Any]] | None, **_: Any) -> None:
        code = str(response[1].get("Error", {}).get("Code", "")) if response else ""
        if any(word in code for word in _THROTTLED):
            self._told.append(time.monotonic())

    def _sends(self, **_: Any) -> None:
        while self._told:
            note_wait(time.monotonic() - self._told.pop())

    def _made(self, service: str) -> Any:
        settings = ConnectionSettings.read(self.conn_id, SOURCE)
        try:
            from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
        except ImportError:
            return self._plain(settings, service)
        return AwsBaseHook(  # pragma: no cover - with the provider alone
            aws_conn_id=self.conn_id, client_type=service, region_name=self.region or None, config=_config()
        ).get_conn()

    def _plain(self, settings: ConnectionSettings, service: str) -> Any:
        try:
            import boto3
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise SourceRejected(
                "the client of AWS is not installed.", next_step="pip install 'airflow-cd[aws]'"
            ) from error
        self.region = self.region or settings.text("region_name")
        try:
            return boto3.client(
                service,
                region_name=self.region or None,
                endpoint_url=settings.text("endpoint_url") or None,
                aws_access_key_id=settings.login or None,
                aws_secret_access_key=settings.password or None,
                aws_session_token=settings.text("aws_session_token") or None,
                config=_config(),
            )
        except (BotoCoreError, ValueError) as error:
            raise self._unanswered(error) from None


def _config() -> Any:
    from botocore.config import Config

    return Config(retries={"max_attempts": _ATTEMPTS, "mode": "standard"}, connect_timeout=10, read_timeout=30)


def installed() -> bool:
    """Whether the client of AWS is there."""
    from importlib.util import find_spec

    return find_spec("boto3") is not None
