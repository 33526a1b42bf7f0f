"""The words of a metric's name, whatever convention it follows."""

from __future__ import annotations

import re

from airflow_cd.verification.metrics.names.glued import parts_of

_OPENS = re.compile(r"[{\[]")
_CLOSES = {"{": "}", "[": "]"}
_LABEL = re.compile(r"([\w.]+)\s*[=:~!]+\s*\"?([^\",}\]]+)\"?")
_TOLD_BY_LABEL = re.compile(
    r"(?i)code|status|quantile|outcome|result|state|percentile|statistic|classification|reason|(?<!span_)(?<!span\.)kind"
    r"|(?:^|_)mode$|(?:^|[._])(?:event|verdict|disposition|level|severity)$"
    r"|(?:^|[._])(?:is_?)?(?:error|failed|failure|success|successful|ok)$"
)
_LEVEL = re.compile(r"(?i)(?:level|severity)$")
_LEVELS = {
    **dict.fromkeys(("error", "err", "fatal", "critical", "crit", "severe", "alert", "emerg", "emergency"), "error"),
    **dict.fromkeys(("warn", "warning"), "warning"),
}
_OUTCOME = re.compile(r"(?i)(?:^|[._])(?:is_?)?(?:error|failed|failure|success|successful|ok)$")
_YES_OR_NO = {**dict.fromkeys(("true", "yes", "1"), True), **dict.fromkeys(("false", "no", "0", "none", "null"), False)}
_SUCCESS = re.compile(r"(?i)(?:success|successful|ok)$")
_CODE = re.compile(r"(?i)(?:^|[._])(?:r?code|grpc_status)$")
_GRPC = re.compile(r"(?i)grpc")
_FINE_CODE = re.compile(r"(?i)ok|unset|success|noerror|0")
_STATUS_CODE = re.compile(r"(?i)^status_code_")
_NOT_FOUND = re.compile(r"(?i)nxdomain|not_?found")
_STATUS_CLASS = re.compile(r"(?i)(?<![0-9a-z])([1-5])xx(?![a-z])|(?<=[a-z_])([1-5])xx(?![a-z])")
_PERCENTILE = re.compile(
    r"(?i)(?<![a-z0-9])(?:p|perc|percentile|pct|upper|quantile)[._-]?(\d{1,2})(?:[._](\d+))?(?![0-9a-z])"
    r"|(?<![a-z0-9])(\d{2})(?:th|percentile|[_ ]?perc)(?:[._ ]?percentile)?(?![a-z])"
    r"|(?<![a-z0-9])0?\.(\d{2,3})(?![0-9])"
    r"|(?<=[a-z])P(\d{2})(?![0-9])"
)
_SLASH = re.compile(r"(?i)(?<!\s)\s*/\s*(s|sec|second|m|min|minute|h|hour)\b")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_STATUS = re.compile(r"(?<=[a-z])(?=[1-5]\d\d\b)")
_GLUED = re.compile(
    r"(?<![a-z])(request|response|connect|wait|process|processing|execution|elapsed|load|service|queue|gc)"
    r"(time|latency|duration|count|size|nanos|millis|ms)(?![a-z])"
    r"|(?<![a-z])(percent|total|num|avg|mean)(used|free|idle|bytes|requests|errors|connections)(?![a-z])"
)
_IDLE_IN_TRANSACTION = re.compile(r"idle[ _]in[ _]transaction")
_WITHOUT = re.compile(r"without[_ .-][a-z]+")
_WORD = re.compile(r"[a-z0-9%]+")
_NO_PLURAL = frozenset(
    (
        *("ms", "us", "ns", "gas", "has", "was", "alias", "nats", "https", "tls", "dns", "aws", "ecs", "eks", "nfs"),
        *("vfs", "css", "kubernetes", "iops", "kbps", "mbps", "gbps"),
        "waits",  # how often, where a wait is how long
    )
)
_PREFIXES = ("un", "under", "not", "non")
_PAIRS = frozenset(
    (
        *(("working", "set"), ("open", "slot"), ("not", "permitted"), ("back", "log"), ("cpu", "ready")),
        *(("short", "circuited"), ("short", "circuit")),
        *(("crash", "free"), ("error", "free"), ("fault", "free"), ("failure", "free"), ("anr", "free")),
        *(("in", "flight"), ("in", "use"), ("in", "progress"), ("dead", "letter"), ("timed", "out"), ("time", "out")),
    )
)
_SAME = {
    "shortcircuit": "shortcircuited",
    **dict.fromkeys(("crashfree", "errorfree", "faultfree", "failurefree", "anrfree"), "faultless"),
}
_IRREGULAR = {
    "fds": "fd",
    "caches": "cache",
    "cpus": "cpu",
    "indices": "index",
    "errs": "err",
    "reqs": "req",
    "secs": "sec",
}


