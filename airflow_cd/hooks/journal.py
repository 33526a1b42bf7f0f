"""The journal of systemd, through its own command: this host's, or a folder of journals that were collected."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from airflow_cd.errors import SourceRejected, SourceUnauthorized, SourceUnavailable

MOST_BYTES = 64 * 1024 * 1024
"""Of one answer."""

_SECONDS = 60.0


def entries(directory: str, since: float, until: float, matches: Sequence[str]) -> tuple[list[dict[str, Any]], bool]:
    """The entries from ``since`` to ``until``, both included, and whether there are more than are read at a time.

    :param directory: of journals; ``""`` for this host's.
    :param since: in seconds since 1970; ``until`` likewise.
    :param matches: ``FIELD=value``, with ``+`` between alternatives.
    :raises SourceError: the journal cannot be read.
    """
    # By seconds: what journalctl takes for a date is in the zone of this host.
    asked = ["--output=json", "--all", f"--since=@{since:.6f}", f"--until=@{until:.6f}", *matches]
    content = _ran(directory, asked)
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
    return found, cut


def values(directory: str, field: str) -> list[str]:
    """Every value of a field.

    :param directory: as of :func:`entries`.
    :param field: ``_SYSTEMD_UNIT``.
    :raises SourceError: the journal cannot be read.
    """
    return sorted(filter(None, _ran(directory, [f"--field={field}"]).decode("utf-8", "replace").split("\n")))


def _ran(directory: str, arguments: Sequence[str]) -> bytes:
    command = shutil.which("journalctl")
    if command is None:
        raise SourceRejected(
            "there is no journalctl on this machine.", next_step="Read the journal where systemd runs, or from files."
        )
    where = [f"--directory={directory}"] if directory else []
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and matches are arguments of their own
            [command, "--no-pager", "--quiet", *where, *arguments],
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
        raise SourceUnauthorized(
            f"the journal may not be read: {said}", next_step="Let the worker's user into the group systemd-journal."
        )
    if done.returncode and said:
        raise SourceUnavailable(f"journalctl failed: {said}", next_step="Check the folder of the journals.")
    return done.stdout
