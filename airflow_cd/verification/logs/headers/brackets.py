"""Levels in brackets: alone, or beside a module, a process, a thread, a logger or a node."""

from __future__ import annotations

import re

from airflow_cd.verification.logs.headers.levels import AMBIGUOUS, LETTERS, LEVELS
from airflow_cd.verification.logs.masking import VARIABLE

_N = VARIABLE
_TORNADO = re.compile(rf"([DIWEC]) {_N} .*")
_CHROMIUM = re.compile(rf"(?:{_N}[:/])+([A-Z]{{4,7}}):[\w./-]+(?:\({_N}\)|:{_N})?")
_WITH_LEVEL = re.compile(r"(?:[\w*-]{1,40}[:|/ ])?([^\W\d_]{2,13})|([A-Za-z]{3,13})[:/|][\w.-]{1,40}")
_PLAIN_WORD = "(?:debug|info|notice|warn|warning|error|critical|fatal|emergency|alert)"
# A thread, a logger or a node in the same brackets: Minecraft, Twisted, monad-logger, Couchbase, Foreman,
# GNATcoll.
_BESIDE_LEVEL = re.compile(
    rf"[\w #.{_N}-]{{1,60}}/([A-Z]{{3,11}})|[\w.{_N}-]{{1,60}}#({_PLAIN_WORD})|((?i:{_PLAIN_WORD}))#[\w.{_N}-]{{1,60}}"
    rf"|\w{{1,40}}:({_PLAIN_WORD}),.*|([DIWEF])\|.*|[\w.{_N}-]{{1,60}}\.([A-Z]{{4,8}})"
)


def enclosed_level(inner: str) -> str | None:
    """The level in brackets, alone or with what it is of; None if there is none.

    :param inner: what stands between the brackets, of a line after the first stage of masking.
    """
    if inner[:1] in LETTERS and inner in (inner[0], 2 * inner[0]):  # `(EE)` of X.Org
        return LETTERS[inner[0]]
    tornado = _TORNADO.fullmatch(inner)
    if tornado is not None:
        return LETTERS[tornado[1]]
    found = _CHROMIUM.fullmatch(inner)
    if found is not None:
        return LEVELS.get(found[1])
    found = _WITH_LEVEL.fullmatch(inner) or _BESIDE_LEVEL.fullmatch(inner)
    if found is not None and found.re is _BESIDE_LEVEL and found[5]:
        return LETTERS[found[5]]
    word = (next(filter(None, found.groups()))).upper() if found else ""
    return LEVELS.get(word) if word not in AMBIGUOUS else None
