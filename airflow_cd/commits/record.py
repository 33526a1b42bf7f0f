"""Commits as the ledger keeps them and the pages show them: plain values of bounded size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from airflow_cd.release import Release

COUNTED = 10_000
"""Commits of a longer list are not counted any further."""


@dataclass(frozen=True)
class Commit:
    """One commit.

    :param id: its whole hexadecimal name.
    :param author: name of its author.
    :param at: when its author wrote it, None where the commit holds no such time.
    :param subject: the first line of its message.
    :param page: its web page, ``""`` for none.
    """

    id: str
    author: str
    at: datetime | None
    subject: str
    page: str = ""

    @property
    def short(self) -> str:
        """The part of its name that people use."""
        return self.id[:8]

    @property
    def link(self) -> str:
        """Its page, if a reader may be sent there: http or https, and no password in it."""
        return self.page if is_web_page(self.page) else ""


@dataclass(frozen=True)
class CommitList:
    """Commits, newest first.

    :param commits: as many as are kept.
    :param total: how many there are, up to :data:`COUNTED`.
    """

    commits: tuple[Commit, ...] = ()
    total: int = 0

    @property
    def more(self) -> int:
        """How many there are that are not kept here."""
        return max(0, self.total - len(self.commits))

    def __str__(self) -> str:
        least = " or more" if self.total >= COUNTED else ""
        return f"{self.total}{least} commit{'' if self.total == 1 else 's'}"


@dataclass(frozen=True)
class Commits:
    """What lies between the version that runs and the one that is to replace it.

    :param before: the version that ran, ``""`` when nothing did.
    :param after: the version that replaces it.
    :param brought: commits that ``after`` has and ``before`` has not.
    :param taken_away: commits that ``before`` has and ``after`` has not: a step back, or to the side.
    :param unknown: why they could not be read, ``""`` when they were.
    """

    before: str = ""
    after: str = ""
    brought: CommitList = field(default_factory=CommitList)
    taken_away: CommitList = field(default_factory=CommitList)
    unknown: str = ""

    @property
    def summary(self) -> str:
        """The difference in one sentence, without the commits themselves."""
        before, after = self.before, self.after
        if self.unknown:
            return f"Commits unknown: {self.unknown}"
        if not before:
            return f"{after} has {self.brought}; nothing ran before it."
        if self.brought.total and self.taken_away.total:
            return f"{after} brings {self.brought} that {before} has not, and lacks {self.taken_away} of {before}."
        if self.brought.total:
            return f"{after} brings {self.brought} that {before} has not."
        if self.taken_away.total:
            return f"A step back: {after} lacks {self.taken_away} of {before}, and brings none."
        return f"{after} has the same commits as {before}." if before != after else f"No commits: {after} runs already."

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "before": self.before,
            "after": self.after,
            "brought": _list_as_dict(self.brought),
            "taken_away": _list_as_dict(self.taken_away),
            "unknown": self.unknown,
        }

    @classmethod
    def from_dict(cls, content: Any) -> Commits:
        """Read what :meth:`as_dict` wrote; never raises, since a rollback reads it along with what it needs.

        :param content: JSON values; what cannot be read is ``unknown``.
        """
        try:
            return cls(
                str(content["before"]),
                str(content["after"]),
                _list_from_dict(content["brought"]),
                _list_from_dict(content["taken_away"]),
                str(content["unknown"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return cls(unknown="what was recorded of them cannot be read.")


NOT_READ = Commits(unknown="they are still being read, or the deployment ended before they were.")
"""What stands in the ledger from the moment a deployment is opened until its commits have been read."""


def version_before(previous: Iterable[Release | None]) -> str | None:
    """Return the version that most instances ran; None where they were empty.

    :param previous: the release of each instance, None for an empty one.
    """
    counted = Counter(release.version if release else None for release in previous)
    return counted.most_common(1)[0][0] if counted else None


def is_web_page(text: str) -> bool:
    """Whether a link may lead there: an http or https URL with a host, and without user and password.

    :param text: any text.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc) and "@" not in parts.netloc


def _list_as_dict(found: CommitList) -> dict[str, Any]:
    commits = [
        {
            "id": commit.id,
            "author": commit.author,
            "at": commit.at.isoformat() if commit.at else None,
            "subject": commit.subject,
            "page": commit.page,
        }
        for commit in found.commits
    ]
    return {"commits": commits, "total": found.total}


def _list_from_dict(content: Mapping[str, Any]) -> CommitList:
    commits = tuple(
        Commit(
            str(one["id"]),
            str(one["author"]),
            datetime.fromisoformat(one["at"]) if one["at"] else None,
            str(one["subject"]),
            str(one["page"]),
        )
        for one in content["commits"]
    )
    return CommitList(commits, int(content["total"]))
