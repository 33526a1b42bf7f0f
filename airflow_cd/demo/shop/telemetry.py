"""What an instance leaves behind for those who watch it: its log and one line for each request."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any


class _Appender:
    """Appends whole records to a file: old and new process of an instance may write to it at the same time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def append(self, record: str) -> None:
        os.write(self._file, record.encode("utf-8", "backslashreplace") + b"\n")


class LogFile(logging.Handler):
    """Writes ``YYYY-MM-DDTHH:MM:SS.mmmZ LEVEL logger - message``, tracebacks on the lines that follow."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._appender = _Appender(path)
        formatter = logging.Formatter(
            "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s - %(message)s", datefmt="%Y-%m-%dT%H:%M:%S"
        )
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record."""
        try:
            self._appender.append(self.format(record))
        except Exception:  # noqa: BLE001 - logging's own contract: a record that cannot be written is not the caller's
            self.handleError(record)


class TransactionFile:
    """Writes one JSON line for each request, with the attributes of New Relic's ``Transaction`` event.

    :param constant: attributes that all requests of the process share.
    """

    def __init__(self, path: Path, constant: dict[str, Any]) -> None:
        self._appender = _Appender(path)
        self._constant = constant

    def record(self, *, timestamp: float, name: str, duration: float, status: int, error_class: str | None) -> None:
        """Append a request.

        :param timestamp: when it began, epoch seconds.
        :param duration: seconds.
        :param error_class: class of the uncaught exception, if any.
        """
        request = {
            "timestamp": round(timestamp * 1000, 3),
            **self._constant,
            "name": f"WebTransaction/{name}",
            "duration": round(duration, 6),
            "error": error_class is not None,
            "error.class": error_class,
            "httpResponseCode": str(status),
        }
        self._appender.append(json.dumps(request))


def log_to(path: Path) -> None:
    """Send everything that is logged in this process to the file."""
    logging.addLevelName(logging.WARNING, "WARN")
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(LogFile(path))
