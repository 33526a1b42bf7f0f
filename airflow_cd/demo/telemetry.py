"""What the demo fleet did and logged, read from the files its instances append to.

The layout is ``logs/<environment>/<instance>.log`` (text; a record starts with a timestamp and may go on over
following lines) and ``transactions/<environment>/<instance>.jsonl`` (one JSON object for each request). Files may
appear later, grow at any moment and end in half a line.
"""

from __future__ import annotations

import bisect
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Generic, TypeVar

from airflow_cd.errors import AirflowCdError

KEEP_SECONDS = 2 * 3600.0
"""How far back an index remembers."""

RECORD_COMPLETE_SECONDS = 0.3
"""A log record without a follower is complete once nothing was appended to it for so long."""

_CHUNK = 4 * 1024 * 1024
_RECORD_START = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})Z ")


@dataclass(frozen=True)
class LogRecord:
    """One log record as collected.

    :param id: the same for the same record whenever it is read; a signed 64-bit integer.
    :param time_ms: the record's own timestamp, epoch milliseconds.
    :param arrival_ms: when it was collected, epoch milliseconds.
    :param environment: where its instance runs.
    :param instance: who logged it.
    :param path: the file it was read from.
    :param text: the record, its following lines included, without the last line end.
    """

    id: int
    time_ms: int
    arrival_ms: int
    environment: str
    instance: str
    path: str
    text: str


@dataclass(frozen=True)
class Transaction:
    """One request as its instance measured it.

    :param time_ms: when it started, epoch milliseconds.
    :param arrival_ms: when it was collected, epoch milliseconds.
    :param attributes: what the instance wrote, as parsed.
    """

    time_ms: int
    arrival_ms: int
    attributes: dict[str, Any]


Item = TypeVar("Item", LogRecord, Transaction)


class TimeIndex(Generic[Item]):
    """Items in order of their own time, the oldest forgotten.

    :param keep_seconds: items older than this are dropped.
    """

    def __init__(self, keep_seconds: float = KEEP_SECONDS) -> None:
        self._keep_ms = keep_seconds * 1000
        self._times: list[int] = []
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item) -> None:
        """Take an item in, wherever in time it belongs; one older than the index remembers is dropped."""
        if item.time_ms < time.time() * 1000 - self._keep_ms:
            return
        if not self._times or item.time_ms >= self._times[-1]:
            self._times.append(item.time_ms)
            self._items.append(item)
        else:
            position = bisect.bisect_right(self._times, item.time_ms)
            self._times.insert(position, item.time_ms)
            self._items.insert(position, item)

    def between(self, since_ms: float, until_ms: float) -> list[Item]:
        """Items with ``since_ms <= time < until_ms``, oldest first."""
        return self._items[bisect.bisect_left(self._times, since_ms) : bisect.bisect_left(self._times, until_ms)]

    def all(self) -> list[Item]:
        """Every item, oldest first."""
        return list(self._items)

    def forget(self) -> None:
        """Drop what is older than the index remembers."""
        gone = bisect.bisect_left(self._times, time.time() * 1000 - self._keep_ms)
        if gone:
            del self._times[:gone]
            del self._items[:gone]


