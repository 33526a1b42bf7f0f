"""The words of a metric's name, whatever convention it follows."""

from __future__ import annotations

import re

_LABELS = re.compile(r"\{(.*?)\}|\[(.*?)\]")
_LABEL = re.compile(r"([\w.]+)\s*[=:~!]+\s*\"?([^\",}\]]+)\"?")
_TOLD_BY_LABEL = re.compile(r"(?i)code|status|quantile|outcome|result|state|percentile|statistic")
_STATUS_CLASS = re.compile(r"(?i)(?<![0-9a-z])([1-5])xx(?![a-z])|(?<=[a-z_])([1-5])xx(?![a-z])")
_PERCENTILE = re.compile(
    r"(?i)(?<![a-z0-9])(?:p|perc|percentile|pct|upper|quantile)[._-]?(\d{1,2})(?:[._](\d+))?(?![0-9a-z])"
    r"|(?<![a-z0-9])(\d{2})(?:th|percentile|[_ ]?perc)(?:[._ ]?percentile)?(?![a-z])"
    r"|(?<![a-z0-9])0?\.(\d{2,3})(?![0-9])"
    r"|(?<=[a-z])P(\d{2})(?![0-9])"
)
_SLASH = re.compile(r"(?i)/(s|sec|second|m|min|minute|h|hour)\b")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_STATUS = re.compile(r"(?<=[a-z])(?=[1-5]\d\d\b)")
_GLUED = re.compile(
    r"(?<![a-z])(request|response|connect|wait|process|processing|execution|elapsed|load|service|queue|gc)"
    r"(time|latency|duration|count|size|nanos|millis|ms)(?![a-z])"
    r"|(?<![a-z])(percent|total|num|avg|mean)(used|free|idle|bytes|requests|errors|connections)(?![a-z])"
)
_WORD = re.compile(r"[a-z0-9%]+")
_NO_PLURAL = frozenset(
    (
        *("ms", "us", "ns", "gas", "has", "was", "alias", "nats", "https", "tls", "dns", "aws", "ecs", "eks", "nfs"),
        *("vfs", "css", "kubernetes", "iops", "kbps", "mbps", "gbps"),
    )
)
_PREFIXES = ("un", "under", "not", "non")
_PAIRS = frozenset(
    (("in", "flight"), ("in", "use"), ("in", "progress"), ("dead", "letter"), ("timed", "out"), ("time", "out"))
)
_IRREGULAR = {"caches": "cache", "cpus": "cpu", "indices": "index", "errs": "err", "reqs": "req", "secs": "sec"}


def words_of(name: str) -> list[str]:
    """The words of a name in small letters and the singular, in its order.

    Words are told apart by anything that is no letter or digit, and by capitals (``TargetResponseTime``); a percentile
    is one word (``p95``), and so is a class of status codes (``5xx``). Of labels (``{code="500"}``) only those count
    that say what the numbers are: status, outcome, quantile.

    :param name: as a source or a file has it.

    >>> words_of("HTTPCode_Target_5XX_Count")
    ['http', 'code', 'target', '5xx', 'count']
    """
    told = [value for inside in _LABELS.findall(name) for value in _told(",".join(inside))]
    text = " ".join([*told, _LABELS.sub(" ", name)])
    text = _SLASH.sub(r" per \1", text)
    text = _STATUS_CLASS.sub(lambda found: f" {found[1] or found[2]}xx ", text)
    text = _PERCENTILE.sub(_percentile, text)
    text = _GLUED.sub(
        lambda found: " ".join(filter(None, found.groups())), _STATUS.sub(" ", _CAMEL.sub(" ", text).lower())
    )
    return _joined([_singular(word) for word in _WORD.findall(text)])


def _joined(words: list[str]) -> list[str]:
    """Words that are one where the name writes two: ``un healthy``, ``in flight``, ``not ready``."""
    joined: list[str] = []
    for word in words:
        before = joined[-1] if joined else ""
        if before in _PREFIXES or (before, word) in _PAIRS:
            joined[-1] = before + word
        else:
            joined.append(word)
    return joined


def _told(labels: str) -> list[str]:
    told = [(key.lower(), value.lower()) for key, value in _LABEL.findall(labels) if _TOLD_BY_LABEL.search(key)]
    return [f"{value}xx" if "class" in key and len(value) == 1 else value for key, value in told]


def _percentile(found: re.Match[str]) -> str:
    digits = next(group for group in (found[1], found[3], found[4], found[5]) if group)
    return f" p{digits}{found[2] or ''} " if digits != "0" else found[0]


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or word in _NO_PLURAL or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1]
