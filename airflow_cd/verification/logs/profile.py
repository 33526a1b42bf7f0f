"""Log profiles: what was logged, as counts for each kind of message; small, and mergeable in any order.

Lines are masked, *distinct* masked lines are counted, and only those are kept: a million lines become some hundred
signatures. Because a profile holds nothing but sums, extremes and maxima, the profile of two windows, hosts or
workers together equals the merge of their profiles, whatever the order; records must not be cut in two between them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_cd.errors import VerificationError
from airflow_cd.verification.logs.signatures import Signature, Tally

if TYPE_CHECKING:
    import pandas as pd

PROFILE_VERSION = 2  # since it headers are read before messages are compared
_MAGIC = b"ACDP"


@dataclass
class LogProfile:
    """What some instances logged over some time.

    :param tallies: for each signature its counts.
    :param watched_ms: how long was watched, summed over instances, in milliseconds.
    :param troubles: how many records were ``undecodable``, ``too_long`` (judged by their beginning) or ``empty``
        (not judged).
    """

    tallies: dict[Signature, Tally] = field(default_factory=dict)
    watched_ms: int = 0
    troubles: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, messages: Iterable[str | bytes | None] | pd.DataFrame, *, instance: str = "", watched: float = 0.0
    ) -> LogProfile:
        """Profile records.

        :param messages: records or single lines in their order (the lines of a stack trace are joined), or a frame
            with the columns ``time``, ``instance`` and ``message``.
        :param instance: which instance plain messages are of.
        :param watched: seconds watched, summed over instances.
        """
        # Counting needs numpy, which a DAG file that only declares what it expects does not.
        from airflow_cd.verification.logs.counting import count_records

        tallies, troubles = count_records(messages, instance)
        return cls(tallies, round(watched * 1000), troubles)

    @classmethod
    def merge(cls, *profiles: LogProfile) -> LogProfile:
        """The profile of all their records together; the order does not matter, the given ones stay as they are."""
        merged = cls()
        for profile in profiles:
            merged.watched_ms += profile.watched_ms
            for signature, tally in profile.tallies.items():
                merged.tallies.setdefault(signature, Tally()).add(tally)
            for trouble, count in profile.troubles.items():
                merged.troubles[trouble] = merged.troubles.get(trouble, 0) + count
        return merged

    @property
    def records(self) -> int:
        """Number of records in it."""
        return sum(tally.count for tally in self.tallies.values())

    @property
    def watched(self) -> float:
        """Seconds watched, summed over instances; 0 when unknown."""
        return self.watched_ms / 1000

    def counts(self) -> dict[Signature, int]:
        """Number of records for each signature."""
        return {signature: tally.count for signature, tally in self.tallies.items()}

    def without_instances(self) -> LogProfile:
        """A copy that no longer knows which instance logged what: smaller, for a baseline."""
        tallies = {
            signature: Tally({"": tally.count}, tally.first, tally.last, tally.samples)
            for signature, tally in self.tallies.items()
        }
        return LogProfile(tallies, self.watched_ms, dict(self.troubles))

    def to_bytes(self) -> bytes:
        """Compact and versioned, for :meth:`from_bytes`; equal profiles with equal samples give equal bytes."""
        rows = [
            [
                signature.template,
                signature.severity,
                signature.exception,
                list(signature.causes),
                list(signature.frames),
                dict(sorted(tally.instances.items())),
                tally.first,
                tally.last,
                list(tally.samples),
            ]
            for signature, tally in sorted(self.tallies.items(), key=lambda item: _order(item[0]))
        ]
        content = {"watched_ms": self.watched_ms, "troubles": dict(sorted(self.troubles.items())), "rows": rows}
        text = json.dumps(content, separators=(",", ":"))
        return _MAGIC + bytes([PROFILE_VERSION]) + zlib.compress(text.encode(), 6)

    @classmethod
    def from_bytes(cls, content: bytes) -> LogProfile:
        """Read what :meth:`to_bytes` wrote; raises :class:`~airflow_cd.errors.VerificationError` if it is none."""
        if content[: len(_MAGIC)] != _MAGIC or len(content) <= len(_MAGIC):
            raise VerificationError(
                "these bytes are not a log profile.", next_step="Learn the baseline again from a good deployment."
            )
        version = content[len(_MAGIC)]
        if version > PROFILE_VERSION:
            raise VerificationError(
                f"the log profile is of version {version}, this installation reads up to {PROFILE_VERSION}.",
                next_step="Upgrade airflow-cd here to the version that wrote it.",
            )
        try:
            read: Mapping[str, Any] = json.loads(zlib.decompress(content[len(_MAGIC) + 1 :]))
            tallies = {
                Signature(row[0], row[1], row[2], tuple(row[3]), tuple(row[4])): Tally(
                    dict(row[5]), row[6], row[7], tuple(row[8])
                )
                for row in read["rows"]
            }
            if version < 2:
                from airflow_cd.verification.logs.older_profiles import read_again

                tallies = read_again(tallies)
            return cls(tallies, int(read["watched_ms"]), dict(read["troubles"]))
        except (zlib.error, ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError) as error:
            raise VerificationError(
                f"the log profile is damaged: {error}.", next_step="Learn the baseline again from a good deployment."
            ) from error


def _order(signature: Signature) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
    return signature.template, signature.severity, signature.causes, signature.frames
