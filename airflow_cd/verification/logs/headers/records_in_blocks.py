"""JSON records of a whole block, unfolded once for each distinct one among those whose numbers are masked.

Numbers in JSON are parameters as they are in text, so a masked record says what the record says, but where a number
is a level or a protected value, or where letters are escaped: those records are unfolded one by one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.logs.block_masking import MaskedLines
from airflow_cd.verification.logs.headers.fields import unfold_json
from airflow_cd.verification.logs.masking import PROTECTED_PLACE, VARIABLE, mask_line

if TYPE_CHECKING:
    import polars as pl

_NUMERIC_LEVEL = re.compile(
    rf"\"[@_]?(?:[\w.]*level[\w.]*|[\w.]*severity[\w.]*|priority|lvl|sev|l|s)\" ?: ?\"?{VARIABLE}", re.IGNORECASE
)
_PROTECTED = re.compile(PROTECTED_PLACE, re.ASCII)
_MOST_KNOWN = 50_000


class JsonBlocks:
    """Remembers how masked records unfold.

    :param alone: finds what has to be seen as a record by itself, because it may be joined to another.
    """

    def __init__(self, alone: re.Pattern[str]) -> None:
        self._alone = alone
        self._known: dict[str, str | None] = {}

    def unfolded(self, masked: MaskedLines, rows: np.ndarray) -> tuple[MaskedLines, np.ndarray]:
        """The lines with the given ones, JSON records without escapes, unfolded; and those for which that failed.

        :param rows: which lines, as flags.
        """
        import polars as pl

        distinct = masked.keys.filter(pl.Series(rows)).unique()
        new = {key: self._one(key) for key in distinct.to_list()}
        failed = [key for key, text in new.items() if text is None]
        left = rows & masked.odd
        if failed:
            left |= rows & masked.keys.is_in(pl.Series(failed, dtype=pl.String).implode()).to_numpy()
        known: dict[str, str] = {key: text for key, text in new.items() if text is not None}
        if not known:
            return masked, left
        keys: pl.Series = masked.keys.replace(list(known), list(known.values()))
        return MaskedLines(masked.lines, keys, keys.unique(), masked.odd), left

    def _one(self, key: str) -> str | None:
        if key not in self._known:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[key] = self._unfold(key)
        return self._known[key]

    def _unfold(self, key: str) -> str | None:
        if _NUMERIC_LEVEL.search(key) or _PROTECTED.search(key):
            return None
        text = unfold_json(key.replace(VARIABLE, "0"))
        if "\n" in text or "\r" in text or not text.strip() or text[:1].isspace() or self._alone.search(text):
            return None
        masked = mask_line(text.rstrip("\n"))
        return None if _PROTECTED.search(masked) else masked
