"""Authentication of requests."""

from __future__ import annotations

import requests
from requests.auth import AuthBase, HTTPBasicAuth


class HeaderAuth(AuthBase):
    """Sends a credential in a header. An auth object, because requests lets a ``.netrc`` replace a plain header.

    :param name: of the header.
    :param value: of the header.
    """

    def __init__(self, name: str, value: str) -> None:
        self._name = name
        self._value = value

    @classmethod
    def bearer(cls, token: str) -> HeaderAuth:
        """Return the authentication of a bearer token.

        :param token: printable ASCII without blanks.
        """
        return cls("Authorization", f"Bearer {token}")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign the request."""
        request.headers[self._name] = self._value
        return request

    def __repr__(self) -> str:
        return f"HeaderAuth({self._name!r}, ***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HeaderAuth) and (other._name, other._value) == (self._name, self._value)

    def __hash__(self) -> int:
        return hash((self._name, self._value))


class NoAuth(AuthBase):
    """Sends no credentials, whatever a ``.netrc`` of the machine holds."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave the request as it is."""
        return request


def basic_auth(login: str, password: str) -> HTTPBasicAuth:
    """Return basic authentication, in UTF-8: requests would encode text as Latin-1, and show the secret if it cannot.

    :param login: user or access id.
    :param password: password or key.
    """
    return HTTPBasicAuth(login.encode(), password.encode())


def fits_header(value: str) -> bool:
    """Whether a header can carry the value: printable ASCII, and no blanks around it.

    :param value: any text.
    """
    return bool(value) and value.isascii() and value.isprintable() and value == value.strip()
