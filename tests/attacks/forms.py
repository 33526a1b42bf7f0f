"""The forms in which a secret can stand somewhere: as it is, in an address, in JSON, encoded."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

SHORTEST = 12


def forms(secret: str) -> set[str]:
    """Every form of a secret that somebody could read it from.

    :param secret: at least :data:`SHORTEST` characters, which nothing else is by accident.
    """
    data = secret.encode()
    found = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    found |= {json.dumps(one)[1:-1].replace("/", "\\/") for one in found} | {secret.replace("&", "&amp;")}
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + data).decode()
        core = encoded[4 if before else 0 : len(encoded) // 4 * 4 - 4]
        found |= {core, core.replace("+", "-").replace("/", "_")}
    return {form for form in found if len(form) >= SHORTEST}
