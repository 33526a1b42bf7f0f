"""Slots: a place in a message whose value changes, and whether a value never seen there is news.

Messages that are equal but for one stretch of words have a slot there. What its values are decides: a place for
names (of customers, files, search texts) is a parameter, and another name is no news, be it of one word or of several.
A place that says what happened (a reason, an outcome, a state, a verb) is an enumeration, and a value never seen
there is news, unless new ones keep coming: then the share of values that were seen once says how likely the next one
is new (Good 1953, "The population frequencies of species and the estimation of population parameters").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from airflow_cd.verification.logs.headers.failures import suggests_failure
from airflow_cd.verification.logs.headers.levels import LEVELS
from airflow_cd.verification.logs.masking import WILDCARD

Tokens = tuple[str, ...]
_Key = tuple[int, int]

LONGEST_VALUE = 5  # words
_LEAST_WORDS = 2  # that are the same beside a slot
_VALUES_OF_A_NAME = 3  # different ones that make a slot one for names, where what stands before it says so
_VALUES_OF_A_THING = 2  # the same where it says so for sure
_VALUES_OF_A_WORD = 4  # the same where nothing says so
_VALUES_OF_A_LIST = 20  # different ones that make a parameter of what says what happened
_OPEN = 0.2  # probability that the next value is a new one, above which new values are no news
_EVER_NEW = 0.5  # the same, above which any words may stand in a quoted text
_MOST_MESSAGES = 20_000  # of the reference whose slots are looked for, the most frequent ones
_LONGEST_MESSAGE = 200  # tokens


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
_STATES = _words("state status phase health")  # `state from X to Y`: X and Y are states
_TURNS = ("transition", "switch")
_FEWEST_PARTS = 2  # of a dotted name
_REACH_OF_STATES = 10  # tokens, five words
_NAMES_FOLLOW = _words(
    "for of from to by in at on as user users customer client tenant account host node server pod file table topic "
    "queue job task item product order invoice member group role name named called device peer id key token database "
    "schema index bucket channel project team owner author country city currency search query term"
)
# What is always followed by the one of them: two are enough to know that there may be others.
_THINGS = _words(
    "user users username login account customer client tenant member owner author person host node server instance pod "
    "device printer file folder table topic queue team project country city currency Benutzer Nutzer Kunde Mandant "
    "Konto Rechner Drucker Datei Lager utilisateur client fichier usuario cliente archivo utente gebruiker klant"
)
# What joins words to a statement: a stretch of words with one of them is no name.
_JOINS = _words(
    "is was are were be been has have had not will can could did does to for from with because after before while when "
    "until than and or but"
)
_QUOTES = "\"'`«“‘"
_CLOSES = {"`": "'", "«": "»", "“": "”", "‘": "’"}
_LAST_WORD = re.compile(r"[._-]|(?<=[a-z])(?=[A-Z])")  # what a name of several words ends with
_SETS_OFF = re.compile(r"[=:(]")  # a value from what it is of
_VERB = re.compile(r"[a-z]+(?:ed|ing)$")
# `gift-wrap`, `EUR/CHF`, `feature/vat`, `okhttp/<*>`, `in/a/b.bin`, `/v1/tea`: names by their form.
_COMPOUND = re.compile(r"/?(?:\w|<\*>)+(?:[./-](?:\w|<\*>|[$@+~%?&])+)+/?|/[\w<*>]+")
_CAPITALISED = re.compile(r"[^\W\d_]*[A-Z][^\W_]*|<\*>")


def says_what_happened(tokens: Tokens, start: int) -> bool:
    """Whether the place is one for what happened, not for a name: by the key, or the word, before it.

    :param tokens: of the message, words at even positions.
    :param start: of the place.
    """
    if start < 2 or (start == 2 and tokens[0].upper() in LEVELS and not _SETS_OFF.search(tokens[1])):
        return False  # behind the level that a record was read to have, the message begins
    before, separator = tokens[start - 2].lower(), tokens[start - 1]
    name = re.split(r"[._-]", before)[-1]
    if "=" in separator:
        return name in _SAYS_WHAT or before.replace("_", "") in _SAYS_WHAT
    if ":" in separator:
        return (
            name in _SAYS_WHAT or before in _GIVES_REASONS or suggests_failure(before) or _of_a_failure(tokens, start)
        )
    if separator == "(":  # newState(Lost)
        return asks_what_happened(tokens, start)
    if before in ("to", "from"):
        reach = range(max(0, start - _REACH_OF_STATES), start - 2, 2)
        words = [tokens[at].lower() for at in reach if not at or tokens[at - 1][-1:] not in _QUOTES]
        return words[-1:] == ["due"] or any(word in _STATES or word.startswith(_TURNS) for word in words)
    return before in _GIVES_REASONS


def asks_what_happened(tokens: Tokens, start: int) -> bool:
    """Whether the word right before the place asks what happened: ``new state failed``, ``newState(Lost)``.

    :param tokens: of the message, words at even positions.
    :param start: of the place.
    """
    word = _LAST_WORD.split(tokens[start - 2])[-1].lower() if start >= 2 else ""
    return word in _SAYS_WHAT


def _of_a_failure(tokens: Tokens, start: int) -> bool:
    """Whether what stands before a colon tells of a failure, so that what follows is its reason and no name."""
    if tokens[start - 2].lower() in _NAMES_FOLLOW or "." in tokens[start] or not tokens[start - 1].endswith(" "):
        return False
    begin = 2 if tokens[0].upper() in LEVELS else 0
    return suggests_failure("".join(tokens[begin : start - 1]))


def are_verbs(words: Iterable[str]) -> bool:
    """Whether most of the words look like forms of verbs: what happened, not a name.

    :param words: values of one place, at least one.
    """
    verbs = [_VERB.match(word) is not None for word in words]
    return sum(verbs) > len(verbs) / 2


@dataclass(frozen=True)
class _Family:
    """What the reference has in one slot.

    :param values: records of each value.
    :param messages: in which they stand.
    :param open: whether the next value is likely to be a new one.
    :param ever_new: whether it is more likely than not.
    """

    values: Mapping[Tokens, int]
    messages: Sequence[Tokens]
    open: bool
    ever_new: bool = False


class Slots:
    """The slots that messages of a reference have.

    :param counts: records of each tokenized message.
    :param is_protected: whether a word may never become a parameter.
    :param asked: the messages about which :meth:`parameter_in` will be asked; slots of no others are looked for.
    :param names: words that are values of a parameter in some message: where one of them stood, another may stand.
    """

    def __init__(
        self,
        counts: Mapping[Tokens, int],
        is_protected: Callable[[str], bool],
        asked: Sequence[Tokens],
        names: frozenset[str] = frozenset(),
    ) -> None:
        self._names = names
        self._counts = counts
        self._is_protected = is_protected
        self._families: dict[_Key, _Family] = {}
        self._messages: dict[_Key, list[Tokens]] = {}
        wanted = {key for tokens in asked for key, _, _ in _frames(tokens)}
        often = sorted(counts, key=lambda tokens: (-counts[tokens], tokens))
        for tokens in often[:_MOST_MESSAGES] if wanted else ():
            for key, _, _ in _frames(tokens):
                if key in wanted:
                    self._messages.setdefault(key, []).append(tokens)

    def parameter_in(self, tokens: Tokens) -> tuple[Tokens, Sequence[Tokens]] | None:
        """The message with a parameter in place of its value, and the reference's messages with others; None without.

        :param tokens: of a message that the reference does not have.
        """
        found = [(key, start, rest) for key, start, rest in _frames(tokens) if key in self._messages]
        for key, start, rest in sorted(found, key=lambda frame: (-frame[1] - frame[2], frame[1])):
            family = self._family(key, start, rest)
            if self._names_a_thing(tokens, start, rest, family) or self._is_parameter(tokens, start, rest, family):
                return (*tokens[:start], WILDCARD, *tokens[len(tokens) - rest :]), family.messages
        return None

    def _family(self, key: _Key, start: int, rest: int) -> _Family:
        family = self._families.get(key)
        if family is None:
            values: dict[Tokens, int] = {}
            for message in self._messages[key]:
                value = message[start : len(message) - rest]
                values[value] = values.get(value, 0) + self._counts[message]
            new = _next_is_new(values)
            family = _Family(values, self._messages[key], new >= _OPEN, new >= _EVER_NEW)
            self._families[key] = family
        return family

    def _names_a_thing(self, tokens: Tokens, start: int, rest: int, family: _Family) -> bool:
        """Whether it is a logger's name with the name of a thing in it, as of three other things."""
        if len(tokens) - rest - start > 1 or len(family.values) < _VALUES_OF_A_NAME:
            return False
        word = tokens[start]
        fits = _words_beside(tokens, start, rest) >= _LEAST_WORDS and _differ_in_one_part(word, family.values)
        return fits and not suggests_failure(word) and not self._is_protected(word)

    def _is_parameter(self, tokens: Tokens, start: int, rest: int, family: _Family) -> bool:
        value, values = tokens[start : len(tokens) - rest], family.values
        if not any(other[0] != value[0] and other[-1] != value[-1] for other in values):
            return False  # what differs is less than this
        words = [word for word in value[::2] if word]
        quoted = bool(start) and tokens[start - 1][-1:] in _QUOTES and not _leaves_quotes(value, tokens[start - 1][-1:])
        text = quoted and len(words) > 1  # in which any word may stand
        if suggests_failure("".join(value)) or (not text and any(map(self._is_protected, words))):
            if not (quoted and family.open and len(values) >= _VALUES_OF_A_LIST):
                return False
            return family.ever_new or any(map(self._is_troubled, values))
        if not quoted and _is_statement(value):
            return False
        same = _words_beside(tokens, start, rest) + _end_alike(value, values)
        many = len(words) == 1 and len(values) >= _VALUES_OF_A_LIST and family.open
        if says_what_happened(tokens, start) or (len(words) == 1 and _VERB.match(words[0]) is not None):
            return many and same >= _LEAST_WORDS
        if same < _LEAST_WORDS:
            return many
        key = start >= 2 and "=" in tokens[start - 1]
        named = start >= 2 and tokens[start - 2].lower() in _NAMES_FOLLOW
        before = tokens[start - 2] if start >= 2 else ""
        if not (quoted or named or key) and len(words) > 1 and not _is_list(value):
            # Several words that nothing announces are the message, not a value in it, unless they are written as names.
            return len(values) >= _values_needed(sure=False, announced=before in _THINGS) and _are_capitalised(
                value, values
            )
        if key and named:
            return True
        if len(words) == 1 and words[0] in self._names and all(self._names.issuperset(other) for other in values):
            return True
        sure = quoted or (before in _THINGS and len(words) == 1) or _are_compound(value, values)
        return len(values) >= _values_needed(sure=sure, announced=quoted or named or key)

    def _is_troubled(self, value: Tokens) -> bool:
        return suggests_failure("".join(value)) or any(map(self._is_protected, value[::2]))


