"""Logs of containers, read from their Docker hosts: what authors write in a DAG, and how it is read."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
from airflow_cd.sources.docker_reading import MOST_BYTES, Notes, rows_of, unreadable
from airflow_cd.sources.specification import reads_answers, refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import LogSample, Window


@keeps_misspelt_keywords
@dataclass(frozen=True)
class DockerLogs:
    """What containers write to their standard output and error, as their Docker hosts keep it.

    An instance is the container of its name; what the container before it wrote is read as well, as long as it is
    kept. A line's time is when its host received it. Log drivers that cannot be read back (``none``, for one) are
    refused. What a rotation has taken away of a window, or an error of the host, makes it incomplete.

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

    @reads_answers
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
        notes = Notes()
        conn_ids = (self.conn_id, *self.hosts)
        prefixes = {conn_id: prefix_of(conn_id, len(conn_ids)) for conn_id in conn_ids}
        for conn_id, prefix in prefixes.items():
            if mine := [name for name in names if name.startswith(prefix)]:
                rows += self._of_host(conn_id, prefix, mine, window, notes)
        query = f"docker logs --timestamps of {', '.join(names)} on {', '.join(conn_ids)}"
        warnings = [f"{name} wrote more than {MOST_BYTES >> 20} MiB; the rest was left out." for name in notes.cut]
        if astray := [name for name in names if not name.startswith(tuple(prefixes.values()))]:
            begin = " or ".join(prefixes.values())
            warnings.append(f"{', '.join(astray)}: names of instances of several hosts begin with {begin}.")
        warnings += notes.unknown + notes.lost + notes.others
        truncated = bool(notes.cut or notes.lost)
        return LogSample(identified_log_frame(rows), query, truncated, tuple(warnings), cut=bool(notes.cut))

    @reads_answers
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
            except OSError as error:
                raise unreadable(error, conn_id, "") from error
        return found

    def _of_host(
        self, conn_id: str, prefix: str, names: Sequence[str], window: Window, notes: Notes
    ) -> Iterator[tuple[datetime, str, str, str, datetime]]:
        from docker.errors import DockerException
        from urllib3.exceptions import HTTPError

        instance = ""
        try:
            engine = DockerConnection.read(conn_id)
            client = engine.client()
            containers = _containers(client)
            known = sorted({f"{prefix}{container.removesuffix(KEPT)}" for container in containers})
            notes.unknown += unknown_instances(names, known, f"the Docker host of {conn_id}")
            for instance in names:
                container = instance.removeprefix(prefix)
                kept, now = containers.get(f"{container}{KEPT}"), containers.get(container)
                if kept is None and now is not None:
                    notes.made(instance, now, window)
                said: dict[str, None] = {}
                number = 0
                # The one before first: then lines of the same moment are in order.
                for one in (kept, now):
                    if one is not None:
                        for row in rows_of(client, str(one["Id"]), instance, window, notes, said):
                            number += 1
                            yield row
                if said:
                    notes.broken(instance, " ".join(said), nothing=not number)
        except TargetError as error:
            raise _as_source(error) from error
        except (OSError, ValueError, DockerException, HTTPError, struct.error) as error:
            raise unreadable(error, conn_id, instance) from error


def _as_source(error: TargetError) -> Exception:
    """An error of a Docker host as that of a source."""
    kinds: dict[type[TargetError], Any] = {
        TargetUnavailable: SourceUnavailable,
        TargetUnauthorized: SourceUnauthorized,
    }
    found: Exception = kinds.get(type(error), SourceRejected)(error.what, next_step=error.next_step)
    return found


def _containers(client: Any) -> dict[str, Mapping[str, Any]]:
    """All containers by name."""
    return {name[1:]: one for one in client.containers(all=True) for name in one.get("Names") or ()}
