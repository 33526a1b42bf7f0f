"""Hook for the HTTP deployment API (``airflow_cd/targets/http_openapi.yaml``)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from airflow.providers.http.hooks.http import HttpHook

from airflow_cd.errors import ArtifactNotFound, TargetConflict, TargetError, TargetRejected, TargetUnauthorized
from airflow_cd.hooks.deployment_answers import (
    BrokenAnswer,
    Traffic,
    error_code,
    read_instances,
    read_traffic,
    require_names,
)
from airflow_cd.http.auth import HeaderAuth, basic_auth, fits_header
from airflow_cd.http.client import HttpClient
from airflow_cd.http.connection import ConnectionSettings
from airflow_cd.http.endpoint import Endpoint
from airflow_cd.http.exchange import Answer, Request
from airflow_cd.http.family import TARGET
from airflow_cd.http.redaction import Redactor
from airflow_cd.http.retry import RetryPolicy
from airflow_cd.http.sockets import InTimeAdapter
from airflow_cd.instances import Instance
from airflow_cd.release import Release

T = TypeVar("T")

DEFAULT_TIMEOUT = 10.0
DEFAULT_RETRY_FOR = 30.0
MAX_ANSWER_BYTES = 32 * 1024 * 1024
MAX_KEY_LENGTH = 255
PROBE_ARTIFACT = "airflow-cd-connection-test"
KNOWN_EXTRAS = ("timeout", "retry_for", "verify", "verify_ssl", "cert", "proxies", "proxy", "trust_env")
_RETRY = RetryPolicy(first_pause=0.1, longest_pause=5.0)


@dataclass(frozen=True)
class _Call:
    """One call of the API.

    :param request: what is sent.
    :param environment: the environment it is about, if any; so are the others.
    """

    request: Request
    environment: str | None = None
    artifact: str | None = None
    release: Release | None = None
    instances: tuple[str, ...] = ()


class DeploymentApiHook(HttpHook):
    """Calls the HTTP deployment API.

    Connection (type ``deployment_api``): *host* is the base URL; *password* is a bearer token, or, with a *login*,
    the password of basic authentication. Extra: ``timeout`` (seconds to wait for one answer, 10), ``retry_for``
    (seconds within which a call is tried again, 30), ``verify`` (false, or the path of a CA bundle), ``cert``,
    ``proxies``; any other key is sent as a header.

    A call that meets a connection error, a time-out, 408, 425, 429 or 5xx is made again, with exponential backoff
    and jitter and no sooner than ``Retry-After`` asks, until ``retry_for`` is over. That is safe for changes too: they
    carry an idempotency key, the same in every attempt. The connection is read once and kept; it is read again when
    the server answers 401.

    Every method raises a :class:`~airflow_cd.errors.TargetError` with the environment it is about:
    ``TargetUnauthorized`` for 401 and 403, ``ArtifactNotFound``, ``TargetConflict`` for 409, ``TargetRejected`` for
    any other request or connection that is wrong, and ``TargetUnavailable``, with ``retry_after`` where the server
    asked for a pause, for what may be tried again. No message holds a secret.

    :param deployment_api_conn_id: the connection.
    :param retry_for: seconds within which a call is tried again; the connection's by default, 0 for a single attempt.
    """

    conn_name_attr = "deployment_api_conn_id"
    default_conn_name = "deployment_api_default"
    conn_type = "deployment_api"
    hook_name = "Deployment API"

    def __init__(self, deployment_api_conn_id: str = default_conn_name, *, retry_for: float | None = None) -> None:
        super().__init__(http_conn_id=deployment_api_conn_id)
        self.deployment_api_conn_id = deployment_api_conn_id
        self._retry_for = retry_for
        self._connected: HttpClient | None = None
        self._sleep: Callable[[float], None] = time.sleep

    # -- the calls -------------------------------------------------------------------------------------------------

    def instances(self, environment: str) -> list[Instance]:
        """Read what runs where, now.

        :param environment: what the server calls it.
        :returns: all its instances, sorted by name.
        :raises TargetError: as of the class.
        """
        call = _Call(Request("GET", _path(environment, "instances")), environment)
        return self._make(call, lambda answer: read_instances(answer, environment))

    def check_artifact(self, artifact: str) -> None:
        """Check that the server has an artifact.

        :param artifact: what the server fetches and runs.
        :raises ArtifactNotFound: it has not.
        :raises TargetError: as of the class.
        """
        call = _Call(Request("GET", f"/v1/artifacts/{_path_segment(artifact)}"), artifact=artifact)
        self._make(call, lambda answer: None)

    def traffic(self, environment: str) -> dict[str, Traffic]:
        """Read when the last request reached each instance, and how many are in flight.

        :param environment: what the server calls it.
        :returns: the traffic by name of the instance.
        :raises TargetRejected: the server does not have this call, which is optional.
        :raises TargetError: as of the class.
        """
        return self._make(_Call(Request("GET", _path(environment, "traffic")), environment), read_traffic)

    def put_release(
        self, environment: str, release: Release | None, instances: Sequence[str], *, key: str, token: int
    ) -> None:
        """Ask for a release on some instances; returns when accepted, not when healthy.

        :param environment: what the server calls it.
        :param release: what to run; None for nothing.
        :param instances: their names.
        :param key: idempotency key of the change.
        :param token: fencing token of the lease.
        :raises ArtifactNotFound: the server does not have the artifact.
        :raises TargetConflict: the server has seen a higher token.
        :raises TargetError: as of the class.
        """
        body = {"release": release.as_dict() if release else None, "instances": list(instances)}
        request = Request("PUT", _path(environment, "release"), body, headers=_change_headers(key, token))
        call = _Call(request, environment, release.artifact if release else None, release, tuple(instances))
        self._make(call, lambda answer: require_names(answer, "accepted", instances))

    def drain(self, environment: str, instances: Sequence[str], *, key: str, token: int) -> None:
        """Keep some instances out of the traffic; returns when no request reaches them any more.

        :param environment: what the server calls it.
        :param instances: their names.
        :param key: idempotency key of the change.
        :param token: fencing token of the lease.
        :raises TargetConflict: the server has seen a higher token.
        :raises TargetError: as of the class.
        """
        self._divert("drain", environment, instances, key, token)

    def restore(self, environment: str, instances: Sequence[str], *, key: str, token: int) -> None:
        """Give some instances their traffic back.

        :param environment: what the server calls it.
        :param instances: their names.
        :param key: idempotency key of the change.
        :param token: fencing token of the lease.
        :raises TargetConflict: the server has seen a higher token.
        :raises TargetError: as of the class.
        """
        self._divert("restore", environment, instances, key, token)

    def _divert(self, action: str, environment: str, instances: Sequence[str], key: str, token: int) -> None:
        body = {"instances": list(instances)}
        request = Request("POST", _path(environment, action), body, headers=_change_headers(key, token))
        call = _Call(request, environment, instances=tuple(instances))
        self._make(call, lambda answer: require_names(answer, "instances", instances))

    def test_connection(self) -> tuple[bool, str]:
        """Check that the server answers and accepts the credentials, by asking for an artifact that need not exist.

        :returns: whether it does, and a sentence.
        """
        self._connected = None
        self._retry_for = 0.0
        try:
            self.check_artifact(PROBE_ARTIFACT)
        except ArtifactNotFound:
            pass
        except TargetError as error:
            return False, str(error)
        return True, f"{self._client.endpoint.title} answers and accepts the credentials."

    # -- connection ------------------------------------------------------------------------------------------------

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """Read the connection and make a session of it: base URL, credentials, TLS, proxies.

        :param headers: sent with every request.
        :param extra_options: as of :class:`~airflow.providers.http.hooks.http.HttpHook`.
        :raises TargetRejected: the connection has no host, or a setting that cannot work.
        :raises TargetUnauthorized: the token cannot be sent in a header.
        """
        return self._session(self._settings(), headers, extra_options)

    def _settings(self) -> ConnectionSettings:
        return ConnectionSettings.read(self.http_conn_id, TARGET)

    def _session(
        self,
        settings: ConnectionSettings,
        headers: dict[Any, Any] | None = None,
        extra_options: dict[str, Any] | None = None,
    ) -> requests.Session:
        address = settings.address("http", user_info=True)
        if not address:
            raise settings.wrong("it has no host", "Enter the base URL of the deployment API as the host")
        try:
            session: requests.Session = super().get_conn(headers, extra_options)
        except Exception as error:  # noqa: BLE001 - an extra may hold anything
            problem = type(error).__name__
        else:
            return self._prepare(session, settings, address)
        raise settings.wrong(f"no session can be made of it ({problem})", "Correct the extra")

    def _prepare(self, session: requests.Session, settings: ConnectionSettings, address: str) -> requests.Session:
        self.base_url = address
        session.verify = settings.verify("verify", "verify_ssl")
        for scheme in ("http://", "https://"):
            session.mount(scheme, InTimeAdapter())
        session.headers["Accept"] = "application/json"
        session.headers.pop("retry_for", None)
        token = settings.password.strip()
        if settings.login:
            session.auth = basic_auth(settings.login, settings.password)
        elif token:
            if not fits_header(token) or " " in token:
                raise TargetUnauthorized(
                    f"the password of connection {self.http_conn_id!r} cannot be a bearer token: it holds blanks or "
                    "letters that a header cannot carry.",
                    next_step="Enter the token alone as its password, or a login too for basic authentication.",
                )
            session.auth = HeaderAuth.bearer(token)
        return session

    @property
    def _client(self) -> HttpClient:
        if self._connected is None:
            endpoint, session = self._connect()
            self._connected = HttpClient(endpoint, session, renew=self._renew, sleep=self._sleep)
        return self._connected

    def _connect(self) -> tuple[Endpoint, requests.Session]:
        settings = self._settings()
        headers = [value for name, value in settings.options.items() if name not in KNOWN_EXTRAS]
        if self._retry_for is None:
            self._retry_for = settings.seconds("retry_for", DEFAULT_RETRY_FOR)
        session = self._session(settings)
        endpoint = Endpoint(
            name="the deployment API",
            conn_id=self.http_conn_id,
            base_url=self.base_url,
            errors=TARGET,
            redact=Redactor([*settings.secrets, *(value for value in headers if isinstance(value, str))]),
            retry=_RETRY,
            timeout=settings.seconds("timeout", DEFAULT_TIMEOUT),
            retry_for=self._retry_for,
            max_bytes=MAX_ANSWER_BYTES,
        )
        return endpoint, session

    def _renew(self) -> tuple[Endpoint, requests.Session] | None:
        """Read the connection again after a 401: a token may have been rotated while a verification watched."""
        old = self._connected.session.auth if self._connected else None
        try:
            endpoint, session = self._connect()
        except Exception:  # noqa: BLE001 - the 401 is the better error to raise
            return None
        return None if session.auth == old else (endpoint, session)

    # -- one call --------------------------------------------------------------------------------------------------

    def _make(self, call: _Call, read: Callable[[dict[str, Any]], T]) -> T:
        """Make the call and read its answer; errors get to know what the call is about."""
        try:
            content = self._client.json(call.request, judge=lambda answer: self._judge(call, answer))
            return self._read(call, content, read)
        except TargetError as error:
            if call.release is not None:
                error.service, error.release = call.release.service, str(call.release)
            error.instances = error.instances or call.instances
            error.at(environment=call.environment)
            raise

    def _read(self, call: _Call, content: Any, read: Callable[[dict[str, Any]], T]) -> T:
        try:
            if not isinstance(content, dict):
                raise BrokenAnswer(f"it is a {type(content).__name__}, not an object")
            return read(content)
        except BrokenAnswer as broken:
            reason, instances = str(broken), broken.instances
        endpoint = self._client.endpoint
        raise TargetRejected(
            f"{endpoint.title} violated the API contract in its answer to {call.request.method} {call.request.path}: "
            f"{endpoint.redact.line(reason)}; it began: {endpoint.excerpt(json.dumps(content).encode())}",
            instances=instances,
            next_step="Compare the server with http_openapi.yaml.",
        )

    def _judge(self, call: _Call, answer: Answer) -> None:
        """Raise what 404 and 409 mean in this API, and leave the rest to the client."""
        endpoint, code = self._client.endpoint, error_code(answer.json)
        if answer.status == 409:
            raise TargetConflict(
                f"{endpoint.title} has seen a newer owner of the environment (409): {endpoint.reason_of(answer)}.",
                state="nothing was changed by this call.",
                next_step="This process was overruled and must stop; see who holds the environment's lease.",
            )
        if answer.status != 404 or call.artifact is None or code is None:
            return
        if call.environment is None or "artifact" in code:
            reason = f"{endpoint.title} answered 404 {endpoint.reason_of(answer)}"
            raise ArtifactNotFound(
                f"artifact {call.artifact!r} does not exist: {reason}.",
                next_step="Build and publish the artifact, or ask for a version that exists.",
            )


def _path(environment: str, call: str) -> str:
    return f"/v1/environments/{_path_segment(environment)}/{call}"


def _path_segment(name: str) -> str:
    if name in ("", ".", ".."):
        raise TargetRejected(
            f"{name!r} cannot be part of a URL.", next_step="Give the environment or artifact its real name."
        )
    return quote(name, safe="")


def _change_headers(key: str, token: int) -> dict[str, str]:
    """The headers of a change; a key that no header can carry is replaced by its digest, always the same."""
    if not fits_header(key) or len(key) > MAX_KEY_LENGTH:
        key = "sha256:" + hashlib.sha256(key.encode()).hexdigest()
    return {"Idempotency-Key": key, "Fencing-Token": str(int(token))}
