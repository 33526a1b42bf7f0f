"""An image of this machine's Python and packages from the index, written without an engine or a distribution."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.real.engine import run
from tests.real.kubernetes.images import write_image

SITE = "site"
LEFT_OUT = {"test", "tests", "idlelib", "tkinter", "lib2to3", "ensurepip", "site-packages", "turtledemo"}


def python_image(path: Path, name: str, packages: Sequence[str], arguments: Sequence[str]) -> Path:
    """Write an archive of one layer.

    :param path: of the archive.
    :param name: of the image, with its tag.
    :param packages: as pip takes them.
    :param arguments: of Python.
    """
    base = Path(sys.base_prefix)
    binary = Path(os.path.realpath(sys.executable))
    library = Path(sysconfig.get_path("stdlib", vars={"base": str(base), "installed_base": str(base)}))
    files = {"etc/passwd": (b"root:x:0:0:root:/:/bin/false\n", 0o644, 0), "tmp/.kept": (b"", 0o644, 0)}
    for file in (binary, *_below(library)):
        files[str(file).lstrip("/")] = _read(file)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*_installing(), "--quiet", "--target", folder, *packages], check=True)
        for file in _below(Path(folder)):
            files[f"{SITE}/{file.relative_to(folder)}"] = _read(file)
        compiled = [binary, *(one for place in (library, Path(folder)) for one in place.rglob("*.so"))]
        for needed in _libraries(compiled):
            files[str(needed).lstrip("/")] = _read(needed)
    environment = {"PYTHONPATH": f"/{SITE}", "PYTHONHOME": str(base), "PYTHONUNBUFFERED": "1"}
    return write_image(path, name, files, [str(binary), *arguments], environment)


def _installing() -> list[str]:
    """The command that installs packages, which an environment that uv has made is without."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    return ["uv", "pip", "install", "--python", sys.executable]


def _read(file: Path) -> tuple[bytes, int, int]:
    """With its time: what is compiled counts for a source of that time alone."""
    known = file.stat()
    return file.read_bytes(), known.st_mode & 0o777, int(known.st_mtime)


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [one for one in folders if one not in LEFT_OUT and not one.startswith("config-")]
        yield from (Path(place) / name for name in names if not name.endswith((".a", ".opt-1.pyc", ".opt-2.pyc")))


def _libraries(compiled: Sequence[Path]) -> set[Path]:
    """The shared libraries that these need, and who loads them."""
    said = run(["sh", "-c", 'ldd "$@" 2>/dev/null || true', "ldd", *map(str, compiled)])
    return {Path(found) for found in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", said, re.MULTILINE)}
