"""A copy of a remote repository on this machine: commits alone, fetched when a revision is not there yet."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from airflow_cd.commits.git import Git, GitFailed, UnknownRevision
from airflow_cd.http.redaction import Redactor, shown_address

_REFS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_LOOK = 0.05  # seconds between attempts to get the lock


class Clone:
    """A bare copy without the content of files, kept from one deployment to the next.

    Any number of processes may use it at once: one of them fetches, the others wait for what it brings.

    :param address: of the remote repository.
    :param home: folder of all copies.
    :param deadline: when git must have answered, on the monotonic clock.
    :param trees: whether commits are selected by path, which needs the names of files as well.
    :param configuration: of git, such as a password: written to no file and no command line.
    :param redact: removes secrets from what git prints.
    """

    def __init__(
        self,
        address: str,
        home: Path,
        *,
        deadline: float,
        trees: bool,
        configuration: Mapping[str, str],
        redact: Redactor,
    ) -> None:
        kind = "blob:none" if trees else "tree:0"
        name = hashlib.sha256(f"{shown_address(address)} {kind}".encode()).hexdigest()[:32]
        self._directory = home / f"{name}.git"
        # Git needs a moment to make a repository, which another process would see half made.
        self._is_made = self._directory / "airflow_cd_made"
        self._lock = home / f"{name}.lock"
        self._deadline = deadline
        self._kind = kind
        slow = {"http.lowSpeedLimit": "100", "http.lowSpeedTime": "10"}
        self.git = Git(self._directory, deadline, {"remote.origin.url": address, **slow, **configuration}, redact)

    def commits(self, revisions: Sequence[str]) -> list[str]:
        """Return the commits that revisions name, fetched if need be.

        :param revisions: tags, branches or commits.
        :returns: full names of commits, in the same order.
        :raises UnknownRevision: the remote repository does not have one of them either.
        :raises GitFailed: it cannot be fetched, or not in time.
        """
        if self._made():
            try:
                return [self.git.commit(revision) for revision in revisions]
            except UnknownRevision:
                pass
        with self._alone() as lock:
            if self._made():
                # The previous owner of the lock may have fetched it.
                try:
                    return [self.git.commit(revision) for revision in revisions]
                except UnknownRevision:
                    pass
            self._fetch(lock)
        return [self.git.commit(revision) for revision in revisions]

    def _made(self) -> bool:
        return self._is_made.is_file()

    def _fetch(self, lock: int) -> None:
        if not self._made():
            self._directory.mkdir(exist_ok=True)
            self.git("init", "--quiet", "--bare", holds=[lock])
            self._is_made.touch()
        for left in (*self._directory.glob("*.lock"), *(self._directory / "refs").rglob("*.lock")):
            # No other process is at work here: a fetch that was killed left it behind.
            left.unlink(missing_ok=True)
        filtered = f"--filter={self._kind}"
        how = ("--quiet", "--no-tags", "--prune", "--no-write-fetch-head", filtered)
        self.git("fetch", *how, "origin", *_REFS, holds=[lock])

    @contextmanager
    def _alone(self) -> Iterator[int]:
        try:
            self._lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise GitFailed(
                f"no copy of the repository can be kept in {self._lock.parent}: {error.strerror}."
            ) from None
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > self._deadline:
                        raise GitFailed("another process is still fetching the repository.") from None
                    time.sleep(_LOOK)
            yield lock
        finally:
            os.close(lock)
