"""The journal of systemd, through its own command: this host's, or a folder of journals that were collected."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_cd.errors import SourceRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.wording import ended

MOST_BYTES = 64 * 1024 * 1024
"""Of one answer."""

_SECONDS = 60.0
_IGNORED = "ignoring file"
_OTHERS = "not seeing messages from other users"


@dataclass(frozen=True)
class Entries:
    """What the journal has of a time.

    :param found: fields of each entry, by name.
    :param cut: whether there are more than are read at a time.
    :param ignored: what journalctl says of each file that it could not read, as of one that is corrupted.
    :param others_hidden: whether this user may not read all files.
    """

    found: list[dict[str, Any]]
    cut: bool = False
    ignored: tuple[str, ...] = ()
    others_hidden: bool = False


def entries(directory: str, since: float, until: float, matches: Sequence[str]) -> Entries:
    """The entries from ``since`` to ``until``, both included.

    :param directory: of journals; ``""`` for this host's.
    :param since: in seconds since 1970; ``until`` likewise.
    :param matches: ``FIELD=value``, with ``+`` between alternatives.
    :raises SourceError: the journal cannot be read.
    """
    # By seconds: what journalctl takes for a date is in the zone of this host.
    asked = ["--output=json", "--all", f"--since=@{since:.6f}", f"--until=@{until:.6f}", *matches]
    content, said = _ran(directory, asked)
    cut = len(content) >= MOST_BYTES
    lines = content[:MOST_BYTES].split(b"\n")
    found = []
    for line in lines[:-1] if cut else lines:
        if line.strip():
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise SourceUnavailable(
                    f"journalctl answered with something that is no entry: {line[:80]!r}.", next_step="See its version."
                ) from error
    ignored = tuple(line.strip() for line in said.splitlines() if _IGNORED in line)
    return Entries(found, cut, ignored, _OTHERS in said)


def values(directory: str, field: str) -> list[str]:
    """Every value of a field.

    :param directory: as of :func:`entries`.
    :param field: ``_SYSTEMD_UNIT``.
    :raises SourceError: the journal cannot be read.
    """
    content, _ = _ran(directory, [f"--field={field}"])
    return sorted(filter(None, content.decode("utf-8", "replace").split("\n")))


def not_allowed(said: str) -> SourceUnauthorized:
    """The error for a journal that this user may not read.

    :param said: by journalctl, or of it.
    """
    return SourceUnauthorized(
        f"the journal may not be read: {ended(said)}",
        next_step="Let the worker's user into the group systemd-journal.",
    )


def _ran(directory: str, arguments: Sequence[str]) -> tuple[bytes, str]:
    """What journalctl has answered, and what it has said besides."""
    command = shutil.which("journalctl")
    if command is None:
        raise SourceRejected(
            "there is no journalctl on this machine.", next_step="Read the journal where systemd runs, or from files."
        )
    where = [f"--directory={directory}"] if directory else []
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and matches are arguments of their own
            # Not quietly: that would hide that there are files which this user may not read.
            [command, "--no-pager", *where, *arguments],
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise SourceUnavailable(
            f"journalctl did not answer within {_SECONDS:g} s.", next_step="Ask for less, or see what the disk does."
        ) from None
    said = done.stderr.decode("utf-8", "replace").strip()
    if "permission" in said.lower():
        raise not_allowed(said)
    if done.returncode and said:
        raise SourceUnavailable(f"journalctl failed: {ended(said)}", next_step="Check the folder of the journals.")
    return done.stdout, said
