"""A registry of images of the tests' own, on this machine."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from airflow_cd.demo.serving import listen

START_SECONDS = 20.0

FILE = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


def program() -> str | None:
    """Where the registry is; None where there is none."""
    return shutil.which("docker-registry")


class Registry:
    """A running registry; its name is what images of it begin with."""

    def __init__(self, folder: Path) -> None:
        listener = listen(0)
        self.port: int = listener.getsockname()[1]
        listener.close()
        self.name = f"127.0.0.1:{self.port}"
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self._file = folder / "config.yml"
        self._file.write_text(FILE.format(folder=folder / "data", port=self.port))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            command = [program() or "docker-registry", "serve", str(self._file)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        ends = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://{self.name}/v2/").status_code == 200:
                    return
            if time.monotonic() > ends or self._process.poll() is not None:
                raise AssertionError(f"the registry did not start: {(self._folder / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """A running one, which ends with the block."""
    made = Registry(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()
