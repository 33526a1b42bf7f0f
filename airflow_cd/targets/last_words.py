"""What a process said before it ended: the lines of its output that say why."""

from __future__ import annotations

import re
from collections.abc import Sequence

LINES_READ = 80
"""Of the end of an output, to find those that say why."""
LINES_SHOWN = 4
LONGEST_LINE = 300

_ERROR = re.compile(
    r"\w(?:Error|Exception|Failure)\b|\b(?:error|fatal|critical|panic|cannot|failed|denied)\b", re.IGNORECASE
)


def telling(lines: Sequence[str]) -> list[str]:
    """The lines of an output's end that say why: those that name an error, the first ones first, and the last line.

    What ended a process is often not the last thing it said: a server that reports its worker's exception ends with one
    of its own.

    :param lines: the last lines, oldest first.
    :returns: a few of them, each on one line and of bounded length.
    """
    kept = [line.strip() for line in lines if line.strip()]
    # Frames of a stack trace are indented.
    errors = [line.strip() for line in lines if line.strip() and not line[:1].isspace() and _ERROR.search(line)]
    chosen = list(dict.fromkeys([*errors, *kept[-1:]]))
    if not errors:
        chosen = kept[-LINES_SHOWN:]
    elif len(chosen) > LINES_SHOWN:
        chosen = [*chosen[: LINES_SHOWN - 1], chosen[-1]]
    return [one_line(line) for line in chosen]


def one_line(text: str) -> str:
    """A text on one line of bounded length.

    :param text: any.
    """
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…"
