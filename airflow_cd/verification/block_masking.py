"""The first stage of masking for whole blocks of lines at once, with numpy on bytes and polars on columns.

What a regular expression does letter by letter is done here with arithmetic on bits, sixty-four letters at a time.
Let ``word`` have a one wherever a letter belongs to a word, and ``digit`` wherever it is a digit. Adding the two
makes a carry run from the first digit of each word to the word's end; done once forwards and once backwards, it marks
exactly the words that have a digit. (The idea is the flood fill with carries of bitboards and of simdjson's scanner.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.masking import (
    ERASED,
    ERROR_NAMES,
    LEAST_HEXADECIMAL,
    PROTECTED_PLACE,
    VARIABLE,
    WORD_BYTES,
    has_polars,
    kept_value,
    mask_line,
    protected_places,
    with_kept,
    without_marks,
)
from airflow_cd.verification.refining import refine

if TYPE_CHECKING:
    import polars as pl

_PIECE = 256_000  # bytes masked at a time: what is computed on the way stays in the processor's cache
_NEWLINE, _DOT, _ZERO = b"\n.0"
_PROTECTED_PLACE = rf"(?-u){PROTECTED_PLACE}"
_IS_WORD = bytes(byte in WORD_BYTES for byte in range(256))


def with_masked(frame: pl.DataFrame, content: bytes = b"", rows: np.ndarray | None = None) -> pl.DataFrame:
    """The frame with its column ``text`` masked as ``key``, as :func:`~.masking.mask_line` does; the order may change.

    :param frame: lines without marks and without ends.
    :param content: all these lines as UTF-8, one after the other, where that is at hand.
    :param rows: which of the lines are wanted, all without it.
    """
    import polars as pl

    if rows is not None and not content:
        frame, rows = frame.filter(rows), None
    if not content:
        content = "\n".join(frame["text"].to_list()).encode()
    masked, odd = _masked(content)
    keys = pl.Series("key", [masked], dtype=pl.Binary).cast(pl.String).str.split("\n").explode()
    frame = frame.with_columns(key=keys, odd=_rows(content, odd, len(frame)))
    if rows is not None and not rows.all():
        frame = frame.filter(rows)
    distinct = frame["key"].unique()
    protected = distinct.filter(distinct.str.contains(_PROTECTED_PLACE))
    special = frame.select(pl.col("odd") | pl.col("key").is_in(protected.implode()))["odd"]
    if not special.any():
        return frame.drop("odd")
    return pl.concat([frame.filter(~special), _with_kept_values(frame.filter(special))]).drop("odd")


def mask(lines: Sequence[str]) -> list[str]:
    """Both stages for every line; the masked lines in the same order."""
    lines = [without_marks(line) for line in lines]
    if has_polars() and lines and not any("\n" in line for line in lines):
        import polars as pl

        frame = pl.DataFrame({"text": pl.Series(lines, dtype=pl.String), "row": range(len(lines))})
        first = with_masked(frame).sort("row")["key"].to_list()
    else:
        first = [mask_line(line) for line in lines]
    refined = {masked: refine(masked) for masked in set(first)}
    return [refined[masked] for masked in first]


def _with_kept_values(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with protected values noted in its column ``key``; for lines that may have some."""
    import polars as pl

    texts, masked = frame["text"].to_list(), frame["key"].to_list()
    content = "\n".join(texts).encode()
    starts, ends = _variable_words(content)
    first_words = np.searchsorted(starts, _line_starts(content)).tolist()
    starts, ends = starts.tolist(), ends.tolist()
    places = {key: tuple(protected_places(key)) for key in set(masked)}
    known: dict[tuple[str | bytes, ...], str] = {}
    keys = []
    for text, key, odd, first in zip(texts, masked, frame["odd"].to_list(), first_words, strict=True):
        if odd:
            keys.append(mask_line(text))
            continue
        words = [content[starts[first + at] : ends[first + at]] for at in places[key]]
        found = (key, *words)
        if found not in known:
            kept = zip(protected_places(key).items(), words, strict=True)
            known[found] = with_kept(key, {at: value for (at, rules), word in kept if (value := kept_value(word.decode(), rules))})
        keys.append(known[found])
    return frame.with_columns(key=pl.Series(keys, dtype=pl.String))


