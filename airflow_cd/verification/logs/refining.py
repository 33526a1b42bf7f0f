"""Refining: the second stage of masking, which sees each distinct masked line once.

Paths, addresses, units and lists of parameters become one ``<*>`` each, the time in front goes, and protected values
go back to where they were.
"""

from __future__ import annotations

import re

from airflow_cd.verification.logs.masking import KEPT, MAYBE, NOTES, VARIABLE, WILDCARD, with_maybes, without_maybes

LONGEST_TEMPLATE = 4_000  # characters; what comes after them does not tell messages apart

_DAYS = r"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?\b"
_MONTHS = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\b"
)
_FULL_NAMES = (
    "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
    "|January|February|April|June|July|August|September|October|November|December"
)  # which are words of nothing else; March and May are
_DATE = rf"(?:(?:{_DAYS} )?{_MONTHS} {{1,2}}<\*> |<\*>(?:/<\*>){{0,2}}[T ,:_-]{{1,2}})"
_TIME = re.compile(
    rf"^[\[(<]?{_DATE}?<\*>:<\*>:<\*>(?:,<\*>)?(?: ?(?:Z|UTC|GMT)\b|:<\*>)?[\])>]?[ \t:|]*",
)
_UNITS = r"(?:[kKMGT]?i?[bB]|bytes?|ms|us|ns|s|secs?|seconds?|mins?|minutes?|hours?|days?|%)"

# What a text must hold for the rule to find anything (looked for first: most rules have nothing to do in most texts),
# the rule, and what it puts in place.
_REFINEMENTS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("  ", re.compile(r"[ \t]+"), " "),
    ("://", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>,;)|\]]*(?:<\*>[^\s\"'<>,;)|\]]*)*(?<![:.])"), WILDCARD),
    ("@", re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), WILDCARD),
    (":<*>", re.compile(r"\b(?:[A-Za-z0-9-]+\.)+[a-z]{2,}:<\*>"), WILDCARD),
    ("<*> ", re.compile(rf"(?:\b{_DAYS},? )?<\*> {_MONTHS}\.?,?(?: <\*>)?"), WILDCARD),
    (" <*>", re.compile(rf"\b(?:{_DAYS},? )?(?:{_MONTHS}) <\*>(?:[ :]<\*>)*"), WILDCARD),
    ("", re.compile(rf"\b(?:{_FULL_NAMES})\b"), WILDCARD),
    ("M", re.compile(r"<\*> [AP]M(?![\w/])"), WILDCARD),
    # A path of Windows, whose first part is masked already where it holds a digit.
    (":\\", re.compile(r"(?<!\w)[A-Za-z]:\\(?:[^\s\"'<>|:*?,;()\[\]]|<\*>|\*(?!>))*"), WILDCARD),
    (":<*>", re.compile(r"(?<![\w.:])[C-Z]:<\*>"), WILDCARD),
    # Addresses of devices and networks: groups of hexadecimal digits, some of which have no decimal one.
    (":<*>", re.compile(r"\b(?:[0-9a-fA-F]{1,4}::?)+<\*>"), WILDCARD),
    ("<*>:", re.compile(r"<\*>(?:::?(?:[0-9a-fA-F]{1,4}\b|<\*>))+(?:::)?(?:/<\*>)?"), WILDCARD),
    # Base64: with two signs at its end it may be short and without a digit, with one it shows by its letters.
    (
        "==",
        re.compile(
            r"(?<![\w=])(?:(?:[A-Za-z+/_-]|<\*>){8,}|[A-Za-z+/_-]*<\*>(?:[A-Za-z+/_-]|<\*>)*)==(?=[\s\"',;)\]]|$)"
        ),
        WILDCARD,
    ),
    (
        "=",
        re.compile(
            r"(?<![\w=])(?![A-Za-z]?[a-z]+(?:[A-Z][a-z]+)+=)(?=\S*[a-z])(?=\S*[A-Z])(?:[A-Za-z+/_-]|<\*>){16,}=(?=[\s\"',;)\]]|$)"
        ),
        WILDCARD,
    ),
    # Shortened hashes, one half of which has no digit.
    ("..", re.compile(r"\b[0-9a-f]{4,8}\.\.<\*>|<\*>\.\.[0-9a-f]{4,8}\b"), WILDCARD),
    ("…", re.compile(r"\b[0-9a-f]{4,8}…<\*>|<\*>…[0-9a-f]{4,8}\b"), WILDCARD),
    ("<<*>", re.compile(r"<<\*>"), WILDCARD),
    ("?", re.compile(r"(\?)[^\s\"']*=[^\s\"']*"), r"\1" + WILDCARD),
    # An absolute path is a parameter, but for the one that follows an HTTP method: that one is the event.
    (
        "/",
        re.compile(
            r"(?<![\w>.:/*-])(?<!GET )(?<!POST )(?<!PUT )(?<!PATCH )(?<!DELETE )(?<!HEAD )(?<!OPTIONS )"
            r"(?:\.{1,2}(?:/(?:[\w.$@+~-]|<\*>)+)+/?|/(?:[\w.$@+~-]|<\*>)+(?:/(?:[\w.$@+~-]|<\*>)*)+)"
        ),
        WILDCARD,
    ),
    ("<*>", re.compile(r"<\*>(?:(?:[:.,/\\|x^_+-]|, |: )?<\*>)+"), WILDCARD),
    ("<*>", re.compile(rf"<\*>(?: ?{_UNITS})(?![\w])"), WILDCARD),
    ("]:<*>", re.compile(r"(?<![\w\])>])\[<\*>\]:<\*>"), WILDCARD),  # an address of IPv6 with its port
    ("<*>", re.compile(r"[\[(]<\*>(?:(?:[,;] ?| )<\*>)*[\])]"), "(" + WILDCARD + ")"),
    # Several hosts as schedulers of batch jobs write them: `node-[7-9,12]`.
    ("-(<*>)", re.compile(r"(?<![\w.-])(?:[A-Za-z][\w.]*-)+[A-Z]?\(<\*>\)(?![\w-])"), WILDCARD),
    # What stands in parentheses after a parameter explains it, and may as well be missing.
    ("<*> (", re.compile(r"<\*> \((?:<\*>)?\)"), WILDCARD),
    (" <*>", re.compile(r"<\*>(?:[,;]? <\*>)+"), WILDCARD),
    # Lists of things that look alike are as long as they happen to be.
    (" <*> ", re.compile(r"(<\*> (?!<\*>)\S{1,40})(?:,? \1)+(?: <\*>)?(?=\s|$)"), r"\1"),
    ("<*>", re.compile(r"([\[{(][^\[\]{}()]{1,400}[\]})])(?:[,;]? ?\1)+"), r"\1"),
)