@dataclass
class _TailedFile:
    """Reads what was appended to a file since the last look; a file cut short or replaced is read anew."""

    path: Path
    offset: int = 0
    inode: int = 0
    rest: bytes = b""

    def lines(self) -> Iterator[tuple[int, str]]:
        """Complete new lines as (offset in the file, text without the line end)."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return
        if status.st_size < self.offset or (self.inode and status.st_ino != self.inode):
            self.offset, self.rest = 0, b""
        self.inode = status.st_ino
        while self.offset < status.st_size:
            try:
                with self.path.open("rb") as file:
                    file.seek(self.offset)
                    chunk = file.read(_CHUNK)
            except FileNotFoundError:
                return
            if not chunk:
                return
            start = self.offset - len(self.rest)
            self.offset += len(chunk)
            *complete, self.rest = (self.rest + chunk).split(b"\n")
            for line in complete:
                yield start, line.decode("utf-8", errors="replace").rstrip("\r")
                start += len(line) + 1


class _Directory:
    """The telemetry files of one kind, found as they appear."""

    def __init__(self, root: Path, suffix: str) -> None:
        self._root = root
        self._suffix = suffix
        self._files: dict[tuple[str, str], _TailedFile] = {}

    def files(self) -> Iterator[tuple[str, str, _TailedFile]]:
        """(environment, instance, file) of every file there is now."""
        for environment in _entries(self._root):
            for entry in _entries(environment) if environment.is_dir() else ():
                key = (environment.name, entry.name.removesuffix(self._suffix))
                if entry.name.endswith(self._suffix) and key not in self._files:
                    self._files[key] = _TailedFile(entry)
        for (name, instance), file in sorted(self._files.items()):
            yield name, instance, file


def _entries(directory: Path) -> list[Path]:
    """What a directory holds; nothing when it is not there (any more)."""
    try:
        return list(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


class TransactionReader:
    """Follows the fleet's transactions.

    :param telemetry: the telemetry directory; need not exist yet.
    :param keep_seconds: how far back :attr:`index` remembers.
    """

    def __init__(self, telemetry: Path, keep_seconds: float = KEEP_SECONDS) -> None:
        self.index: TimeIndex[Transaction] = TimeIndex(keep_seconds)
        self._directory = _Directory(telemetry / "transactions", ".jsonl")

    def refresh(self) -> None:
        """Take in what was appended since the last call. A line that is not a transaction is left out."""
        for environment, instance, file in self._directory.files():
            for _, line in file.lines():
                transaction = _parse_transaction(line, environment, instance)
                if transaction is not None:
                    self.index.add(transaction)
        self.index.forget()


def _parse_transaction(line: str, environment: str, instance: str) -> Transaction | None:
    try:
        attributes = json.loads(line)
        time_ms = int(attributes.pop("timestamp"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    attributes.setdefault("environment", environment)
    attributes.setdefault("host", instance)
    return Transaction(time_ms, int(time.time() * 1000), attributes)


@dataclass
class _OpenRecord:
    """A record that may still go on."""

    offset: int
    time_ms: int
    lines: list[str] = field(default_factory=list)
    touched: float = 0.0


class LogReader:
    """Follows the fleet's logs and puts records of several lines together.

    :param telemetry: the telemetry directory; need not exist yet.
    :param keep_seconds: how far back :attr:`index` remembers.
    :param clock: seconds, monotonic; decides when a record is complete.
    """

    def __init__(
        self, telemetry: Path, keep_seconds: float = KEEP_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.index: TimeIndex[LogRecord] = TimeIndex(keep_seconds)
        self._directory = _Directory(telemetry / "logs", ".log")
        self._open: dict[tuple[str, str], _OpenRecord] = {}
        self._clock = clock

    def refresh(self) -> None:
        """Take in what was appended since the last call; complete records become visible."""
        for environment, instance, file in self._directory.files():
            key = (environment, instance)
            for offset, line in file.lines():
                start = _record_time(line)
                current = self._open.get(key)
                if current is None or start is not None:
                    self._close(key, file.path)
                    current = _OpenRecord(offset, int(time.time() * 1000) if start is None else start)
                    self._open[key] = current
                current.lines.append(line)
                current.touched = self._clock()
            last = self._open.get(key)
            if last is not None and self._clock() - last.touched >= RECORD_COMPLETE_SECONDS:
                self._close(key, file.path)
        self.index.forget()

    def _close(self, key: tuple[str, str], path: Path) -> None:
        record = self._open.pop(key, None)
        if record is None:
            return
        text = "\n".join(record.lines).rstrip()
        if not text:
            return
        environment, instance = key
        identity = hashlib.blake2b(f"{environment}/{instance}/{record.offset}/{text}".encode(), digest_size=8).digest()
        self.index.add(
            LogRecord(
                id=int.from_bytes(identity, "big", signed=True),
                time_ms=record.time_ms,
                arrival_ms=int(time.time() * 1000),
                environment=environment,
                instance=instance,
                path=str(path),
                text=text,
            )
        )


def _record_time(line: str) -> int | None:
    """The timestamp a record starts with, epoch milliseconds; None for a following line."""
    match = _RECORD_START.match(line)
    if match is None:
        return None
    try:
        moment = datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return int(moment.timestamp()) * 1000 + int(match[2])


def telemetry_directory(path: Path) -> Path:
    """The directory as an absolute path.

    :raises AirflowCdError: the path exists and is not a directory.
    """
    if path.exists() and not path.is_dir():
        raise AirflowCdError(
            f"the telemetry directory {path} is a file.",
            next_step="Name the directory the fleet writes its telemetry to; it may be missing until the fleet starts.",
        )
    return path.absolute()
