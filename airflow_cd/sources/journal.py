"""Logs out of the journal of systemd: what authors write in a DAG, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_cd.durations import DurationField
from airflow_cd.errors import SourceUnavailable
from airflow_cd.sources.specification import mistakes_of_durations, mistakes_of_texts, reads_answers, refuse
from airflow_cd.spelling import keeps_misspelt_keywords, suggestion
from airflow_cd.verification.samples import LogSample, Window
from airflow_cd.wording import ended, first_of

_INSTANCE = "{instance}"
_LISTED = 3
_UNIT = re.compile(r"[A-Za-z0-9:_.\\@-]+\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_SUPPRESSED = "a596d6fe7bfa4994828e72309e95d61e"  # what journald calls its note of records that it has left out
_STATED = 4  # priorities above a warning are what everything has that is written to standard output


@keeps_misspelt_keywords
@dataclass(frozen=True)
class JournalLogs:
    """What a unit of systemd has logged, on the host of the worker or in journals that were collected from others.

    systemd's own lines about the unit (why it ended) are read too. Where the journal says that it has left out records
    of a burst, the report says how many.

    :param unit: ``shop.service``, or ``shop@{instance}.service`` where each instance is a unit.
    :param directory: of journals that were collected (``/var/log/journal/remote``); this host's by default.
    :param identifier: what the unit's processes call themselves, ``shop``: the last words of one that has died may have
        lost their unit. Records that have another unit do not count; where each instance is a unit, those without one
        are of the instance whose process wrote them, or count as of none. None (``""``) by default.
    :param delay: how long after an event its entry can usually be read, a duration; one second by default.
    :param name: what reports call the source; ``Journal <unit>`` by default.
    """

    unit: str
    directory: str = ""
    identifier: str = ""
    delay: DurationField = DurationField("1s")  # noqa: RUF009 - a descriptor
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"Journal {self.unit}")

    def mistakes(self) -> list[str]:
        """Return what is wrong with the specification, one sentence each."""
        found = [*mistakes_of_texts(unit=self.unit), *mistakes_of_durations(delay=self.delay)]
        if isinstance(self.unit, str) and not _UNIT.match(self.unit.replace(_INSTANCE, "i")):
            found.append(f"unit: {self.unit!r} is not the name of a unit")
        if self.directory and not str(self.directory).startswith("/"):
            found.append(f"directory: {self.directory!r} is not absolute")
        return [f"{type(self).__name__}({self.unit!r}): {mistake}" for mistake in found]

    @reads_answers
    def read(self, window: Window, instances: Sequence[str]) -> LogSample:
        """Read what some instances have logged over a window.

        :param window: half-open, aware.
        :param instances: names of hosts, or what stands for ``{instance}`` in the unit.
        :returns: a sample with ids; ``truncated`` where the journal has left out records, or a file of it is broken.
        :raises SourceUnauthorized: the journal may not be read.
        :raises SourceUnavailable: it cannot be read, or has no such unit.
        """
        from airflow_cd.hooks import journal
        from airflow_cd.sources.frames import identified_log_frame

        refuse(self.mistakes())
        records = _Records(window)
        warnings: list[str] = []
        queries: list[str] = []
        ignored: dict[str, None] = {}
        truncated = cut = False
        times = window.since.timestamp(), window.until.timestamp()
        for unit, names in self._units(sorted(set(instances))) if window.since < window.until else ():
            matches = [*self._matches(unit), "+", f"MESSAGE_ID={_SUPPRESSED}"]
            queries.append(f"journalctl {' '.join(matches)}")
            entries = journal.entries(self.directory, *times, matches)
            cut = cut or entries.cut
            ignored |= dict.fromkeys(entries.ignored)
            if entries.cut:
                warnings.append(f"{unit} logged more than {journal.MOST_BYTES >> 20} MiB; the rest was left out.")
            if suppressed := records.take(entries.found, unit, names):
                warnings.append(f"The journal has left out {suppressed} records of {unit}: it logged too fast.")
            truncated = truncated or entries.cut or bool(suppressed)
        if ignored:
            truncated = True
            warnings.append(f"A part of the journal cannot be read: {ended(first_of(list(ignored), _LISTED))}")
        if queries and (closed := journal.unreadable(self.directory)):
            if not records.rows:
                raise journal.not_allowed(_may_not_open(closed))
            warnings.append(f"A part of the journal is hidden: {_may_not_open(closed)} See the group systemd-journal.")
        if queries and not records.rows:
            warnings += self._nothing(sorted(set(instances)))
        query = "\n".join(queries) or "no query: no instance, or no time"
        frame = identified_log_frame(records.rows)
        return LogSample(frame, query, truncated, tuple(warnings), records.unassigned, cut=cut)

    @reads_answers
    def instances(self, window: Window) -> list[str]:
        """Which instances the journal knows.

        :param window: not looked at.
        :raises SourceError: as of :meth:`read`.
        """
        from airflow_cd.hooks import journal

        refuse(self.mistakes())
        found = self._known()
        if not found and (closed := journal.unreadable(self.directory)):
            raise journal.not_allowed(_may_not_open(closed))
        return found

    def _known(self) -> list[str]:
        from airflow_cd.hooks import journal

        if _INSTANCE not in self.unit:
            return journal.values(self.directory, "_HOSTNAME")
        before, _, behind = self.unit.partition(_INSTANCE)
        units = journal.values(self.directory, "_SYSTEMD_UNIT")
        return [
            unit[len(before) : len(unit) - len(behind)]
            for unit in units
            if unit.startswith(before) and unit.endswith(behind) and len(unit) > len(before) + len(behind)
        ]

    def _units(self, names: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
        """Each unit to be read, and whose its entries are by the host that they are of; ``""`` for any host."""
        if _INSTANCE not in self.unit:
            if names:
                yield self.unit, {name: name for name in names if name}
            return
        for name in names:
            unit = self.unit.replace(_INSTANCE, name)
            if _UNIT.match(unit):
                yield unit, {"": name}

    def _matches(self, unit: str) -> list[str]:
        found = [f"_SYSTEMD_UNIT={unit}", "+", f"UNIT={unit}", "_PID=1", "+", f"COREDUMP_UNIT={unit}"]
        if self.identifier:
            found += ["+", f"SYSLOG_IDENTIFIER={self.identifier}"]
        return found

    def _nothing(self, names: Sequence[str]) -> Iterator[str]:
        from airflow_cd.hooks import journal

        known = self._known()
        units = journal.values(self.directory, "_SYSTEMD_UNIT")
        if _INSTANCE not in self.unit and self.unit not in units:
            hint = suggestion(self.unit, units) if units else "it has none at all."
            raise SourceUnavailable(
                ended(f"the journal has no unit {self.unit}; {hint}"), next_step="Correct the unit, or the folder."
            )
        if unknown := [name for name in names if name not in known]:
            yield f"Nothing is known of {', '.join(unknown[:5])}: the journal has {', '.join(known[:5]) or 'none'}."


@dataclass
class _Records:
    """Records of a window, and which of them are nobody's.

    :param window: half-open.
    """

    window: Window
    rows: list[tuple[datetime, str, str, str, datetime]] = field(default_factory=list)
    _without_unit: set[str] = field(default_factory=set)
    _given: set[str] = field(default_factory=set)

    @property
    def unassigned(self) -> int:
        """How many records name no unit, and are of no process of one that was read."""
        return len(self._without_unit - self._given)

    def take(self, found: Sequence[Mapping[str, Any]], unit: str, names: Mapping[str, str]) -> int:
        """Add the records of a unit; how many others of it the journal has left out.

        :param found: entries that may be of it.
        :param unit: its name.
        :param names: of the instances by host; ``""`` for the one that the unit is.
        """
        own = (entry for entry in found if entry.get("_PID") and _names(entry, "_SYSTEMD_UNIT", unit))
        processes = {_process(entry) for entry in own}
        suppressed = 0
        for entry in found:
            moment = _EPOCH + timedelta(microseconds=int(entry.get("__REALTIME_TIMESTAMP", 0)))
            instance = names.get(str(entry.get("_HOSTNAME", "")), names.get("", ""))
            if not instance or not self.window.since <= moment < self.window.until:
                continue
            if entry.get("MESSAGE_ID") == _SUPPRESSED:
                named = unit in _text(entry.get("MESSAGE")).replace("/", " ").split()
                suppressed += int(entry.get("N_DROPPED", 1)) if named else 0
            elif _states(entry, unit) or self._is_of(entry, None if "" not in names else processes):
                cursor = str(entry.get("__CURSOR", ""))
                self._given.add(cursor)
                self.rows.append((moment, instance, _record(entry), cursor, moment))
        return suppressed

    def _is_of(self, entry: Mapping[str, Any], processes: Collection[tuple[str, str]] | None) -> bool:
        """Whether a record is the unit's that was found by what it calls itself alone; None: of any process."""
        if entry.get("_SYSTEMD_UNIT"):
            return False
        self._without_unit.add(str(entry.get("__CURSOR", "")))
        return processes is None or _process(entry) in processes


