"""Where credentials may follow a redirect, for services that know no other hosts than their own."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

_PORTS = {"http": 80, "https": 443}


def stays_there(configured: str, location: str) -> bool:
    """Whether a redirect leads to the same server: the same host and port, or from plain HTTP to TLS on that host.

    :param configured: the URL the credentials are for.
    :param location: where the redirect leads, perhaps relative.
    """
    try:
        here, there = urlsplit(configured), urlsplit(urljoin(configured + "/", location))
        old, new = here.port or _PORTS.get(here.scheme), there.port or _PORTS.get(there.scheme)
    except ValueError:
        return False
    if there.scheme not in _PORTS or "@" in there.netloc or here.hostname != there.hostname:
        return False
    if here.scheme == there.scheme:
        return old == new
    return there.scheme == "https"
