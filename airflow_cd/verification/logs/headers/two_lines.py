"""Answered requests whose logger has its header on a line of its own: the console of .NET, java.util.logging.

The numbers of a record of several lines are blanked, which a status must not be.
"""

from __future__ import annotations

import re

from airflow_cd.verification.logs.headers.reader import read_header
from airflow_cd.verification.logs.headers.requests import read_request
from airflow_cd.verification.logs.masking import mask_line

_OF_DOTNET = re.compile(r"(?:[\d\[].{0,40}[ \]])?(?:trce|dbug|info|warn|fail|crit): \S+Diagnostics\[\d+\]$")
_ANSWERED_BY_DOTNET = "Request finished "
JAVA_HEADER = re.compile(r"[A-Z]\w{2,8}\.? \d{1,2}, \d{4} \d{1,2}:\d{2}:\d{2}(?: [AP]M)? \S+ \S+$")
"""The first line of java.util.logging: when, class and method."""
JAVA_LEVEL = re.compile(r"[^\W\d_]+: ")
"""How its second line begins."""


def as_one_line(record: str) -> str:
    """Such a record on one line; any other one unchanged.

    :param record: its lines joined.
    """
    first, end, second = record.partition("\n")
    if not end or "\n" in second:
        return record
    second = second.strip()
    if second.startswith(_ANSWERED_BY_DOTNET) and _OF_DOTNET.match(first):
        return f"{first} {second}"
    stated = JAVA_HEADER.match(first) and JAVA_LEVEL.match(second)
    if stated and read_request(read_header(mask_line(second)).message) is not None:
        return second
    return record