def _may_not_open(closed: Sequence[str]) -> str:
    return ended(f"this user may not open {first_of(closed, _LISTED)}")


def _states(entry: Mapping[str, Any], unit: str) -> bool:
    """Whether a record says that it is of a unit: its own, systemd's about it, or that of a core dump."""
    return any(_names(entry, name, unit) for name in ("_SYSTEMD_UNIT", "UNIT", "COREDUMP_UNIT"))


def _names(entry: Mapping[str, Any], name: str, unit: str) -> bool:
    value = entry.get(name)
    return unit in value if isinstance(value, list) else value == unit


def _process(entry: Mapping[str, Any]) -> tuple[str, str]:
    """What tells a process from all others."""
    return str(entry.get("_BOOT_ID", "")), str(entry.get("_PID", ""))


def _text(value: Any) -> str:
    """A field's value: what is no text is written as its bytes, and what is too long as null."""
    if isinstance(value, list):
        if value and all(isinstance(one, int) for one in value):
            return bytes(value).decode("utf-8", "replace")
        return " ".join(map(_text, value))
    return "" if value is None else str(value)


def _record(entry: Mapping[str, Any]) -> str:
    from airflow_cd.sources.records import record_text

    message = _text(entry.get("MESSAGE"))
    priority = str(entry.get("PRIORITY", ""))
    if priority.isdigit() and int(priority) <= _STATED:
        return record_text({"message": message, "priority": int(priority)}, "message")
    return message
