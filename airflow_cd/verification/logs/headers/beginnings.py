"""Beginnings of lines that only one kind of logger has, with the level in a place of its own.

ESP-IDF (``E (9123) wifi: ``), CUPS (``E [28/Jan/2026:14:57:55 +0100] ``), winston and bashio (``app:error  2026-...``),
BusyBox and OpenWrt (``daemon.err hostapd: ``), NLog and tables (``2026-... |Error|shop.Cart|``), Bacula and Bareos
(``19-Apr 12:48 bareos-dir JobId 4: Fatal error: ``), Julia (``[ Info: ``), RouterOS (``sep/15 09:54:33
system,error,critical ``), compilers (``src/cart.c:7:9: error: ``), finagle (``E 0304 12:13:14.123 THREAD7: ``),
Tendermint (``E[2026-03-04|12:13:14.123] ``), PyTorch (``[E304 12:13:14.123456789 cart.cpp:7] ``), Meteor
(``E20260304-12:13:14.123(0)? ``), Factorio (``12.345 Error Cart.cpp:7: ``), Core Lightning (``**BROKEN**``), Grid
Engine (``02/27/2026 10:35:06|worker|app-1|E|``), OpenVMS (``%CART-E-FULL, ``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from airflow_cd.verification.logs.headers.levels import AMBIGUOUS, LETTERS, LEVELS, SYSLOG
from airflow_cd.verification.logs.masking import KEPT, VARIABLE
from airflow_cd.verification.verdict import SEVERITIES

_N = VARIABLE
_REACH = 80  # characters behind a stamp in which a facility is looked for
_STAMP_FOLLOWS = rf"(?={_N}(?: {_N})?:{_N}[:\s])"
_ESP = re.compile(rf"([VDIWE]) \({_N}(?::{_N}:{_N})?\) (?=[\w.{_N}-]{{1,40}}: )")
_CUPS = re.compile(rf"([A-Zd]) (?=\[{_N}/[A-Z][a-z]{{2}}/{_N}:{_N}:)")
_CUPS_LETTERS = {**LETTERS, "A": "fatal", "X": "fatal", "d": "debug"}
_JULIA = re.compile(r"[\[┌] (Debug|Info|Warning|Error): ")
_BACULA = re.compile(
    rf"{_N} {_N}:{_N}(?::{_N})? [\w.{_N}-]{{1,40}} JobId {_N}: (Fatal error: |Error: |Warning: |)",
)
_BACULA_WORDS = {"Fatal error: ": "fatal", "Error: ": "error", "Warning: ": "warning", "": "info"}
_BEFORE_STAMP = re.compile(
    rf"(?:\[[\w.:{_N}-]{{1,40}}\] *|[\w.{_N}-]{{1,40}}:)?([a-z]{{3,9}}):?[ \t]{{1,4}}{_STAMP_FOLLOWS}"
)
_OF_SECTION = re.compile(rf"(?:[\w.{_N}-]{{1,40}}: ){{2}}(debug|info|notice|warning|error|fatal): (?=\S)")  # Lwt
_LETTER_BEFORE_STAMP = re.compile(rf"([DIWEFT])(?: (?={_N} {_N}:{_N}:{_N})|(?=\[{_N}\|{_N}:{_N}:{_N}\]))")
_FACILITY = re.compile(
    rf" *(?:[\w.{_N}-]{{1,60}} +)?"
    r"(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|ntp|security|console)"
    r"\.(emerg|alert|crit|err|error|warn|warning|notice|info|debug) +(?=\S)"
)
TOPICS = (
    r"(?=[a-z,!-]*\b(?:debug|info|warning|error|critical)\b)[a-z][a-z0-9-]{1,20}(?:,[a-z!][a-z0-9-]{1,20}){1,4}(?= )"
)
"""Names of topics with commas between them, one of which is a level."""
_TOPICS = re.compile(TOPICS)
# Compilers: `src/cart.c:7:9: error: `, `Cart.cs(7,9): error CS0103: `, `cart.ts:7:9 - error TS2304: `.
_LOCATED = re.compile(
    rf"(?:[A-Za-z]:)?[\w./\\+{_N}-]{{1,160}}(?::{_N}(?::{_N})?: |\({_N}(?:,{_N}){{0,3}}\): |:{_N}:{_N} - )"
    rf"(?i:(fatal error|error|warning|note))(?=: | {_N}: )"
)
_PYTORCH_OR_METEOR = re.compile(rf"(?:\[{KEPT} {_N}:{_N}:{_N} +[^\s\]]+:{_N}\]|{KEPT}:{_N}:{_N}\({_N}\)\?) ")
_OPENVMS = re.compile(r"%[A-Z][A-Z_$]*-([SIWEF])-[A-Z_$]+, ")
_SIGNS = {
    **dict.fromkeys("✖✗✘⨯❌⛔💥🚨🔴", "error"),
    **dict.fromkeys("⚠🟡🟠", "warning"),
    **dict.fromkeys("ℹ", "info"),
}
_SIGN = re.compile(rf"([{''.join(_SIGNS)}])\ufe0f?[ \t]+(?=\S)")
_SEPARATOR = re.compile(r"[ \t]*([|;,])")
_COLUMN = re.compile(rf"[\w. {_N}\t-]{{0,40}}")
_LETTERS_OF_COLUMNS = ("D", "I", "W", "E", "C")
_MOST_COLUMNS = 4  # between a stamp and a level
_OF_ESXI = re.compile(rf"[ \t]*(Em|Al|Cr|Er|Wa|No|In|Db)\({_N}\)(?= )")
_ESXI_LEVELS = dict(zip(("Em", "Al", "Cr", "Er", "Wa", "No", "In", "Db"), SYSLOG, strict=True))
_OF_LIGHTNING = re.compile(r"[ \t]*(\*\*BROKEN\*\*|UNUSUAL)(?= )")
_LIGHTNING_LEVELS = {"**BROKEN**": "error", "UNUSUAL": "warning"}
_SECONDS_AND_FILE = re.compile(rf"{_N} ([A-Z][a-z]{{3,8}}) (?=[\w./\\-]+\.[a-z]{{1,4}}:{_N}: )")  # Factorio
_FIRST_COLUMN = re.compile(rf"([A-Z][A-Za-z]{{3,12}})[,;\t](?={_N}[/.,: \t-])")
_IN_ANGLES = re.compile(r"<([diwe])>(?= \[)")  # webpack-dev-server


def beginning_of(text: str) -> tuple[str, int] | None:
    """The level that a line begins with, and where its header goes on; None if it begins in no such way.

    :param text: a line after the first stage of masking.
    """
    for rule, levels in _RULES:
        found = rule.match(text)
        level = levels.get(found[1]) if found is not None else None
        if found is not None and level is not None:
            return level, found.end()
    return None


_PLAIN: Mapping[str, str] = {word.lower(): level for word, level in LEVELS.items() if word not in AMBIGUOUS}
_RULES: tuple[tuple[re.Pattern[str], Mapping[str, str]], ...] = (
    (_ESP, LETTERS),
    (_CUPS, _CUPS_LETTERS),
    (_BACULA, _BACULA_WORDS),
    (_JULIA, {word.capitalize(): LEVELS[word] for word in ("DEBUG", "INFO", "WARNING", "ERROR")}),
    (_BEFORE_STAMP, _PLAIN),
    (_LETTER_BEFORE_STAMP, LETTERS),
    (_OF_SECTION, _PLAIN),
    (_SECONDS_AND_FILE, {word.capitalize(): level for word, level in LEVELS.items() if word not in AMBIGUOUS}),
    (_FIRST_COLUMN, {word.capitalize(): level for word, level in LEVELS.items() if word not in AMBIGUOUS}),
    (_IN_ANGLES, {letter.lower(): level for letter, level in LETTERS.items()}),
)


def begins_with_letter(text: str) -> int:
    """Where a header ends whose level is the letter of its first number, as PyTorch's and Meteor's is; else 0.

    :param text: a line after the first stage of masking.
    """
    found = _PYTORCH_OR_METEOR.match(text)
    return found.end() if found is not None else 0


def sign_at(text: str, at: int) -> tuple[str, int] | None:
    """The level that a sign stands for, as loggers for people at a terminal write it, and where the message begins.

    Next.js, signale, consola, apex/log: ``✖``, ``⚠``, ``ℹ``. None if there is no such sign.

    :param text: a line after the first stage of masking.
    :param at: where the sign is looked for.
    """
    found = _SIGN.match(text, at) if text[at] in _SIGNS else None
    return (_SIGNS[found[1]], found.end()) if found is not None else None


def has_facility(text: str, at: int) -> bool:
    """Whether a facility with its severity (``daemon.err``) stands behind a stamp.

    :param text: a line after the first stage of masking.
    :param at: where the stamp ends.
    """
    return "." in text[at : at + _REACH] and _FACILITY.match(text, at) is not None


def behind_stamp(text: str, at: int) -> tuple[str, int] | None:
    """The level that stands behind a stamp as a facility's severity or between separators; None if none does.

    :param text: a line after the first stage of masking.
    :param at: where the stamp ends.
    """
    facility = _FACILITY.match(text, at)
    if facility is not None:
        return LEVELS[facility[1].upper()], facility.end()
    esxi = _OF_ESXI.match(text, at)
    if esxi is not None:
        return _ESXI_LEVELS[esxi[1]], esxi.end()
    lightning = _OF_LIGHTNING.match(text, at)
    if lightning is not None:
        return _LIGHTNING_LEVELS[lightning[1]], lightning.end()
    separator = _SEPARATOR.match(text, at)
    return _in_a_column(text, separator.end(), separator[1]) if separator is not None else None


def _in_a_column(text: str, at: int, separator: str) -> tuple[str, int] | None:
    """The level that is one of the next columns, and where the one behind it begins; None if none is."""
    for _ in range(_MOST_COLUMNS):
        column = _COLUMN.match(text, at)
        end = column.end() if column is not None else at
        if text[end : end + 1] != separator:
            return None
        word = text[at:end].strip().upper()
        if separator == "|" and word in _LETTERS_OF_COLUMNS:
            return LETTERS[word], len(text) - len(text[end + 1 :].lstrip(" \t"))
        if word in LEVELS and word not in AMBIGUOUS:
            return LEVELS[word], len(text) - len(text[end + 1 :].lstrip(" \t"))
        at = end + 1
    return None


def level_within(text: str, at: int) -> str | None:
    """A level that stands in the message: among its topics, the gravest, in its id, or behind a place in a source file.

    :param text: a line after the first stage of masking.
    :param at: where the message begins.
    """
    topics = _TOPICS.match(text, at)
    if topics is not None:
        stated = [LEVELS[word] for word in topics[0].upper().split(",") if word in LEVELS]
        return max(stated, key=SEVERITIES.index, default=None)
    openvms = _OPENVMS.match(text, at)
    if openvms is not None:
        return LETTERS[openvms[1]]
    located = _LOCATED.match(text, at)
    return LEVELS[located[1].upper().removeprefix("FATAL ")] if located is not None else None
