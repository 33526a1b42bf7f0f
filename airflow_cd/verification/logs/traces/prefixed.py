"""Crashes all of whose lines have the same before them, whatever tool wrote it: ``(train pid=9) Traceback ...``."""

from __future__ import annotations

import re

_HINTS = ("Traceback (", "panic: ", "fatal error: ", "panicked at ", "Exception", "Error", "terminate called")
_BEGINS = re.compile(
    r"(?<=[\s\]>:|])(?:Traceback \(most recent call last\)|panic: |fatal error: |thread '[^']*' panicked at "
    r"|terminate called|Exception in thread |(?:[a-z_]\w*\.)+[A-Z][\w$]*(?:Exception|Error)(?::|$))"
)
_LONGEST = 120  # characters that stand before each line


def crash_within(line: str) -> int:
    """Where a crash begins behind what the next lines may begin with as well; 0 if none does.

    :param line: without its stamp.
    """
    if not any(hint in line for hint in _HINTS):
        return 0
    found = _BEGINS.search(line, 1, _LONGEST)
    return found.start() if found else 0
