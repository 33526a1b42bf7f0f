"""Building requests of the HTTP deployment API: credentials, TLS settings, and what may stand in a header or path."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import requests
from requests.auth import AuthBase

from airflow_cd.errors import TargetRejected

MAX_KEY_LENGTH = 255


class BearerAuth(AuthBase):
    """Sends a bearer token. An auth object, because requests lets a ``.netrc`` replace a plain header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign the request."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BearerAuth) and other._token == self._token

    def __hash__(self) -> int:
        return hash(self._token)


def base_url(host: str, port: int | None, scheme: str | None) -> str:
    """The address of the API, without a slash at its end, from the fields of a connection.

    :param host: a host name, or a whole address, with a path where the API lives below one.
    """
    parts = urlsplit(host.strip() if "://" in host else f"{scheme or 'http'}://{host.strip()}")
    netloc = f"{parts.netloc}:{port}" if port and not parts.port else parts.netloc
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))


def path_part(part: str) -> str:
    """One part of a path, quoted; raises :class:`TargetRejected` for what would change the path."""
    if part in ("", ".", ".."):
        raise TargetRejected(
            f"{part!r} cannot be part of an address.", next_step="Give the environment or artifact its real name."
        )
    return quote(part, safe="")


def header_safe(key: str) -> str:
    """The key itself where a header can carry it, else its digest: the same key always gives the same header."""
    if 0 < len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable() and key == key.strip():
        return key
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def secrets_of(password: str | None, host: str | None, headers: Iterable[Any]) -> tuple[str, ...]:
    """What no message may hold, longest first, since one secret may be part of another."""
    secrets = {password, (password or "").strip(), *(value for value in headers if isinstance(value, str))}
    with contextlib.suppress(ValueError):
        parts = urlsplit(host or "")
        secrets.update((parts.password, parts.netloc.rpartition("@")[0]))
    return tuple(sorted((secret for secret in secrets if secret), key=len, reverse=True))


def seconds_setting(conn_id: str, extra: Mapping[str, Any], name: str, fallback: float) -> float:
    """A number of seconds of a connection's extra; raises :class:`TargetRejected` when it is none."""
    value = extra.get(name)
    if value in (None, ""):
        return fallback
    with contextlib.suppress(TypeError, ValueError):
        seconds = float(str(value))
        if 0 < seconds < float("inf"):
            return seconds
    raise TargetRejected(
        f"{name} of connection {conn_id!r} is {value!r}, which is no number of seconds.",
        next_step=f"Correct {name} in the connection's extra.",
    )


def verify_setting(value: Any) -> bool | str:
    """TLS verification as forms and environment variables write it: on unless it is switched off in words."""
    if isinstance(value, str) and value.strip().lower() not in ("", "true", "1", "yes"):
        return False if value.strip().lower() in ("false", "0", "no") else value.strip()
    return value is not False and value != 0


def innermost(error: BaseException) -> str:
    """The innermost cause in its own words: what the operating system said, not how libraries wrapped it."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error) or type(error).__name__
