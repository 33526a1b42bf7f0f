"""Which words of messages are parameters: positions in which otherwise equal messages show different words.

A position in which otherwise equal messages show at least :data:`VALUES_OF_A_PARAMETER` different words is a
parameter, unless one of the words is protected: exception and error classes, levels, protected numbers,
true/false/null, words of failure, and names of keys are what a message says, never what it is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from airflow_cd.verification.logs.headers.levels import LEVELS
from airflow_cd.verification.logs.masking import WILDCARD
from airflow_cd.verification.logs.slots import Tokens, are_verbs, says_what_happened

VALUES_OF_A_PARAMETER = 5
VALUES_WHERE_PROVEN = 2  # where one is masked already, or all are known as values from other messages
VALUES_AMONG_MANY_WORDS = 3  # in a message that says much beside them
VALUES_OF_A_SUBJECT = 20  # so many different first words of a short message are names; fewer are what it is about
_FEW_WORDS = 3
VALUES_OF_A_CODE = 20  # so many different codes in one place (a coupon's, a customer's) are no error codes
_MANY_WORDS, _MOST_WORDS = 6, 24
_LEAST_WORDS = 2  # a template keeps so many words, or all messages of its length would be one
_ROUNDS = 3  # a message with more word parameters than this keeps the rest
_WORDS_OF_A_CLAUSE = 2

_SPLIT = re.compile(
    r"""((?:[\s=:,;()\[\]{}"'|]|</[A-Za-z][\w-]*>|<[A-Za-z][\w-]*>(?=\w|<[/\w]))+)"""
)  # and tags, as a report in HTML has them
_PROTECTED = re.compile(
    r"""^(?:.*(?:Exception|Error|Throwable|Fault|Failure|Panic)
    |TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|SEVERE|CRITICAL|FATAL|ALERT|EMERG
    |GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS
    |(?i:true|false|null|none|nil|nan|yes|no|not|on|off|ok|up|down|enabled|disabled
        |success|successful|successfully|succeeded|passed|fail|failed|fails|failing|failure|error|errors|fatal
        |exception|warning|critical|panic|abort|aborted|crash|crashed|killed|timeout|refused|denied|rejected|invalid
        |unable|cannot|lost|missing|unavailable|unreachable|corrupt|corrupted|expired|overflow|exceeded|leak|dead)
    |Cancell?ed|InvalidArgument|DeadlineExceeded|NotFound|AlreadyExists|PermissionDenied|ResourceExhausted
    |FailedPrecondition|Aborted|OutOfRange|Unimplemented|Internal|Unavailable|DataLoss|Unauthenticated
    |[A-Z]{0,4}-?[0-9][0-9A-Z]*|0x[0-9a-fA-F]{1,8})$""",
    re.VERBOSE,
)

_CODE = re.compile(r"(?![1-5][0-9]{2}$)[A-Z]{0,4}-?[0-9][0-9A-Z]*|0x[0-9a-fA-F]{1,8}")
_QUALIFIED = re.compile(r"[A-Za-z_][\w$-]*(?:[./][\w$-]*){2,}")  # a class, a component, a host: a name by its form
_GLUED = re.compile(r"[\w.@-]*[\w:/@-]\(?<\*>\)?")


def is_protected(word: str) -> bool:
    """Whether the word may never become a wildcard.

    :param word: of a masked message.
    """
    return _PROTECTED.match(word) is not None


def is_code(word: str) -> bool:
    """Whether the word is a protected number other than a status.

    :param word: of a masked message.
    """
    return _CODE.fullmatch(word) is not None


def tokenize(template: str) -> Tokens:
    """Words at even positions, what separates them at odd ones.

    :param template: the masked message.
    """
    return tuple(_SPLIT.split(template))


def is_key(tokens: Tokens, position: int) -> bool:
    """Whether the word is the name of a key (``user=``, ``user:``).

    A word that ends one clause before another (``no answer for bob: the line is busy``) is none.

    :param tokens: of the message.
    :param position: of the word.
    """
    followed = tokens[position + 1][:1] if position + 1 < len(tokens) else ""
    if followed == ":" and position and not tokens[position - 1].strip():
        clause = sum(word not in ("", WILDCARD) for word in tokens[position + 2 :: 2])
        return clause < _WORDS_OF_A_CLAUSE and "." not in tokens[position]
    return followed == "=" or (followed == ":" and "." not in tokens[position])


def merge_parameters(lines: Iterable[Tokens]) -> dict[Tokens, Tokens]:
    """For each tokenized line the template it belongs to, its word parameters replaced by the wildcard.

    :param lines: tokenized masked messages, in any order.
    """
    current = {tokens: tokens for tokens in lines}
    values: set[str] = set()
    for _ in range(_ROUNDS):
        wild = _single_parameters(set(current.values()), values)
        if not wild:
            break
        # What is a parameter's value in one message is likely to be one in the next.
        values.update(tokens[position] for tokens, positions in wild.items() for position in positions)
        current = {tokens: _masked(template, wild.get(template, ())) for tokens, template in current.items()}
    pairs = _pairs_of_parameters(set(current.values()))
    current = {tokens: _masked(template, pairs.get(template, ())) for tokens, template in current.items()}
    whole = set(current.values())
    return {tokens: _absorbed(template, whole) for tokens, template in current.items()}


def _absorbed(template: Tokens, templates: set[Tokens]) -> Tokens:
    """The template in which more is a parameter, where there is one.

    That is a word glued to a parameter (a host and its port), and names of several parts, of which others have a digit.
    """
    text = "".join(template)
    shorter = _GLUED.sub(WILDCARD, text)
    unnamed = tuple(WILDCARD if _is_name(word) else word for word in template)
    for tokens in (tokenize(shorter) if shorter != text else template, unnamed):
        if tokens != template and tokens in templates and _words(tokens) >= _LEAST_WORDS:
            return tokens
    return template


def _is_name(word: str) -> bool:
    return _QUALIFIED.fullmatch(word) is not None and not is_protected(word)


def _single_parameters(templates: Iterable[Tokens], values: set[str]) -> dict[Tokens, set[int]]:
    """Positions in which templates that are equal elsewhere show enough different words.

    :param values: words that are known to be values of parameters.
    """
    families: dict[tuple[int, int, int], list[Tokens]] = {}
    for tokens in templates:
        words = _words(tokens)
        for position in range(0, len(tokens), 2):
            token = tokens[position]
            if token and words - (token != WILDCARD) >= _LEAST_WORDS and not is_key(tokens, position):
                family = (position, hash(tokens[:position]), hash(tokens[position + 1 :]))
                families.setdefault(family, []).append(tokens)
    wild: dict[Tokens, set[int]] = {}
    for (position, _, _), members in families.items():
        if len(members) > 1:
            for tokens in _sharing_a_parameter(members, position, values):
                wild.setdefault(tokens, set()).add(position)
    return wild


def _sharing_a_parameter(members: Sequence[Tokens], position: int, values: set[str]) -> list[Tokens]:
    """Those of the templates that become one because the position, the only one they differ in, is a parameter."""
    free = [tokens for tokens in members if not is_protected(tokens[position])]
    numbered = any(tokens[position] == WILDCARD for tokens in free)
    # Values with digits in the same place, or known ones alone, prove that it is one for parameters.
    proven = numbered or all(tokens[position] in values or _QUALIFIED.fullmatch(tokens[position]) for tokens in free)
    codes = [tokens for tokens in members if is_code(tokens[position])]
    if len(codes) >= (VALUES_OF_A_PARAMETER if numbered else VALUES_OF_A_CODE):
        free = [*free, *codes]
    if says_what_happened(members[0], position) or (free and are_verbs(tokens[position] for tokens in free)):
        return free if len(free) >= VALUES_OF_A_CODE else []
    return free if len(free) >= _values_needed(members[0], position, proven=proven) else []


def _values_needed(tokens: Tokens, position: int, *, proven: bool) -> int:
    """How many different words make a position one for parameters."""
    if proven:
        return VALUES_WHERE_PROVEN
    said = _words(tokens) - (tokens[position] != WILDCARD)
    if said <= _FEW_WORDS and _is_subject(tokens, position):
        return VALUES_OF_A_SUBJECT
    return VALUES_OF_A_PARAMETER if said < _MANY_WORDS else VALUES_AMONG_MANY_WORDS


def _is_subject(tokens: Tokens, position: int) -> bool:
    """Whether the word is the first of its message, behind no more than a level."""
    before = [token for token in tokens[:position:2] if token]
    return not before or (len(before) == 1 and before[0].upper() in LEVELS)


def _pairs_of_parameters(templates: Iterable[Tokens]) -> dict[Tokens, set[int]]:
    """The same for two positions whose words change together."""
    families: dict[tuple[int, int, Tokens], list[Tokens]] = {}
    for tokens in templates:
        if not _LEAST_WORDS + 2 <= _words(tokens) <= _MOST_WORDS:
            continue
        free = [
            position
            for position in range(0, len(tokens), 2)
            if tokens[position] not in ("", WILDCARD)
            and not is_protected(tokens[position])
            and not is_key(tokens, position)
            and not says_what_happened(tokens, position)
        ]
        for index, one in enumerate(free):
            for other in free[index + 1 :]:
                rest = tokens[:one] + tokens[one + 1 : other] + tokens[other + 1 :]
                families.setdefault((one, other, rest), []).append(tokens)
    wild: dict[Tokens, set[int]] = {}
    for (one, other, _), members in families.items():
        if len(members) >= VALUES_AMONG_MANY_WORDS and _are_parameters(members, one, other):
            for tokens in members:
                wild.setdefault(tokens, set()).update((one, other))
    return wild


def _are_parameters(members: Sequence[Tokens], *positions: int) -> bool:
    """Whether two positions are parameters: they have many values, the more the less the message says beside them."""
    values = [{tokens[position] for tokens in members} for position in positions]
    fewest = min(map(len, values))
    said = _words(members[0]) - len(positions) - (members[0][0].upper() in LEVELS)
    if said >= _MANY_WORDS:
        return fewest >= VALUES_AMONG_MANY_WORDS
    if any(_is_subject(members[0], position) for position in positions):
        return False
    if all(_QUALIFIED.fullmatch(word) for word in set().union(*values)):
        return fewest >= VALUES_AMONG_MANY_WORDS
    return said >= _FEW_WORDS and fewest >= VALUES_OF_A_PARAMETER and not any(map(are_verbs, values))


def _words(tokens: Tokens) -> int:
    """Words of a message that are no parameters."""
    return sum(token not in ("", WILDCARD) for token in tokens[::2])


def _masked(tokens: Tokens, positions: Iterable[int]) -> Tokens:
    wild = set(positions)
    return tuple(WILDCARD if position in wild else token for position, token in enumerate(tokens)) if wild else tokens
