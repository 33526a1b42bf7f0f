"""Keeping secrets out of what is logged, raised and shown: the one place that does so."""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

MASK = "***"
LINE_LENGTH = 500

# The core of a shorter secret in base64 would be found in text that has nothing to do with it.
_SHORTEST_IN_BASE64 = 6
_SHORTEST_ALONE_IN_BASE64 = 3
_USER_INFO = re.compile(r"(?<=://)[^/\s]*@")
_AUTHORIZATION = re.compile(
    r"(?i)(authorization[\"']?\s*[:=]\s*[\"']?(?:(?:basic|bearer|digest|token|negotiate|apikey)[ +]+)?)"
    r"(?!\*\*\*)[A-Za-z0-9+/._~=%-]{4,}"
)
_PERCENT = re.compile(r"%[0-9A-F]{2}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


class Redactor:
    """Replaces secrets in text, in every encoding in which a service may quote them.

    A secret is found as it is, percent-encoded, escaped as in JSON or by ``repr``, and in base64 at any offset (so
    also in the header of basic authentication). User and password in any URL are removed, known or not, and so is what
    an echoed header ``Authorization`` holds.

    :param secrets: what must not be shown; empty ones and None are ignored.
    :param shown_as: secrets with a replacement of their own, such as an address without its password; ``***``
        replaces all others.
    """

    def __init__(self, secrets: Iterable[str | None] = (), shown_as: Mapping[str, str] | None = None) -> None:
        known = {secret: MASK for secret in secrets if secret} | dict(shown_as or {})
        self._replacements: dict[str, str] = {}
        for secret, shown in known.items():
            for form in _forms(secret) if secret and secret != shown else ():
                self._replacements.setdefault(form, shown)

    def __repr__(self) -> str:
        return "Redactor(***)"

    def __call__(self, text: object) -> str:
        """Return the text without secrets, otherwise as it is.

        :param text: anything; its ``str``.
        """
        return _AUTHORIZATION.sub(rf"\1{MASK}", _USER_INFO.sub("", self.known(str(text))))

    @property
    def knows_any(self) -> bool:
        """Whether there is any secret to look for."""
        return bool(self._replacements)

    def finds(self, text: str) -> bool:
        """Whether a known secret is in a text.

        :param text: anything.
        """
        return any(form in text for form in self._replacements)

    def known(self, text: str) -> str:
        """Return the text without the known secrets, everything else in it as it is, addresses too.

        :param text: anything.
        """
        if not self.finds(text):
            return text
        return self._pattern.sub(lambda found: self._replacements[found[0]], text)

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Made when something is found, which is seldom: that of a key file takes a tenth of a second."""
        # One secret may be part of another: the longest first.
        ordered = sorted(self._replacements, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, ordered)))

    def line(self, text: object, length: int = LINE_LENGTH) -> str:
        """Return the text without secrets on one printable line, shortened.

        :param text: anything; its ``str``. It is redacted before it is cut, so no part of a secret is left at the end.
        :param length: the most characters that are returned.
        """
        shown = _UNPRINTABLE.sub(" ", self(text)).strip()
        shown = "".join(letter if letter.isprintable() else " " for letter in shown)
        return shown if len(shown) <= length else shown[: length - 1] + "…"


def shown_address(address: str) -> str:
    """Return an address as it may be shown: without user, password, query and fragment.

    :param address: a URL; anything without ``://`` is returned as it is.
    """
    if "://" not in address:
        return address
    try:
        parts = urlsplit(address)
    except ValueError:
        return "an address that cannot be read"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def user_info_of(address: str | None) -> tuple[str, ...]:
    """Return what must not be shown of a URL: ``user:password``, and the password alone.

    :param address: a URL, or something that is none: then nothing is returned.
    """
    try:
        parts = urlsplit(address or "")
        found = (parts.netloc.rpartition("@")[0], parts.password or "")
    except ValueError:
        return ()
    return tuple(filter(None, found))


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (repr(secret)[1:-1], ascii(secret)[1:-1])
    data = secret.encode("utf-8", "surrogatepass")
    for quoted in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield from (quoted, _PERCENT.sub(lambda code: code[0].lower(), quoted))
    for form in _base64_forms(data):
        yield from (form, form.translate(str.maketrans("+/", "-_")), quote(form, safe=""))


def _base64_forms(data: bytes) -> Iterator[str]:
    """Base64 of the data alone, and those letters of it that are the same wherever it stands in something longer."""
    if len(data) >= _SHORTEST_ALONE_IN_BASE64:
        whole = base64.b64encode(data).decode()
        yield from (whole, whole.rstrip("=") if len(data) >= _SHORTEST_IN_BASE64 else whole)
    if len(data) < _SHORTEST_IN_BASE64:
        return
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + data).decode()
        yield encoded[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]
