"""Reading one container's log from its Docker host, and what is to be said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from math import ceil, floor
from typing import Any

from airflow_cd.errors import SourceRejected, SourceUnavailable
from airflow_cd.hooks.docker_output import blocks
from airflow_cd.sources.docker_rotation import Written, stamped
from airflow_cd.sources.pieces import in_one_piece
from airflow_cd.verification.samples import Window
from airflow_cd.wording import ended

MOST_BYTES = 64 * 1024 * 1024
_QUOTED = 300
_NO_DRIVER = 501  # a log driver that cannot be read back


@dataclass
class Notes:
    """What is to be said of a read.

    :ivar cut: instances that wrote more than is read at a time.
    :ivar unknown: of instances that no host has, a sentence each.
    :ivar lost: what is missing.
    :ivar others: what is missing perhaps.
    """

    cut: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def made(self, instance: str, listed: Mapping[str, Any], window: Window) -> None:
        """Note a container that may have taken the place of another in the window, of which nothing is kept.

        :param instance: that it is.
        :param listed: the container, as its host lists it.
        :param window: half-open.
        """
        made = listed.get("Created")
        if isinstance(made, int) and window.since.timestamp() < made < window.until.timestamp():
            at = datetime.fromtimestamp(made, timezone.utc)
            self.others.append(
                f"{instance} was made at {at:%Y-%m-%d %H:%M:%S} UTC: what a container of that name wrote before, if "
                "there was one, cannot be read any more."
            )

    def broken(self, instance: str, said: str, *, nothing: bool) -> None:
        """Note what a host says in the place of lines.

        :param instance: of whose log.
        :param said: by the host.
        :param nothing: whether there is nothing else of it.
        :raises SourceUnavailable: there is not.
        """
        if nothing:
            raise SourceUnavailable(
                ended(f"the log of {instance} cannot be read; its Docker host says: {said}"),
                instances=(instance,),
                next_step="See the daemon's own log, and whether the file of the container's log is damaged.",
            )
        self.lost.append(f"A part of what {instance} wrote is lost: its Docker host ends its log with {said!r}.")


def rows_of(
    client: Any, container: str, instance: str, window: Window, notes: Notes, said: dict[str, None]
) -> Iterator[tuple[datetime, str, str, str, datetime]]:
    """Rows of both outputs of a container.

    :param client: of the Docker host.
    :param container: its id.
    :param instance: that it is.
    :param window: half-open.
    :param notes: to which is added what there is to say.
    :param said: to which is added what the host says in the place of lines.
    """
    written = Written(window)
    # Apart: pieces of a long line of one stream may stand between those of the other's.
    for output in ("stdout", "stderr"):
        alike: Counter[str] = Counter()
        for stamp, moment, line in _lines(client, container, output, window, instance, notes.cut, said):
            alike[stamp] += 1
            identity = f"{container[:12]} {output} {stamp} {alike[stamp]}"
            written.add(moment, stamp, line)
            yield moment, instance, line, identity, moment
    why, lacks = written.lost(client, container) if instance not in notes.cut else ("", False)
    if why:
        (notes.lost if lacks else notes.others).append(f"A part of what {instance} wrote {why}")


def unreadable(error: Exception, conn_id: str, instance: str) -> Exception:
    """The error for a log that a Docker host does not hand out, or not to its end.

    :param error: of the SDK, or of the connection.
    :param conn_id: of the host.
    :param instance: that was read; ``""`` for none yet.
    """
    from docker.errors import APIError

    said = str(error.explanation or error)[:_QUOTED] if isinstance(error, APIError) else ""
    if not isinstance(error, APIError) or not instance:
        why = f"its Docker host says: {said}" if said else type(error).__name__
        return SourceUnavailable(
            ended(f"the containers' logs cannot be read over connection {conn_id!r}: {why}"),
            next_step="See whether the Docker host can be reached, and its daemon's own log.",
        )
    if error.status_code == _NO_DRIVER:
        return SourceRejected(
            ended(f"the log of {instance} cannot be read: {said}"),
            instances=(instance,),
            next_step="Give its container a log driver that keeps what it writes (json-file, local, journald), or read "
            "its log from where the driver sends it.",
        )
    gone = {404: "it was removed while it was read", 409: "it is being removed"}.get(error.status_code)
    return SourceUnavailable(
        ended(f"the log of {instance} cannot be read: {f'{gone}; ' if gone else ''}its Docker host says: {said}"),
        instances=(instance,),
        next_step="See whether a container of that name runs on the host, and the daemon's own log.",
    )


def _lines(
    client: Any,
    container: str,
    output: str,
    window: Window,
    instance: str,
    cut: list[str],
    said: dict[str, None],
) -> Iterator[tuple[str, datetime, str]]:
    since, until = floor(window.since.timestamp()), ceil(window.until.timestamp())
    asked = {"stdout": output == "stdout", "stderr": output == "stderr", "since": max(since, 1), "until": max(until, 1)}
    left, rest = MOST_BYTES, b""
    with closing(blocks(client, container, **asked)) as read:
        for block in read:
            left -= len(block)
            if left < 0:
                cut.append(instance)
                return
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                yield from _line(line, window, said)
    yield from _line(rest, window, said)


def _line(line: bytes, window: Window, said: dict[str, None]) -> Iterator[tuple[str, datetime, str]]:
    text = in_one_piece(line).decode(errors="replace").rstrip("\r")
    stamp, blank, message = text.partition(" ")
    moment = stamped(stamp)
    if moment is None and text.strip():  # what a container has written has a stamp, all of it
        said[text.strip()[:_QUOTED]] = None
    elif moment is not None and blank and window.since <= moment < window.until:
        yield stamp, moment, message
