"""Raw lines and records as text that can be judged, without what was put around them."""

from __future__ import annotations

import functools
import re
from typing import Any

from airflow_cd.verification.logs.headers.ansi import without_colours
from airflow_cd.verification.logs.headers.json_records import unfold_json
from airflow_cd.verification.logs.headers.levels import NAMES
from airflow_cd.verification.logs.headers.prefixes import without_prefix
from airflow_cd.verification.logs.headers.reader import Header, read_header
from airflow_cd.verification.logs.headers.two_lines import as_one_line
from airflow_cd.verification.logs.headers.windows_events import unfold_event
from airflow_cd.verification.logs.headers.xml_records import unfold_element
from airflow_cd.verification.logs.masking import NOTES, mask_line, without_marks, without_maybes
from airflow_cd.verification.logs.traces.joining import LONGEST_RECORD

_TRACE_GOES_ON = r"(?:at \S|File \\?\"|Caused by: |Traceback \(|goroutine [0-9]|from \S+:[0-9]|#[0-9]+ )"
_ESCAPED_TRACE = re.compile(rf"(?:#012(?:#011| )*|\\n(?:\\t| )*){_TRACE_GOES_ON}")
# What some tools write before each line, here before one that goes on with a stack trace: `[shop]  at ...`.
_SERVICE = re.compile(
    r"\[[\w.:-]+\] ?(?=\s+(?:at \S|File \"|\.\.\. \d)|Caused by: |Traceback \(|goroutine \d"
    r"|(?:[a-z_]\w*\.)+[A-Z]\w*(?:Exception|Error)\b)"
)
ESCAPED = (
    (b"#012",),
    (b"\\n\\t", b"\\n ", b"\\nCaused by", b"\\nTraceback", b"\\ngoroutine", b"\\n#"),
)
"""What a line holds that may hold a stack trace whose ends of lines are escaped, by the two bytes it begins with."""


def clean_line(text: Any, troubles: dict[str, int]) -> str:
    """A line, or a record that is whole, as usable text; ``""`` when there is none. What was wrong is counted.

    :param text: the line; bytes are decoded as UTF-8.
    :param troubles: counts, by kind of problem; added to.
    """
    if type(text) is not str:
        if isinstance(text, (bytes, bytearray)):
            text = bytes(text).decode("utf-8", "replace")
        elif isinstance(text, str):
            text = str(text)
        else:  # None, NaN
            text = ""
    text = without_prefix(without_colours(without_marks(text)))
    if text[:1] == "[":
        text = _SERVICE.sub("", text, count=1)
    if not text.isascii() and ("\ufffd" in text or any("\ud800" <= char <= "\udfff" for char in text)):
        _count(troubles, "undecodable")
        text = text.encode("utf-8", "replace").decode()
    text = _unfolded(text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text[-1:] == "\n":
        text = text.rstrip("\n")
    return "" if text.isspace() else text


def _unfolded(text: str) -> str:
    if text[:1] == "{" or ('{"' in text and text.rstrip()[-1:] == "}"):
        return unfold(text)
    if text[:1] == "<" and text.rstrip()[-1:] == ">":
        unfolded = unfold_event(text)
        return unfolded if unfolded != text else unfold_element(text)
    return unescaped(text) if "\\n" in text or "#012" in text else text


def unescaped(text: str) -> str:
    """A line that holds a stack trace whose ends of lines are escaped, as it was; any other line unchanged.

    :param text: the line.
    """
    if _ESCAPED_TRACE.search(text) is None:
        return text
    if "#012" in text:  # rsyslog
        return text.replace("#012", "\n").replace("#011", "\t")
    return text.replace("\\r", "").replace("\\n", "\n").replace("\\t", "\t")


def unfold(text: str) -> str:
    """A JSON record, with or without a header of text before it, as text; anything else unchanged.

    :param text: the record, on one line.
    """
    if text[:1] == "{":
        return unfold_json(text)
    at = text.find('{"')
    header = _header_alone(mask_line(text[:at] + "x"))
    if header is None:
        return text  # words stand before it: it is a part of their message
    unfolded = unfold_json(text[at:])
    if unfolded == text[at:]:
        return text
    stated = NAMES[header.level] + " " if header.level else ""
    return unfolded if read_header(mask_line(unfolded.split("\n", 1)[0])).level else stated + unfolded


@functools.lru_cache(maxsize=1_000)
def _header_alone(masked: str) -> Header | None:
    """The header of a masked line whose message is an x; None if there are words before that."""
    header = read_header(masked)
    return header if without_maybes(header.message)[0].split(NOTES)[0] == "x" else None


def clean_record(text: str, troubles: dict[str, int]) -> str:
    """A record whose lines are joined, as it is judged: a request on one line, of a long record the beginning alone.

    :param text: the record, its lines cleaned and joined.
    :param troubles: counts, by kind of problem; added to.
    """
    if not text:
        _count(troubles, "empty")
    elif len(text) > LONGEST_RECORD:
        _count(troubles, "too_long")
        text = text[:LONGEST_RECORD]
    return as_one_line(text) if "\n" in text else text


def _count(troubles: dict[str, int], trouble: str) -> None:
    troubles[trouble] = troubles.get(trouble, 0) + 1
