"""The same readers under atheris, which sees what an input reaches and steers the next one; it needs atheris."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence
from typing import Any

from tests.attacks.fuzz.trial import Reader


class Steered:
    """Choices from atheris' bytes, where the others come from a random generator.

    :param data: what atheris gives.
    """

    def __init__(self, data: bytes) -> None:
        self._left = iter(data)

    def randrange(self, stop: int, /) -> int:
        """A number from 0 on; once the bytes are used up always 0, which ends what is being made."""
        number = next(self._left, 0)
        return (number if stop <= 256 else number << 8 | next(self._left, 0)) % stop


def guided(readers: Sequence[Reader], count: int) -> int:
    """Try inputs on each reader, in a process of its own: atheris ends the one that it runs in.

    :param readers: what reads them.
    :param count: how many inputs for each.
    """
    found = 0
    for reader in readers:
        process = multiprocessing.get_context("fork").Process(target=_one, args=(reader, count))
        process.start()
        process.join()
        found += bool(process.exitcode)
        sys.stdout.write(f"{reader.name:20} {count:>10,} inputs  exit code {process.exitcode}\n")
    return int(found > 0)


def _one(reader: Reader, count: int) -> None:
    import atheris  # type: ignore[import-not-found,unused-ignore]

    def test(data: bytes) -> None:
        error = reader.once(reader.input(Steered(data)))
        if error is not None:
            raise error

    arguments: list[Any] = [sys.argv[0], f"-runs={count}", "-max_len=4096", "-verbosity=0"]
    atheris.instrument_all()
    atheris.Setup(arguments, test)
    atheris.Fuzz()
