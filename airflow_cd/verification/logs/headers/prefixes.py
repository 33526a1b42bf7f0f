"""What a container runtime or a log viewer puts before every line of an application, taken off again.

Container logs of Kubernetes (CRI), Docker's ``json-file``, ``docker compose logs``, ``kubectl logs --prefix``,
foreman, pm2 and ``cf logs``. Each is recognised by its own line alone, so that it makes no difference how a log is cut
into blocks. A line that the runtime cut into parts ends with :data:`GOES_ON` until the parts are put together.
"""

from __future__ import annotations

import re

from airflow_cd.verification.logs.masking import GOES_ON, VARIABLE, has_polars

_CRI = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
    r" (?:stdout|stderr) (?:(?P<partial>P)|F)(?: |$)"
)
_COMPOSE = (
    r"(?:[0-9]{2}:[0-9]{2}:[0-9]{2} +)?(?:[0-9]+\|)?"
    r"(?:[A-Za-z0-9][A-Za-z0-9_.-]*[._-][0-9]+ +|[a-z][A-Za-z0-9_.-]*  +)\|(?: |$)"
    r"|[0-9]+\|[A-Za-z0-9_.-]+ *\|(?: |$)"
)
_KUBECTL = r"\[pod/[^\]\s]+\](?: |$)"
_CLOUD_FOUNDRY = (
    r" *[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{4})"
    r" \[[A-Z]{3,4}(?:/[A-Z0-9._-]+){1,3}\] (?:OUT|ERR)(?: |$)"
)
_ANY = rf"(?:{_KUBECTL}|{_COMPOSE})?(?:{_CRI})|{_KUBECTL}|{_COMPOSE}|{_CLOUD_FOUNDRY}"
_PREFIX = re.compile(rf"(?:{_ANY})+")
_OF_LINES = re.compile(rf"^(?:{_ANY})+([^\n]*)".encode(), re.MULTILINE)
_OF_LINES_IN_RUST = "(?m)^(?:" + _ANY.replace("(?P<partial>P)|F", "F") + ")+"
_MARKS_OF_PARTS = (b" stdout P", b" stderr P")
_PARTIAL = GOES_ON.encode()

# In a masked line: the same, more loosely. What it finds is looked at again.
_N, _NAME = VARIABLE, f"[A-Za-z_.{VARIABLE}-]+"
MASKED = (
    rf"^(?:\[pod/|{_NAME} +\|(?: |$)|{_N}:{_N}:{_N} +{_NAME} +\||{_N}\|{_NAME} *\|"
    rf"|{_N}:{_N}:{_N}(?::{_N})? (?:stdout|stderr) [FP](?: |$)"
    rf"| *{_N}:{_N}:{_N} \[[A-Z]+/[^\]]*\] (?:OUT|ERR)(?: |$))"
)


def without_prefix(line: str) -> str:
    """A line as the application wrote it.

    :param line: as it was read.
    """
    found = _PREFIX.match(line)
    if found is None:
        return line
    rest = line[found.end() :]
    return rest + GOES_ON if found["partial"] else rest


def block_without_prefixes(content: bytes) -> bytes:
    """:func:`without_prefix` for each line of a block of valid UTF-8.

    :param content: the block, its lines whole.
    """
    if has_polars() and not any(mark in content for mark in _MARKS_OF_PARTS):
        import polars as pl

        text = pl.Series([content], dtype=pl.Binary).cast(pl.String)
        return bytes(text.str.replace_all(_OF_LINES_IN_RUST, "")[0].encode())
    return _OF_LINES.sub(lambda line: line[2] + _PARTIAL if line[1] else line[2], content)
