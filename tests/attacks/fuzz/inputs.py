"""Inputs that somebody made to break a reader: from pieces of what it reads, and from what it never should."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

ALPHABETS = (
    "abcXYZ",
    "0123456789",
    " \t",
    "\n\r\x0b\x0c\x1c\x85\u2028\u2029",
    "\x00\x01\x1b\x7f\x9b\ufeff\ufffe\uffff",
    "\u200b\u200d\u2060\u202a\u202e\u2066\u2069\u00ad",
    "\ud800\udfff\U0010ffff",
    "²½٣௧①Ⅷ",
    "e\u0301\u0300ßİıſK",
    "'\"`\\/|&;<>{}[]()=:,.%#?@!$*+-_~^",
)
NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2**31, 2**63, -(2**63), 10**400, -(10**400), 1e308, -1e308, 5e-324, -0.0, float("inf"), float("-inf"),
    float("nan"), True, False, None,
)  # fmt: skip


class Chance(Protocol):
    """What makes choices: ``random.Random``, or a fuzzer that steers."""

    def randrange(self, stop: int, /) -> int:
        """A number from 0 on."""


def _one(chance: Chance, options: Sequence[Any]) -> Any:
    return options[chance.randrange(len(options))]


def text(chance: Chance, words: Sequence[str]) -> str:
    """A text.

    :param chance: makes the choices.
    :param words: pieces of what is usually read.
    """
    pieces: list[str] = []
    for _ in range(chance.randrange(14)):
        kind = chance.randrange(10)
        if kind < 6 and words:
            piece = _one(chance, words)
        elif kind < 8:
            alphabet = _one(chance, ALPHABETS)
            piece = "".join(_one(chance, alphabet) for _ in range(1 + chance.randrange(6)))
        elif kind == 8 and pieces:
            piece = _one(chance, pieces) * (1 + chance.randrange(40))
        else:
            piece = json.dumps(_one(chance, NUMBERS))
        cut = chance.randrange(8)
        pieces.append(piece[cut:] if cut == 1 else piece[:-1] if cut == 2 else piece)
    return "".join(pieces)


def content(chance: Chance, words: Sequence[str]) -> bytes:
    """Bytes, most of them a text's."""
    data = bytearray(text(chance, words).encode("utf-8", "surrogatepass"))
    for _ in range(chance.randrange(4) if data else 0):
        at = chance.randrange(len(data))
        data[at : at + chance.randrange(3)] = bytes([chance.randrange(256)])
        if not data:
            break
    return bytes(data)


def value(chance: Chance, words: Sequence[str], depth: int = 0) -> Any:
    """JSON values of any form."""
    kind = chance.randrange(9 if depth < 4 else 5)
    if kind < 2:
        return _one(chance, NUMBERS)
    if kind < 5:
        return _one(chance, words) if words and kind == 2 else text(chance, words)[:200]
    if kind < 7:
        return [value(chance, words, depth + 1) for _ in range(chance.randrange(4))]
    return {
        _one(chance, words) if words and chance.randrange(3) else text(chance, words)[:20]: value(
            chance, words, depth + 1
        )
        for _ in range(chance.randrange(4))
    }


def damaged(chance: Chance, seed: Any, words: Sequence[str]) -> Any:
    """What was right, with a few places changed: read further than what is wrong from the first character on.

    :param chance: makes the choices.
    :param seed: JSON values that are read without complaint.
    :param words: names and texts to put there.
    """
    holder = [copy.deepcopy(seed)]
    for _ in range(1 + chance.randrange(3)):
        places = list(_places(holder))
        container, key = _one(chance, places)
        kind = chance.randrange(6)
        if kind == 0 and isinstance(container, dict):
            del container[key]
        elif kind == 1 and isinstance(container, list):
            container.append(copy.deepcopy(container[key]))
        elif kind == 2 and isinstance(container, dict):
            container[text(chance, words)[:20]] = container[key]
        elif kind == 3:
            container[key] = [container[key]]
        elif kind == 4:
            container[key] = _one(chance, NUMBERS)
        else:
            container[key] = value(chance, words, 2)
    return holder[0]


def _places(found: Any) -> Iterator[tuple[Any, Any]]:
    left = [found]
    while left:
        container = left.pop()
        for key, item in container.items() if isinstance(container, dict) else enumerate(container):
            yield container, key
            if isinstance(item, (dict, list)) and item:
                left.append(item)


def grown(found: Any, times: int) -> Any:
    """The same input, so many times as large.

    :param found: a text, bytes, or JSON values, of which the largest list, object or text grows.
    :param times: how many times.
    """
    if isinstance(found, (str, bytes)):
        return found * times
    holder = [copy.deepcopy(found)]
    container, key = max(_places(holder), key=lambda place: _weight(place[0][place[1]]))
    item = container[key]
    if isinstance(item, dict):
        container[key] = {f"{name}{number or ''}": one for number in range(times) for name, one in item.items()}
    elif isinstance(item, list) and item and isinstance(item[0], dict) and isinstance(item[0].get("name"), str):
        # Names are told apart, or the second is refused.
        container[key] = [one | {"name": f"{one.get('name')}{number}"} for number in range(times) for one in item]
    elif isinstance(item, (str, list)):
        container[key] = item * times
    return holder[0]


def _weight(item: Any) -> int:
    return len(json.dumps(item, default=str)) if isinstance(item, (dict, list, str)) else 0


def size(found: Any) -> int:
    """How large an input is: characters or bytes, of JSON values those of their text."""
    return len(found) if isinstance(found, (str, bytes)) else len(json.dumps(found, default=str))
