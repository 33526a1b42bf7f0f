"""The settings of an Airflow connection, read and checked."""

from __future__ import annotations

import json
import math
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from airflow_cd.http.redaction import user_info_of

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from requests.auth import AuthBase

    from airflow_cd.http.family import ErrorFamily

_ON = ("", "true", "1", "yes")
_OFF = ("false", "0", "no")


@dataclass(frozen=True)
class ConnectionSettings:
    """An Airflow connection.

    :param conn_id: its id.
    :param errors: the errors that say what is wrong with it.
    :param login: user or access id, ``""`` for none.
    :param password: key, token or password as it was entered, ``""`` for none.
    :param host: host name or URL, ``""`` for none.
    :param scheme: of a host without one, ``""`` for the caller's default.
    :param port: for a host without one, None for the scheme's.
    :param options: the connection's extra.
    """

    conn_id: str
    errors: ErrorFamily
    login: str = ""
    password: str = field(default="", repr=False)
    host: str = field(default="", repr=False)
    scheme: str = ""
    port: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, conn_id: str, errors: ErrorFamily) -> ConnectionSettings:
        """Read a connection by its id.

        :param conn_id: its id.
        :param errors: the errors to raise.
        :raises Refused: there is no such connection (``errors.misconfigured``).
        :raises Unavailable: whatever keeps connections does not answer (``errors.unavailable``).
        """
        from airflow.sdk import BaseHook
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            return cls.of(BaseHook.get_connection(conn_id), conn_id, errors)
        except AirflowNotFoundException:
            error: Exception = errors.misconfigured(
                f"connection {conn_id!r} cannot be read: there is none of this id.",
                next_step="Create it in Airflow, or correct the connection id in the pipeline.",
            )
        except Exception as problem:  # noqa: BLE001 - secrets backends raise whatever they like
            # Its text is left out: it may quote secrets that are not known here.
            error = errors.unavailable(
                f"connection {conn_id!r} cannot be read now: {type(problem).__name__}.",
                next_step="Check the secrets backend and Airflow's API server; then try again.",
            )
        raise error

    @classmethod
    def of(cls, connection: Connection, conn_id: str, errors: ErrorFamily) -> ConnectionSettings:
        """Take the settings of a connection that has been read.

        :param connection: Airflow's.
        :param conn_id: its id.
        :param errors: the errors to raise by the methods.
        """
        options = connection.extra_dejson
        return cls(
            conn_id=conn_id,
            errors=errors,
            login=(connection.login or "").strip(),
            password=connection.password or "",
            host=(connection.host or "").strip(),
            scheme=(connection.schema or "").strip(),
            port=connection.port,
            options=options if isinstance(options, Mapping) else {},
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown: the password in each of its forms, user and password of the host."""
        stripped = self.password.strip()
        basic = (f"{self.login}:{secret}" for secret in (self.password, stripped) if secret)
        return (self.password, stripped, *basic, *user_info_of(self.host))

    def key(self) -> str:
        """Return the password without blanks around it.

        :raises Refused: there is none (``errors.unauthorized``).
        """
        if not self.password.strip():
            raise self.errors.unauthorized(
                f"connection {self.conn_id!r} has no key.", next_step="Put the key into its password field."
            )
        return self.password.strip()

    def seconds(self, name: str, default: float) -> float:
        """Return a number of seconds from the extra.

        :param name: its key.
        :param default: returned when it is not given.
        :raises Refused: it is not a positive number (``errors.misconfigured``).
        """
        given = self.options.get(name)
        if given in (None, ""):
            return default
        try:
            number = float(str(given))
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise self.wrong(f"{name!r} is {given!r}, which is not a positive number of seconds", f"Correct {name}")
        return number

    def text(self, name: str) -> str:
        """Return a text from the extra, ``""`` when it is not given.

        :param name: its key.
        """
        given = self.options.get(name)
        return "" if given is None else str(given).strip()

    def auth(self) -> AuthBase:
        """Return the authentication by login and password, by a password alone as bearer token, or without either.

        :raises Refused: the token fits no header (``errors.misconfigured``).
        """
        from airflow_cd.http.auth import HeaderAuth, NoAuth, basic_auth, fits_header

        if self.login:
            return basic_auth(self.login, self.password)
        token = self.password.strip()
        if not token:
            return NoAuth()
        if not fits_header(token):
            raise self.wrong("the token holds characters that no header can carry", "Enter it again")
        return HeaderAuth.bearer(token)

    def headers(self) -> dict[str, str]:
        """Return further headers, ``headers`` of the extra: an object, or a form's text of one.

        :raises Refused: they are no object of names and texts (``errors.misconfigured``).
        """
        from airflow_cd.http.auth import fits_header

        given = self.options.get("headers")
        if isinstance(given, str) and given.strip():
            try:
                given = json.loads(given)
            except ValueError:
                raise self._wrong_headers() from None
        found = given or {}
        if not isinstance(found, Mapping) or not all(fits_header(str(part)) for pair in found.items() for part in pair):
            raise self._wrong_headers()
        return {str(name): str(value) for name, value in found.items()}

    def verify(self, *names: str) -> bool | str:
        """Return how TLS is checked, as forms and environment variables write it: True unless it is switched off.

        :param names: keys in the extra, the first that is given counts; ``verify`` by default.
        :returns: True for the system's authorities, False for no check, or the path of a CA bundle.
        :raises Refused: the CA bundle cannot be read (``errors.misconfigured``).
        """
        given = next((self.options[name] for name in names or ("verify",) if self.options.get(name) is not None), True)
        text = str(given).strip()
        if text.lower() in _ON:
            return True
        if text.lower() in _OFF:
            return False
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(**{"capath" if Path(text).is_dir() else "cafile": text})
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise self.wrong(f"the CA bundle {text!r} cannot be read: {reason}", "Correct verify") from None
        return text

    def address(self, default_scheme: str = "https", *, user_info: bool = False) -> str:
        """Return the base URL, without a slash at its end; ``""`` when the connection has no host.

        :param default_scheme: for a host without a scheme, in a connection without one.
        :param user_info: whether the host may hold user and password.
        :raises Refused: the host is not an http or https URL (``errors.misconfigured``).
        """
        if not self.host:
            return ""
        parts = self._parts(default_scheme)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise self.wrong("the host is not an http or https URL", "Write it like https://api.example.com")
        if "@" in parts.netloc and not user_info:
            raise self.wrong("the host holds a user or a password", "Write it like https://api.example.com")
        netloc = parts.netloc if parts.port or not self.port else f"{parts.netloc}:{self.port}"
        return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))

    def address_in(self, regions: Mapping[str, str], default: str) -> str:
        """Return the base URL: the host if there is one, else that of the region in the extra.

        :param regions: base URL of each region.
        :param default: the region when none is given.
        :raises Refused: there is no such region (``errors.misconfigured``).
        """
        if self.host:
            return self.address()
        region = self.text("region") or default
        found = {name.lower(): url for name, url in regions.items()}.get(region.lower())
        if found is None:
            raise self.wrong(
                f"{region!r} is not a region; known are {', '.join(regions)}",
                "Choose one of them, or put the URL of the endpoint into the host field",
            )
        return found

    def wrong(self, reason: str, next_step: str) -> Exception:
        """Return the error for a setting that cannot work.

        :param reason: what is wrong, without a full stop.
        :param next_step: what to do, without a full stop.
        """
        return self.errors.misconfigured(
            f"connection {self.conn_id!r}: {reason}.", next_step=f"{next_step} in the connection."
        )

    def _wrong_headers(self) -> Exception:
        return self.wrong("headers are not an object of names and texts", 'Write {"X-Scope-OrgID": "shop"}')

    def _parts(self, default_scheme: str) -> SplitResult:
        url = self.host if "://" in self.host else f"{self.scheme or default_scheme}://{self.host}"
        try:
            parts = urlsplit(url)
            _ = parts.port  # reading it checks it
        except ValueError:
            raise self.wrong("the port or the brackets in the host cannot be read", "Correct the host") from None
        return parts