def _masked(content: bytes) -> tuple[bytes, list[np.ndarray]]:
    """The content with :data:`VARIABLE` for each word with a digit, and offsets of lines that need a closer look."""
    parts, odd, begin = [], [], 0
    while begin < len(content):
        end = content.find(b"\n", begin + _PIECE) + 1 or len(content)
        piece = content[begin:end]
        letters = np.frombuffer(piece, np.uint8)
        variable = _has_digit(piece, letters)
        odd += [places + begin for places in (_hexadecimal(letters, variable), _errors(piece, variable))]
        starts = variable.copy()
        starts[1:] &= variable[:-1] ^ 1
        letters = letters & (variable - np.uint8(1))  # zero where a word is variable, and then
        letters += variable  # ERASED,
        letters += starts  # and VARIABLE at its beginning
        parts.append(letters.tobytes().translate(None, ERASED.encode()))
        begin = end
    return b"".join(parts), [places for places in odd if len(places)]


def _has_digit(piece: bytes, letters: np.ndarray) -> np.ndarray:
    """1 for each letter of a word that has a digit, else 0; words joined by single dots are one."""
    plain = np.frombuffer(piece.translate(_IS_WORD), np.uint8)
    word = plain.copy()
    dots = np.equal(letters[1:-1], _DOT).view(np.uint8)
    dots &= plain[2:]
    dots &= plain[:-2]
    word[1:-1] |= dots
    digit = np.less(letters - np.uint8(_ZERO), 10).view(np.uint8)
    up = _flooded(_packed(word, "little"), _packed(digit, "little"))
    down = _flooded(_packed(word, "big")[::-1], _reversed_bits(up))
    return np.unpackbits(down.view(np.uint8)[::-1], count=len(letters), bitorder="big")


def _packed(flags: np.ndarray, order: str) -> np.ndarray:
    """Eight flags a byte, filled up to whole words of 64 bits."""
    bits = np.packbits(flags, bitorder=order)  # type: ignore[call-overload]
    padded = np.zeros((len(bits) + 7) // 8 * 8, np.uint8)
    padded[: len(bits)] = bits
    return padded


def _reversed_bits(words: np.ndarray) -> np.ndarray:
    """All bits in the opposite order, as bytes."""
    bits = np.unpackbits(words.view(np.uint8), bitorder="little")
    return np.packbits(bits, bitorder="big")[::-1]


def _flooded(word: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Each stretch of ones in ``word`` from its lowest seed on, as words of 64 bits; both are given as bytes."""
    word, seed = (np.ascontiguousarray(bits).view("<u8") for bits in (word, seed))
    total = word + seed
    carry = total < word
    while carry[:-1].any():
        before = total[1:].copy()
        total[1:] += carry[:-1]
        carry = np.append(False, total[1:] < before)
    flooded: np.ndarray = ((total ^ word) | seed) & word
    return flooded


def _hexadecimal(letters: np.ndarray, variable: np.ndarray) -> np.ndarray:
    """Offsets in long stretches of the letters a to f: such a word may be a number without a digit."""
    found = np.less((letters | np.uint8(0x20)) - np.uint8(ord("a")), 6)
    length = 1
    while length < LEAST_HEXADECIMAL:
        found = found[:-length] & found[length:]
        length *= 2
    places = np.flatnonzero(found)
    return places[variable[places] == 0]


def _errors(piece: bytes, variable: np.ndarray) -> np.ndarray:
    """Offsets of what may be an exception's class with a digit in its word."""
    found = []
    for name in ERROR_NAMES:
        start = piece.find(name.encode())
        while start >= 0:
            found.append(start)
            start = piece.find(name.encode(), start + 1)
    places = np.array(found, np.int64)
    return places[variable[places] == 1]


def _line_starts(content: bytes) -> np.ndarray:
    return np.append(0, np.flatnonzero(np.frombuffer(content, np.uint8) == _NEWLINE) + 1)


def _rows(content: bytes, places: list[np.ndarray], count: int) -> np.ndarray:
    """Which of so many lines hold one of the places."""
    rows = np.zeros(count, bool)
    if places:
        rows[np.searchsorted(_line_starts(content), np.concatenate(places), side="right") - 1] = True
    return rows


def _variable_words(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where words with a digit start and end."""
    variable = _has_digit(content, np.frombuffer(content, np.uint8))
    edges = np.flatnonzero(np.diff(variable, prepend=np.uint8(0), append=np.uint8(0)))
    return edges[::2], edges[1::2]
