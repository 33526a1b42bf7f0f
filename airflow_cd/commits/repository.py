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
from airflow_cd.commits.git import Git, GitFailed
from airflow_cd.commits.record import COUNTED, Commit, CommitList, Commits, is_web_page
from airflow_cd.durations import parse_duration
from airflow_cd.http.redaction import Redactor, shown_address
from airflow_cd.spelling import keeps_misspelt_keywords

MOST = 200  # commits of one deployment that the ledger keeps
_CONNECTION = re.compile(r"[\w.-]+\Z")
_REMOTE = re.compile(r"[A-Za-z][\w+.-]*://|[^/:]+:")
_FIELDS = "%H%x00%an%x00%at%x00%s"


@keeps_misspelt_keywords
@dataclass(frozen=True, repr=False)
class GitRepository:
    """The git repository a service is built from.

    :param url: the id of an Airflow connection of type ``git`` (its host is the URL; its login and password, or token,
        are the credentials), the URL itself, or the absolute path of a repository on the machine, which is only read.
        Of a remote repository a copy without files is kept under ``AIRFLOW_HOME``.
    :param revision: the name of a version's commit: a tag or a commit, nothing that moves. ``{version}`` is filled
        in; ``v{version}`` by default.
    :param page: web page of a commit, such as ``https://git.example.com/shop/commit/{id}``, where ``{id}`` is filled
        in; none by default.
    :param paths: only commits that touch one of these paths count, for a repository of more than one service; all by
        default.
    :param limit: how many commits are listed, 1 to 200, 50 by default; the others are counted.
    :param timeout: how long git may take, a duration; 10 seconds by default. A deployment continues meanwhile, an
        approval is asked for afterwards. The first copy of a large repository may take longer than the default.
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
        """Find what is wrong with it, one sentence each, without reading anything."""
        yield from self._mistakes_of_url()
        if not _has(self.revision, "version"):
            yield f"commits: revision {self.revision!r}: {{version}} must be filled in, and nothing else can be"
        yield from self._mistakes_of_page()
        if isinstance(self.paths, str) or not all(isinstance(path, str) and path for path in self.paths):
            yield f"commits: paths is a list of paths inside the repository, got {self.paths!r}"
        if not isinstance(self.limit, int) or not 1 <= self.limit <= MOST:
            yield f"commits: limit {self.limit!r} is not between 1 and {MOST}"
        try:
            if parse_duration(self.timeout) <= timedelta(0):
                yield f"commits: timeout {self.timeout!r} must be greater than zero"
        except ValueError as error:
            yield f"commits: timeout: {error}"

    def _mistakes_of_url(self) -> Iterator[str]:
        if not isinstance(self.url, str) or not self.url.strip():
            yield f"commits: url is {self.url!r}; give a connection id, a URL or an absolute path"
        elif not (_CONNECTION.match(self.url) or _REMOTE.match(self.url) or self.url.startswith("/")):
            yield f"commits: the path {self.url!r} is not absolute, and would be another one in every process"

    def _mistakes_of_page(self) -> Iterator[str]:
        if not self.page:
            return
        shown = shown_address(str(self.page))
        if not _has(self.page, "id"):
            yield f"commits: page {shown!r}: {{id}} must be filled in, and nothing else can be"
        if not is_web_page(str(self.page)):
            yield f"commits: page {shown!r} is not an http or https URL without a password"

    def between(self, before: str | None, after: str) -> Commits:
        """Read the commits that version ``after`` has and ``before`` has not, and the other way round.

        :param before: the version that runs; None when nothing runs: then all commits of ``after`` are new.
        :param after: the version that is to replace it.
        :returns: the commits, newest first. Nothing is raised for what a repository, a network or a version's name
            can do: ``unknown`` holds the reason.
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
                redact=place.redact,
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
    :param redact: removes secrets from what git prints.
    """

    address: str
    configuration: Mapping[str, str] = field(default_factory=dict)
    redact: Redactor = field(default_factory=Redactor)


def _place(address: str, login: str = "", password: str = "") -> _Place:
    given, configuration, token = address, {}, ""
    try:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https"):
            login, password = login or unquote(parts.username or ""), password or unquote(parts.password or "")
            host = parts.netloc.rpartition("@")[2]
            address = urlunsplit(parts._replace(netloc=host))
            if login or password:
                token = base64.b64encode(f"{login or 'git'}:{password}".encode()).decode()
                configuration = {f"http.{parts.scheme}://{host}/.extraHeader": f"Authorization: Basic {token}"}
    except ValueError:
        raise GitFailed("its address cannot be read.") from None
    addresses = {each: shown_address(each) for each in (given, address)}
    return _Place(address, configuration, Redactor([password, token], addresses))


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
