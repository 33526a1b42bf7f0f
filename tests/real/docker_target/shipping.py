"""What containers write, sent on as a shipper of logs does: to files, to VictoriaLogs, to OpenSearch."""

from __future__ import annotations

import functools
import json
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.real.engine import Engine

_AGAIN = 0.3  # seconds until a container that has ended is looked for again
_AT_ONCE = 500


@dataclass(frozen=True)
class Line:
    """A line of a container, with when its host received it."""

    at: str
    container: str
    text: str


Sink = Callable[[Sequence[Line]], None]


def files(folder: Path) -> Sink:
    """Appends lines to a file for each container."""

    def write(lines: Sequence[Line]) -> None:
        for line in lines:
            with (folder / f"{line.container}.log").open("a") as file:
                file.write(f"{line.at} {line.text}\n")

    return write


def victoria_logs(url: str) -> Sink:
    """Sends lines to a VictoriaLogs."""

    def send(lines: Sequence[Line]) -> None:
        body = "\n".join(json.dumps({"_time": one.at, "_msg": one.text, "host": one.container}) for one in lines)
        headers = {"Content-Type": "application/stream+json"}
        requests.post(
            f"{url}/insert/jsonline?_stream_fields=host", data=body.encode(), headers=headers, timeout=10
        ).raise_for_status()

    return send


def open_search(url: str, index: str) -> Sink:
    """Sends lines to an index of an OpenSearch, which is made with the first."""

    def send(lines: Sequence[Line]) -> None:
        body = "".join(
            '{"create": {}}\n'
            + json.dumps({"@timestamp": one.at, "message": one.text, "host": {"name": one.container}})
            + "\n"
            for one in lines
        )
        headers = {"Content-Type": "application/x-ndjson"}
        requests.post(f"{url}/{index}/_bulk", data=body.encode(), headers=headers, timeout=10).raise_for_status()

    return send


class Shipper:
    """Follows containers, those that take their place as well, and sends their lines on.

    :param engine: of the containers.
    :param sinks: where every line goes.
    """

    def __init__(self, engine: Engine, sinks: Sequence[Sink]) -> None:
        self._engine, self._sinks = engine, sinks
        self._over = threading.Event()
        self._lines: list[Line] = []
        self._following: dict[str, subprocess.Popen[str]] = {}
        self._threads: list[threading.Thread] = []

    def start(self, containers: Sequence[str]) -> None:
        """Begin with these containers."""
        works = [functools.partial(self._follow, name) for name in containers]
        self._threads = [threading.Thread(target=work, daemon=True) for work in (*works, self._ship)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End it."""
        self._over.set()
        for process in self._following.values():
            process.kill()
        for thread in self._threads:
            thread.join(10)

    def _follow(self, container: str) -> None:
        last = ""
        while not self._over.is_set():
            since = ["--since", last] if last else []
            with subprocess.Popen(
                ["docker", "logs", "--follow", "--timestamps", *since, container],
                env=self._engine.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process:
                self._following[container] = process
                for text in process.stdout or ():
                    stamp, _, said = text.rstrip("\n").partition(" ")
                    if stamp > last and stamp[:2] == "20":
                        self._lines.append(Line(stamp, container, said))
                        last = stamp
            self._over.wait(_AGAIN)

    def _ship(self) -> None:
        while not self._over.wait(_AGAIN):
            batch = self._lines[:_AT_ONCE]
            del self._lines[: len(batch)]
            for sink in self._sinks if batch else ():
                sink(batch)


@contextmanager
def shipped(engine: Engine, containers: Sequence[str], sinks: Sequence[Sink]) -> Iterator[None]:
    """Send what containers write to all sinks while the block runs."""
    shipper = Shipper(engine, sinks)
    shipper.start(containers)
    try:
        yield
    finally:
        shipper.stop()
