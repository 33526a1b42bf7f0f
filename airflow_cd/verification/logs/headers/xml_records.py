"""Records that are one element of XML: log4j, java.util.logging, CMTrace, FoundationDB, and whoever writes their like.

What attributes and elements without others in them say is read like the fields of a JSON record.
"""

from __future__ import annotations

import html
import re

from airflow_cd.verification.logs.headers.json_records import unfold_fields
from airflow_cd.verification.logs.headers.levels import NAMES
from airflow_cd.verification.logs.masking import VARIABLE

IS_ELEMENT = rf"^</?[A-Za-z!{VARIABLE}][^ ]*(?: .*)?>\s*$"
"""What a line looks like that is an element or a part of one, masked or not, for any engine of regular expressions."""
_ELEMENT = re.compile(
    r"\s*<(?P<name>[A-Za-z][\w:.-]*)(?P<attributes>(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)\s*"
    r"(?:/>|>(?P<content>.*)</(?P=name)\s*>)\s*$",
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_INNER = re.compile(
    r"<([A-Za-z][\w:.-]*)(?:\s[^<>]*)?>\s*(?:<!\[CDATA\[(.*?)\]\]>|([^<]*?))\s*</\1\s*>",
    re.DOTALL,
)
_FRAME = re.compile(r"<frame>.*?<class>([^<]*)</class>.*?<method>([^<]*)</method>.*?</frame>", re.DOTALL)
_EXCEPTION = re.compile(r"<exception>.*?<message>([^<]*)</message>", re.DOTALL)
_CMTRACE = re.compile(r"<!\[LOG\[(.*)\]LOG\]!><[^<>]*\btype=\"([0-3])\"[^<>]*>\s*$", re.DOTALL)
_TYPES = {"0": "info", "1": "info", "2": "warning", "3": "error"}
# Of FoundationDB, which calls them a severity and has a type beside it.
_SEVERITIES = {"5": "debug", "10": "info", "20": "warning", "30": "warning", "40": "error"}


def unfold_element(text: str) -> str:
    """An element of XML that states a level as ``LEVEL message`` and its exception; anything else unchanged.

    :param text: the record, whole.
    """
    traced = _CMTRACE.match(text)
    if traced is not None:
        return f"{NAMES[_TYPES[traced[2]]]} {traced[1]}"
    element = _ELEMENT.match(text)
    if element is None:
        return text
    fields: dict[str, object] = {}
    for name, double, single in _ATTRIBUTE.findall(element["attributes"]):
        fields.setdefault(_local(name), html.unescape(double or single))
    content = element["content"] or ""
    frames = _FRAME.findall(content)
    thrown = _EXCEPTION.search(content) if frames else None
    for name, cdata, plain in _INNER.findall(content[: thrown.start()] if thrown else content):
        fields.setdefault(_local(name), cdata or html.unescape(plain))
    if thrown is not None:
        fields["exception"] = "\n".join(
            [html.unescape(thrown[1]), *(f"\tat {owner}.{name}(Unknown)" for owner, name in frames)]
        )
    severity = fields.get("Severity")
    if severity in _SEVERITIES and "Type" in fields:
        fields["Severity"] = _SEVERITIES[str(severity)]
    unfolded = unfold_fields(fields, text)
    return text if unfolded is None else unfolded


def _local(name: str) -> str:
    return name.rsplit(":", 1)[-1]
