"""A git repository in which every version is a tag, a branch or a commit."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from string import Formatter
from urllib.parse import unquote, urlsplit, urlunsplit

from airflow_cd.commits.clone import Clone
from airflow_cd.commits.git import Git, GitFailed, shown_address
from airflow_cd.commits.record import COUNTED, Commit, CommitList, Commits, is_web_page
from airflow_cd.durations import parse_duration

MOST = 200  # commits of one deployment that the ledger keeps
_CONNECTION = re.compile(r"[\w.-]+\Z")
_REMOTE = re.compile(r"[A-Za-z][\w+.-]*://|[^/:]+:")
_FIELDS = "%H%x00%an%x00%at%x00%s"


@dataclass(frozen=True, repr=False)
class GitRepository:
    """The git repository a service is built from.

    :param url: the id of an Airflow connection of type ``git`` (its host is the address, its login and password, or
        token, get in), the address itself, or the absolute path of a repository on the machine, which is only read.
        Of a remote one a copy without files is kept under ``AIRFLOW_HOME``.
    :param revision: how a version is called there; ``{version}`` is filled in. A name that does not move: a tag or
        a commit.
    :param page: where a commit can be looked at, such as ``https://git.example.com/shop/commit/{id}``.
    :param paths: only commits that touch one of these; for a repository that holds more than one service.
    :param limit: how many commits are listed; the others are counted.
    :param timeout: how long git has to answer. A deployment goes on meanwhile, an approval is asked when it has.
        The first copy of a large repository may take longer than the default.
    """

    url: str
    revision: str = "v{version}"
    page: str = ""
    paths: Sequence[str] = ()
    limit: int = 50
    timeout: str | timedelta = "10s"

    def __repr__(self) -> str:
        return f"GitRepository({shown_address(str(self.url))!r}, revision={self.revision!r})"

    def mistakes(self) -> Iterator[str]:
        """What is wrong with it, one sentence each; looks at nothing but what was written."""
        if not isinstance(self.url, str) or not self.url.strip():
            yield f"commits: url is {self.url!r}; give a connection id, an address or an absolute path"
        elif not (_CONNECTION.match(self.url) or _REMOTE.match(self.url) or self.url.startswith("/")):
            yield f"commits: the path {self.url!r} is not absolute, and would be another one in every process"
        if not _has(self.revision, "version"):
            yield f"commits: revision {self.revision!r}: {{version}} must be filled in, and nothing else can be"
        if self.page:
            shown = shown_address(str(self.page))
            if not _has(self.page, "id"):
                yield f"commits: page {shown!r}: {{id}} must be filled in, and nothing else can be"
            if not is_web_page(str(self.page)):
                yield f"commits: page {shown!r} is no http or https address without a password"
        if isinstance(self.paths, str) or not all(isinstance(path, str) and path for path in self.paths):
            yield f"commits: paths is a list of paths inside the repository, got {self.paths!r}"
        if not isinstance(self.limit, int) or not 1 <= self.limit <= MOST:
            yield f"commits: limit {self.limit!r} is not between 1 and {MOST}"
        try:
            if parse_duration(self.timeout) <= timedelta(0):
                yield f"commits: timeout {self.timeout!r} is not longer than nothing"
        except ValueError as error:
            yield f"commits: timeout: {error}"

    def between(self, before: str | None, after: str) -> Commits:
        """The commits that version ``after`` has and ``before`` has not, newest first, and the other way round.

        :param before: None when nothing runs: then all commits of ``after`` are new.

        Never raises for what a repository, a network or a version's name can do: ``unknown`` says why.
        """
        try:
            return self._read(before, after)
        except GitFailed as error:
            return Commits(before or "", after, unknown=f"{self._shown()}: {error}")

    # -- inside ------------------------------------------------------------------------------------------------

    def _shown(self) -> str:
        return f"connection {self.url}" if _CONNECTION.match(self.url) else shown_address(self.url)

    def _read(self, before: str | None, after: str) -> Commits:
        deadline = time.monotonic() + parse_duration(self.timeout).total_seconds()
        revisions = [self.revision.format(version=version) for version in (after, before) if version is not None]
        git, found = self._commits(revisions, deadline)
        if before is None:
            return Commits("", after, self._list(git, found[0]))
        new, old = found
        return Commits(before, after, self._list(git, f"{old}..{new}"), self._list(git, f"{new}..{old}"))

    def _commits(self, revisions: Sequence[str], deadline: float) -> tuple[Git, list[str]]:
        place = self._place()
        if _REMOTE.match(place.address):
            from airflow_cd.home import airflow_home

            home = airflow_home() / "airflow_cd" / "repositories"
            clone = Clone(
                place.address,
                home,
                deadline=deadline,
                trees=bool(self.paths),
                configuration=place.configuration,
                secrets=place.secrets,
            )
            return clone.git, clone.commits(revisions)
        git = Git(Path(place.address), deadline)
        return git, [git.commit(revision) for revision in revisions]

    def _list(self, git: Git, which: str) -> CommitList:
        paths = ("--", *self.paths)
        total = int(git("rev-list", "--count", f"--max-count={COUNTED}", which, *paths))
        if not total:
            return CommitList()
        how = ("-z", "--no-color", "--no-notes", "--no-patch", "--encoding=UTF-8", f"--format=tformat:{_FIELDS}")
        fields = git("log", *how, f"--max-count={self.limit}", which, *paths).split("\x00")
        rows = zip(*(fields[start::4] for start in range(4)), strict=False)
        return CommitList(tuple(self._commit(*row) for row in rows), total)

    def _commit(self, name: str, author: str, at: str, subject: str) -> Commit:
        return Commit(name, author[:100], _moment(at), subject[:300], self.page.format(id=name))

    def _place(self) -> _Place:
        if _CONNECTION.match(self.url):
            return _connection(self.url)
        return _place(self.url)


@dataclass(frozen=True, repr=False)
class _Place:
    """Where a repository is, and how to get in.

    :param address: without user and password where git would show them to everybody on the machine.
    :param configuration: of git, with the password in it.
    :param secrets: what may not be shown, and what to show in its place.
    """

    address: str
    configuration: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


def _place(address: str, login: str = "", password: str = "") -> _Place:
    secrets = {address: shown_address(address), password: "***"}
    configuration: dict[str, str] = {}
    try:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https"):
            login, password = login or unquote(parts.username or ""), password or unquote(parts.password or "")
            host = parts.netloc.rpartition("@")[2]
            address = urlunsplit(parts._replace(netloc=host))
            secrets[address] = shown_address(address)
            if login or password:
                token = base64.b64encode(f"{login or 'git'}:{password}".encode()).decode()
                configuration = {f"http.{parts.scheme}://{host}/.extraHeader": f"Authorization: Basic {token}"}
                secrets |= {password: "***", token: "***"}
    except ValueError:
        raise GitFailed("its address cannot be read.") from None
    return _Place(
        address, configuration, {secret: shown for secret, shown in secrets.items() if secret and secret != shown}
    )


def _connection(conn_id: str) -> _Place:
    from airflow.sdk import BaseHook

    try:
        connection = BaseHook.get_connection(conn_id)
    except Exception as error:  # noqa: BLE001 - secrets backends raise whatever they like
        why = type(error).__name__
        raise GitFailed(f"there is no such connection in Airflow, or it cannot be read: {why}.") from None
    address = (connection.host or "").strip()
    if not (_REMOTE.match(address) or address.startswith("/")):
        raise GitFailed("its host is neither the address nor the absolute path of a repository.")
    return _place(address, (connection.login or "").strip(), (connection.password or "").strip())


def _has(text: object, name: str) -> bool:
    """Whether exactly that is filled in."""
    try:
        return {part for _, part, _, _ in Formatter().parse(str(text)) if part is not None} == {name}
    except ValueError:
        return False


def _moment(seconds: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
