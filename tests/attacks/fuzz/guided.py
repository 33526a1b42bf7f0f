"""The same readers under atheris, which sees what an input reaches and steers the next one: ``pip install atheris``.

It has wheels for Linux, up to Python 3.13.
"""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.attacks.fuzz.trial import LONGEST, Reader

ROOT = Path(__file__).parents[3]
SHOWN = 4000
"""Characters of what is said of a reader that fails."""


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


def each(readers: Sequence[Reader], count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Try inputs on each reader, in a process of its own; gives its name and what was found, ``""`` for nothing.

    :param readers: what reads them.
    :param count: how many inputs for each.
    :param seed: of libFuzzer.
    """
    for reader in readers:
        # A process that is forked has none of the threads of what it has loaded, and waits for them.
        command = [sys.executable, "-m", "tests.attacks", "fuzz", "--engine", "atheris", "--only", reader.name]
        done = subprocess.run(
            [*command, "--inputs", str(count), "--seed", str(seed)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        yield reader.name, done.stdout[-SHOWN:] if done.returncode else ""


def one(reader: Reader, count: int, seed: int) -> None:
    """Try inputs on a reader; ends this process, with 0 when nothing was found.

    :param reader: what reads them.
    :param count: how many inputs.
    :param seed: of libFuzzer.
    """
    import atheris

    def test(data: bytes) -> None:
        error = reader.once(reader.input(Steered(data)))
        if error is not None:
            raise error

    arguments: list[Any] = [
        sys.argv[0], f"-runs={count}", f"-seed={seed}", f"-timeout={LONGEST:.0f}", "-max_len=4096", "-verbosity=0",
        f"-artifact_prefix={tempfile.gettempdir()}/",
    ]  # fmt: skip
    atheris.Setup(arguments, test)
    atheris.Fuzz()
