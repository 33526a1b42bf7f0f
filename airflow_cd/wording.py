"""Numbers and nouns as English writes them, for sentences that people read."""

from __future__ import annotations

import re
from collections.abc import Sequence


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 record``, ``2,718 records``.

    :param number: how many.
    :param noun: in the singular, of those that take an s.
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def with_article(noun: str) -> str:
    """A noun behind ``a`` or ``an``, by its first letter.

    :param noun: in the singular.
    """
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def ended(sentence: str) -> str:
    """A sentence with a full stop behind it, unless it has an end of its own: ``did you mean 'shop'?``.

    :param sentence: with or without its end.
    """
    return sentence if sentence.endswith((".", "?", "!")) else f"{sentence}."


def first_of(names: Sequence[str], most: int) -> str:
    """The first of some names, and how many more there are: ``web-1, web-2 and 3 more``.

    :param names: in their order.
    :param most: how many are named.
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def first_sentence(text: str) -> tuple[str, str]:
    """The first sentence of a text, and what follows it, ``""`` where nothing does.

    :param text: sentences on one line; a point within a number or a name, as of ``3.0``, ends none.
    """
    ends = re.search(r"[.?!](?=\s)", text.strip())
    return (text.strip()[: ends.end()], text.strip()[ends.end() :].strip()) if ends else (text.strip(), "")


def without_bullets(text: str) -> str:
    """A sentence and the list under it on one line: the points of the list one behind the other.

    :param text: with points as of Markdown, ``- `` at the beginning of a line.
    """
    sentence, *points = re.split(r"\n\s*- ", text.strip())
    parts = [" ".join(sentence.split()), "; ".join(" ".join(point.split()) for point in points)]
    return " ".join(part for part in parts if part)
