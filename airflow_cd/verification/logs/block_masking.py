"""The first stage of masking for whole blocks of lines at once, with numpy on bytes and polars on columns.

What a regular expression does letter by letter is done here with arithmetic on bits, sixty-four letters at a time.
Let ``word`` have a one wherever a letter belongs to a word, and ``digit`` wherever it is a digit. Adding the two
makes a carry run from the first digit of each word to the word's end; done once forwards and once backwards, it marks
exactly the words that have a digit. (The idea is the flood fill with carries of bitboards and of simdjson's scanner.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from airflow_cd.verification.logs.lines import Lines
from airflow_cd.verification.logs.masking import (
    ERASED,
    ERROR_CODES,
    ERROR_NAMES,
    IS_WORD,
    LEAST_HEXADECIMAL,
    MESSAGE_ID,
    PROTECTED_PLACE,
    has_polars,
    kept_value,
    mask_line,
    protected_places,
    with_kept,
    without_marks,
)
from airflow_cd.verification.logs.refining import refine

if TYPE_CHECKING:
    import polars as pl

_PIECE = 256_000  # bytes masked at a time: what is computed on the way stays in the processor's cache
_DOT, _ZERO = b".0"
_MESSAGE_ID = re.compile(MESSAGE_ID.encode())
_ERROR_LETTERS = [name.encode() for name in ERROR_NAMES]  # which all begin with the same
_PROTECTED_PLACE = rf"(?-u){PROTECTED_PLACE}"


@dataclass(frozen=True)
class MaskedLines:
    """Lines after the first stage of masking, but for the protected values.

    :param lines: the lines themselves.
    :param keys: each of them masked.
    :param distinct: the keys that there are.
    :param odd: lines that :func:`~.masking.mask_line` has to mask, as flags.
    """

    lines: Lines
    keys: pl.Series
    distinct: pl.Series
    odd: np.ndarray

    @classmethod
    def of(cls, lines: Lines) -> MaskedLines:
        """Mask lines without marks.

        :param lines: of the block.
        """
        import polars as pl

        masked, odd = _masked(lines.content)
        flags = lines.rows_of(odd)
        for code in ERROR_CODES:
            if len(places := lines.places_of([code.encode()])):
                flags |= lines.rows_of(places)
        if b"%" in lines.content and (ids := [found.start() for found in _MESSAGE_ID.finditer(lines.content)]):
            flags |= lines.rows_of(np.array(ids))
        keys = pl.Series("key", [masked], dtype=pl.Binary).cast(pl.String).str.split("\n").explode()
        return cls(lines, keys, keys.unique(), flags)

    def rows_like(self, pattern: str) -> np.ndarray:
        """Which lines hold the pattern when they are masked, as flags.

        :param pattern: a regular expression of Rust's, searched in each distinct masked line.
        """
        return self.rows_of(self.distinct.filter(self.distinct.str.contains(pattern)))

    def rows_of(self, keys: pl.Series) -> np.ndarray:
        """Which lines have these keys, as flags.

        :param keys: some of the distinct masked lines.
        """
        return self.keys.is_in(keys.implode()).to_numpy() if len(keys) else np.zeros(len(self.keys), bool)


def mask_lines(
    lines: Lines, rows: np.ndarray | None = None, masked: MaskedLines | None = None
) -> tuple[pl.Series, np.ndarray]:
    """What :func:`~.masking.mask_line` makes of each line, and its row; the order may change.

    :param lines: without marks.
    :param rows: which of them are wanted, as flags; all without it.
    :param masked: the lines, if they are masked already.
    """
    import polars as pl

    wanted = np.arange(len(lines)) if rows is None else np.flatnonzero(rows)
    if masked is None:
        if len(wanted) < len(lines) / 2:  # masking all of them would cost more than writing the few once more
            keys, found = mask_lines(lines.chosen(wanted))
            return keys, wanted[found]
        masked = MaskedLines.of(lines)
    keys, odd = masked.keys, masked.odd
    special = odd | masked.rows_like(_PROTECTED_PLACE)
    if rows is not None:
        special &= rows
    if not special.any():
        return (keys if len(wanted) == len(lines) else keys.gather(wanted)), wanted
    plain = np.flatnonzero(~special if rows is None else rows & ~special)
    closer = np.flatnonzero(special)
    kept = _with_kept_values(lines.chosen(closer), keys.gather(closer).to_list(), odd[closer].tolist())
    return keys.gather(plain).append(pl.Series("key", kept, dtype=pl.String)), np.concatenate((plain, closer))


def mask(lines: Sequence[str]) -> list[str]:
    """Both stages for every line; the masked lines in the same order.

    :param lines: of a log, in any order.
    """
    lines = [without_marks(line) for line in lines]
    first = [""] * len(lines)
    if has_polars() and lines and not any("\n" in line for line in lines):
        for masked, row in zip(*mask_lines(Lines.of(lines)), strict=True):
            first[row] = masked
    else:
        first = [mask_line(line) for line in lines]
    refined = {masked: refine(masked) for masked in set(first)}
    return [refined[masked] for masked in first]


def _with_kept_values(lines: Lines, masked: list[str], odd: list[bool]) -> list[str]:
    """The masked lines with protected values noted; ``odd`` are those that have to be masked by themselves."""
    starts, ends = _variable_words(lines.content)
    first_words = np.searchsorted(starts, lines.starts[:-1]).tolist()
    starts, ends, content = starts.tolist(), ends.tolist(), lines.content
    places = {key: tuple(protected_places(key)) for key in set(masked)}
    known: dict[tuple[str, tuple[bytes, ...]], str] = {}
    noted = []
    for row, (key, by_itself, first) in enumerate(zip(masked, odd, first_words, strict=True)):
        if by_itself:
            noted.append(mask_line(lines[row]))
            continue
        words = tuple([content[starts[first + at] : ends[first + at]] for at in places[key]])
        found = key, words
        if found not in known:
            known[found] = _noted(key, words)
        noted.append(known[found])
    return noted


def _noted(masked: str, words: tuple[bytes, ...]) -> str:
    """A masked line with those of the words at its protected places noted that are protected values."""
    found = zip(protected_places(masked).items(), words, strict=True)
    kept = {at: kept_value(word.decode(), rules) for (at, rules), word in found}
    return with_kept(masked, {at: value for at, value in kept.items() if value})


def _masked(content: bytes) -> tuple[bytes, np.ndarray]:
    """The content with :data:`VARIABLE` for each word with a digit, and offsets of lines that need a closer look."""
    parts, odd = [], [np.empty(0, np.int64)]
    for begin, letters, variable in _pieces(content):
        odd += [begin + _hexadecimal(letters, variable), begin + _errors(letters, variable)]
        starts = variable.copy()
        starts[1:] &= variable[:-1] ^ 1
        letters = letters & (variable - np.uint8(1))  # zero where a word is variable, and then
        letters += variable  # ERASED,
        letters += starts  # and VARIABLE at its beginning
        parts.append(letters.tobytes().translate(None, ERASED.encode()))
    return b"".join(parts), np.concatenate(odd)


def _pieces(content: bytes) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Pieces of whole lines: where each begins, its letters, and 1 for each letter of a word with a digit, else 0."""
    begin = 0
    while begin < len(content):
        end = content.find(b"\n", begin + _PIECE) + 1 or len(content)
        piece = content[begin:end]
        letters = np.frombuffer(piece, np.uint8)
        yield begin, letters, _has_digit(piece, letters)
        begin = end


def _has_digit(piece: bytes, letters: np.ndarray) -> np.ndarray:
    """1 for each letter of a word that has a digit, else 0; words joined by single dots are one."""
    plain = np.frombuffer(piece.translate(IS_WORD), np.uint8)
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
    return np.asarray(places[variable[places] == 0])


def _errors(letters: np.ndarray, variable: np.ndarray) -> np.ndarray:
    """Offsets of what looks like the name of an exception's class, in words with a digit."""
    places = np.flatnonzero((letters[:-2] == _ERROR_LETTERS[0][0]) & variable[:-2].view(bool))
    second, third = letters[places + 1], letters[places + 2]
    found = np.zeros(len(places), bool)
    for name in _ERROR_LETTERS:
        found |= (second == name[1]) & (third == name[2])
    return places[found]


def _variable_words(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where words with a digit start and end."""
    variable = np.concatenate([variable for _, _, variable in _pieces(content)])
    edges = np.flatnonzero(np.diff(variable, prepend=np.uint8(0), append=np.uint8(0)))
    return edges[::2], edges[1::2]
