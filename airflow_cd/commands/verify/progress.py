"""Progress of reading long files, on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from airflow_cd.report.words import size
from airflow_cd.verification.files.opening import STANDARD_INPUT, InputFile, Progress, size_of

FIRST_AFTER = 0.5  # seconds: what is done by then needs no progress
INTERVAL = 0.1  # seconds between two updates


class ReadingProgress:
    """A line on a terminal that shows what is being read; nothing where there is no terminal.

    :param stream: where it is shown.
    :param shown: False shows nothing.
    :param clock: seconds, as :func:`time.monotonic` counts them.
    """

    def __init__(self, stream: TextIO, *, shown: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._shown = shown and stream.isatty()
        self._clock = clock
        self._next = clock() + FIRST_AFTER
        self._written = False

    def __enter__(self) -> ReadingProgress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._written:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def of(self, file: InputFile) -> Progress | None:
        """The callback for the number of bytes read from the file; None where nothing is shown."""
        if not self._shown:
            return None
        if file.path == STANDARD_INPUT and sys.stdin.isatty():
            self._stream.write("reading standard input from this terminal; Ctrl-D ends it\n")
        whole, began, read = size_of(file.path), self._clock(), 0

        def progress(more: int) -> None:
            nonlocal read
            read += more
            elapsed = self._clock() - began
            pace = f", {size(read / elapsed)}/s" if elapsed >= FIRST_AFTER else ""
            share = f"{100 * read / whole:3.0f} % of {size(whole)}" if whole else size(read)
            self.show(f"reading {file.name}: {share}{pace}")

        return progress

    def show(self, text: str) -> None:
        """Show a text, unless another one was shown a moment ago."""
        now = self._clock()
        if not self._shown or now < self._next:
            return
        self._next, self._written = now + INTERVAL, True
        self._stream.write(f"\r{text[:100]}\x1b[K")
        self._stream.flush()
