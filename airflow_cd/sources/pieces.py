"""Lines that a container's host keeps in pieces: each has a stamp of its own, and none but the last an end."""

from __future__ import annotations

import re

PIECE = 16 * 1024
"""Bytes of a piece, of Docker's log drivers and of container runtimes on Kubernetes."""

_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d) ")


def in_one_piece(line: bytes) -> bytes:
    """A line as it was written, behind its first stamp.

    :param line: as the host hands it out with stamps, without its end.
    """
    stamp = _STAMP.match(line)
    if stamp is None or len(line) <= stamp.end() + PIECE:
        return line
    pieces, at = [line[: stamp.end()]], stamp.end()
    while True:
        pieces.append(line[at : at + PIECE])
        again = _STAMP.match(line, at + PIECE)
        if again is None:
            # Written in one go by a host that cuts nothing, or the last piece.
            pieces.append(line[at + PIECE :])
            return b"".join(pieces)
        at = again.end()
