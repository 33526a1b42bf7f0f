"""Files of public repositories: where they are kept, and how they get there. None is part of this one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Repository:
    """Where files come from.

    :param name: owner and name on GitHub.
    :param commit: what was measured.
    :param licence: of the files.
    """

    name: str
    commit: str
    licence: str

    @property
    def address(self) -> str:
        """What git clones."""
        return f"https://github.com/{self.name}"

    @property
    def folder(self) -> Path:
        """Where its files are on this machine."""
        return data_folder() / "files" / self.name.replace("/", "+")


def data_folder() -> Path:
    """The folder that public data are kept in."""
    return Path(os.environ.get("AIRFLOW_CD_BENCHMARKS") or Path.home() / ".cache" / "airflow-cd-benchmarks")


def get(repository: Repository, wanted: Callable[[str], bool], clones: Path | None = None) -> None:
    """Bring files of a repository here.

    :param repository: where they are.
    :param wanted: says of a path whether it is one of them.
    :param clones: a folder of clones or bare git directories to take them from, each ``OWNER+NAME``; None clones from
        the address.
    """
    source, commit = _git_directory(repository, clones), repository.commit
    for name in _git(source, "ls-tree", "-r", "-z", "--name-only", commit).decode().split("\0"):
        if wanted(name):
            file = repository.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(_git(source, "show", f"{commit}:{name}"))


def _git_directory(repository: Repository, clones: Path | None) -> Path:
    name = repository.name.replace("/", "+")
    if clones is not None:
        return next(path for path in (clones / name / "repo", clones / name) if path.exists())
    clone = data_folder() / "clones" / name
    if not clone.exists():
        # An older commit than the newest may be asked for, so the history comes too, but no file that is not read.
        command = ["git", "clone", "--quiet", "--bare", "--filter=blob:none", repository.address, str(clone)]
        subprocess.run(command, check=True)
    return clone


def _git(directory: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout
