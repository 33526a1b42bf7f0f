"""Google Cloud: who calls its APIs, and for which project. What is asked of them is in the hooks of each."""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar

from airflow_cd.errors import SourceRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.hooks.recent import RECENT, milliseconds, recent
from airflow_cd.hooks.service import ServiceHook
from airflow_cd.http.auth import NoAuth
from airflow_cd.http.redaction import Redactor
from airflow_cd.http.session import new_session
from airflow_cd.wording import counted

_SCOPES = (
    "https://www.googleapis.com/auth/logging.read",
    "https://www.googleapis.com/auth/monitoring.read",
)
_TOKEN_SECONDS = 30.0
_ELSEWHERE = ("impersonation_chain", "key_secret_name", "credential_config_file", "is_anonymous")
_renewing = threading.Lock()


class GoogleCloudHook(ServiceHook):
    """Calls Google Cloud's APIs over one Airflow connection of type ``google_observability``.

    The password is a service account's key as JSON; without it the extra's ``keyfile_dict`` or ``key_path`` (as of
    Airflow's own provider, whose connection will do), else what the machine is given (Application Default Credentials,
    Workload Identity). Extra: ``project``, the key's by default; see :class:`ServiceHook` for the others. A host
    replaces Google's.

    :param google_observability_conn_id: the connection.
    :param sleep: called with seconds to wait.
    :cvar service: first part of the host of the API.
    """

    conn_name_attr = "google_observability_conn_id"
    default_conn_name = "google_observability_default"
    conn_type = "google_observability"
    hook_name = "Google Cloud Observability"
    service: ClassVar[str] = "logging"

    def __init__(
        self, google_observability_conn_id: str = default_conn_name, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(google_observability_conn_id, sleep=sleep)

    @property
    def default_address(self) -> str:
        """Of the API."""
        return f"https://{self.service}.googleapis.com"

    def authenticates(self) -> bool:
        """By a token that is renewed."""
        return False

    @property
    def headers(self) -> dict[str, str]:
        """With the token of the account.

        :raises SourceUnauthorized: Google does not accept the key.
        :raises SourceUnavailable: it gives no token now.
        """
        return {**super().headers, "Authorization": f"Bearer {self._token()}"}

    @property
    def project(self) -> str:
        """The project whose logs and metrics are read.

        :raises SourceRejected: nothing says which.
        """
        found = self.connection.text("project") or str(self._key().get("project_id") or "") or self._account()[1]
        if not found:
            raise self.connection.wrong("there is no project", "Put the project's id into project")
        return found

    def tried(self) -> str:
        """How many entries of logs there are of the last five minutes, and how many types of metrics."""
        from airflow_cd.hooks.google_logging import PAGE, GoogleLoggingHook
        from airflow_cd.hooks.google_monitoring import GoogleMonitoringHook

        since = datetime.now(timezone.utc) - RECENT
        entries = GoogleLoggingHook(self.conn_id).first(f'timestamp>="{since:%Y-%m-%dT%H:%M:%SZ}"')
        types = GoogleMonitoringHook(self.conn_id).metric_types()
        newest = milliseconds(entries[0].get("timestamp")) if entries else None
        logs = recent(len(entries), "log record", newest, at_least=len(entries) >= PAGE)
        return f"Project {self.project} can be read: {logs}, and {counted(len(types), 'type')} of metrics."

    def _token(self) -> str:
        try:
            from google.auth import exceptions
        except ImportError as error:
            raise SourceRejected(
                "Google's library for credentials is not installed.", next_step="pip install 'airflow-cd[google]'"
            ) from error

        credentials, _ = self._account()
        whose = getattr(credentials, "service_account_email", "") or "this account"
        try:
            with _renewing:
                if not credentials.valid:
                    credentials.refresh(self._caller())
        except exceptions.TransportError as error:
            raise SourceUnavailable(
                f"Google (connection {self.conn_id!r}) gives {whose} no token: it cannot be reached "
                f"({type(error).__name__}).",
                next_step="Check the network, and the proxy of this machine.",
            ) from None
        except exceptions.GoogleAuthError as error:
            kind = SourceUnavailable if getattr(error, "retryable", False) else SourceUnauthorized
            redact = Redactor([*self.connection.secrets, str(self._key().get("private_key", ""))])
            said = redact.line(str(error.args[0] if error.args else error))
            raise kind(
                f"Google (connection {self.conn_id!r}) does not accept the key of {whose}: {said}.",
                next_step="Make a new key, and see whether the account is enabled and the clock is right.",
            ) from None
        return str(credentials.token)

    def _account(self) -> tuple[Any, str]:
        key = self._key()
        try:
            return _account_of(json.dumps(key, sort_keys=True) if key else "")
        except (ValueError, LookupError) as error:
            # Its text may quote the key.
            raise self.connection.wrong(
                f"the key cannot be used ({type(error).__name__})", "Enter the whole JSON of a service account's key"
            ) from None

    def _key(self) -> Mapping[str, Any]:
        """The key of the connection; empty where it has none."""
        connection = self.connection
        for name in _ELSEWHERE:
            if connection.options.get(name):
                raise connection.wrong(f"{name} is not read here", "Use a key, or what the machine is given,")
        given: Any = connection.password.strip() or connection.options.get("keyfile_dict") or ""
        path = connection.text("key_path")
        try:
            if not given and path:
                given = Path(path).read_text("utf-8")
            found = json.loads(given) if isinstance(given, str) and given else given
        except OSError as error:
            raise connection.wrong(
                f"the key {path!r} cannot be read: {error.strerror or type(error).__name__}", "Correct key_path"
            ) from None
        except ValueError:
            found = None
        if found and isinstance(found, Mapping):
            return found
        if found == "":
            return {}
        raise connection.wrong("the key is not the JSON of a service account's key", "Enter the whole file")

    def _caller(self) -> Callable[..., Any]:
        from google.auth.transport.requests import Request

        request = Request(session=new_session(NoAuth(), self.connection.verify()))
        return functools.partial(request, timeout=_TOKEN_SECONDS)


@functools.lru_cache(maxsize=16)
def _account_of(key: str) -> tuple[Any, str]:
    """Credentials and the project that they name, kept for as long as the process: a token is good for an hour."""
    import google.auth
    from google.oauth2 import service_account

    if not key:
        try:
            found: tuple[Any, str | None] = google.auth.default(scopes=_SCOPES)
        except google.auth.exceptions.DefaultCredentialsError:
            raise SourceUnauthorized(
                "there are no credentials for Google Cloud: the connection has no key, and this machine is given none.",
                next_step="Enter a service account's key as the password of the connection.",
            ) from None
        return found[0], found[1] or ""
    content = json.loads(key)
    made: Any = service_account.Credentials.from_service_account_info(content, scopes=_SCOPES)  # type: ignore[no-untyped-call]
    return made, str(content.get("project_id") or "")


def installed() -> bool:
    """Whether Google's library for credentials is there."""
    from importlib.util import find_spec

    try:
        return find_spec("google.auth") is not None
    except ModuleNotFoundError:
        return False
