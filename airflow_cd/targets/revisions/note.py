"""What is remembered beside the weights: who has acted, which revision is the canary, and what was set."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from airflow_cd.instances import WHOLE

NEAR = 0.05
"""Percent by which two weights may differ that a platform has rounded."""
_KEPT = 8
"""Keys of the newest token; those of an older one are refused by their token."""
_DIGITS = 8
_FORM = re.compile(r"airflow-cd(?P<fields>(?: [a-z]+=\S*)+)")


@dataclass(frozen=True)
class Note:
    """What a target of revisions has to remember; one line of text, written together with the weights.

    :param token: the highest fencing token that has been seen.
    :param stable: the revision beside the canary, which may have no weight while the canary has it all.
    :param canary: the revision of the canary, ``""`` without one.
    :param part: percent of the requests that the canary is to have.
    :param given: percent that it was given last: 0 until it is up, and while it is drained.
    :param coming: a revision that is to take over from the stable one as soon as it is up, ``""`` for none.
    :param before: the revision that was the stable one before, ``""`` where nothing has taken over from one.
    :param keys: digests of the idempotency keys under that token, the newest last.
    """

    token: int = 0
    stable: str = ""
    canary: str = ""
    part: int = 0
    given: int = 0
    coming: str = ""
    before: str = ""
    keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Note:
        """Read a note; what is none, somebody else's text, is an empty one.

        :param text: as the platform has kept it.
        """
        found = _FORM.search(text)
        fields = dict(one.split("=", 1) for one in found["fields"].split()) if found else {}
        try:
            return cls(
                int(fields.get("token") or 0),
                fields.get("stable", ""),
                fields.get("canary", ""),
                int(fields.get("part") or 0),
                int(fields.get("given") or 0),
                fields.get("coming", ""),
                fields.get("before", ""),
                tuple(key for key in fields.get("keys", "").split(",") if key),
            )
        except ValueError:
            return cls()

    @property
    def text(self) -> str:
        """The note in one line."""
        fields = {
            "token": self.token,
            "stable": self.stable,
            "canary": self.canary,
            "part": self.part or "",
            "given": self.given or "",
            "coming": self.coming,
            "before": self.before,
            "keys": ",".join(self.keys),
        }
        return "airflow-cd" + "".join(f" {name}={value}" for name, value in fields.items() if value != "")

    @property
    def empty(self) -> bool:
        """Whether nothing was ever noted, or somebody has removed it: what is written holds a token and a key."""
        return self == Note()

    def has_done(self, key: str) -> bool:
        """Whether something was done under the newest token.

        :param key: idempotency key of it.
        """
        return _digest(key) in self.keys

    def after(self, key: str, token: int) -> Note:
        """The note once something was done.

        :param key: idempotency key of it.
        :param token: under which it was done, no lower than :attr:`token`.
        """
        kept = self.keys if token == self.token else ()
        return replace(self, token=token, keys=(*kept, _digest(key))[-_KEPT:])

    def without_canary(self) -> Note:
        """The note once the canary is gone."""
        return replace(self, canary="", part=0, given=0)

    def as_set(self, weights: Mapping[str, float]) -> bool:
        """Whether weights are what was set last, as far as a canary goes; without one anybody may have set them.

        :param weights: percent by name of a revision, as they are read.
        """
        if not self.canary:
            return True
        wanted = {self.canary: float(self.given), self.stable: WHOLE - self.given}
        names = {*weights, *wanted} - {""}
        return all(abs(weights.get(name, 0.0) - wanted.get(name, 0.0)) <= NEAR for name in names)


def rounded(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights without those of 0, which are 100 together.

    :param weights: percent by name, none below 0.
    """
    found = {name: round(weight, 2) for name, weight in sorted(weights.items()) if weight > NEAR}
    if found:
        largest = max(found, key=lambda name: found[name])
        found[largest] = round(found[largest] + WHOLE - sum(found.values()), 2)
    return found


def listed(weights: Mapping[str, float]) -> str:
    """Weights in words.

    :param weights: percent by name of a revision.
    """
    parts = [f"{weight:g} % at {name}" for name, weight in sorted(weights.items(), key=lambda one: (-one[1], one[0]))]
    return ", ".join(parts) or "no requests anywhere"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:_DIGITS]