def refine(masked: str) -> str:
    """Second stage for one distinct result of the first.

    :param masked: a line after the first stage.
    """
    masked, maybes = without_maybes(masked)
    text, *kept = masked.split(NOTES)
    text, maybe = with_maybes(text, maybes)
    text = text[:LONGEST_TEMPLATE].replace("\t", " ").replace(VARIABLE, WILDCARD)
    text = _TIME.sub("", text, count=1) or text
    for needed, rule, replacement in _REFINEMENTS:
        if needed in text:
            text = rule.sub(replacement, text)
    for value in kept:
        text = text.replace(KEPT, value, 1)
    text = text.replace(KEPT, WILDCARD)
    if maybe:
        first, *others = text.split(MAYBE)
        text = first + "".join(MAYBE + value + other for value, other in zip(maybe, others, strict=False))
    if "=" in text:
        text = _PRINTED.sub(_without_values, text)
    return (_without_objects(text) if '{"' in text or "{'" in text else text).strip()


# Objects as Java, Kotlin and Python print them: `Customer[id=1, name=Ann]`.
_PRINTED = re.compile(r"\b([A-Z]\w*)([\[({])(\w+=[^\[\]{}()]*, ?\w+=[^\[\]{}()]*)([\])}])")
_NEWS_OF_PRINTED = re.compile(
    r"\b((?:code|reason|status|type|error|exception|cause|outcome|result|state|event|kind)=[^,\[\]{}()]*"
    r"|\w+(?:Code|Reason|Status|Type|Error|Exception|Cause|State|Result)=[^,\[\]{}()]*)"
)
_BRACE = re.compile(r"[{}]|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_OBJECT = re.compile(r"(?<![^\s:=(,\[])\{[\"']")
_NEWS = re.compile(
    r"[\"']((?:\w*[_.-])?(?:code|reason|status|type|errors?|message|msg|exception|cause|detail|outcome|result|state|event"
    r"|severity|level|class|kind)|\w+(?:Code|Reason|Status|Type|Error|Message|Exception|Cause|State))[\"'] ?: ?"
    r"(\"[^\"]*\"|'[^']*'|[^\s,}\]]+)"
)


def _without_objects(text: str) -> str:
    """The text with only those fields of the JSON objects in it that tell what happened, whatever else they hold."""
    found = _OBJECT.search(text)
    if found is None:
        return text
    end = _end_of_object(text, found.start())
    news = sorted({f"{name}={value}" for name, value in _NEWS.findall(text[found.start() : end])})
    return text[: found.start()] + "{" + " ".join(news or [WILDCARD]) + "}" + _without_objects(text[end:])


def _without_values(printed: re.Match[str]) -> str:
    name, opens, fields, closes = printed.groups()
    return f"{name}{opens}{' '.join(sorted(_NEWS_OF_PRINTED.findall(fields))) or WILDCARD}{closes}"


def _end_of_object(text: str, start: int) -> int:
    """Where the object ends that begins here; the end of the text if it is cut off."""
    depth = 0
    for brace in _BRACE.finditer(text, start):
        depth += 1 if brace.group() == "{" else -1 if brace.group() == "}" else 0
        if depth == 0:
            return brace.end()
    return len(text)
