"""The protected values of many masked lines at once: each distinct word in each kind of place is looked at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from airflow_cd.verification.logs.lines import Lines
from airflow_cd.verification.logs.masking import STATUS_ALONE, kept_value, with_kept
from airflow_cd.verification.logs.numbered_words import numbered_words

_SHORT = 8  # bytes of a word that are compared as one number
_DIGITS_OF_A_STATUS = 3

_Rules = tuple[re.Pattern[str], ...]


def noted(
    lines: Lines, keys: Sequence[str], numbers: np.ndarray, places_of: Mapping[int, Mapping[int, _Rules]]
) -> tuple[list[str], np.ndarray]:
    """The lines masked, with their protected values noted: each distinct result, and for each line the number of its.

    :param lines: that were masked.
    :param keys: what the first stage of masking made of them, without protected values.
    :param numbers: for each line the number of its key.
    :param places_of: of each key that there is, by its number, the places of its protected values.
    """
    used, which = np.unique(numbers, return_inverse=True)
    places = [places_of[number] for number in used.tolist()]
    values = _Values()
    found = _values_at(lines, places, which, values)
    # Lines are alike if their keys are and all that is kept of them.
    group, width = which, len(values.texts)
    for column in found:
        if column.any():
            group = np.unique(group * width + column, return_inverse=True)[1]
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    texts = []
    for row in first.tolist():
        kept = zip(places[which[row]], (values.texts[column[row]] for column in found), strict=False)
        texts.append(with_kept(keys[numbers[row]], {at: value for at, value in kept if value}))
    return texts, group


class _Values:
    """Protected values by their numbers; 0 is none."""

    def __init__(self) -> None:
        self.texts = [""]
        self._numbers = {"": 0}
        self._known: dict[tuple[bytes, _Rules], int] = {}

    def number(self, word: bytes, rules: _Rules) -> int:
        """The number of what is kept of a word."""
        found = self._known.get((word, rules))
        if found is None:
            value = kept_value(word.decode(), rules)
            found = self._numbers.setdefault(value, len(self.texts))
            if found == len(self.texts):
                self.texts.append(value)
            self._known[word, rules] = found
        return found


def _values_at(
    lines: Lines, places: Sequence[Mapping[int, _Rules]], which: np.ndarray, values: _Values
) -> list[np.ndarray]:
    """The numbers of the values at the first protected place of each line, then at the second, and so on."""
    starts, ends = numbered_words(lines.content)
    first_words = np.searchsorted(starts, lines.starts[:-1])
    rules = {one: number for number, one in enumerate({one for found in places for one in found.values()})}
    most = max(map(len, places), default=0)
    at, ruled = np.full((2, most, len(places)), -1)
    for number, found in enumerate(places):
        at[: len(found), number] = list(found)
        ruled[: len(found), number] = [rules[one] for one in found.values()]
    columns = []
    for place in range(most):
        rows = np.flatnonzero(at[place][which] >= 0)
        words = first_words[rows] + at[place][which[rows]]
        column = np.zeros(len(which), np.int64)
        column[rows] = _numbered(
            lines.content, starts[words], ends[words], ruled[place][which[rows]], list(rules), values
        )
        columns.append(column)
    return columns


def _numbered(
    content: bytes, starts: np.ndarray, ends: np.ndarray, ruled: np.ndarray, rules: Sequence[_Rules], values: _Values
) -> np.ndarray:
    """For each word the number of its value; 0 for the many that are too long or too short to be a status."""
    lengths = ends - starts
    statuses = np.array([rule == STATUS_ALONE for rule in rules], bool)
    possible = np.flatnonzero(~statuses[ruled] | (lengths == _DIGITS_OF_A_STATUS))
    found = np.zeros(len(starts), np.int64)
    if len(possible):
        found[possible] = _looked_up(content, starts[possible], ends[possible], ruled[possible], rules, values)
    return found


def _looked_up(
    content: bytes, starts: np.ndarray, ends: np.ndarray, ruled: np.ndarray, rules: Sequence[_Rules], values: _Values
) -> np.ndarray:
    lengths = ends - starts
    near = np.arange(_SHORT)
    letters = np.frombuffer(content, np.uint8).take(starts[:, None] + near, mode="clip")
    letters[near >= lengths[:, None]] = 0
    words = np.unique(letters.view("<u8").ravel(), return_inverse=True)[1] * len(rules) + ruled
    words[lengths > _SHORT] = -1
    _, first, which = np.unique(words, return_index=True, return_inverse=True)

    def number(at: int) -> int:
        return values.number(content[starts[at] : ends[at]], rules[ruled[at]])

    found = np.array([number(at) for at in first.tolist()], np.int64)[which]
    longer = np.flatnonzero(words < 0)
    found[longer] = [number(at) for at in longer.tolist()]
    return found
