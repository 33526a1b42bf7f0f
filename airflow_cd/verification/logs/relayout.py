"""A log whose layout changed: the same messages with something else in front of them.

A release that writes JSON instead of text, spells out the names of its loggers or puts the id of a trace into each
record changes what stands before all messages at once. Then most kinds of messages are new and most known ones are
gone, and what pairs them shows what stands before them now and stood there before. A message is known if it is known
with that; a new error is as new behind another header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_cd.verification.logs.headers.failures import suggests_failure
from airflow_cd.verification.logs.headers.levels import LEVELS
from airflow_cd.verification.logs.parameters import is_protected
from airflow_cd.verification.logs.signatures import Signature

_MOST = 0.5  # of the canary's records are of kinds that are not known as they stand, and of those that are paired
_FEWEST_KINDS = 5  # that have to be paired for the layout to have changed,
_FEWEST_OF_ONE = 3  # and of those with the same before them
_LEAST_WORDS = 2  # of a message
_MOST_WORDS_BEFORE = 6
_IN_A_FIELD = re.compile(r"(?:^|.*? )(?:msg|message)=\"(.*)\"(?: [\w.-]+=\S+)*$")

_Pair = tuple[str, str]


@dataclass(frozen=True)
class Relayout:
    """What stands before messages now, and what stood there before.

    :param pairs: of both, each of a level's messages; empty if the layout is the same.
    """

    pairs: Sequence[_Pair] = ()

    def as_before(self, signature: Signature) -> list[Signature]:
        """The message as it may have been known.

        :param signature: of the canary.
        """
        if not self.pairs or signature.traced:
            return []
        level, text = _message(signature.template)
        before = [(old, text[len(new) :]) for new, old in self.pairs if text.startswith(new)]
        return [Signature.of_line(f"{level}{old}{rest}") for old, rest in before if len(rest.split()) >= _LEAST_WORDS]


def relayout_of(canary: Mapping[Signature, int], reference: Mapping[Signature, int]) -> Relayout:
    """How the layout of the canary's log differs from that of what it is compared with.

    :param canary: records of each kind of message.
    :param reference: the same of what it is compared with.
    """
    new = {one: count for one, count in canary.items() if one not in reference and not one.traced}
    if len(new) < _FEWEST_KINDS or sum(new.values()) < _MOST * sum(canary.values()):
        return Relayout()
    gone: dict[_Pair, list[str]] = {}
    for one in reference:
        if one not in canary and not one.traced:
            for level, before, message in _divided(one):
                gone.setdefault((level, message), []).append(before)
    kinds: dict[_Pair, int] = {}
    paired = records = 0
    for one, count in new.items():
        for level, before, message in _divided(one):
            others = {other for other in gone.get((level, message), ()) if other != before}
            if others:
                for other in others:
                    kinds[before, other] = kinds.get((before, other), 0) + 1
                paired += 1
                records += count
                break
    if paired < _FEWEST_KINDS or records < _MOST * sum(new.values()):
        return Relayout()
    pairs = [pair for pair, number in kinds.items() if number >= _FEWEST_OF_ONE and not _says_something(pair[0])]
    return Relayout(sorted(pairs, key=lambda pair: (-len(pair[0]), -kinds[pair], pair)))


def _divided(signature: Signature) -> list[tuple[str, str, str]]:
    """Level, what stands before the message, and the message, for each place where it may begin."""
    level, text = _message(signature.template)
    words = text.split(" ")
    most = min(_MOST_WORDS_BEFORE, len(words) - _LEAST_WORDS)
    found = []
    for at in range(most + 1):
        message = " ".join(words[at:])
        found.append((level, text[: len(text) - len(message)], message))
    return found


def _says_something(before: str) -> bool:
    """Whether what stands before messages tells of failure, or is a word that a message is told apart by."""
    return suggests_failure(f"{before}<*>.") or any(map(is_protected, re.findall(r"\w+", before)))


def _message(template: str) -> _Pair:
    """The level and what follows it; the message alone where it stands in a field of its own."""
    first, _, rest = template.partition(" ")
    level, text = (f"{first} ", rest) if first in LEVELS else ("", template)
    field = _IN_A_FIELD.match(text)
    return level, field[1] if field is not None else text
