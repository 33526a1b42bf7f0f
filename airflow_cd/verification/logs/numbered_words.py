"""Which letters of a block are of words with a digit, found with arithmetic on bits, sixty-four letters at a time.

Let ``word`` have a one wherever a letter belongs to a word, and ``digit`` wherever it is a digit. Adding the two
makes a carry run from the first digit of each word to the word's end; done once forwards and once backwards, it marks
exactly the words that have a digit. (The idea is the flood fill with carries of bitboards and of simdjson's scanner.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from airflow_cd.verification.logs.masking import ERASED, ERROR_CODES, ERROR_NAMES, IS_WORD, LEAST_HEXADECIMAL

_PIECE = 256_000  # bytes looked at at a time: what is computed on the way stays in the processor's cache
_WORD, _DIGIT, _HEXADECIMAL, _DOT, _OF_ERROR = 1, 2, 4, 8, 16
_SHIFT = _OF_ERROR.bit_length() - 1
_ERRORS = [name[:3].encode() for name in (*ERROR_NAMES, *ERROR_CODES)]
_KINDS = bytes(
    IS_WORD[byte] * _WORD
    | (chr(byte) in "0123456789") * _DIGIT
    | (chr(byte) in "abcdefABCDEF") * _HEXADECIMAL
    | (chr(byte) == ".") * _DOT
    | (byte in {name[0] for name in _ERRORS}) * _OF_ERROR
    for byte in range(256)
)
"""For each byte the kinds of letters that it is one of."""
_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""For each byte the one with its bits in the opposite order."""
_ERASED = ERASED.encode()
_ALL_HEXADECIMAL = np.uint32(int.from_bytes(bytes([_HEXADECIMAL] * 4), "little"))


def without_numbered_words(content: bytes) -> tuple[bytes, np.ndarray]:
    """Lines with :data:`~.masking.VARIABLE` for each word with a digit; and offsets of what needs a closer look.

    That is what may be an error's code or the name of an exception's class in such a word, or a number of hexadecimal
    letters alone.

    :param content: of a block without marks.
    """
    parts, odd = [], [np.empty(0, np.int64)]
    for begin, letters, kinds, variable in _pieces(content):
        odd += [begin + _hexadecimal(kinds, variable), begin + _errors(letters, kinds, variable)]
        starts = variable.copy()
        starts[1:] &= variable[:-1] ^ 1
        letters = letters & (variable - np.uint8(1))  # zero where a word is variable, and then
        letters += variable  # ERASED,
        letters += starts  # and VARIABLE at its beginning
        parts.append(letters.tobytes().translate(None, _ERASED))
    return b"".join(parts), np.concatenate(odd)


def numbered_words(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Where words with a digit start and end.

    :param content: of a block without marks.
    """
    edges = [np.empty(0, np.int64)]
    for begin, _, _, variable in _pieces(content):
        changes = np.empty(len(variable) + 1, bool)
        changes[0], changes[-1] = variable[0], variable[-1]
        np.not_equal(variable[1:], variable[:-1], out=changes[1:-1])
        edges.append(begin + np.flatnonzero(changes))
    # A piece ends with the end of a line, so no word goes on in the next one.
    places = np.concatenate(edges)
    return places[::2], places[1::2]


def _pieces(content: bytes) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Pieces of whole lines: where each begins, its letters, their kinds, and 1 for those of words with a digit."""
    begin = 0
    while begin < len(content):
        end = content.find(b"\n", begin + _PIECE) + 1 or len(content)
        piece = content[begin:end]
        kinds = np.frombuffer(piece.translate(_KINDS), np.uint8)
        yield begin, np.frombuffer(piece, np.uint8), kinds, _has_digit(kinds)
        begin = end


def _has_digit(kinds: np.ndarray) -> np.ndarray:
    """1 for each letter of a word that has a digit, else 0; words joined by single dots are one."""
    word, digit, dot = (_packed(kinds & kind) for kind in (_WORD, _DIGIT, _DOT))
    joined = word << np.uint64(1)
    joined[1:] |= word[:-1] >> np.uint64(63)
    after = word >> np.uint64(1)
    after[:-1] |= word[1:] << np.uint64(63)
    joined &= after
    joined &= dot
    word |= joined
    up = _flooded(word, digit)
    down = _turned(_flooded(_turned(word), _turned(up)))
    return np.unpackbits(down.view(np.uint8), count=len(kinds), bitorder="little")


def _packed(flags: np.ndarray) -> np.ndarray:
    """Flags as words of 64 bits, the first one the lowest."""
    bits = np.packbits(flags, bitorder="little")
    padded = np.zeros((len(bits) + 7) // 8, "<u8")
    padded.view(np.uint8)[: len(bits)] = bits
    return padded


def _turned(words: np.ndarray) -> np.ndarray:
    """All bits in the opposite order."""
    return np.frombuffer(words.tobytes().translate(_TURNED)[::-1], "<u8")


def _flooded(word: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Each stretch of ones in ``word`` from its lowest seed on."""
    total = word + seed
    carry = total < word
    while carry[:-1].any():
        before = total[1:].copy()
        total[1:] += carry[:-1]
        carry = np.append(False, total[1:] < before)
    total ^= word
    total |= seed
    total &= word
    return np.asarray(total)


def _hexadecimal(kinds: np.ndarray, variable: np.ndarray) -> np.ndarray:
    """Offsets in long stretches of the letters a to f: such a word may be a number without a digit."""
    # A stretch of seven holds four letters side by side that start at a multiple of four.
    fours = kinds[: len(kinds) // 4 * 4].view("<u4") & _ALL_HEXADECIMAL == _ALL_HEXADECIMAL
    if not fours.any():
        return np.empty(0, np.int64)
    places = np.flatnonzero(fours) * 4
    places = places[variable[places] == 0]
    around = np.arange(1 - LEAST_HEXADECIMAL, LEAST_HEXADECIMAL)
    near = places[:, None] + around
    inside = (near >= 0) & (near < len(kinds))
    found = inside & (kinds.take(near, mode="clip") & _HEXADECIMAL > 0)
    length = 1
    while length < LEAST_HEXADECIMAL:
        found = found[:, :-length] & found[:, length:]
        length *= 2
    return np.asarray(places[found.any(axis=1)])


def _errors(letters: np.ndarray, kinds: np.ndarray, variable: np.ndarray) -> np.ndarray:
    """Offsets of what looks like an error's code or the name of an exception's class, in words with a digit."""
    begins = kinds[:-2] >> _SHIFT
    begins &= variable[:-2]
    places = np.flatnonzero(begins.view(bool))
    found = np.zeros(len(places), bool)
    for name in _ERRORS:
        found |= (letters[places] == name[0]) & (letters[places + 1] == name[1]) & (letters[places + 2] == name[2])
    return np.asarray(places[found])
