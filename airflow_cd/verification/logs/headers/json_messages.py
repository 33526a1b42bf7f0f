"""What a JSON record says where no field's name tells: its sentence, or the name of its event.

Which field holds the message shows in the record itself. A sentence has spaces in it and words in small letters; names
of customers, places and machines have not. A record without a sentence may name what happened in one word of several
parts (``ledger.drift``, ``order_placed``). Hosts, loggers and users are called like that as well, so that their fields
are left out. The choice must not depend on numbers, which are masked already in most records that are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from airflow_cd.verification.logs.masking import NOTES, mask_line

DEEPEST = 3
"""So many objects within each other are looked into."""
_PRODUCT = re.compile(r"[A-Za-z][\w.-]*/[\d.]+ ?[(\w]")  # a browser, a client: `Mozilla/5.0 (X11; Linux)`
_WORD_OF_PARTS = re.compile(r"[^\W\d_]+(?:[._:-][^\W\d_]+)+|[A-Z]?[a-z]+(?:[A-Z][a-z]+)+")
_WORD = re.compile(r"[^\W\d_]+(?:[._:-][^\W\d_]+)*")
_MARKS_OF_SENTENCES = ".,:;!?()'\""
_LONGEST_WORD = 60
_NAMES_OF_EVENTS = ("event", "evt", "action", "activity", "name", "kind", "topic")
_PART = re.compile(r"[._-]")
# Where a record comes from and whom it is about, in small letters.
_ORIGIN = (
    "logger host hostname service svc app application component module program process thread caller source src env "
    "environment file filename function func method class namespace ns pod container image node instance region zone "
    "cluster user username uid id account tenant customer client peer email path url uri route time timestamp ts date "
    "level severity stream version commit agent"
)
_OF_ORIGIN = frozenset(_ORIGIN.split())
_OF_CLIENTS = ("agent", "ua", "referer", "referrer")


class _Text(NamedTuple):
    """A text within a record.

    :param name: of its field, in small letters.
    :param beside: whether it stands in the object that states the level.
    """

    name: str
    text: str
    beside: bool


def sentence_in(content: Mapping[str, Any], stating: Mapping[str, Any]) -> str:
    """The text that most likely is the message of a record none of whose fields is called like one; ``""`` without.

    :param content: the record.
    :param stating: the object that states the level: the record itself or one within.
    """
    found = [(text.beside, _small_words(text.text), text.text) for text in _texts(content, stating) if _may_say(text)]
    best = max(((beside, words) for beside, words, _ in found if words), default=None)
    return next((text for beside, words, text in found if (beside, words) == best), "")


def event_in(content: Mapping[str, Any], stating: Mapping[str, Any]) -> str:
    """The word that names what happened, by its field or by its looks; ``""`` without.

    :param content: the record; ``stating`` as for :func:`sentence_in`.
    """
    words = [text for text in _texts(content, stating) if not _is_of_origin(text.name) and _is_plain(text.text)]
    named = (text.text for text in words if is_name_of_event(text.name) and _WORD.fullmatch(text.text))
    return next(named, "") or next((text.text for text in words if _WORD_OF_PARTS.fullmatch(text.text)), "")


def is_name_of_event(name: str) -> bool:
    """Whether a field is called like one that names what happened.

    :param name: of the field, in small letters.
    """
    return any(part in _NAMES_OF_EVENTS for part in _PART.split(name))


def _texts(content: Mapping[str, Any], stating: Mapping[str, Any], depth: int = 1) -> Iterator[_Text]:
    beside = content is stating
    for key, value in content.items():
        name = key.lower().lstrip("@_")
        if isinstance(value, str):
            yield _Text(name, value.strip(), beside)
        elif isinstance(value, list):
            yield from (_Text(name, item.strip(), beside) for item in value if isinstance(item, str))
        elif isinstance(value, dict) and depth < DEEPEST:
            yield from _texts(value, stating, depth + 1)


def _may_say(text: _Text) -> bool:
    of_client = _PART.split(text.name)[-1].endswith(_OF_CLIENTS) or _PRODUCT.match(text.text) is not None
    return " " in text.text and not of_client


def _small_words(text: str) -> int:
    """Words in small letters, or of a script without capitals, that hold no number."""
    words = (word.strip(_MARKS_OF_SENTENCES) for word in mask_line(text).split(NOTES)[0].split())
    return sum(word[:1].lower() == word[:1] and _WORD.fullmatch(word) is not None for word in words)


def _is_plain(text: str) -> bool:
    return 1 < len(text) <= _LONGEST_WORD and mask_line(text) == text


def _is_of_origin(name: str) -> bool:
    return not _OF_ORIGIN.isdisjoint((name, *_PART.split(name)))
