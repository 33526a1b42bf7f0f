"""A configuration as people may see it."""

from __future__ import annotations

import hashlib
from typing import Any

from airflow_cd.secret_values.detection import suspicion
from airflow_cd.secret_values.references import PLAIN, SEALED, replaced
from airflow_cd.secret_values.sealing import configured_sealer


def shown(value: Any, path: str = "") -> Any:
    """JSON values without secrets: a sealed one is a few digits, by which it can be told from another.

    What a ledger holds from before secrets were refused is hidden likewise, if it looks like one.

    :param value: of a configuration.
    :param path: where it stands there, behind a slash.
    """
    return replaced(value, _shown, path)


def _shown(path: str, text: str) -> str:
    if text.startswith(SEALED):
        return f"a secret ({hashlib.sha256(text.encode()).hexdigest()[:8]})"
    if suspicion(path, text):
        sealer = configured_sealer()
        return _shown(path, sealer.seal(text)) if sealer.has_key else "a secret"
    return text.removeprefix(PLAIN)
