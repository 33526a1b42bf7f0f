"""Masking: the variable parts of log lines become ``<*>``, so that lines of the same kind become equal.

Two stages. The first sees every line and must be fast: a few regular expressions that polars (where it is
installed) runs over whole columns and :mod:`re` runs one by one, with the same output. The second, :func:`refine`,
sees each *distinct* result of the first once, so it may be slow and may use what Rust's engine has not.

Some numbers are not parameters: an HTTP, SQL or exit status, an error code, a digit in an exception's class. The
first stage puts :data:`KEPT` in their place and notes them aside; the second puts them back. That is why a status
going from 200 to 500 is a change here, and none where every number is masked.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

WILDCARD = "<*>"
KEPT = "\ue000"  # private use: stands for a protected value until `refine` puts it back
LONGEST_TEMPLATE = 4_000  # characters; what comes after them does not tell messages apart
_NOTES = "\ue001"  # between a masked line and the protected values that belong into it

_DAYS = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_MONTHS = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_TIME = (
    r"^[\[(<]?(?:[0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2}|[0-9]{2}[-/.][0-9]{2}[-/.][0-9]{2,4}"
    rf"|(?:{_DAYS} )?{_MONTHS} {{1,2}}[0-9]{{1,2}})"
    r"[T ,:_-]{0,2}[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?[\])>]?[ \t:|]*"
)
# Groups are contexts and stay; what follows them in the alternative is the value that is kept.
_SEPARATOR = r"""(["']?(?: ?[:=] ?| |[(\[])["'(\[]?)"""
_BEFORE_STATUS = (
    r"\b([Ss]tatus(?:[_ ]?[Cc]ode)?|STATUS|[Hh]ttp[_ ]?[Ss]tatus|[Rr]esponded(?: with)?"
    rf"|[Rr]eturned(?: with)?|answered(?: with)?){_SEPARATOR}"
)
_METHODS = r"\b(?:GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS) [!-~]+ (?:[-=]> ?)?"
_BEFORE_CODE = (
    r"\b((?:[Ee]rror|[Ee]xit|[Rr]eturn|[Ss]tatus|[Rr]esult|[Ff]ailure)[_ -]?[Cc]ode|code"
    r"|[Ee]xit(?:ed)?(?: with)?(?: status)?"
    rf"|errno|[Ee]rrno|ERRNO|[Ss][Qq][Ll][_ ]?[Ss][Tt][Aa][Tt][Ee]|rc|signal){_SEPARATOR}"
)
_PROTECTED = (
    rf"{_BEFORE_STATUS}[1-5][0-9]{{2}}\b"
    rf"""|( HTTP/[0-9.]+"? |{_METHODS})[1-5][0-9]{{2}}\b"""
    rf"|{_BEFORE_CODE}[A-Z]{{0,4}}-?[0-9][0-9A-Z]{{0,4}}\b"
    r"|\b[A-Za-z_][A-Za-z_.$]*[0-9][A-Za-z0-9_.$]*(?:Exception|Error)\b"
)
_PROTECTED_VALUE = r"([A-Za-z0-9_.$-]+)$"
_PROTECTED_VALUES = rf"(?:[^{_NOTES}]*[^A-Za-z0-9_.${_NOTES}-])?([A-Za-z0-9_.$-]+)({_NOTES}|$)"  # of several in a row
_CONTEXTS = 5
_WORD = r"[A-Za-z0-9_$@#%&*+~\\-]"
_NUMBERED = rf"(?:{_WORD}+\.){{0,8}}{_WORD}*[0-9]{_WORD}*(?:\.{_WORD}+)*"
_HEXADECIMAL = r"\b[a-fA-F]{8,}\b"
_VARIABLE = rf"{_NUMBERED}|{_HEXADECIMAL}"

_NUMBER = r"\b(?:0x[0-9a-fA-F]+|[0-9]+)\b"

_TIME_RE, _PROTECTED_RE = (re.compile(rule, re.ASCII) for rule in (_TIME, _PROTECTED))
# A numbered word starts where a word does (or right after a hexadecimal one); saying so keeps a backtracking engine
# from trying at every letter.
_STARTS = rf"(?:(?<!{_WORD})|(?<=[a-fA-F]{{8}}))"
# What a protected value leaves in a line whose variable parts are masked. Masking first and looking afterwards, at
# distinct lines only, costs far less than looking for protected values in every line.
_MAY_BE_PROTECTED = rf"""(?:{_BEFORE_STATUS}|{_BEFORE_CODE}| HTTP/<[*]>"? |{_METHODS})<[*]>"""
_MAY_BE_NUMBERED_ERROR = r"Exception|Error"
_MAY_BE_PROTECTED_RE = re.compile(_MAY_BE_PROTECTED, re.ASCII)
_MAY_BE_NUMBERED_ERROR_RE = re.compile(_MAY_BE_NUMBERED_ERROR)
_VARIABLE_RE = re.compile(rf"{_STARTS}{_NUMBERED}|{_HEXADECIMAL}", re.ASCII)
_VALUE_RE = re.compile(_PROTECTED_VALUE, re.ASCII)
_NUMBER_RE = re.compile(_NUMBER, re.ASCII)


@functools.cache
def has_polars() -> bool:
    """Whether the fast engine is there."""
    return importlib.util.find_spec("polars") is not None


def rust(rule: str) -> str:
    """The rule for Rust's engine with the ASCII meaning that :data:`re.ASCII` gives it in Python."""
    return f"(?-u){rule}"


def without_marks(text: str) -> str:
    """The text without the two characters that masking uses for itself; everything masked must have passed this."""
    return text.replace(KEPT, " ").replace(_NOTES, " ")


def mask_line(line: str) -> str:
    """First stage for one line, with :mod:`re`."""
    line = _TIME_RE.sub("", line, count=1)
    masked = _VARIABLE_RE.sub(WILDCARD, line)
    if not (_MAY_BE_NUMBERED_ERROR_RE.search(line) or _MAY_BE_PROTECTED_RE.search(masked)):
        return masked
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        value = _VALUE_RE.search(match.group())
        kept.append(value.group(1) if value else "")
        return "".join(group or "" for group in match.groups()) + KEPT

    line = _PROTECTED_RE.sub(keep, line)
    line = _VARIABLE_RE.sub(WILDCARD, line)
    return line + _NOTES + _NOTES.join(kept) if kept else line


def _with_protected(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with its column ``text`` masked as ``key``, protected values noted; for lines that may have some."""
    import polars as pl

    text, key, found = pl.col("text"), pl.col("key"), pl.col("found")
    contexts = "".join(f"${{{number}}}" for number in range(1, _CONTEXTS + 1))
    # Step by step: within one step the engine would compute what is used twice twice.
    frame = frame.with_columns(key=text.str.replace(rust(_TIME), ""))
    frame = frame.with_columns(found=key.str.extract_all(rust(_PROTECTED)).list.join(_NOTES))
    frame = frame.with_columns(
        key=key.str.replace_all(rust(_PROTECTED), contexts + KEPT).str.replace_all(rust(_VARIABLE), WILDCARD),
        found=pl.lit(_NOTES) + found.str.replace_all(_PROTECTED_VALUES, "${1}${2}"),
    )
    noted = pl.when(key.str.contains(KEPT, literal=True)).then(found).otherwise(pl.lit(""))
    return frame.with_columns(key=key + noted).drop("found")


def with_masked(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with its column ``text`` masked as ``key``, by :func:`mask_line`'s rules; the order may change."""
    import polars as pl

    text = pl.col("text")
    frame = frame.with_columns(
        key=text.str.replace(rust(_TIME), "").str.replace_all(rust(_VARIABLE), WILDCARD),
        named=text.str.contains(_MAY_BE_NUMBERED_ERROR),
    )
    distinct = frame.select(pl.col("key").unique())
    protected = distinct.filter(pl.col("key").str.contains(rust(_MAY_BE_PROTECTED)))["key"]
    marked = frame.select(pl.col("named") | pl.col("key").is_in(protected.implode()))["named"]
    if marked.any():
        sure = frame.filter(marked).select(text.str.replace(rust(_TIME), "").str.contains(rust(_PROTECTED)))["text"]
        marked = marked.scatter(marked.arg_true(), sure)
    if not marked.any():
        return frame.drop("named")
    parts = [frame.filter(~marked), _with_protected(frame.filter(marked))]
    return pl.concat(parts).drop("named")


def blank_numbers(text: str) -> str:
    """Numbers of a multi-line record become ``0``: fewer distinct texts, while names of functions stay as they are."""
    return _NUMBER_RE.sub("0", text)


def blank_numbers_column(texts: pl.Expr) -> pl.Expr:
    """:func:`blank_numbers` for a column."""
    return texts.str.replace_all(rust(_NUMBER), "0")


_UNITS = r"(?:[kKMGT]?i?[bB]|bytes?|ms|us|ns|s|secs?|seconds?|mins?|minutes?|hours?|days?|%)"

# What a text must hold for the rule to find anything (looked for first: most rules have nothing to do in most texts),
# the rule, and what it puts in place.
_REFINEMENTS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("  ", re.compile(r"[ \t]+"), " "),
    ("://", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>,;)\]]*(?:<\*>[^\s\"'<>,;)\]]*)*"), WILDCARD),
    ("@", re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), WILDCARD),
    (":<*>", re.compile(r"\b(?:[A-Za-z0-9-]+\.)+[a-z]{2,}:<\*>"), WILDCARD),
    (" <*>", re.compile(rf"\b(?:{_DAYS},? )?(?:{_MONTHS}) <\*>(?:[ :]<\*>)*"), WILDCARD),
    # Addresses of devices and networks: groups of hexadecimal digits, some of which have no decimal one.
    (":<*>", re.compile(r"\b(?:[0-9a-fA-F]{1,4}::?)+<\*>"), WILDCARD),
    ("<*>:", re.compile(r"<\*>(?:::?(?:[0-9a-fA-F]{1,4}\b|<\*>))+"), WILDCARD),
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
    ("<*>", re.compile(r"[\[(]<\*>(?:(?:[,;] ?| )<\*>)*[\])]"), "(" + WILDCARD + ")"),
    # What stands in parentheses after a parameter explains it, and may as well be missing.
    ("<*> (", re.compile(r"<\*> \((?:<\*>)?\)"), WILDCARD),
    (" <*>", re.compile(r"<\*>(?:[,;]? <\*>)+"), WILDCARD),
    # Lists of things that look alike are as long as they happen to be.
    (" <*> ", re.compile(r"(<\*> (?!<\*>)\S{1,40})(?:,? \1)+(?: <\*>)?(?=\s|$)"), r"\1"),
    ("<*>", re.compile(r"([\[{(][^\[\]{}()]{1,400}[\]})])(?:[,;]? ?\1)+"), r"\1"),
)


def refine(masked: str) -> str:
    """Second stage: paths, addresses, lists and units; protected values go back to where they were."""
    text, *kept = masked.split(_NOTES)
    text = text[:LONGEST_TEMPLATE].replace("\t", " ")
    for needed, rule, replacement in _REFINEMENTS:
        if needed in text:
            text = rule.sub(replacement, text)
    for value in kept:
        text = text.replace(KEPT, value, 1)
    return text.replace(KEPT, WILDCARD).strip()


def mask(lines: Sequence[str]) -> list[str]:
    """Both stages for every line; the masked lines in the same order."""
    lines = [line if line.isascii() else without_marks(line) for line in lines]
    if has_polars() and lines:
        import polars as pl

        frame = pl.DataFrame({"text": pl.Series(lines, dtype=pl.String), "row": range(len(lines))})
        first = with_masked(frame).sort("row")["key"].to_list()
    else:
        first = [mask_line(line) for line in lines]
    refined = {masked: refine(masked) for masked in set(first)}
    return [refined[masked] for masked in first]