def words_of(name: str) -> list[str]:
    """The words of a name in small letters and the singular, in its order.

    Words are told apart by anything that is no letter or digit, and by capitals (``TargetResponseTime``); a percentile
    is one word (``p95``), and so is a class of status codes (``5xx``). Of labels (``{code="500"}``) only those count
    that say what the numbers are: status, outcome, quantile.

    :param name: as a source or a file has it.

    >>> words_of("HTTPCode_Target_5XX_Count")
    ['http', 'code', 'target', '5xx', 'count']
    """
    labels, rest = _without_labels(name)
    text = " ".join([*(value for inside in labels for value in _told(inside)), rest])
    text = _SLASH.sub(r" per \1", text)
    text = _STATUS_CLASS.sub(lambda found: f" {found[1] or found[2]}xx ", text)
    text = _PERCENTILE.sub(_percentile, text)
    text = _GLUED.sub(
        lambda found: " ".join(filter(None, found.groups())), _STATUS.sub(" ", _CAMEL.sub(" ", text).lower())
    )
    text = _WITHOUT.sub(" ", text)
    text = _IDLE_IN_TRANSACTION.sub("idleintransaction", text)
    return _joined([_singular(part) for word in _WORD.findall(text) for part in parts_of(word)])


def _joined(words: list[str]) -> list[str]:
    """Words that are one where the name writes two: ``un healthy``, ``in flight``, ``not ready``."""
    joined: list[str] = []
    for word in words:
        before = joined[-1] if joined else ""
        if before in _PREFIXES or (before, word) in _PAIRS:
            joined[-1] = _SAME.get(before + word, before + word)
        else:
            joined.append(word)
    return joined


def _without_labels(name: str) -> tuple[list[str], str]:
    """What stands in braces and brackets, and the name without it."""
    labels, rest, at = [], [], 0
    open_ended: set[str] = set()
    for found in _OPENS.finditer(name):
        if found.start() < at or found[0] in open_ended:
            continue
        end = name.find(_CLOSES[found[0]], found.end())
        if end < 0:
            # Nor does any that opens later: looking again would take quadratic time.
            open_ended.add(found[0])
            continue
        labels.append(name[found.end() : end])
        rest += [name[at : found.start()], " "]
        at = end + 1
    return labels, "".join([*rest, name[at:]])


def _told(labels: str) -> list[str]:
    told = [(key, value) for key, value in _LABEL.findall(labels) if _TOLD_BY_LABEL.search(key)]
    return [_value(key, value) for key, value in told]


def _value(key: str, value: str) -> str:
    """What the value of a label says: of the many names of codes, whether they are of a failure."""
    value = _STATUS_CODE.sub("", value)
    if "class" in key.lower() and len(value) == 1:
        return f"{value}xx"
    if _LEVEL.search(key):
        return _LEVELS.get(value.lower(), "")
    if _OUTCOME.search(key):
        good = _YES_OR_NO.get(value.lower(), True) == bool(_SUCCESS.search(key))
        return "success" if good else "failed"
    if _GRPC.search(key) or (_CODE.search(key) and not any(sign.isdigit() for sign in value)):
        if _FINE_CODE.fullmatch(value):
            return "success"
        return "notfound" if _NOT_FOUND.fullmatch(value) else f"failed {_CAMEL.sub(' ', value)}"
    return _CAMEL.sub(" ", value).lower() if not value.isupper() else value.lower()


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
