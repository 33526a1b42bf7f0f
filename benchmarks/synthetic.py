"""Log systems out of nothing: labelled like the real ones, for tests that need no data."""

from __future__ import annotations

import random

from benchmarks.loghub import System

_LINES = 2000
_SYLLABLES = ("ca", "den", "fi", "gor", "hu", "jal", "kem", "lin", "mo", "nup", "pre", "rak", "so", "tum", "vi", "xen")


def system(name: str, seed: int, templates: int = 60) -> System:
    """A system of so many templates, some frequent and most rare, with numbers, addresses, paths and names in them."""
    rng = random.Random(f"{name} {seed}")
    words = ["".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(1, 3))) for _ in range(300)]
    names = ["".join(rng.choice(_SYLLABLES) for _ in range(3)) for _ in range(40)]
    made = [_template(rng, words) for _ in range(templates)]
    weights = [1 / (rank + 1) for rank in range(templates)]
    lines, labels = [], []
    for _ in range(_LINES):
        parts = rng.choices(made, weights)[0]
        lines.append(" ".join(_value(rng, part, names) for part in parts))
        labels.append(" ".join(_label(part) for part in parts))
    return System(name, tuple(lines), tuple(labels), tuple(labels), headers=("",) * len(lines))


def _template(rng: random.Random, words: list[str]) -> list[str]:
    kinds = ("<number>", "<address>", "<path>", "<hex>", "<name>", "key=<number>")
    parts = [rng.choice(words) for _ in range(rng.randint(4, 9))]
    for _ in range(rng.randint(0, 3)):
        parts.insert(rng.randint(1, len(parts)), rng.choice(kinds))
    return parts


def _value(rng: random.Random, part: str, names: list[str]) -> str:
    if "<" not in part:
        return part
    number = rng.randrange(10 ** rng.randint(1, 7))
    values = {
        "<number>": str(number),
        "<address>": f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}:{rng.randrange(9999)}",
        "<path>": f"/var/{rng.choice(names)}/{rng.choice(names)}.{number}",
        "<hex>": f"{rng.getrandbits(64):016x}",
        "<name>": rng.choice(names),
        "key=<number>": f"key={number}",
    }
    return values[part]


def _label(part: str) -> str:
    return part if "<" not in part else "key=<*>" if part.startswith("key=") else "<*>"
