"""Lines that a container's host keeps in pieces: each has a stamp of its own, and none but the last an end."""

from __future__ import annotations

import re
from datetime import datetime

PIECE = 16 * 1024
"""Bytes of a piece at most, of Docker's log drivers and of container runtimes on Kubernetes."""

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d{9}(?:Z|[+-]\d\d:\d\d) ")
_SECONDS = 10.0  # within which a line is written
_REPLACED = 16  # bytes by which a piece grows where a character was cut in two: Docker keeps no half ones


def in_one_piece(line: bytes) -> bytes:
    """A line as it was written, behind its first stamp.

    How long a piece is depends on what the host had read before it; none is longer than 16 KiB.

    :param line: as the host hands it out with stamps, without its end.
    """
    first = _STAMP.match(line)
    if first is None or len(line) <= first.end() + PIECE:
        return line
    begun, pieces, at = _seconds(first), [first[0]], first.end()
    for stamp in _STAMP.finditer(line, first.end()):
        if 0 <= _seconds(stamp) - begun <= _SECONDS and stamp.start() - at <= PIECE + _REPLACED:
            pieces.append(line[at : stamp.start()])
            at = stamp.end()
    return b"".join([*pieces, line[at:]])


def _seconds(stamp: re.Match[bytes]) -> float:
    try:
        return datetime.fromisoformat(stamp[1].decode()).timestamp()
    except ValueError:
        return -1.0
