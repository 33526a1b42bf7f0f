"""Slots: a place in a message whose value changes, and whether a value never seen there is news.

Messages that are equal but for one stretch of words have a slot there. What its values are decides: a place for
names (of customers, files, search texts) is a parameter, and another name is no news, be it of one word or of several.
A place that says what happened (a reason, an outcome, a state, a verb) is an enumeration, and a value never seen
there is news, unless new ones keep coming: then the share of values that were seen once says how likely the next one
is new (Good 1953, "The population frequencies of species and the estimation of population parameters").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from airflow_cd.verification.logs.headers.failures import suggests_failure
from airflow_cd.verification.logs.headers.levels import LEVELS
from airflow_cd.verification.logs.masking import WILDCARD

Tokens = tuple[str, ...]

LONGEST_VALUE = 5  # words
_LEAST_WORDS = 2  # that are the same beside a slot
_VALUES_OF_A_NAME = 3  # different ones that make a slot one for names, where what stands before it says so
_VALUES_OF_A_WORD = 4  # the same where nothing says so
_VALUES_OF_A_LIST = 20  # different ones that make a parameter of what says what happened
_OPEN = 0.2  # probability that the next value is a new one, above which new values are no news
_MOST_NEIGHBOURS = 2_000  # messages of the reference that one message is compared with


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SAYS_WHAT = _words(
    "reason cause code status state error err errno exception type class kind outcome result event action signal phase "
    "condition fault failure level severity verdict conclusion op operation method response rc exitcode sqlstate "
    "problem issue detail message msg desc description why"
)
_GIVES_REASONS = _words(
    "because reason cause caused error errors failed fails failure failing exception aborted rejected refused denied "
    "becomes became got status state fatal panic warning problem unable cannot"
)
_NAMES_FOLLOW = _words(
    "for of from to by in at on as user users customer client tenant account host node server pod file table topic "
    "queue job task item product order invoice member group role name named called device peer id key token database "
    "schema index bucket channel project team owner author country city currency search query term"
)
# What joins words to a statement: a stretch of words with one of them is no name.
_JOINS = _words(
    "is was are were be been has have had not will can could did does to for from with because after before while when "
    "until than and or but"
)
_QUOTES = "\"'`«“‘["
_VERB = re.compile(r"[a-z]+(?:ed|ing)$")


def says_what_happened(tokens: Tokens, start: int) -> bool:
    """Whether the place is one for what happened, not for a name: by the key, or the word, before it.

    :param tokens: of the message, words at even positions.
    :param start: of the place.
    """
    if start < 2:
        return False
    before, separator = tokens[start - 2].lower(), tokens[start - 1]
    name = re.split(r"[._-]", before)[-1]
    if "=" in separator:
        return name in _SAYS_WHAT or before.replace("_", "") in _SAYS_WHAT
    if ":" in separator:
        return name in _SAYS_WHAT or before in _GIVES_REASONS or suggests_failure(before)
    if before == "to" and start >= 4:
        return tokens[start - 4].lower() == "due"
    return before in _GIVES_REASONS


def are_verbs(words: Iterable[str]) -> bool:
    """Whether most of the words look like forms of verbs: what happened, not a name.

    :param words: values of one place, at least one.
    """
    verbs = [_VERB.match(word) is not None for word in words]
    return sum(verbs) > len(verbs) / 2


class Slots:
    """The messages of a reference, to find which slots they have.

    :param counts: records of each tokenized message.
    :param is_protected: whether a word may never become a parameter.
    """

    def __init__(self, counts: Mapping[Tokens, int], is_protected: Callable[[str], bool]) -> None:
        self._counts = counts
        self._is_protected = is_protected
        self._by_beginning: dict[Tokens, list[Tokens]] = {}
        self._by_end: dict[Tokens, list[Tokens]] = {}
        for tokens in sorted(counts):
            self._by_beginning.setdefault(_beginning(tokens), []).append(tokens)
            self._by_end.setdefault(tokens[-3:], []).append(tokens)

    def parameter_in(self, tokens: Tokens) -> tuple[Tokens, list[Tokens]] | None:
        """The message with a parameter in place of its value, and the reference's messages with others; None without.

        :param tokens: of a message that the reference does not have.
        """
        neighbours = dict.fromkeys(self._by_beginning.get(_beginning(tokens), [])[:_MOST_NEIGHBOURS])
        neighbours |= dict.fromkeys(self._by_end.get(tokens[-3:], [])[:_MOST_NEIGHBOURS])
        frames = {frame for other in neighbours if (frame := _frame(tokens, other)) is not None}
        for start, rest in sorted(frames, key=lambda frame: (-sum(frame), frame)):
            values, others = self._values(tokens, start, rest, neighbours)
            if self._is_parameter(tokens, start, rest, values):
                return (*tokens[:start], WILDCARD, *tokens[len(tokens) - rest :]), others
        return None

    def _values(
        self, tokens: Tokens, start: int, rest: int, neighbours: Mapping[Tokens, None]
    ) -> tuple[dict[Tokens, int], list[Tokens]]:
        """What the reference has in the slot, with the records of each value, and in which messages."""
        values: dict[Tokens, int] = {}
        others = []
        beginning, end = tokens[:start], tokens[len(tokens) - rest :]
        for other in neighbours:
            length = len(other) - start - rest
            if length > 0 and other[:start] == beginning and other[len(other) - rest :] == end:
                value = other[start : start + length]
                if not _may_be_value(value):
                    continue
                values[value] = values.get(value, 0) + self._counts[other]
                others.append(other)
        return values, others

    def _is_parameter(self, tokens: Tokens, start: int, rest: int, values: Mapping[Tokens, int]) -> bool:
        value = tokens[start : len(tokens) - rest]
        words = [word for word in value[::2] if word]
        open_ = _next_is_new(values) >= _OPEN
        quoted = bool(start) and tokens[start - 1][-1:] in _QUOTES and tokens[start - 1][-1:] != "["
        troubled = any(self._is_protected(word) for word in words) or suggests_failure("".join(value))
        if troubled:
            known = sum(suggests_failure("".join(one)) or any(map(self._is_protected, one[::2])) for one in values)
            return quoted and open_ and known > 0 and len(values) >= _VALUES_OF_A_LIST
        if not quoted and len(words) > 1 and any(word in _JOINS or word == WILDCARD for word in words):
            return False
        same = _words_beside(tokens, start, rest)
        if says_what_happened(tokens, start) or (len(words) == 1 and _VERB.match(words[0]) is not None):
            return len(words) == 1 and len(values) >= _VALUES_OF_A_LIST and open_ and same >= _LEAST_WORDS
        named = quoted or (start >= 2 and (tokens[start - 2].lower() in _NAMES_FOLLOW or "=" in tokens[start - 1]))
        needed = _VALUES_OF_A_NAME if named else _VALUES_OF_A_WORD
        if not named and len(words) > 1 and not _is_list(value):
            return False  # several words that nothing announces are the message, not a value in it
        if start >= 2 and "=" in tokens[start - 1] and tokens[start - 2].lower() in _NAMES_FOLLOW:
            needed = 1
        if same < _LEAST_WORDS:
            return len(words) == 1 and len(values) >= _VALUES_OF_A_LIST and open_
        return len(values) >= needed


def _beginning(tokens: Tokens) -> Tokens:
    return tokens[:5]


def _frame(one: Tokens, other: Tokens) -> tuple[int, int] | None:
    """How many tokens both begin and end with, where a stretch of at most a few words differs; None else."""
    most = min(len(one), len(other))
    start = 0
    while start < most and one[start] == other[start]:
        start += 1
    start -= start % 2
    rest = 0
    while rest < most - start and one[-1 - rest] == other[-1 - rest]:
        rest += 1
    rest -= rest % 2
    if rest and len(one) - rest <= start:
        rest -= 2
    stretches = (one[start : len(one) - rest], other[start : len(other) - rest])
    return (start, rest) if all(_may_be_value(stretch) for stretch in stretches) else None


def _may_be_value(stretch: Tokens) -> bool:
    """Whether it is of a few words, or a list of any length."""
    if not stretch:
        return False
    return len(stretch) < 2 * LONGEST_VALUE or _is_list(stretch)


def _is_list(stretch: Tokens) -> bool:
    return all("," in separator for separator in stretch[1::2])


def _words_beside(tokens: Tokens, start: int, rest: int) -> int:
    words = [*tokens[:start:2], *tokens[len(tokens) - rest :][1::2]]
    if words and words[0].upper() in LEVELS:
        words = words[1:]
    return sum(word not in ("", "-", WILDCARD) and any(map(str.isalpha, word)) for word in words)


def _next_is_new(values: Mapping[Tokens, int] | Sequence[int]) -> float:
    """The probability that the next value is a new one."""
    counts = list(values.values()) if isinstance(values, Mapping) else list(values)
    records = sum(counts)
    return sum(count == 1 for count in counts) / records if records else 0.0
