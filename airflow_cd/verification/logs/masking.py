"""Masking: the variable parts of log lines become ``<*>``, so that lines of the same kind become equal.

Two stages. The first sees every line and must be fast: words with a digit in them give way to a mark, and what the
others say stays. :func:`mask_line` does it for one line, :mod:`~airflow_cd.verification.logs.block_masking` for
millions, with the same output. The second, :func:`~airflow_cd.verification.logs.refining.refine`, sees each *distinct*
result of the first once, so it may be slow.

Some numbers are not parameters: an HTTP, SQL or exit status, an error code, a digit in an exception's class. The
first stage puts :data:`KEPT` in their place and notes them aside; the second puts them back. That is why a status
going from 200 to 500 is a change here, and none where every number is masked.

Where a line of a request has its status is not always known from the line alone. A number there that may be one stays
masked, and is noted behind the line (:data:`MAYBE`); :mod:`~airflow_cd.verification.logs.learned_statuses` decides.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

WILDCARD = "<*>"
# Between the stages; none is ever the line's own. Masking whole blocks counts on the codes of the first two.
ERASED = "\x01"  # what is on its way out
VARIABLE = "\x02"  # a variable word
KEPT = "\x03"  # a protected value, until `refine` puts it back
NOTES = "\x04"  # between a masked line and the protected values that belong into it
GOES_ON = "\x05"  # at the end of a line that a runtime cut into parts, until they are put together
MAYBE = "\x06"  # before a number that may be a status: behind a masked line with its place, and in a template
MARKS = ERASED + VARIABLE + KEPT + NOTES + GOES_ON + MAYBE
_TO_SPACES = str.maketrans(dict.fromkeys(MARKS, " "))
_MARK = re.compile(f"[{MARKS}]")

_LETTERS = r"A-Za-z_$@#%&*+~\\-"
_WORD, _LETTER = rf"[0-9{_LETTERS}]", rf"[{_LETTERS}]"
IS_WORD = bytes(re.fullmatch(_WORD, chr(byte)) is not None for byte in range(256))
"""For each byte 1 if it belongs to a word, else 0."""
# Words joined by single dots are one. A beginning is said to be one, and a digit looked for ahead, so that a
# backtracking engine sees each letter a few times only.
_NUMBERED = rf"(?<!{_WORD})(?<!{_WORD}\.)(?={_WORD})(?={_LETTER}*(?:\.{_LETTER}+)*\.?[0-9]){_WORD}+(?:\.{_WORD}+)*"
_HEXADECIMAL = r"\b[a-fA-F]{8,}\b"
_VARIABLE_RE = re.compile(rf"{_NUMBERED}|{_HEXADECIMAL}", re.ASCII)
LEAST_HEXADECIMAL = 8

# What a protected value leaves when it is masked like any other: looking for that in distinct masked lines costs far
# less than looking for protected values in every line.
_SEPARATOR = r"""["']?(?: ?[:=] ?| |[(\[])["'(\[]?"""
METHOD = "(?:GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS)"
"""Methods of requests, for any engine of regular expressions."""
_BEFORE_STATUS = (
    r"\b(?:[A-Za-z_]*[Ss]tatus(?:[_ ]?[Cc]ode)?|STATUS|[Hh]ttp [Ss]tatus|[Rr]esponded(?: with)?"
    rf"|[Rr]eturned(?: with)?|answered(?: with)?){_SEPARATOR}"
    rf"""|[ (]HTTP/{VARIABLE}"? """
    rf"|\b{METHOD} [!-~{VARIABLE}]*[!-\\^-~{VARIABLE}] {{1,2}}(?:[-=]> ?|(?:- )+|{VARIABLE}\" )?"
    rf"|\b{METHOD} [!-~{VARIABLE}]+ HTTP/{VARIABLE}\" from [!-~{VARIABLE}]+ - "  # chi
    rf"|^(?:\[GIN\] (?:{VARIABLE}/){{2}}{VARIABLE} - )?{VARIABLE}:{VARIABLE}:{VARIABLE} \| "  # gin, Fiber
    rf"|\t{METHOD}\t[!-.0-~{VARIABLE}][!-~{VARIABLE}]*\t/[!-~{VARIABLE}]*\t"  # CloudFront: method, host, path
    rf"|\b(?:TCP|UDP|NONE)_[A-Z_]+/"  # Squid
    rf"|(?:{VARIABLE}/){{4}}{VARIABLE} "  # HAProxy, behind its timers
    # Load balancers of AWS: protocol (`h2` among them), time, name, client, target and three durations.
    rf"|^(?:https?|grpcs?|wss?|{VARIABLE}) [!-~{VARIABLE}]+ (?:app|net)/(?:[!-~{VARIABLE}]+ ){{3}}(?:{VARIABLE} ){{3}}"
    # IIS: date, time, server, method, path, query, port, user, client, agent, and often the referrer.
    rf"|^{VARIABLE} {VARIABLE}:{VARIABLE}:{VARIABLE} [!-~{VARIABLE}]+ {METHOD} (?:[!-~{VARIABLE}]+ ){{2}}{VARIABLE} "
    rf"(?:[!-~{VARIABLE}]+ ){{3,4}}"
    # IIS with all fields: the site and the server's name before, the protocol, cookie, referrer and host behind.
    rf"|^{VARIABLE} {VARIABLE}:{VARIABLE}:{VARIABLE} (?:[!-~{VARIABLE}]+ ){{3}}{METHOD} (?:[!-~{VARIABLE}]+ ){{2}}"
    rf"{VARIABLE} (?:[!-~{VARIABLE}]+ ){{2}}HTTP/{VARIABLE} (?:[!-~{VARIABLE}]+ ){{4}}"
    # Classic load balancers of AWS: time, name, client, server and three durations.
    rf"|^{VARIABLE}:{VARIABLE}:{VARIABLE} [!-~{VARIABLE}]+ {VARIABLE}:{VARIABLE} (?:{VARIABLE}:{VARIABLE}|-) "
    rf"(?:{VARIABLE} ){{3}}"
)
_BEFORE_CODE = (
    r"\b(?:(?:[Ee]rror|[Ee]xit|[Rr]eturn|[Ss]tatus|[Rr]esult|[Ff]ailure|[Rr]esponse|[Rr]eply|[Rr]eason|[Cc]lose|[Ff]ault"
    r"|smtp|grpc|rpc|sql|api|err|ret|resp)[_ -]?[Cc]ode|code|grpc[._]status(?:[._]code)?|HRESULT|hresult|NTSTATUS"
    r"|[Ee]xit(?:ed)?(?: with)?(?: status)?|[Ee]xit_[Ss]tatus|[Ww]ith [Ss]tatus|rcode"
    r"|[A-Z_]*EXIT_?(?:STATUS|CODE)?|(?:[A-Z]{3,10}[ _])?CODE|RC|ABEND"
    rf"|errno|[Ee]rrno|alert number|[Ww]ith error|ERRNO|[Ss][Qq][Ll][_ ]?[Ss][Tt][Aa][Tt][Ee]|rc|signal){_SEPARATOR}"
)
_BEFORE_HRESULT = rf"\b(?:[a-z]+ed with|[Rr]esult|[Ss]tatus){_SEPARATOR}"
_BEFORE_JSON_LEVEL = (
    r"\"[@_]?(?:[a-z_.]*(?:[Ll]evel|LEVEL)(?:no|_value|_number)?|[a-z_.]*(?:[Ss]everity|SEVERITY)(?:[_]?[Nn]umber)?"
    r"|[Pp]riority|PRIORITY|lvl|sev)\" ?: ?\"?"
)
# Ceph's level is a number behind stamp and thread; of an error it is -1.
_BEFORE_CEPH_LEVEL = rf"^{VARIABLE}:{VARIABLE}:{VARIABLE} {VARIABLE} +"
# z/OS writes time and job before a message's number.
_BEFORE_JOB_MESSAGE = rf"^ ?{VARIABLE} {VARIABLE}  "
_JOB_MESSAGE = r"[A-Z]{3,8}[0-9]{3,5}[IWEST]"
# Huawei's devices: module, severity and mnemonic, as in `%%01IFNET/4/LINK_STATE(l)[12]`.
_BEFORE_MODULE_LEVEL, _AFTER_MODULE_LEVEL = f"{VARIABLE}/", r"/[A-Z_]+\([a-z]\)"
_STATUS = r"[1-5][0-9]{2}"
_CODE = r"[A-Z]{0,4}-?[0-9][0-9A-Z]{0,4}|0x[0-9a-fA-F]{1,8}"
_AFTER_VALUE = r"(?:[&-][A-Za-z]+)?"
IBM_ID = r"[A-Z]{3,5}[0-9]{4,5}[IWEST]"
# Where the values that are kept stand, and what such a word must look like.
_PROTECTED = tuple(
    (re.compile(rf"(?:{before}){VARIABLE}", re.ASCII), re.compile(f"(?:{value}){_AFTER_VALUE}", re.ASCII))
    for before, value in (
        (_BEFORE_STATUS, _STATUS),
        (_BEFORE_CODE, _CODE),
        (_BEFORE_HRESULT, "0x[8cdeCDE][0-9a-fA-F]{7}"),  # of a failure, as Windows has them
        (_BEFORE_JSON_LEVEL, "[0-9]{1,5}"),
        (_BEFORE_CEPH_LEVEL, "-1"),
        (_BEFORE_JOB_MESSAGE, _JOB_MESSAGE),
    )
)
_PROTECTED += (
    (re.compile(f"{_BEFORE_MODULE_LEVEL}{VARIABLE}(?={_AFTER_MODULE_LEVEL})"), re.compile("[0-7]")),
    (re.compile(rf"\bSent {VARIABLE}(?= in {VARIABLE})"), re.compile(_STATUS)),  # Phoenix
)
# Lines that may be of a request or of its answer, and the numbers in them that stand for themselves.
STATUS_PHRASE = (
    "(?:OK|Created|Accepted|No Content|Partial Content|Found|Not Modified|Unauthorized|Forbidden|Conflict|Gone"
    "|(?:Moved|See|Bad|Not|Proxy|Too|Internal|Service|Gateway)(?: [A-Z][A-Za-z]+)+)"
)
"""What HTTP says of a status in words."""
_OF_REQUEST = (
    rf"\b{METHOD}\b|\b(?:get|post|put|delete|patch|head) /|\bhttps?://|\bHTTP\b"
    rf"|\b[Rr]espon(?:se|ded)\b|\b[Rr]equest\b|\buri=/|{VARIABLE} {STATUS_PHRASE}(?:[\])| ]|$)"
)
_ANSWERED = f'HTTP/{VARIABLE}" {VARIABLE}'  # as access logs have it: the second of the two is the status
_OF_REQUEST_RE = re.compile(_OF_REQUEST)
_MAY_BE_STATUS = re.compile(
    rf"(?:^|[ \t|;(\[<>]|(?<!:{VARIABLE}),)(?:[A-Za-z_.]{{1,30}}=)?({VARIABLE})(?=$|[ \t|;,)\]<>]|:(?:\s|$))"
    r"(?! ?(?:[kKMGT]?i?[bB]|bytes?|ms|[uµn]?s|secs?|seconds?|min(?:ute)?s?|hours?|days?|%)(?![\w]))"
)
_MOST_MAYBES = 3  # in a line: those nearest to what tells that it is of a request
LIKELY_STATUS = "(?:20[0-46]|30[1-478]|40[0134589]|41[0235]|42[0-9]|499|50[0-4789]|52[0-6])"
"""Statuses that servers answer with; sizes and durations are hardly ever among them alone."""
_STATUSES = re.compile(LIKELY_STATUS, re.ASCII)
STATUS_ALONE = (_STATUSES,)
"""The rules of a place whose number is kept only if it may be a status."""
# The level is part of a number here: a syslog priority, and the letter of glog and klog.
_PRIORITY_PLACE = f"^<{VARIABLE}>"
_KLOG_PLACE = rf"^\[?{VARIABLE} {VARIABLE}:{VARIABLE}:{VARIABLE} +(?:[A-Z{VARIABLE}-]+ )?[!-~]+:{VARIABLE}[\] ]"
_METEOR_PLACE = rf"^{VARIABLE}:{VARIABLE}:{VARIABLE}\({VARIABLE}\)\? "
# The messages of IBM's programs end their number with its severity: `AMQ9999E: `, `CWWKZ0001I: `.
_IBM_PLACE = rf"^{VARIABLE}: "
_FIRST_WORDS = (
    (re.compile(_IBM_PLACE), re.compile(IBM_ID, re.ASCII)),
    (re.compile(_PRIORITY_PLACE), re.compile(r"[0-9]{1,3}", re.ASCII)),
    (re.compile(_KLOG_PLACE), re.compile(r"([A-Z])[0-9]{3,4}(?:[0-9]{2}|[0-9]{4})?", re.ASCII)),
    (re.compile(_METEOR_PLACE), re.compile(r"([A-Z])[0-9]{8}-[0-9]{2}", re.ASCII)),
)
PROTECTED_PLACE = (
    rf"(?:{_BEFORE_STATUS}|{_BEFORE_CODE}|{_BEFORE_HRESULT}|{_BEFORE_JSON_LEVEL}){VARIABLE}|{_PRIORITY_PLACE}|{_KLOG_PLACE}|{_IBM_PLACE}"
    rf"|{_BEFORE_MODULE_LEVEL}{VARIABLE}{_AFTER_MODULE_LEVEL}|\bSent {VARIABLE} in {VARIABLE}"
    rf"|{_METEOR_PLACE}|(?:{_BEFORE_CEPH_LEVEL}|{_BEFORE_JOB_MESSAGE}){VARIABLE} |{_OF_REQUEST}"
)
"""For any engine of regular expressions."""
ERROR_NAMES = ("Exception", "Error")
ERROR_CODES = ("ORA-",)  # which say what failed where no level does
_CODE_OF_ERROR = re.compile(rf"(?:{'|'.join(ERROR_CODES)})[0-9]{{5}}", re.ASCII)
MESSAGE_ID = r"%[A-Z][A-Z0-9_]*(?:-[A-Z0-9_]+)*-[0-7]-[A-Z0-9_]+"
"""What network devices begin a message with: facility, severity and mnemonic, as in ``%SYS-2-MALLOCFAIL``."""
_MESSAGE_ID = re.compile(MESSAGE_ID, re.ASCII)
_ERROR = re.compile(rf"(?<!\w)[A-Za-z_][\w.$]*(?:{'|'.join(ERROR_NAMES)})\b", re.ASCII)


_NUMBER = r"\b(?:0x[0-9a-fA-F]+|[0-9]+)\b"
_NUMBER_RE = re.compile(_NUMBER, re.ASCII)


@functools.cache
def has_polars() -> bool:
    """Whether the fast engine is there."""
    return importlib.util.find_spec("polars") is not None


def without_marks(text: str) -> str:
    """The text without the characters that masking uses for itself; everything masked must have passed this.

    :param text: of a log.
    """
    return text.translate(_TO_SPACES) if _MARK.search(text) else text


def mask_line(line: str) -> str:
    """First stage for one line.

    :param line: without marks.
    """
    words: list[str] = []

    def blank(match: re.Match[str]) -> str:
        words.append(match.group())
        return VARIABLE

    masked = _VARIABLE_RE.sub(blank, line)
    kept = {at: value for at, rules in protected_places(masked).items() if (value := kept_value(words[at], rules))}
    if any(name in line for name in ERROR_NAMES):
        for at, word in enumerate(words):
            error = _ERROR.search(word)
            if error:
                kept[at] = error.group()
    if any(code in line for code in ERROR_CODES):
        kept.update((at, word) for at, word in enumerate(words) if _CODE_OF_ERROR.fullmatch(word))
    if "%" in line:
        kept.update((at, word) for at, word in enumerate(words) if _MESSAGE_ID.fullmatch(word))
    return with_kept(masked, kept)


@functools.lru_cache(maxsize=20_000)
def protected_places(masked: str) -> Mapping[int, tuple[re.Pattern[str], ...]]:
    """Which variable words of a masked line, counted from 0, may be protected values, and how those look.

    :param masked: the line after the first stage.
    """
    places: dict[int, tuple[re.Pattern[str], ...]] = {}
    for before, value in _PROTECTED:
        for match in before.finditer(masked):
            at = masked.count(VARIABLE, 0, match.end()) - 1
            places[at] = (*places.get(at, ()), value)
    for place, value in _FIRST_WORDS:
        if place.match(masked):
            places[0] = (*places.get(0, ()), value)
    for at in _maybes(masked):
        places.setdefault(at, STATUS_ALONE)
    return places


def _maybes(masked: str) -> list[int]:
    """Which variable words of a masked line, counted from 0, may be the status of a request."""
    told = masked[:1] == "{" or _ANSWERED in masked
    request = None if told else _OF_REQUEST_RE.search(masked)
    if request is None:
        return []
    found = [place.start(1) for place in _MAY_BE_STATUS.finditer(masked)]
    nearest = sorted(found, key=lambda at: abs(at - request.start()))[:_MOST_MAYBES]
    return [masked.count(VARIABLE, 0, at) for at in nearest]


def kept_value(word: str, rules: Sequence[re.Pattern[str]]) -> str:
    """What of the word is a protected value by one of the rules, else ``""``.

    :param word: a variable word.
    :param rules: as :func:`protected_places` has them for its place.
    """
    found = next((match for rule in rules if (match := rule.fullmatch(word))), None)
    if found is not None and found.re is _STATUSES:
        return MAYBE + word
    return found.group(found.lastindex or 0) if found else ""


def with_kept(masked: str, kept: Mapping[int, str]) -> str:
    """A masked line that notes which of its variable words, counted from 0, are these protected values.

    :param masked: the line after the first stage.
    :param kept: by place, the protected value.
    """
    if not kept:
        return masked
    first, *others = masked.split(VARIABLE)
    parts = [first]
    maybes = {at: value for at, value in kept.items() if value[0] == MAYBE}
    if any(_STATUSES.fullmatch(value) for value in kept.values()):  # the line says itself which one is its status
        kept, maybes = {at: value for at, value in kept.items() if at not in maybes}, {}
    for at, other in enumerate(others):
        parts += [KEPT if at in kept and at not in maybes else VARIABLE, other]
    notes = "".join(NOTES + kept[at] for at in sorted(kept.keys() - maybes.keys()))
    # Counted from the end, so that a header may go.
    return "".join(parts) + notes + "".join(f"{maybes[at]}:{len(others) - at}" for at in sorted(maybes))


def without_maybes(masked: str) -> tuple[str, str]:
    """A masked line without the numbers that may be a status, and those, as they stand behind it.

    :param masked: the line after the first stage, notes included.
    """
    at = masked.find(MAYBE)
    return (masked, "") if at < 0 else (masked[:at], masked[at:])


def may_be_status(text: str, at: int, maybes: str) -> bool:
    """Whether the variable word at a place of a masked line is one of the numbers that may be a status.

    :param text: the line, without notes.
    :param at: the place.
    :param maybes: the numbers, as :func:`without_maybes` has them.
    """
    place = text.count(VARIABLE, at) + text.count(KEPT, at)
    return any(maybe.partition(":")[2] == str(place) for maybe in maybes.split(MAYBE)[1:])


def with_maybes(text: str, maybes: str) -> tuple[str, list[str]]:
    """A masked line with :data:`MAYBE` where those numbers stand, and the numbers in their order.

    :param text: the line, without notes and perhaps without its header.
    :param maybes: the numbers, as :func:`without_maybes` has them.
    """
    values, ends = [], [at for at, sign in enumerate(text) if sign in (VARIABLE, KEPT)][::-1] if maybes else []
    for maybe in maybes.split(MAYBE)[1:]:
        value, _, place = maybe.partition(":")
        if int(place) <= len(ends):
            at = ends[int(place) - 1]
            text = text[:at] + MAYBE + text[at + 1 :]
            values.append(value)
    return text, values


def blank_numbers(text: str) -> str:
    """Numbers of a multi-line record become ``0``: fewer distinct texts, while names of functions stay as they are.

    :param text: of the record.
    """
    return _NUMBER_RE.sub("0", text)


def blank_numbers_column(texts: pl.Expr) -> pl.Expr:
    """:func:`blank_numbers` for a column.

    :param texts: a column of texts.
    """
    return texts.str.replace_all(rf"(?-u){_NUMBER}", "0")
