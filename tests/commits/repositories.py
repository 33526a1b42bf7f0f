"""Real git repositories for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed on this machine")

FIRST = 1_780_000_000  # seconds: when the first commit was written


class Made:
    """A repository that a test fills; every commit is a minute after the one before it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.count = 0
        directory.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet")

    def git(self, *arguments: str, given: bytes = b"", **more: str) -> str:
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, **more}
        command = ["git", "-C", str(self.directory), *arguments]
        done = subprocess.run(command, input=given, env=environment, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def commit(self, subject: str, author: str = "Ada Holm", path: str = "shop.py") -> str:
        self.count += 1
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{self.count}\n")
        self.git("add", path)
        who = {f"GIT_{role}_{part}": text for role in ("AUTHOR", "COMMITTER") for part, text in self._who(author)}
        self.git("commit", "--quiet", "--allow-empty", "--no-verify", "--file=-", given=subject.encode(), **who)
        return self.git("rev-parse", "HEAD")

    def _who(self, author: str) -> list[tuple[str, str]]:
        return [("NAME", author), ("EMAIL", "ada@example.com"), ("DATE", f"{FIRST + 60 * self.count} +0000")]

    def release(self, version: str, *subjects: str) -> list[str]:
        """Commits, and a tag on the last of them."""
        names = [self.commit(subject) for subject in subjects]
        self.git("tag", f"v{version}")
        return names

    def graph(self, parents: Mapping[int, Sequence[int]]) -> None:
        """Commits in order, each with those earlier ones as parents; its number is its subject, and its tag."""
        stream = []
        for number, before in parents.items():
            who = f"Ada <ada@example.com> {FIRST + number} +0000"
            stream.append(f"commit refs/tags/v{number}\nmark :{number + 1}\nauthor {who}\ncommitter {who}\n")
            stream.append(f"data {len(str(number))}\n{number}\n")
            if before:
                first, *rest = before
                stream.append(f"from :{first + 1}\n" + "".join(f"merge :{one + 1}\n" for one in rest))
            else:
                stream.append("deleteall\n")
            stream.append(f"M 644 inline file-{number}\ndata 1\nx\n")
        self.git("fast-import", "--quiet", "--force", given="".join(stream).encode())
