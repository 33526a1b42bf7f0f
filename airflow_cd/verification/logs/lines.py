"""Many lines as one piece of UTF-8 and the places where they start: no object for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

_NEWLINE = ord("\n")


class Lines:
    """Lines that follow each other, none of which holds a newline.

    :param content: valid UTF-8 without the last line's end; never without a line, but that may be empty.
    :ivar starts: offset of each line's first byte, and one more entry for a line that would come after the last.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        ends = np.flatnonzero(np.frombuffer(content, np.uint8) == _NEWLINE)
        self.starts = np.concatenate(([0], ends + 1, [len(content) + 1]))

    @classmethod
    def of(cls, texts: Iterable[str]) -> Lines:
        """The same from single lines, at least one.

        :param texts: without newlines.
        """
        return cls("\n".join(texts).encode())

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> str:
        return self.content[self.starts[row] : self.starts[row + 1] - 1].decode()

    def chosen(self, rows: np.ndarray) -> Lines:
        """Some of them, at least one: their numbers, ascending."""
        starts, ends = self.starts[rows].tolist(), self.starts[rows + 1].tolist()
        content = b"".join([self.content[start:end] for start, end in zip(starts, ends, strict=True)])
        return Lines(content if rows[-1] == len(self) - 1 else content[:-1])

    def beginnings_of(self, rows: np.ndarray, length: int) -> list[str]:
        """So many characters of each of some lines."""
        starts, ends = self.starts[rows].tolist(), (self.starts[rows + 1] - 1).tolist()
        return [self.content[start:end].decode()[:length] for start, end in zip(starts, ends, strict=True)]

    def lengths(self) -> np.ndarray:
        """Bytes of each line."""
        return np.diff(self.starts) - 1

    def first_letters(self) -> np.ndarray:
        """The first byte of each line; of an empty one whatever follows."""
        if not self.content:
            return np.zeros(len(self), np.uint8)
        return np.frombuffer(self.content, np.uint8).take(self.starts[:-1], mode="clip")

    def rows_of(self, places: np.ndarray) -> np.ndarray:
        """Which lines hold these offsets, as flags for all lines.

        :param places: offsets in the content.
        """
        flags = np.zeros(len(self), bool)
        flags[np.searchsorted(self.starts, places, side="right") - 1] = True
        return flags

    def rows_with(self, part: bytes) -> np.ndarray:
        """Which lines hold these bytes, as flags for all lines.

        :param part: the bytes.
        """
        if len(part) == 1:
            return self.rows_of(np.flatnonzero(np.frombuffer(self.content, np.uint8) == part[0]))
        return self.rows_of(self.places_of([part]))

    def places_of(self, parts: Sequence[bytes]) -> np.ndarray:
        """Offsets of any of these pieces, ascending.

        :param parts: at least two bytes each, the first two alike in all of them.
        """
        letters = np.frombuffer(self.content, np.uint8)
        places = np.sort(places_of_pairs(letters, [parts[0][:2]]))
        found = [place for place in places.tolist() if self.content.startswith(tuple(parts), place)]
        return np.array(found, np.int64)


def places_of_pairs(letters: np.ndarray, pairs: Sequence[bytes]) -> np.ndarray:
    """Offsets of any of these pairs of letters, in any order; where there are none that takes hardly any time.

    :param letters: bytes of a text.
    :param pairs: two bytes each.
    """
    found = [np.empty(0, np.int64)]
    for start in (0, 1):
        twos = letters[start : start + (len(letters) - start) // 2 * 2].view("<u2")
        for pair in pairs:
            flags = twos == np.uint16(int.from_bytes(pair, "little"))
            if flags.any():
                found.append(2 * np.flatnonzero(flags) + start)
    return np.concatenate(found)
