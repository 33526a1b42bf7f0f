"""Messages that state their severity within an id: ``%SYS-2-MALLOCFAIL: Memory ...``, ``AMQ9999E: Channel ...``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_cd.verification.logs.headers.levels import SYSLOG
from airflow_cd.verification.logs.masking import IBM_ID, KEPT, NOTES

_IBM = re.compile(IBM_ID, re.ASCII)
_IBM_SEVERITIES = {"I": "info", "W": "warning", "E": "error", "S": "error", "T": "fatal"}
_SEVERITY = re.compile(r"-([0-7])-[A-Z0-9_]+$")
_REACH = 200  # characters that may stand before the id


def read_message_id(text: str, notes: Sequence[str]) -> tuple[str, str] | None:
    """The severity, and the message from its id on; None if there is no such id.

    :param text: a line after the first stage of masking, without its notes.
    :param notes: the values that were kept.
    """
    if notes and text[:2] == KEPT + ":" and _IBM.fullmatch(notes[0]) is not None:
        return _IBM_SEVERITIES[notes[0][-1]], NOTES.join((text, *notes))
    for number, note in enumerate(notes):
        found = _SEVERITY.search(note) if note.startswith("%") else None
        if found is None:
            continue
        before = KEPT.join(text.split(KEPT)[: number + 1])
        if len(before) > _REACH:
            return None
        return SYSLOG[int(found[1])], NOTES.join((text[len(before) :], *notes[number:]))
    return None
