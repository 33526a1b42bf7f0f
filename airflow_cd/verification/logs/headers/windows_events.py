"""Events of Windows as XML, one on a line, as event forwarding and collectors write them."""

from __future__ import annotations

import html
import re

from airflow_cd.verification.logs.headers.levels import NAMES

BEGINS = b"<Event "
_SEVERITIES = {"0": "info", "1": "fatal", "2": "error", "3": "warning", "4": "info", "5": "debug"}
_EVENT = re.compile(r"\s*<Event[ >].*</Event>\s*$", re.DOTALL)
_LEVEL = re.compile(r"<Level>\s*([0-5])\s*</Level>")
_PROVIDER = re.compile(r"<Provider\b[^>]*?\bName=['\"]([^'\"]*)")
_ID = re.compile(r"<EventID\b[^>]*>\s*([0-9]{1,5})\s*</EventID>")
_MESSAGE = re.compile(r"<Message>(.*?)</Message>", re.DOTALL)
_DATA = re.compile(r"<Data(?:\s+Name=['\"]([^'\"]*)['\"])?\s*>([^<]*)</Data>")


def unfold_event(line: str) -> str:
    """An event as ``LEVEL provider code=ID message``; anything else unchanged.

    Without a rendered message its data are listed, those with a name as ``name=value``.

    :param line: a record on one line.
    """
    level = _LEVEL.search(line) if _EVENT.match(line) else None
    if level is None:
        return line
    provider, number, rendered = _PROVIDER.search(line), _ID.search(line), _MESSAGE.search(line)
    data = " ".join(f"{name}={value.strip()}" if name else value.strip() for name, value in _DATA.findall(line))
    parts = (
        NAMES[_SEVERITIES[level[1]]],
        provider[1] if provider else "",
        f"code={number[1]}" if number else "",
        rendered[1].strip() if rendered else data,
    )
    return html.unescape(" ".join(part for part in parts if part))
