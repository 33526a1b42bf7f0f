"""Logs of containers, read from their Docker hosts: what authors write in a DAG, and how it is read."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil, floor
from typing import Any

from airflow_cd.durations import DurationField
from airflow_cd.errors import (
    SourceRejected,
    SourceUnauthorized,
    SourceUnavailable,
    TargetError,
    TargetUnauthorized,
    TargetUnavailable,
)
from airflow_cd.hooks.docker_connection import KEPT, KIND, DockerConnection, installed, prefix_of
from airflow_cd.hooks.docker_naming import Selection, slots
from airflow_cd.sources.absence import unknown_instances
from airflow_cd.sources.docker_rotation import Written, stamped
from airflow_cd.sources.pieces import in_one_piece
from airflow_cd.sources.specification import refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import LogSample, Window

MOST_BYTES = 64 * 1024 * 1024


@keeps_misspelt_keywords
@dataclass(frozen=True)
class DockerLogs:
    """What containers write to their standard output and error, as their Docker hosts keep it.

    An instance is the container of its name; what the container before it wrote is read as well, as long as it is
    kept. A line's time is when its host received it. Log drivers that cannot be read back (``none``, for one) give
    nothing. What a rotation has taken away of a window makes it incomplete.

    :param conn_id: Airflow connection of type ``docker``, as of a :class:`~airflow_cd.targets.DockerTarget`.
    :param hosts: ids of the connections of further hosts, as of the target.
    :param delay: how long after an event a host usually has it, a duration; a second by default.
    :param name: what reports call the source; ``Docker <conn_id>`` by default.
    """

    conn_id: str = "docker_default"
    hosts: Sequence[str] = ()
    delay: DurationField = DurationField("1s")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hosts", tuple(self.hosts) if isinstance(self.hosts, list) else self.hosts)
        object.__setattr__(self, "name", self.name or f"Docker {self.conn_id}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [] if installed() else ["the Docker SDK is not installed: pip install 'airflow-cd[docker]'"]
        if not isinstance(self.conn_id, str) or not self.conn_id.strip():
            found.append(f"conn_id: {self.conn_id!r} is empty or not a text")
        if isinstance(self.hosts, str) or not all(isinstance(host, str) and host.strip() for host in self.hosts):
            found.append(f"hosts is a list of connections, got {self.hosts!r}")
        if wrong := DurationField.mistake(self.delay, "delay"):
            found.append(wrong)
        return [f"{type(self).__name__}({self.conn_id!r}): {mistake}" for mistake in found]

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read what the containers of some instances wrote over a window, a row for each line.

        :param window: half-open, aware.
        :param instances: their names.
        :raises SourceQueryRejected: this specification is wrong.
        :raises SourceError: a host cannot be read.
        """
        from airflow_cd.sources.frames import identified_log_frame

        refuse(self.mistakes())
        names = sorted(set(instances))
        rows: list[tuple[datetime, str, str, str, datetime]] = []
        cut: list[str] = []
        unknown: list[str] = []
        lost: list[str] = []
        notes: list[str] = []
        conn_ids = (self.conn_id, *self.hosts)
        prefixes = {conn_id: prefix_of(conn_id, len(conn_ids)) for conn_id in conn_ids}
        for conn_id, prefix in prefixes.items():
            if mine := [name for name in names if name.startswith(prefix)]:
                rows += self._of_host(conn_id, prefix, mine, window, cut, unknown, lost, notes)
        query = f"docker logs --timestamps of {', '.join(names)} on {', '.join(conn_ids)}"
        warnings = [f"{name} wrote more than {MOST_BYTES >> 20} MiB; the rest was left out." for name in cut]
        if astray := [name for name in names if not name.startswith(tuple(prefixes.values()))]:
            begin = " or ".join(prefixes.values())
            warnings.append(f"{', '.join(astray)}: names of instances of several hosts begin with {begin}.")
        warnings += unknown + lost + notes
        return LogSample(identified_log_frame(rows), query, bool(cut or lost), tuple(warnings), cut=bool(cut))

    def instances(self, window: Window) -> list[str]:
        """The containers that are the environment of these connections now, as a target of them would find them.

        :param window: of no matter.
        :raises SourceError: as of :meth:`read`.
        """
        refuse(self.mistakes())
        found: list[str] = []
        conn_ids = (self.conn_id, *self.hosts)
        for conn_id in conn_ids:
            try:
                engine = DockerConnection.read(conn_id)
                environment = conn_id.removeprefix(f"{KIND}_")
                selection = Selection.read(engine.options.get("containers"), environment)
                prefix = prefix_of(conn_id, len(conn_ids))
                found += [f"{prefix}{name}" for name in slots(engine.client().containers(all=True), selection)]
            except ValueError as error:
                raise SourceRejected(f"connection {conn_id!r}: {error}.", next_step="Correct its containers.") from None
            except TargetError as error:
                raise _as_source(error) from error
        return found

    def _of_host(
        self,
        conn_id: str,
        prefix: str,
        names: Sequence[str],
        window: Window,
        cut: list[str],
        unknown: list[str],
        lost: list[str],
        notes: list[str],
    ) -> Iterator[tuple[datetime, str, str, str, datetime]]:
        from urllib3.exceptions import HTTPError

        try:
            engine = DockerConnection.read(conn_id)
            client = engine.client()
            containers = _containers(client)
            known = sorted({f"{prefix}{container.removesuffix(KEPT)}" for container in containers})
            unknown += unknown_instances(names, known, f"the Docker host of {conn_id}")
            for instance in names:
                container = instance.removeprefix(prefix)
                # The one before first: then lines of the same moment are in order.
                for of_one in (containers.get(f"{container}{KEPT}"), containers.get(container)):
                    if of_one is not None:
                        written = Written(window)
                        # Apart: pieces of a long line of one stream may stand between those of the other's.
                        for output in ("stdout", "stderr"):
                            alike: Counter[str] = Counter()
                            for stamp, moment, line in _lines(client, of_one, output, window, instance, cut):
                                alike[stamp] += 1
                                identity = f"{of_one[:12]} {output} {stamp} {alike[stamp]}"
                                written.add(moment, stamp, line)
                                yield moment, instance, line, identity, moment
                        why, lacks = written.lost(client, of_one) if instance not in cut else ("", False)
                        if why:
                            (lost if lacks else notes).append(f"A part of what {instance} wrote {why}")
        except TargetError as error:
            raise _as_source(error) from error
        except (OSError, ValueError, HTTPError, struct.error) as error:
            raise SourceUnavailable(
                f"the containers' logs cannot be read over connection {conn_id!r}: {type(error).__name__}.",
                next_step="See whether the Docker host can be reached, and whether its log driver can be read.",
            ) from error


