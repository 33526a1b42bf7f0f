"""The first stage of masking for whole blocks of lines at once, with numpy on bytes and polars on columns.

A block has few distinct masked lines. So each of those is kept once, and a line is the number of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from airflow_cd.verification.logs.lines import Lines
from airflow_cd.verification.logs.masking import (
    MESSAGE_ID,
    PROTECTED_PLACE,
    has_polars,
    mask_line,
    protected_places,
    without_marks,
)
from airflow_cd.verification.logs.numbered_words import without_numbered_words
from airflow_cd.verification.logs.protected_values import noted
from airflow_cd.verification.logs.refining import refine

if TYPE_CHECKING:
    import polars as pl

_MESSAGE_ID = re.compile(MESSAGE_ID.encode())
_PROTECTED_PLACE = rf"(?-u){PROTECTED_PLACE}"


class Keys(NamedTuple):
    """Lines after the first stage of masking.

    :param distinct: masked lines, each once; there may be some of no line.
    :param numbers: for each line which of them it is.
    :param rows: which line each is; ascending.
    """

    distinct: pl.Series
    numbers: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class MaskedLines:
    """Lines after the first stage of masking, but for the protected values.

    :param lines: the lines themselves.
    :param distinct: the masked lines that there are.
    :param numbers: for each line which of them it is.
    :param odd: lines that :func:`~.masking.mask_line` has to mask, as flags.
    """

    lines: Lines
    distinct: pl.Series
    numbers: np.ndarray
    odd: np.ndarray

    @classmethod
    def of(cls, lines: Lines) -> MaskedLines:
        """Mask lines without marks.

        :param lines: of the block.
        """
        masked, odd = without_numbered_words(lines.content)
        flags = lines.rows_of(odd)
        if b"%" in lines.content and (ids := [found.start() for found in _MESSAGE_ID.finditer(lines.content)]):
            flags |= lines.rows_of(np.array(ids))
        return cls(lines, *_numbered(masked), flags)

    def rows_like(self, pattern: str) -> np.ndarray:
        """Which lines hold the pattern when they are masked, as flags.

        :param pattern: a regular expression of Rust's, searched in each distinct masked line.
        """
        return np.asarray(self.distinct.str.contains(pattern).to_numpy()[self.numbers])


def _numbered(masked: bytes) -> tuple[pl.Series, np.ndarray]:
    """The distinct ones of some lines, and for each line the number of its."""
    import polars as pl

    keys = pl.Series("key", [masked], dtype=pl.Binary).cast(pl.String).str.split("\n").explode()
    frame = pl.DataFrame({"key": keys, "row": np.arange(len(keys))}).group_by("key").agg("row")
    numbers = np.empty(len(keys), np.int64)
    numbers[frame["row"].explode().to_numpy()] = np.repeat(np.arange(len(frame)), frame["row"].list.len().to_numpy())
    return frame["key"], numbers


def mask_lines(lines: Lines, rows: np.ndarray | None = None, masked: MaskedLines | None = None) -> Keys:
    """What :func:`~.masking.mask_line` makes of each line.

    :param lines: without marks.
    :param rows: which of them are wanted, as flags; all without it.
    :param masked: the lines, if they are masked already.
    """
    import polars as pl

    wanted = np.arange(len(lines)) if rows is None else np.flatnonzero(rows)
    if masked is None:
        if len(wanted) < len(lines) / 2:  # masking all of them would cost more than writing the few once more
            keys = mask_lines(lines.chosen(wanted))
            return keys._replace(rows=wanted)
        masked = MaskedLines.of(lines)
    numbers, odd = masked.numbers[wanted], masked.odd[wanted]
    protected = masked.rows_like(_PROTECTED_PLACE)[wanted] & ~odd
    if not protected.any() and not odd.any():
        return Keys(masked.distinct, numbers, wanted)
    texts = masked.distinct.to_list()
    if protected.any():
        # Many lines look like those of requests, few have a place for a value that is kept: a closer look is per key.
        used = np.unique(numbers[protected]).tolist()
        places = {number: own for number in used if (own := protected_places(texts[number]))}
        has_places = np.zeros(len(texts), bool)
        has_places[list(places)] = True
        protected &= has_places[numbers]
    if protected.any():
        few = not protected.all() or len(wanted) < len(lines)
        found, which = noted(lines.chosen(wanted[protected]) if few else lines, texts, numbers[protected], places)
        numbers[protected] = len(texts) + which
        texts += found
    if odd.any():
        known = {text: number for number, text in enumerate(texts)}
        for line, row in zip(np.flatnonzero(odd).tolist(), wanted[odd].tolist(), strict=True):
            text = mask_line(lines[row])
            numbers[line] = known.setdefault(text, len(texts))
            if known[text] == len(texts):
                texts.append(text)
    return Keys(pl.Series("key", texts, dtype=pl.String), numbers, wanted)


def mask(lines: Sequence[str]) -> list[str]:
    """Both stages for every line; the masked lines in the same order.

    :param lines: of a log, in any order.
    """
    lines = [without_marks(line) for line in lines]
    if has_polars() and lines and not any("\n" in line for line in lines):
        keys = mask_lines(Lines.of(lines))
        distinct = keys.distinct.to_list()
        first = [distinct[number] for number in keys.numbers.tolist()]
    else:
        first = [mask_line(line) for line in lines]
    refined = {masked: refine(masked) for masked in set(first)}
    return [refined[masked] for masked in first]