def _values_needed(*, sure: bool, announced: bool) -> int:
    """How many different values make a place one for names.

    :param sure: whether it is one for names by what surely tells: quotes, the thing they name, or their form.
    :param announced: whether something says that a name follows.
    """
    if sure:
        return _VALUES_OF_A_THING
    return _VALUES_OF_A_NAME if announced else _VALUES_OF_A_WORD


def _are_compound(value: Tokens, values: Iterable[Tokens]) -> bool:
    """Whether the value and most of the others are single words that are names by their form."""
    forms = [len(other) == 1 and _COMPOUND.fullmatch(other[0]) is not None for other in (value, *values)]
    return forms[0] and sum(forms) > len(forms) / 2


def _are_capitalised(value: Tokens, values: Iterable[Tokens]) -> bool:
    """Whether the value and most of the others are written like the names of people, firms and products."""
    forms = [all(map(_CAPITALISED.fullmatch, other[::2])) for other in (value, *values)]
    return forms[0] and value[0] != WILDCARD and sum(forms) > len(forms) / 2


def _end_alike(value: Tokens, values: Iterable[Tokens]) -> bool:
    """Whether all are one word that ends alike behind a slash: `ann/wrong password` has its name before it."""
    ends = {other[0].rpartition("/")[1:] if len(other) == 1 else () for other in (value, *values)}
    return len(ends) == 1 and all(end and end[0] for end in ends)