def _as_source(error: TargetError) -> Exception:
    """An error of a Docker host as that of a source."""
    kinds: dict[type[TargetError], Any] = {
        TargetUnavailable: SourceUnavailable,
        TargetUnauthorized: SourceUnauthorized,
    }
    found: Exception = kinds.get(type(error), SourceRejected)(error.what, next_step=error.next_step)
    return found


def _containers(client: Any) -> dict[str, str]:
    """Ids of all containers by name."""
    return {name[1:]: str(one["Id"]) for one in client.containers(all=True) for name in one.get("Names") or ()}


def _lines(
    client: Any, container: str, output: str, window: Window, instance: str, cut: list[str]
) -> Iterator[tuple[str, datetime, str]]:
    since, until = floor(window.since.timestamp()), ceil(window.until.timestamp())
    stream = client.logs(
        container,
        stdout=output == "stdout",
        stderr=output == "stderr",
        timestamps=True,
        since=max(since, 1),
        until=max(until, 1),
        stream=True,
        follow=False,
    )
    left, rest = MOST_BYTES, b""
    # The SDK's own iterator ends quietly where the connection breaks, as if that were all.
    for chunk in getattr(stream, "_stream", stream):
        left -= len(chunk)
        if left < 0:
            cut.append(instance)
            return
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield from _line(line, window)
    yield from _line(rest, window)


def _line(line: bytes, window: Window) -> Iterator[tuple[str, datetime, str]]:
    stamp, blank, message = in_one_piece(line).decode(errors="replace").rstrip("\r").partition(" ")
    moment = stamped(stamp)
    if moment is not None and blank and window.since <= moment < window.until:
        yield stamp, moment, message
