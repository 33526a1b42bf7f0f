"""What the hooks of services have in common that are called over HTTP at an address of the user's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

from airflow.sdk import BaseHook

from airflow_cd.errors import SourceError, SourceQueryRejected, SourceRejected, SourceUnavailable
from airflow_cd.http.auth import NoAuth
from airflow_cd.http.client import HttpClient
from airflow_cd.http.connection import ConnectionSettings
from airflow_cd.http.endpoint import Endpoint
from airflow_cd.http.exchange import Request
from airflow_cd.http.family import SOURCE
from airflow_cd.http.rate_limit import limiter_of, paced
from airflow_cd.http.redaction import Redactor
from airflow_cd.http.redirects import stays_there
from airflow_cd.http.retry import RetryPolicy
from airflow_cd.http.session import new_session

_RETRY = RetryPolicy(attempts=6, first_pause=0.2, longest_pause=20.0, spread=0.5)


class ServiceHook(BaseHook):
    """Calls a service over one Airflow connection.

    The connection: host (the base URL, with a path where the service stands below one) and port; login and password
    for basic authentication, or a password alone, which is sent as a bearer token. Extra holds ``headers`` (an object
    of further ones, such as ``{"X-Scope-OrgID": "shop"}``), ``timeout`` (seconds for a request, 30), ``deadline``
    (seconds for an operation with its retries, 120), ``calls_per_second`` and ``verify`` (a CA bundle's path).

    Every method raises a :class:`~airflow_cd.errors.SourceError`.

    :param conn_id: the connection.
    :param sleep: called with seconds to wait.
    :cvar calls_per_second: how many requests a second the service allows, where the connection does not say it.
    :cvar concurrent: how many it allows at the same time.
    :cvar scheme: of a host that is given without one.
    """

    hook_name: ClassVar[str]
    scheme: ClassVar[str] = "http"
    calls_per_second: ClassVar[float] = 20.0
    concurrent: ClassVar[int] = 8

    def __init__(self, conn_id: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__()
        self.conn_id = conn_id
        self._sleep = sleep
        self._connection: ConnectionSettings | None = None

    @property
    def connection(self) -> ConnectionSettings:
        """The connection, read once."""
        if self._connection is None:
            self._connection = ConnectionSettings.read(self.conn_id, SOURCE)
        return self._connection

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the connection's extra.

        :raises SourceRejected: they are no object of texts.
        """
        return self.connection.headers()

    @property
    def default_address(self) -> str:
        """Where the service is, if the connection has no host; ``""`` for nowhere."""
        return ""

    def authenticates(self) -> bool:
        """Whether login and password are sent; else headers do what is needed."""
        return True

    def get_conn(self) -> HttpClient:
        """Return a session with the service; use it as a context manager.

        :raises SourceError: the connection is missing or wrong.
        """
        connection, headers = self.connection, self.headers
        address = connection.address(self.scheme) or self.default_address
        if not address:
            raise SourceRejected(
                f"connection {self.conn_id!r} has no host.",
                next_step=f"Put the address of {self.hook_name} into its host field.",
            )
        endpoint = Endpoint(
            name=self.hook_name,
            conn_id=self.conn_id,
            base_url=address,
            errors=SOURCE,
            redact=Redactor([*connection.secrets, *headers.values()]),
            retry=_RETRY,
            timeout=connection.seconds("timeout", 30.0),
            deadline=connection.seconds("deadline", 120.0),
        )
        session = new_session(connection.auth() if self.authenticates() else NoAuth(), connection.verify())
        session.headers.update(headers)
        calls = connection.seconds("calls_per_second", self.calls_per_second)
        limiter = limiter_of(
            f"{address} {connection.login} {connection.password}",
            *paced(calls),
            self.concurrent,
        )
        return HttpClient(endpoint, session, limiter=limiter, may_redirect=stays_there, sleep=self._sleep)

    def test_connection(self) -> tuple[bool, str]:
        """Check the connection by a query of the kind that a verification sends.

        :returns: whether it worked, and a sentence.
        """
        try:
            return True, self.tried()
        except SourceError as error:
            return False, str(error)

    def tried(self) -> str:
        """What a real query found, as one sentence.

        :raises SourceError: it failed.
        """
        raise NotImplementedError


def answered_in_part(client: HttpClient, said: str, next_step: str) -> SourceUnavailable:
    """The error of an answer that says itself that it is not whole.

    :param client: that got it.
    :param said: what it says, in the service's words.
    :param next_step: what to do about it.
    """
    why = client.endpoint.redact.line(said).rstrip(".")
    return SourceUnavailable(
        f"{client.endpoint.title} answered with a part of what there is: {why}.", next_step=next_step
    )


def page_of(client: HttpClient, request: Request, token: object) -> Any:
    """One page of an answer.

    :param client: that asks.
    :param request: for the page.
    :param token: the service's own, that leads to the page; nothing for the first one.
    :returns: its JSON.
    :raises SourceQueryRejected: the service refuses the first page.
    :raises SourceUnavailable: it refuses a later one, though it has taken the same query: the token has expired.
    :raises SourceError: it cannot be read.
    """
    try:
        return client.json(request)
    except SourceQueryRejected as error:
        if not token:
            raise
        refused = error
    raise SourceUnavailable(
        f"{refused.what} It had taken the pages before.", next_step="Try again: from the first page."
    )
