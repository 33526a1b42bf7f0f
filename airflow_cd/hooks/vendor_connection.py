"""What the vendors' connections have in common: reading host and extra, and saying what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_cd.errors import SourceError, SourceUnauthorized

if TYPE_CHECKING:
    from airflow.sdk import Connection


@dataclass(frozen=True)
class VendorConnection:
    """An Airflow connection, read and checked.

    :param base_url: address given as the connection's host, ``""`` when none is.
    :param options: the connection's extra.
    """

    conn_id: str
    login: str
    password: str = field(repr=False)
    base_url: str
    options: Mapping[str, Any]

    @classmethod
    def read(cls, conn_id: str) -> VendorConnection:
        """Read a connection by its id.

        :raises SourceError: there is no such connection, or its host or extra is written wrongly.
        :raises SourceUnauthorized: it holds no password.
        """
        from airflow.sdk import BaseHook
        from airflow.sdk.exceptions import AirflowException

        try:
            connection = BaseHook.get_connection(conn_id)
        except AirflowException as error:
            raise SourceError(
                f"Connection {conn_id!r} cannot be read: {error}.",
                next_step="Create it in Airflow, or correct the connection id in the pipeline.",
            ) from error
        if not connection.password:
            raise SourceUnauthorized(
                f"Connection {conn_id!r} has no key.", next_step="Put the key into the connection's password field."
            )
        options = connection.extra_dejson
        return cls(
            conn_id=conn_id,
            login=(connection.login or "").strip(),
            password=connection.password.strip(),
            base_url=_address(connection, conn_id),
            options=options if isinstance(options, Mapping) else {},
        )

    def number(self, name: str, default: float) -> float:
        """A positive number from the extra; the default when it is not given."""
        given = self.options.get(name)
        if given in (None, ""):
            return default
        try:
            number = float(str(given))
        except ValueError:
            number = 0.0
        if not 0 < number < float("inf"):
            raise SourceError(
                f"Connection {self.conn_id!r}: {name!r} is {given!r}, not a positive number.",
                next_step="Correct it in the connection's extra.",
            )
        return number

    def text(self, name: str) -> str:
        """A text from the extra, ``""`` when it is not given."""
        given = self.options.get(name)
        return "" if given is None else str(given).strip()

    @property
    def verify(self) -> bool | str:
        """How TLS is checked: True, False, or the path of a CA bundle."""
        given = self.options.get("verify")
        if given in (None, ""):
            return True
        if isinstance(given, bool):
            return given
        text = str(given).strip()
        return text.lower() == "true" if text.lower() in ("true", "false") else text

    def choose(self, regions: Mapping[str, str], default: str) -> str:
        """The address: the host if there is one, else that of the region in the extra."""
        if self.base_url:
            return self.base_url
        region = self.text("region") or default
        found = {name.lower(): url for name, url in regions.items()}.get(region.lower())
        if found is None:
            raise SourceError(
                f"Connection {self.conn_id!r}: {region!r} is no region; known are {', '.join(regions)}.",
                next_step="Choose one of them, or put the address of the endpoint into the connection's host field.",
            )
        return found


def _address(connection: Connection, conn_id: str) -> str:
    host = (connection.host or "").strip().rstrip("/")
    if not host:
        return ""
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    parts = urlsplit(host)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise SourceError(
            f"Connection {conn_id!r}: the host is no http(s) address without credentials.",
            next_step="Write it like https://api.example.com.",
        )
    try:
        port = parts.port
    except ValueError:
        port = -1
    if port == -1:
        raise SourceError(f"Connection {conn_id!r}: the port in the host is no number.", next_step="Correct the host.")
    netloc = parts.netloc if port or not connection.port else f"{parts.netloc}:{connection.port}"
    return f"{parts.scheme}://{netloc}{parts.path}"
