"""Fields ``name=value`` beside a message: a release that logs one more or one less still says the same."""

from __future__ import annotations

from collections.abc import Callable

from airflow_cd.verification.logs.headers.failures import suggests_failure
from airflow_cd.verification.logs.headers.levels import LEVELS
from airflow_cd.verification.logs.masking import WILDCARD
from airflow_cd.verification.logs.slots import Tokens, says_what_happened

_LEAST_WORDS = 2  # that the message has without its fields


def without_fields(tokens: Tokens, is_protected: Callable[[str], bool]) -> tuple[str, dict[str, str]]:
    """A message without its fields of one word, and these; ``""`` where little else is said or no level is stated.

    Fields that say what happened are part of the message. Of a record without a level nobody knows which fields those
    are: it comes from no logger that adds fields by itself.

    :param tokens: of the masked message, words at even positions.
    :param is_protected: whether a word is part of what a message says, wherever it stands.
    """
    kept: list[str] = []
    fields: dict[str, str] = {}
    position = 0
    while position < len(tokens):
        if _is_field(tokens, position, is_protected):
            fields[tokens[position]] = tokens[position + 2]
            position += 4
        else:
            kept.append(tokens[position])
            position += 2
    words = sum(word not in ("", "-", WILDCARD) for word in kept[1:])
    enough = words >= _LEAST_WORDS and kept[0].upper() in LEVELS
    return (" ".join(filter(None, kept)) if enough else ""), fields


def _is_field(tokens: Tokens, position: int, is_protected: Callable[[str], bool]) -> bool:
    """Whether a field begins here that stands between spaces and says nothing of what happened."""
    if tokens[position + 1 : position + 2] != ("=",) or not tokens[position]:
        return False
    alone = (not position or tokens[position - 1][-1:].isspace()) and (
        position + 3 >= len(tokens) or tokens[position + 3][:1].isspace()
    )
    value = tokens[position + 2]
    if not alone or not value or is_protected(value) or suggests_failure(value):
        return False
    return not says_what_happened(tokens, position + 2)
