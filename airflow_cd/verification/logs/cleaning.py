"""Raw lines and records as text that can be judged, without what was put around them."""

from __future__ import annotations

from typing import Any

from airflow_cd.verification.logs.headers.ansi import without_colours
from airflow_cd.verification.logs.headers.json_records import unfold_json
from airflow_cd.verification.logs.headers.levels import NAMES
from airflow_cd.verification.logs.headers.prefixes import without_prefix
from airflow_cd.verification.logs.headers.reader import read_header
from airflow_cd.verification.logs.masking import NOTES, mask_line, without_marks
from airflow_cd.verification.logs.traces.joining import LONGEST_RECORD


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
    if not text.isascii() and ("\ufffd" in text or any("\ud800" <= char <= "\udfff" for char in text)):
        _count(troubles, "undecodable")
        text = text.encode("utf-8", "replace").decode()
    if text[:1] == "{" or ('{"' in text and text.rstrip()[-1:] == "}"):
        text = unfold(text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text[-1:] == "\n":
        text = text.rstrip("\n")
    return "" if text.isspace() else text


def unfold(text: str) -> str:
    """A JSON record, with or without a header of text before it, as text; anything else unchanged.

    :param text: the record, on one line.
    """
    if text[:1] == "{":
        return unfold_json(text)
    at = text.find('{"')
    unfolded = unfold_json(text[at:])
    if unfolded == text[at:]:
        return text
    header = read_header(mask_line(text[:at] + "x"))
    if header.message.split(NOTES)[0] != "x":
        return text  # words stand before it: it is a part of their message
    stated = NAMES[header.level] + " " if header.level else ""
    return unfolded if read_header(mask_line(unfolded.split("\n", 1)[0])).level else stated + unfolded


def clean_record(text: str, troubles: dict[str, int]) -> str:
    """A record whose lines are joined, of which only the beginning is judged when it is too long.

    :param text: the record, its lines cleaned and joined.
    :param troubles: counts, by kind of problem; added to.
    """
    if not text:
        _count(troubles, "empty")
    elif len(text) > LONGEST_RECORD:
        _count(troubles, "too_long")
        text = text[:LONGEST_RECORD]
    return text


def _count(troubles: dict[str, int], trouble: str) -> None:
    troubles[trouble] = troubles.get(trouble, 0) + 1
