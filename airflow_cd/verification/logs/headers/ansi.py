"""Colours of terminals, which some loggers write into files as well."""

from __future__ import annotations

import re

_CODES = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\^_])"
_TEXT = re.compile(_CODES)
_BYTES = re.compile(_CODES.encode())
ESCAPE = b"\x1b"


def without_colours(text: str) -> str:
    """A text without escape sequences.

    :param text: the text.
    """
    return _TEXT.sub("", text) if "\x1b" in text else text


def block_without_colours(content: bytes) -> bytes:
    """:func:`without_colours` for a block of lines.

    :param content: the block, UTF-8.
    """
    return _BYTES.sub(b"", content) if ESCAPE in content else content