def _differ_in_one_part(word: str, values: Iterable[Tokens]) -> bool:
    """Whether they are dotted names (``ffmpeg.garage.detect``) that differ in the same part of theirs only."""
    parts = word.split(".")
    others = [other[0].split(".") for other in values if len(other) == 1]
    alike = [other for other in others if len(other) == len(parts)]
    if len(parts) < _FEWEST_PARTS or len(alike) < len(others):
        return False
    return sum(len({*column}) > 1 for column in zip(parts, *alike, strict=True)) == 1


def _frames(tokens: Tokens) -> Iterator[tuple[_Key, int, int]]:
    """What stands around each stretch of a message that may be a value: a key, and how many tokens before and after."""
    if len(tokens) > _LONGEST_MESSAGE:
        return
    begins, ends = [0], [0]
    for token in tokens:
        begins.append(hash((begins[-1], token)))
    for token in tokens[::-1]:
        ends.append(hash((ends[-1], token)))
    for start in range(0, len(tokens), 2):
        list_so_far = True
        for end in range(start + 1, len(tokens) + 1, 2):
            if end > start + 1:
                list_so_far = list_so_far and "," in tokens[end - 2]
            if end - start >= 2 * LONGEST_VALUE and not list_so_far:
                break
            rest = len(tokens) - end
            if start or rest:
                yield (begins[start], ends[rest]), start, rest
        closed = _end_of_quoted(tokens, start)
        if closed > start + 2 * LONGEST_VALUE:
            yield (begins[start], ends[len(tokens) - closed]), start, len(tokens) - closed


