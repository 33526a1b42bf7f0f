"""Many lines as one piece of UTF-8 and the places where they start: no object for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

_NEWLINE = ord("\n")
_PIECE = 256_000  # bytes looked at at a time: what is computed on the way stays in the processor's cache
_FEW = 1_000  # lines that are sooner looked at one by one than all letters at once


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
        start, end = self.starts[row : row + 2].tolist()
        return self.content[start : end - 1].decode()

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

    def rows_with(self, part: bytes, among: np.ndarray | None = None) -> np.ndarray:
        """Which lines hold these bytes, as flags for all lines.

        :param part: the bytes.
        :param among: the lines that are looked at, as flags; all without it.
        """
        if among is not None and np.count_nonzero(among) < _FEW:
            flags = np.zeros(len(self), bool)
            for row in np.flatnonzero(among).tolist():
                flags[row] = self.content.find(part, self.starts[row], self.starts[row + 1]) >= 0
            return flags
        if len(part) == 1:
            flags = self.rows_of(np.flatnonzero(np.frombuffer(self.content, np.uint8) == part[0]))
        else:
            flags = self.rows_of(self.places_of([part]))
        return flags if among is None else flags & among

    def places_of(self, parts: Sequence[bytes]) -> np.ndarray:
        """Offsets of any of these pieces, ascending.

        :param parts: at least two bytes each, the first two alike in all of them.
        """
        letters, (first, second) = np.frombuffer(self.content, np.uint8), parts[0][:2]
        places = [np.empty(0, np.int64)]
        for begin in range(0, len(letters), _PIECE):
            piece = letters[begin : begin + _PIECE + 1]
            found = piece[:-1] == first
            found &= piece[1:] == second
            if found.any():
                places.append(begin + np.flatnonzero(found))
        pieces = tuple(parts)
        return np.array(
            [place for place in np.concatenate(places).tolist() if self.content.startswith(pieces, place)], np.int64
        )
