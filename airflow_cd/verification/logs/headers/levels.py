"""Levels in the dialects of the common loggers: words, their short forms, letters, and numbers.

Every dialect is brought to the five severities of :data:`~airflow_cd.verification.verdict.SEVERITIES`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

NAMES: Mapping[str, str] = {"debug": "DEBUG", "info": "INFO", "warning": "WARN", "error": "ERROR", "fatal": "FATAL"}
"""How a severity is written at the beginning of a template."""

_WORDS = {
    "debug": "TRACE TRAC TRC DEBUG DEBU DBUG DBG FINE FINER FINEST CONFIG VERBOSE VERB VRB SILLY SPAM HTTP",
    "info": "INFO INF INFORMATION INFORMATIONAL NOTICE NOTI NTC NOTE LOG STATEMENT DETAIL HINT CONTEXT SUCCESS SYSTEM",
    "warning": "WARN WARNING WARNINGS WRN WARNI WAR",
    "error": "ERR ERROR ERRO EROR ERRS ERRORS SEVERE FAIL FAILURE EXCEPTION",
    "fatal": "CRITICAL CRIT CRT CRI FATAL FATA FTL ALERT ALRT EMERG EMERGENCY EMER PANIC PANI PNC DISASTER",
}
# As runtimes and servers write them in other languages: java.util.logging, PostgreSQL, .NET.
_FOREIGN = {
    "info": "INFORMATION INFOS INFORMACION INFORMACIÓN INFORMAZIONI INFORMAÇÕES ИНФОРМАЦИЯ 情報 信息 정보 HINWEIS "
    "BİLGİ BILGI ІНФОРМАЦІЯ INFORMACE INFORMÁCIÓ INFORMACJA INFORMASJON INFORMASI מידע معلومات "
    "اطلاعات",
    "warning": "WARNUNG AVERTISSEMENT ATTENTION ADVERTENCIA AVVERTENZA AVVERTIMENTO AVISO WAARSCHUWING "
    "ПРЕДУПРЕЖДЕНИЕ 警告 경고 OSTRZEŻENIE VARNING UYARI ПОПЕРЕДЖЕННЯ VAROVÁNÍ ADVARSEL VAROITUS AVERTISMENT PERINGATAN "
    "ATTENZIONE FIGYELMEZTETÉS ПРЕДУПРЕЖДЕНИЕ VAROVANIE UPOZORENJE OPOZORILO HOIATUS אזהרה تحذير هشدار",
    "error": "FEHLER ERREUR ERRORE ERRO FOUT SCHWERWIEGEND GRAVE ОШИБКА СЕРЬЕЗНАЯ ОШИБКА ЭРРОР エラー 错误 錯誤 오류 "
    "심각 重大 严重 嚴重 BŁĄD FEL HATA ПОМИЛКА CHYBA HIBA FEIL FEJL VIRHE EROARE ΣΦΑΛΜΑ LỖI GALAT KESALAHAN "
    "ГРЕШКА GREŠKA NAPAKA VIGA KLAIDA שגיאה خطأ خطا",
    "fatal": "FATALE SCHWERWIEGENDER PANIK KRITISCH CRITIQUE CRÍTICO CRITICO КРИТИЧЕСКАЯ ÖLÜMCÜL KRİTİK KRITIK FATÁLNÍ "
    "KRYTYCZNY",
}
LEVELS: Mapping[str, str] = {
    word: severity for words in (_FOREIGN, _WORDS) for severity, text in words.items() for word in text.split()
}
"""Severity by level word, in capitals."""

AMBIGUOUS = frozenset(
    "CONFIG HTTP SYSTEM LOG DETAIL HINT CONTEXT STATEMENT SUCCESS NOTE FINE SPAM FAILURE ERRORS WARNINGS".split()  # noqa: SIM905
)
"""Levels that are words of messages at least as often; they are read only in capitals before a colon."""

PLAIN = frozenset(
    "TRACE DEBUG INFO INFORMATION WARN WARNING ERR ERROR SEVERE FATAL CRITICAL CRIT".split()  # noqa: SIM905
)
"""Levels that are one also as a word in small letters after a time, with nothing but a space behind them."""

ANYWHERE = [
    "TRACE",
    "DEBUG",
    "FINE",
    "INFO",
    "NOTICE",
    "WARN",
    "WARNING",
    "ERR",
    "ERROR",
    "SEVERE",
    "CRITICAL",
    "CRIT",
    "FATAL",
    "ALERT",
    "EMERG",
    "PANIC",
    "DBG",
    "INF",
    "WRN",
    "FTL",
]
"""Levels that in capitals are read also where nothing else of a header is recognised before them."""

LETTERS: Mapping[str, str] = {
    "T": "debug",
    "V": "debug",
    "D": "debug",
    "I": "info",
    "N": "info",
    "S": "info",
    "W": "warning",
    "E": "error",
    "C": "fatal",
    "F": "fatal",
}
"""Severity by the letter of glog, klog, logcat, Ruby's logger, MongoDB, tornado."""