def _end_of_quoted(tokens: Tokens, start: int) -> int:
    """Where a quoted text ends that begins here; 0 if none begins here."""
    quote = tokens[start - 1][-1:] if start else ""
    if not quote or quote not in _QUOTES:
        return 0
    closing = _CLOSES.get(quote, quote)
    return next((end for end in range(start + 1, len(tokens), 2) if tokens[end][:1] == closing), 0)


def _leaves_quotes(stretch: Tokens, quote: str) -> bool:
    """Whether the quoted text that it begins in ends within it: then it is more than one value."""
    return quote == '"' and any(quote in separator for separator in stretch[1::2])


def _has_fields(stretch: Tokens) -> bool:
    """Whether there is a key with its value in it: then it is more than one value."""
    return any("=" in separator or ":" in separator for separator in stretch[1::2])


def _is_statement(stretch: Tokens) -> bool:
    """Whether the words are several that say something, or hold a field: no name."""
    words = [word for word in stretch[::2] if word]
    return len(words) > 1 and (any(word in _JOINS or word == WILDCARD for word in words) or _has_fields(stretch))


def _is_list(stretch: Tokens) -> bool:
    return all("," in separator for separator in stretch[1::2])


def _words_beside(tokens: Tokens, start: int, rest: int) -> int:
    words = [*tokens[:start:2], *tokens[len(tokens) - rest :][1::2]]
    if words and words[0].upper() in LEVELS:
        words = words[1:]
    return sum(word not in ("", "-", WILDCARD) and any(map(str.isalpha, word)) for word in words)


def _next_is_new(values: Mapping[Tokens, int]) -> float:
    """The probability that the next value is a new one."""
    records = sum(values.values())
    return sum(count == 1 for count in values.values()) / records if records else 0.0
