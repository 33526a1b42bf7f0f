"""Keyed digests of secrets, and sealed values: what the ledger may hold of them.

The key is not in the ledger: who has the ledger alone can neither read a sealed value nor try passwords against a
digest. Sealing is deterministic (AES-SIV, RFC 5297), so that the same value always looks the same and another value
does not: releases can be compared without knowing what they hold.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

from airflow_cd.errors import ReleaseError
from airflow_cd.secret_values.references import SEALED, name_of

OPTION = "[airflow_cd] secret_key"


class Sealer:
    """Makes digests and seals.

    :param keys: the key in use first, earlier ones behind it: what they sealed can still be opened.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = tuple(_Key(key) for key in keys if key)

    @property
    def has_key(self) -> bool:
        """Whether anything can be sealed."""
        return bool(self._keys)

    def digest(self, path: str, source: str, value: str) -> str:
        """The keyed digest of a value that an instance was given.

        :param path: where it stands in the configuration.
        :param source: the reference it came from.
        :param value: what it was.
        :raises ReleaseError: there is no key.
        """
        return self._newest().digest(path, source, value)

    def matches(self, digest: str, path: str, source: str, value: str) -> bool:
        """Whether a digest is of this value, by whichever key.

        :param digest: made by :meth:`digest`; the others as there.
        """
        return any(hmac.compare_digest(digest, key.digest(path, source, value)) for key in self._keys)

    def seal(self, value: str) -> str:
        """Return the value encrypted, as the ledger may hold it.

        :param value: the secret.
        :raises ReleaseError: there is no key.
        """
        return self._newest().seal(value)

    def open(self, sealed: str, path: str) -> str:
        """Return the value that was sealed.

        :param sealed: made by :meth:`seal`.
        :param path: where it stands, for the error.
        :raises ReleaseError: it was sealed by a key that is not known here, or changed since.
        """
        for key in self._keys:
            if (value := key.open(sealed)) is not None:
                return value
        raise ReleaseError(
            f"{name_of(path)!r} of the configuration was sealed with a key that is not this process's.",
            state="nothing was changed.",
            next_step=f"Give every machine the same {OPTION} (or [core] fernet_key), the earlier ones behind a comma.",
        )

    def _newest(self) -> _Key:
        if not self._keys:
            raise ReleaseError(
                "a configuration holds secrets, and there is no key to keep digests of them with.",
                state="nothing was changed.",
                next_step=f"Set {OPTION}, or [core] fernet_key, to the same value on every machine.",
            )
        return self._keys[0]


class _Key:
    def __init__(self, key: str) -> None:
        self._digests = _derived(key, "digest")
        self._seals = _derived(key, "seal")
        self._id = _derived(key, "id").hex()[:8]

    def digest(self, path: str, source: str, value: str) -> str:
        message = f"{path}\0{source}\0{value}".encode("utf-8", "surrogatepass")
        return hmac.new(self._digests, message, hashlib.sha256).hexdigest()[:40]

    def seal(self, value: str) -> str:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        # The empty text cannot be encrypted by every version of the library.
        data = AESSIV(self._seals).encrypt(b"\0" + value.encode("utf-8", "surrogatepass"), None)
        return f"{SEALED}{self._id}.{base64.urlsafe_b64encode(data).decode()}"

    def open(self, sealed: str) -> str | None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        key_id, _, data = sealed.removeprefix(SEALED).partition(".")
        if key_id != self._id:
            return None
        try:
            whole = AESSIV(self._seals).decrypt(base64.urlsafe_b64decode(data), None)
        except (InvalidTag, ValueError):
            return None
        return whole[1:].decode("utf-8", "surrogatepass")


def _derived(key: str, purpose: str) -> bytes:
    return hmac.new(key.encode(), f"airflow-cd secret values: {purpose}".encode(), hashlib.sha512).digest()


def configured_sealer() -> Sealer:
    """The sealer with Airflow's keys: ``[airflow_cd] secret_key``, by default ``[core] fernet_key``."""
    from airflow.configuration import conf

    given = conf.get("airflow_cd", "secret_key", fallback=None) or conf.get("core", "fernet_key", fallback=None) or ""
    return Sealer([key.strip() for key in str(given).split(",")])
