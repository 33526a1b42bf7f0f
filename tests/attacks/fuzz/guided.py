"""The same readers under atheris, which sees what an input reaches and steers the next one: ``pip install atheris``.

It has wheels for Linux, up to Python 3.13.
"""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
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


def missing() -> str:
    """Why atheris cannot steer here, ``""`` when it can."""
    return "" if importlib.util.find_spec("atheris") else "atheris is not installed: pip install atheris"


@contextlib.contextmanager
def seen() -> Iterator[None]:
    """What is imported meanwhile of ours is what atheris sees; all that Airflow brings would take minutes."""
    import atheris  # type: ignore[import-not-found,unused-ignore]

    with atheris.instrument_imports(include=["airflow_cd"], enable_loader_override=False):
        yield


def guided(readers: Sequence[Reader], count: int, seed: int) -> int:
    """Try inputs on each reader, in a process of its own: atheris ends the one that it runs in.

    :param readers: what reads them.
    :param count: how many inputs for each.
    :param seed: of libFuzzer.
    """
    found = 0
    for reader in readers:
        process = multiprocessing.get_context("fork").Process(target=_one, args=(reader, count, seed))
        process.start()
        process.join()
        found += bool(process.exitcode)
        sys.stdout.write(f"{reader.name:20} {count:>10,} inputs  exit code {process.exitcode}\n")
        sys.stdout.flush()
    return int(found > 0)


def _one(reader: Reader, count: int, seed: int) -> None:
    import atheris

    def test(data: bytes) -> None:
        error = reader.once(reader.input(Steered(data)))
        if error is not None:
            raise error

    arguments: list[Any] = [sys.argv[0], f"-runs={count}", f"-seed={seed}", "-max_len=4096", "-verbosity=0"]
    atheris.Setup(arguments, test)
    atheris.Fuzz()
