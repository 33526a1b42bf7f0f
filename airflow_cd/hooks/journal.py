"""The journal of systemd, through its own command: this host's, or a folder of journals that were collected."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_cd.errors import SourceRejected, SourceUnauthorized, SourceUnavailable
from airflow_cd.wording import ended

MOST_BYTES = 64 * 1024 * 1024
"""Of one answer."""

_SECONDS = 60.0
_IGNORED = "ignoring file"
_OWN = (Path("/run/log/journal"), Path("/var/log/journal"))
_MACHINE = Path("/etc/machine-id")
_ID = re.compile(r"[0-9a-f]{32}\Z")
_ENDINGS = (".journal", ".journal~")


@dataclass(frozen=True)
class Entries:
    """What the journal has of a time.

    :param found: fields of each entry, by name.
    :param cut: whether there are more than are read at a time.
    :param ignored: what journalctl says of each file that it could not read, as of one that is corrupted.
    """

    found: list[dict[str, Any]]
    cut: bool = False
    ignored: tuple[str, ...] = ()


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
    return Entries(found, cut, ignored)


def values(directory: str, field: str) -> list[str]:
    """Every value of a field.

    :param directory: as of :func:`entries`.
    :param field: ``_SYSTEMD_UNIT``.
    :raises SourceError: the journal cannot be read.
    """
    content, _ = _ran(directory, [f"--field={field}"])
    return sorted(filter(None, content.decode("utf-8", "replace").split("\n")))


def unreadable(directory: str) -> list[str]:
    """Files of the journal that this user may not read, and folders of them.

    journalctl leaves them out: it says so to people alone, not where it writes JSON, and to a user of the group
    systemd-journal, which those of other hosts do not belong to, never.

    :param directory: as of :func:`entries`.
    """
    own = _MACHINE.read_text().strip() if not directory and _MACHINE.is_file() else ""
    closed: list[str] = []
    for root in (Path(directory),) if directory else _OWN:
        closed += _closed(root)
        for folder in _listed(root):
            if (folder.name == own if own else _ID.match(folder.name)) and folder.is_dir():
                closed += _closed(folder)
    return sorted(closed)


def _closed(folder: Path) -> Iterator[str]:
    """Files of a folder that this user may not read; the folder itself where it may not see them."""
    if folder.is_dir() and not os.access(folder, os.R_OK | os.X_OK):
        yield str(folder)
    for file in _listed(folder):
        # One that is gone by now was renamed when it was full.
        if file.suffix in _ENDINGS and not os.access(file, os.R_OK) and file.exists():
            yield str(file)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def not_allowed(said: str) -> SourceUnauthorized:
    """The error for a journal that this user may not read.

    :param said: by journalctl, or of it.
    """
    return SourceUnauthorized(
        f"the journal may not be read: {ended(said)}",
        next_step="Let the worker's user into the group systemd-journal, or the one that the files belong to.",
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
            # Not quietly: that would hide that no file may be read.
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
