"""Log files: what authors write in a DAG, and how they are read."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceQueryRejected
from airflow_cd.sources.buckets import utc_now
from airflow_cd.sources.file_paths import FilePaths, identity_of, named, reading
from airflow_cd.sources.specification import mistakes_of_durations, refuse
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.verification.samples import LogSample, Window

if TYPE_CHECKING:
    from airflow_cd.sources.log_times import Clock

_OTHERS, _SMALL = 50, 1 << 20  # names and bytes of each that are looked at for what belongs to nobody
_LISTED = 5


@keeps_misspelt_keywords
@dataclass(frozen=True)
class FileLogs:
    """Log files that the workers of Airflow can read, rotated and compressed ones among them.

    A line's time is the one that it states; a line that states none belongs to the one before it. gzip, bzip2, xz and
    zstandard are read as they are, and a file that is being copied or compressed counts once.

    :param paths: a pattern as of ``ls`` in which ``{instance}`` stands for the instance's name
        (``/var/log/shop/{instance}/app.log*``), or such patterns by the names of instances. What stands directly
        beside ``{instance}`` ends the name; of names that fit one file the longest has it.
    :param zone: time zone of stamps that say none, such as ``Europe/Berlin``; ``UTC`` by default.
    :param delay: how long after it was written a line can usually be read, a duration; one second by default.
    :param name: what reports call the source; ``Files <paths>`` by default.
    :param most_bytes: of lines that one read takes into memory, of all instances together, from 1 on; 64 MiB by
        default. A verification reads a window that holds more in parts.
    """

    paths: str | Mapping[str, str]
    zone: str = "UTC"
    delay: DurationField = DurationField("1s")  # noqa: RUF009 - a descriptor
    name: str = ""
    most_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Files {named(self.paths)}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*mistakes_of_durations(delay=self.delay)]
        found += self._files.mistakes()
        try:
            _zone(self.zone)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            found.append(f"zone: {self.zone!r} is not the name of a time zone")
        if isinstance(self.most_bytes, bool) or not isinstance(self.most_bytes, int) or self.most_bytes < 1:
            found.append(f"most_bytes: {self.most_bytes!r} is not a number of bytes")
        return [f"{type(self).__name__}({self.paths!r}): {mistake}" for mistake in found]

    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read what some instances wrote over a window, a row for each line.

        :param window: half-open, aware.
        :param instances: their names.
        :returns: a sample; ``truncated`` where there was more than is read at a time, or lines without a time.
        :raises SourceQueryRejected: this specification is wrong, or the zone of the stamps is another one.
        :raises SourceUnauthorized: a file may not be read.
        :raises SourceUnavailable: there is no file at all, or one cannot be read now.
        """
        from airflow_cd.sources.file_reading import lines_of
        from airflow_cd.sources.frames import identified_log_frame
        from airflow_cd.sources.log_times import Clock

        refuse(self.mistakes())
        now = utc_now()
        clock = Clock(_zone(self.zone), now)
        patterns = {instance: self._files.pattern(instance) for instance in sorted(set(instances))}
        files = self._files.files_of(patterns)
        warnings = [f"No file matches {patterns[name] or name}." for name, paths in files.items() if not paths]
        with reading(", ".join(pattern for name, pattern in patterns.items() if files[name])):
            found = lines_of(files, window, clock, now, most=self.most_bytes)
        for instance, hours in found.off.items():
            if hours > 0:
                raise self._another_zone(patterns[instance], hours)
            warnings.append(
                f"The newest time in {patterns[instance]} lies {-hours:g} h before when it was written: where that log "
                f"is not quiet, its stamps are not of {self.zone}; then name their time zone as zone."
            )
        rows = [(moment, instance, text, "", moment) for moment, instance, text in found.rows]
        if found.cut and found.whole_until is None:
            warnings.append(f"There are more than {self.most_bytes:,} bytes; the newest were left out.")
        for instance, unread in sorted(found.unread.items()):
            warnings.append(f"{unread} lines of {instance} state no time, nor does one before them.")
        warnings += found.damage
        truncated = found.cut or bool(found.unread or found.damaged)
        if instances and not any(files.values()):
            self._files.require_any()
        unassigned = 0
        if instances and (others := self._of_others(files, window, clock, now)):
            unassigned = sum(others.values())
            warnings.append(f"What {', '.join(sorted(others)[:_LISTED])} wrote is of none of the instances.")
        query = "\n".join(f"{instance}: {pattern or 'no files'}" for instance, pattern in patterns.items())
        return LogSample(
            identified_log_frame(rows),
            query,
            truncated,
            tuple(warnings),
            unassigned,
            cut=found.cut,
            whole_until=found.whole_until,
        )

    def instances(self, window: Window) -> list[str]:
        """Which instances have files.

        :param window: not looked at.
        """
        refuse(self.mistakes())
        return self._files.instances()

    def _of_others(
        self, known: Mapping[str, Sequence[Path]], window: Window, clock: Clock, now: datetime
    ) -> dict[str, int]:
        """How many lines of the window stand in small files of names that nobody has asked for.

        What a collector cuts off a long line stands under whatever it takes for a host: rsyslog's second record of a
        line is one of its own host.
        """
        from airflow_cd.sources.file_reading import lines_of

        if isinstance(self.paths, Mapping):
            return {}
        found = {}
        taken = {one for paths in known.values() for path in paths if (one := identity_of(path)) is not None}
        for name in [one for one in self._files.instances() if one not in known][:_OTHERS]:
            pattern = self._files.pattern(name)
            with reading(pattern), contextlib.suppress(PermissionError, FileNotFoundError):
                files = [path for path in self._files.files(pattern) if identity_of(path) not in taken]
                if sum(one.stat().st_size for one in files) <= _SMALL:
                    found[name] = len(lines_of({name: files}, window, clock, now).rows)
        return {name: number for name, number in found.items() if number}

    @property
    def _files(self) -> FilePaths:
        return FilePaths(self.name, self.paths)

    def _another_zone(self, pattern: str, hours: float) -> SourceQueryRejected:
        return SourceQueryRejected(
            f"the newest time in {pattern} lies {hours:g} h after when it was written: its stamps are not of "
            f"{self.zone}.",
            next_step="Name their time zone, FileLogs(..., zone='Europe/Berlin').",
        )


def _zone(name: str) -> tzinfo:
    return timezone.utc if name == "UTC" else ZoneInfo(name)
