"""Hook for the HTTP deployment API (``airflow_cd/targets/http_openapi.yaml``)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import requests
import tenacity
from airflow.providers.http.hooks.http import HttpHook
from requests import exceptions as failures
from requests.auth import HTTPBasicAuth

from airflow_cd.errors import (
    ArtifactNotFound,
    TargetConflict,
    TargetError,
    TargetRejected,
    TargetUnauthorized,
    TargetUnavailable,
)
from airflow_cd.release import Release
from airflow_cd.targets.base import Instance
from airflow_cd.targets.http_answers import (
    BrokenAnswer,
    Traffic,
    excerpt,
    read_error,
    read_instances,
    read_traffic,
    require_names,
)
from airflow_cd.targets.http_requests import (
    BearerAuth,
    base_url,
    header_safe,
    innermost,
    path_part,
    seconds_setting,
    secrets_of,
    verify_setting,
)
from airflow_cd.targets.http_retry import EnoughRubbish, Transient, pause, seconds_asked, transient_of

T = TypeVar("T")

DEFAULT_TIMEOUT = 10.0
DEFAULT_RETRY_FOR = 30.0
MAX_ANSWER_BYTES = 32 * 1024 * 1024
RETRIED_STATUS = (408, 425, 429)
PROBE_ARTIFACT = "airflow-cd-connection-test"
KNOWN_EXTRAS = ("timeout", "retry_for", "verify", "verify_ssl", "cert", "proxies", "proxy", "trust_env")


@dataclass(frozen=True)
class _Call:
    """One call of the API, the same in every attempt.

    :param artifact: the artifact it speaks of, if any.
    """

    method: str
    path: str
    environment: str | None = None
    body: dict[str, Any] | None = None
    headers: dict[str, str] | None = None
    artifact: str | None = None


class DeploymentApiHook(HttpHook):
    """Speaks the HTTP deployment API.

    Connection (type ``deployment_api``): *host* is the base URL; *password* is a bearer token, or, with a *login*,
    the password of basic authentication. Extra: ``timeout`` (seconds to wait for one answer, 10), ``retry_for``
    (seconds to go on trying one call, 30), ``verify`` (false, or the path of a CA bundle), ``cert``, ``proxies``;
    any other key is sent as a header.

    A call that meets a connection error, a time-out, 408, 425, 429 or 5xx is made again, with exponential backoff
    and jitter and no sooner than ``Retry-After`` asks, until ``retry_for`` is over: no call takes longer than
    ``retry_for`` and ``timeout`` together. That is safe for changes too:
    they carry an idempotency key, the same in every attempt. The connection is read once and kept; it is read again
    when the server answers 401.

    Every method raises a :class:`~airflow_cd.errors.TargetError`: ``TargetUnauthorized`` for 401 and 403,
    ``ArtifactNotFound``, ``TargetConflict`` for 409, ``TargetRejected`` for what sending again cannot mend, and
    ``TargetUnavailable`` for the rest. No message holds a secret.

    :param deployment_api_conn_id: the connection.
    :param retry_for: seconds; overrides the connection's.
    """

    conn_name_attr = "deployment_api_conn_id"
    default_conn_name = "deployment_api_default"
    conn_type = "deployment_api"
    hook_name = "Deployment API"

    def __init__(self, deployment_api_conn_id: str = default_conn_name, *, retry_for: float | None = None) -> None:
        super().__init__(http_conn_id=deployment_api_conn_id)
        self.deployment_api_conn_id = deployment_api_conn_id
        self._retry_for = retry_for
        self._session: requests.Session | None = None
        self._timeout = DEFAULT_TIMEOUT
        self._secrets: tuple[str, ...] = ()
        self._sleep: Callable[[float], None] = time.sleep

    # -- the calls -------------------------------------------------------------------------------------------------

    def instances(self, environment: str) -> list[Instance]:
        """What runs where, sorted by name."""
        call = _Call("GET", self._path(environment, "instances"), environment)
        return self._make(call, lambda answer: read_instances(answer, environment))

    def check_artifact(self, artifact: str) -> None:
        """Raise :class:`ArtifactNotFound` unless the server has the artifact."""
        self._make(_Call("GET", f"/v1/artifacts/{path_part(artifact)}", artifact=artifact), lambda answer: None)

    def traffic(self, environment: str) -> dict[str, Traffic]:
        """When the last request reached each instance, and how many are in flight (an optional call of the API)."""
        return self._make(_Call("GET", self._path(environment, "traffic"), environment), read_traffic)

    def put_release(
        self, environment: str, release: Release | None, instances: Sequence[str], *, key: str, token: int
    ) -> None:
        """Ask for the release (None: nothing) on these instances; returns when accepted, not when healthy."""
        call = _Call(
            "PUT",
            self._path(environment, "release"),
            environment,
            {"release": release.as_dict() if release else None, "instances": list(instances)},
            self._change_headers(key, token),
            release.artifact if release else None,
        )
        self._make(call, lambda answer: require_names(answer, "accepted", instances))

    def drain(self, environment: str, instances: Sequence[str], *, key: str, token: int) -> None:
        """Keep these instances out of the traffic; returns when no request reaches them any more."""
        self._divert("drain", environment, instances, key, token)

    def restore(self, environment: str, instances: Sequence[str], *, key: str, token: int) -> None:
        """Give these instances their traffic back."""
        self._divert("restore", environment, instances, key, token)

    def _divert(self, action: str, environment: str, instances: Sequence[str], key: str, token: int) -> None:
        headers = self._change_headers(key, token)
        body = {"instances": list(instances)}
        call = _Call("POST", self._path(environment, action), environment, body, headers)
        self._make(call, lambda answer: require_names(answer, "instances", instances))

    @staticmethod
    def _path(environment: str, call: str) -> str:
        return f"/v1/environments/{path_part(environment)}/{call}"

    @staticmethod
    def _change_headers(key: str, token: int) -> dict[str, str]:
        return {"Idempotency-Key": header_safe(key), "Fencing-Token": str(int(token))}

    def test_connection(self) -> tuple[bool, str]:
        """Whether the server answers and accepts the credentials: asks for an artifact that need not exist."""
        self._session = None
        self._retry_for = 0.0
        try:
            self.check_artifact(PROBE_ARTIFACT)
        except ArtifactNotFound:
            pass
        except TargetError as error:
            return False, str(error)
        return True, f"The deployment API at {self._address} answers and accepts the credentials."

    # -- connection ------------------------------------------------------------------------------------------------

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """Read the connection and make a session of it: base URL, credentials, TLS, proxies, time-outs."""
        connection = self.get_connection(self.http_conn_id)
        extra = connection.extra_dejson
        headers_set = [value for name, value in extra.items() if name not in KNOWN_EXTRAS]
        self._secrets = secrets_of(connection.password, connection.host, headers_set)
        self._timeout = seconds_setting(self.http_conn_id, extra, "timeout", DEFAULT_TIMEOUT)
        if self._retry_for is None:
            self._retry_for = seconds_setting(self.http_conn_id, extra, "retry_for", DEFAULT_RETRY_FOR)
        if not connection.host:
            raise TargetRejected(
                f"connection {self.http_conn_id!r} has no host.",
                next_step="Enter the base URL of the deployment API as its host.",
            )
        session = super().get_conn(headers, extra_options)
        self.base_url = base_url(connection.host, connection.port, connection.schema)
        session.verify = verify_setting(extra.get("verify", extra.get("verify_ssl")))
        session.headers["Accept"] = "application/json"
        session.headers.pop("retry_for", None)
        password = (connection.password or "").strip()
        if connection.login:
            # As bytes, because requests would encode text as Latin-1 and show the secret when it cannot.
            session.auth = HTTPBasicAuth(connection.login.encode(), (connection.password or "").encode())
        elif password:
            if not (password.isascii() and password.isprintable()) or " " in password:
                raise TargetUnauthorized(
                    f"the password of connection {self.http_conn_id!r} cannot be a bearer token: it holds blanks or "
                    "letters that a header cannot carry.",
                    next_step="Enter the token alone as its password, or a login too for basic authentication.",
                )
            session.auth = BearerAuth(password)
        return session

    def _connected(self) -> requests.Session:
        if self._session is None:
            try:
                self._session = self.get_conn()
            except TargetError:
                raise
            except Exception as error:  # noqa: BLE001 - secrets backends raise whatever they like
                raise TargetRejected(
                    f"connection {self.http_conn_id!r} cannot be used: {self._clean(str(error))}.",
                    next_step="Create or correct the connection (type deployment_api), then start again.",
                ) from None
        return self._session

    @property
    def _address(self) -> str:
        parts = urlsplit(self.base_url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))

    @property
    def _server(self) -> str:
        return f"the deployment API at {self._address} (connection {self.http_conn_id!r})"

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    # -- one call --------------------------------------------------------------------------------------------------

    def _make(self, call: _Call, read: Callable[[dict[str, Any]], T]) -> T:
        """Make the call, again where that may help, and read its answer."""
        began = time.monotonic()
        try:
            self._connected()
            attempts = tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(Transient),
                stop=tenacity.stop_any(tenacity.stop_before_delay(self._retry_for or 0.0), EnoughRubbish()),
                wait=pause,
                sleep=self._sleep,
                before_sleep=self._tell_retry,
                reraise=True,
            )
            return attempts(self._once, call, read)
        except Transient as last:
            tried = attempts.statistics.get("attempt_number", 1)
            if tried > 1:
                last.error.what += f" Tried {tried} times in {time.monotonic() - began:.1f} s."
            raise last.error.at(environment=call.environment) from None
        except TargetError as error:
            raise error.at(environment=call.environment) from None

    def _once(self, call: _Call, read: Callable[[dict[str, Any]], T]) -> T:
        response, content = self._exchange(call)
        if response.status_code == 401 and self._credentials_changed():
            response, content = self._exchange(call)
        if not 200 <= response.status_code < 300:
            raise self._refusal(response, content, call)
        try:
            answer = json.loads(content)
        except ValueError:
            raise Transient(self._not_json(response, content), rubbish=True) from None
        try:
            if not isinstance(answer, dict):
                raise BrokenAnswer(f"it is a {type(answer).__name__}, not an object")
            return read(answer)
        except BrokenAnswer as broken:
            raise TargetRejected(
                self._clean(
                    f"{self._server} broke the contract in its answer to {call.method} {call.path}: {broken}; it "
                    f"began: {excerpt(content)}"
                ),
                next_step="Compare the server with http_openapi.yaml.",
            ) from None

    def _exchange(self, call: _Call) -> tuple[requests.Response, bytes]:
        """One request and its whole answer, within the time-out."""
        session, seconds = self._connected(), self._timeout
        ends = time.monotonic() + seconds
        try:
            # verify is given again: from the session alone, REQUESTS_CA_BUNDLE would override it.
            with session.request(
                call.method,
                self.base_url + call.path,
                json=call.body,
                headers=call.headers,
                timeout=seconds,
                verify=session.verify,
                allow_redirects=False,
                stream=True,
            ) as response:
                content = bytearray()
                for chunk in response.iter_content(64 * 1024):
                    content += chunk
                    if len(content) > MAX_ANSWER_BYTES:
                        raise self._unreachable(f"answers with more than {MAX_ANSWER_BYTES} bytes")
                    if time.monotonic() > ends:
                        raise failures.ReadTimeout
                return response, bytes(content)
        except failures.SSLError as error:
            raise self._unreachable(
                f"cannot be trusted, TLS failed: {innermost(error)}",
                "Check the address (https?), the certificate, and verify in the connection's extra (false, or the "
                "path of a CA bundle).",
            ) from None
        except failures.ConnectTimeout:
            raise Transient(self._unreachable(f"cannot be reached within {seconds:.3g} s")) from None
        except failures.Timeout:
            raise Transient(
                self._unreachable(f"does not answer {call.method} {call.path} within {seconds:.3g} s")
            ) from None
        except (failures.ConnectionError, failures.ChunkedEncodingError, failures.ContentDecodingError) as error:
            raise Transient(self._unreachable(f"does not answer: {innermost(error)}")) from None
        except (failures.RequestException, OSError, ValueError) as error:
            # The text of these may quote a header, and with it a secret: only their name is told.
            detail = "" if isinstance(error, failures.InvalidHeader) else f": {innermost(error)}"
            raise TargetRejected(
                self._clean(f"{self._server} cannot be asked, {type(error).__name__}{detail}."),
                next_step=f"Correct connection {self.http_conn_id!r}: host, verify, cert, proxies and headers.",
            ) from None

    def _credentials_changed(self) -> bool:
        """Read the connection again after a 401: a token may have been rotated while a verification watched."""
        before, old = self._session, self._session.auth if self._session else None
        try:
            self._session = self.get_conn()
        except Exception:  # noqa: BLE001 - the 401 is the better thing to tell
            self._session = before
        return bool(self._session and self._session.auth != old)

    # -- what went wrong -------------------------------------------------------------------------------------------

    def _unreachable(self, what: str, next_step: str = "") -> TargetUnavailable:
        return TargetUnavailable(
            self._clean(f"{self._server} {what}."),
            next_step=next_step or "See whether it is up and reachable from the worker, then start again.",
        )

    def _not_json(self, response: requests.Response, content: bytes) -> TargetUnavailable:
        kind = response.headers.get("Content-Type") or "no content type"
        return self._unreachable(
            f"answered {response.status_code} with something that is not JSON ({kind}): {excerpt(content)!r}",
            "See whether the connection's host is the deployment API's base URL, or a proxy answers in its place.",
        )

    def _refusal(self, response: requests.Response, content: bytes, call: _Call) -> TargetError | Transient:
        status = response.status_code
        told = read_error(content)
        code, message = told or ("", excerpt(content) or response.reason or "no reason given")
        said = f"{status} {code}: {message}" if code else f"{status}: {message}"
        said = self._clean(said).rstrip(".")
        if status in (401, 403):
            what = "refuses the credentials" if status == 401 else "does not allow this"
            return TargetUnauthorized(
                f"{self._server} {what}: {said}.",
                next_step=f"Check login and password (the bearer token) of connection {self.http_conn_id!r}.",
            )
        if status == 404 and call.artifact is not None and told and (call.environment is None or "artifact" in code):
            return ArtifactNotFound(
                f"artifact {call.artifact!r} does not exist: {self._server} answered {said}.",
                next_step="Build and publish the artifact, or ask for a version that exists.",
            )
        if status == 409:
            return TargetConflict(
                f"{self._server} has seen a newer owner of the environment: {said}.",
                state="nothing was changed by this call.",
                next_step="This process was overruled and must stop; see who holds the environment's lease.",
            )
        if status in RETRIED_STATUS or status >= 500:
            error = self._unreachable(f"answered {said}")
            return Transient(error, seconds_asked(response.headers.get("Retry-After")))
        if 300 <= status < 400:
            place = urlunsplit(urlsplit(response.headers.get("Location", ""))._replace(query="", fragment=""))
            return TargetRejected(
                self._clean(f"{self._server} redirects ({status}) to {place or 'nowhere'}, which is not followed."),
                next_step="Enter the address the deployment API really has as the connection's host.",
            )
        next_step = "Correct what was asked for; sending it again cannot help."
        if told is None:
            next_step = "See whether the connection's host is the deployment API's base URL."
        return TargetRejected(f"{self._server} refuses the request: {said}.", next_step=next_step)

    def _tell_retry(self, state: tenacity.RetryCallState) -> None:
        seconds = state.next_action.sleep if state.next_action else 0.0
        self.log.warning("%s Trying again in %.1f s.", transient_of(state), seconds)
