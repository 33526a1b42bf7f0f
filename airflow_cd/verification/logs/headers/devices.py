"""Messages that state their severity within an id.

Network devices (``%SYS-2-MALLOCFAIL: Memory ...``, ``%%01IFNET/4/LINK_STATE(l)[12]:...``), IBM's programs (``AMQ9999E:
Channel ...``), those of z/OS behind time and job (`` 12.13.14 JOB00042  IEC070E ...``), and Ceph, which writes a number
there (``2026-... 7f2c3a9b1700 -1 ...``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_cd.verification.logs.headers.levels import SYSLOG
from airflow_cd.verification.logs.masking import IBM_ID, KEPT, NOTES, VARIABLE

_IBM = re.compile(IBM_ID, re.ASCII)
_IBM_SEVERITIES = {"I": "info", "W": "warning", "E": "error", "S": "error", "T": "fatal"}
_OF_MODULE = re.compile(rf"{VARIABLE}/{KEPT}/(?=[A-Z_]+\([a-z]\))")
_SEVERITY = re.compile(r"-([0-7])-[A-Z0-9_]+$")
_OF_A_JOB = re.compile(rf" ?{VARIABLE} {VARIABLE}  (?={KEPT} )")
_OF_CEPH = re.compile(rf"{VARIABLE}:{VARIABLE}:{VARIABLE} {VARIABLE} +{KEPT} ")
_REACH = 200  # characters that may stand before the id


def read_message_id(text: str, notes: Sequence[str]) -> tuple[str, str] | None:
    """The severity, and the message from its id on; None if there is no such id.

    :param text: a line after the first stage of masking, without its notes.
    :param notes: the values that were kept.
    """
    if notes and text[:2] == KEPT + ":" and _IBM.fullmatch(notes[0]) is not None:
        return _IBM_SEVERITIES[notes[0][-1]], NOTES.join((text, *notes))
    job = _OF_A_JOB.match(text) if notes else None
    if job is not None and notes[0][-1] in _IBM_SEVERITIES:
        return _IBM_SEVERITIES[notes[0][-1]], NOTES.join((text[job.end() :], *notes))
    ceph = _OF_CEPH.match(text) if notes and notes[0] == "-1" else None
    if ceph is not None:
        return "error", NOTES.join((text[ceph.end() :], *notes[1:]))
    module = _OF_MODULE.search(text, 0, _REACH) if notes else None
    if module is not None and notes[0] in "01234567":
        return SYSLOG[int(notes[0])], NOTES.join((text[module.end() :], *notes[1:]))
    for number, note in enumerate(notes):
        found = _SEVERITY.search(note) if note.startswith("%") else None
        if found is None:
            continue
        before = KEPT.join(text.split(KEPT)[: number + 1])
        if len(before) > _REACH:
            return None
        return SYSLOG[int(found[1])], NOTES.join((text[len(before) :], *notes[number:]))
    return None
