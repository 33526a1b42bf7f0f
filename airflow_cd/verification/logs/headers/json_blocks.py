"""JSON records of a whole block, unfolded once for each distinct one among those whose numbers are masked.

Numbers in JSON are parameters as they are in text, so a masked record says what the record says; levels and other
protected values are kept as in any line. Only records with escaped letters are unfolded one by one.
"""

from __future__ import annotations

import re

import numpy as np

from airflow_cd.verification.logs.block_masking import Keys, MaskedLines, mask_lines
from airflow_cd.verification.logs.headers.json_records import unfold_json
from airflow_cd.verification.logs.lines import Lines
from airflow_cd.verification.logs.masking import KEPT, NOTES, VARIABLE, mask_line, without_maybes

_MOST_KNOWN = 50_000
# A status under a name that means many things elsewhere, so that masking takes its number for a parameter.
_STATUS = re.compile(rf'"(?:http_?[Cc]ode|st|sc)" ?: ?"?{VARIABLE}')


class JsonBlocks:
    """Remembers how masked records unfold.

    :param alone: finds what has to be seen as a record by itself, because it may be joined to another.
    """

    def __init__(self, alone: re.Pattern[str]) -> None:
        self._alone = alone
        self._known: dict[str, str | None] = {}

    def unfolded(self, lines: Lines, rows: np.ndarray, masked: MaskedLines | None) -> tuple[Keys, np.ndarray]:
        """The JSON records of a block, unfolded and masked; and the rows for which that failed.

        :param lines: of the block.
        :param rows: which lines they are, as flags; none of them holds a backslash.
        :param masked: all the lines, if they are masked already.
        """
        import polars as pl

        keys = mask_lines(lines, rows, masked)
        used = np.unique(keys.numbers)
        texts: dict[str, int] = {}
        known = np.empty(len(keys.distinct), np.int64)
        known[used] = [
            -1 if text is None else texts.setdefault(text, len(texts))
            for text in map(self._one, keys.distinct.gather(used).to_list())
        ]
        numbers = known[keys.numbers]
        done = numbers >= 0
        return Keys(pl.Series(list(texts), dtype=pl.String), numbers[done], keys.rows[done]), keys.rows[~done]

    def _one(self, key: str) -> str | None:
        if key not in self._known:
            if len(self._known) > _MOST_KNOWN:
                self._known.clear()
            self._known[key] = self._unfold(key)
        return self._known[key]

    def _unfold(self, key: str) -> str | None:
        if _STATUS.search(key):
            return None
        record, *kept = without_maybes(key)[0].split(NOTES)
        for value in kept:
            record = record.replace(KEPT, value, 1)
        text = unfold_json(record.replace(KEPT, "0").replace(VARIABLE, "0"))
        if "\n" in text or "\r" in text or not text.strip() or text[:1].isspace() or self._alone.search(text):
            return None
        return mask_line(text.rstrip("\n"))