SYMBOLS: Mapping[str, str] = {".": "debug", "-": "debug", "*": "info", "#": "warning"}
"""Severity by the sign that Redis writes between time and message."""

SYSLOG = ("fatal", "fatal", "fatal", "error", "warning", "info", "info", "debug")
"""Severity by the number of syslog, journald and GELF."""


_ANY_NAME = "|".join(sorted(ANYWHERE, key=len, reverse=True))
_STATED = re.compile(
    rf"(?<![\w.])({_ANY_NAME})(?![\w.])"
    rf"|\b(?:level|lvl|severity)[\"']?\s*[=:]\s*[\"']?(\w+)|[\[<]((?i:{_ANY_NAME}))[\]>]"
)
_HEAD = 160  # characters in which a level is looked for: further on it is part of the message


def level_in(text: str) -> str | None:
    """The severity of the level that a message states near its beginning; None if it states none.

    :param text: the message; the level is looked for in the first 160 characters of its first line.
    """
    for match in _STATED.finditer(text[:_HEAD].split("\n", 1)[0]):
        word = match[1] or match[2] or match[3]
        level = severity_of_word(word) or (LETTERS.get(word) if match[2] else None)
        if level:
            return level
    return None


def severity_of(text: str, *, exception: bool = False) -> str:
    """The severity of a record, one of :data:`~airflow_cd.verification.verdict.SEVERITIES`.

    :param text: the record, as :func:`level_in` takes it.
    :param exception: whether the record holds a stack trace: without a level it is an ``error`` then, else ``info``.
    """
    return level_in(text) or ("error" if exception else "info")


def severity_of_word(word: str) -> str | None:
    """The severity that a level's word in any case means; None if it is none.

    :param word: the level, as it was logged.
    """
    return LEVELS.get(word.upper())


def of_priority(priority: int) -> str | None:
    """Severity of a syslog priority, which is facility * 8 + severity; None if it is none.

    :param priority: the number between ``<`` and ``>``.
    """
    return SYSLOG[priority % 8] if 0 <= priority < 192 else None


def of_number(value: float, key: str = "level") -> str | None:
    """Severity of a numeric level, whose scale shows in its key and its value; None if it is none.

    :param value: the level, as it was logged.
    :param key: the field it stands in, in small letters.
    """
    if "severitynumber" in key.replace("_", ""):
        return _scaled(value, ((21, "fatal"), (17, "error"), (13, "warning"), (9, "info"), (1, "debug")))
    if key in ("levelno", "levelnum"):  # Python
        return _scaled(value, ((50, "fatal"), (40, "error"), (30, "warning"), (20, "info"), (0, "debug")))
    if key == "loglevel" and 0 <= value <= 6:  # .NET
        return ("debug", "debug", "info", "warning", "error", "fatal", "info")[int(value)]
    if 0 <= value <= 7:
        return SYSLOG[int(value)]
    if 8 <= value <= 24 and value not in (10, 20):
        return of_number(value, "severitynumber")
    if value <= 60:  # pino, bunyan
        return _scaled(value, ((60, "fatal"), (50, "error"), (40, "warning"), (30, "info"), (0, "debug")))
    if value < 1000 and key == "severity":  # Google Cloud
        return _scaled(value, ((600, "fatal"), (500, "error"), (400, "warning"), (200, "info"), (0, "debug")))
    if value < 700:  # Monolog
        return _scaled(value, ((500, "fatal"), (400, "error"), (300, "warning"), (200, "info"), (0, "debug")))
    if value <= 1000:  # java.util.logging
        return _scaled(value, ((1000, "error"), (900, "warning"), (800, "info"), (0, "debug")))
    # log4j 1 and logback
    return _scaled(value, ((50_000, "fatal"), (40_000, "error"), (30_000, "warning"), (20_000, "info"), (0, "debug")))


def _scaled(value: float, scale: tuple[tuple[int, str], ...]) -> str | None:
    return next((severity for least, severity in scale if value >= least), None)
