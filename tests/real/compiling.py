"""Compiling Go commands for tests, which run them for minutes: what makes a command fast costs more than it saves.

Python's standard library is enough for it, so that it can begin before anything is installed.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# Without inlining, what debuggers read, and a garbage collection that saves memory, a third of the compiler's work is
# gone. Two commands that are compiled alike share what they import.
_FLAGS = ("-trimpath", "-ldflags=-s -w", "-gcflags=all=-l -dwarf=false")
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOGC": "500"}


def compiled(work: Path, folder: Path, *packages: str) -> None:
    """Compile commands.

    :param work: folder from which they are compiled; where a package names no version, that of the module that is
        there.
    :param folder: where each is put, by the last part of its path.
    :param packages: paths of the commands, with a version or without.
    """
    if all("@" in package for package in packages):
        go(work, "install", *_FLAGS, *packages, GOBIN=str(folder))
    else:
        go(work, "build", *_FLAGS, "-o", f"{folder}/", *packages)


def go(work: Path, *command: str, **environment: str) -> str:
    """Call Go; returns what it prints.

    :param work: folder in which it is called.
    :param command: of Go, with its arguments.
    :param environment: variables beside those of this process.
    :raises RuntimeError: it fails.
    """
    done = subprocess.run(
        ["go", *command],
        cwd=work,
        env={**os.environ, **_ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"go {' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return done.stdout
