"""How far the reading of long files is, on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from airflow_cd.report.words import size
from airflow_cd.verification.files.opening import STANDARD_INPUT, InputFile, Progress, size_of

PATIENCE = 0.5  # seconds without a word: what is over by then needs none
PAUSE = 0.1  # seconds between two words


class Watching:
    """A line on a terminal that says what is being read; nothing where there is no terminal.

    :param clock: seconds, as :func:`time.monotonic` tells them.
    """

    def __init__(self, stream: TextIO, *, shown: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._shown = shown and stream.isatty()
        self._clock = clock
        self._next = clock() + PATIENCE
        self._written = False

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *error: object) -> None:
        if self._written:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def file(self, file: InputFile) -> Progress | None:
        """Whom to tell how many more bytes of the file were read."""
        if not self._shown:
            return None
        if file.path == STANDARD_INPUT and sys.stdin.isatty():
            self._stream.write("reading standard input from this terminal; Ctrl-D ends it\n")
        whole, began, read = size_of(file.path), self._clock(), 0

        def progress(more: int) -> None:
            nonlocal read
            read += more
            took = self._clock() - began
            pace = f", {size(read / took)}/s" if took >= PATIENCE else ""
            share = f"{100 * read / whole:3.0f} % of {size(whole)}" if whole else size(read)
            self.say(f"reading {file.name}: {share}{pace}")

        return progress

    def say(self, text: str) -> None:
        """Show it, unless something was shown a moment ago."""
        now = self._clock()
        if not self._shown or now < self._next:
            return
        self._next, self._written = now + PAUSE, True
        self._stream.write(f"\r{text[:100]}\x1b[K")
        self._stream.flush()
