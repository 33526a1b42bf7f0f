"""Which streams of a log group are an instance's: one by its name, or all whose names begin in a way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from airflow_cd.verification.samples import Window

INSTANCE = "{instance}"
ANY = "*"
LONGEST = 512
"""Letters of a stream's name."""

_DAY = timedelta(days=1)
_PARTS = {"%Y": r"\d{4}", "%m": r"\d{2}", "%d": r"\d{2}"}
_FIELD = re.compile(r"%.?")


@dataclass(frozen=True)
class Streams:
    """The names of streams.

    :param template: a name in which ``{instance}`` stands for the instance's. One that ends with ``*`` is how names
        begin, and in it ``%Y``, ``%m`` and ``%d`` are the day, in UTC, on which a stream was made: a day of the window,
        or the one before.
    """

    template: str

    @property
    def many(self) -> bool:
        """Whether an instance has several."""
        return self.template.endswith(ANY)

    def mistakes(self) -> Iterator[str]:
        """What is wrong with the template, one sentence without its full stop each."""
        if INSTANCE not in self.template:
            yield f"stream: {INSTANCE} is missing in {self.template!r}"
        if ANY in self.template[:-1]:
            yield f"stream: {ANY} stands at the end of a name, not within {self.template!r}"
        if self.many and (unknown := [one for one in _FIELD.findall(self.template) if one not in _PARTS]):
            yield f"stream: {', '.join(unknown)} in {self.template!r} is none of {', '.join(_PARTS)}"
        if self.template.endswith(INSTANCE + ANY):
            yield (
                f"stream: {self.template!r} cannot tell web-1 from web-10: put what ends a name between {INSTANCE} and "
                f"{ANY}, as in {INSTANCE}/{ANY}"
            )

    def of(self, instance: str, window: Window) -> list[str]:
        """The name of an instance's stream, or how the names of its streams begin; a name that cannot be one is none.

        :param instance: its name.
        :param window: when something is read.
        """
        names = (one.replace(INSTANCE, instance) for one in self._dated(window))
        return [name for name in names if name and len(name) <= LONGEST and not set(name) & set(":*")]

    def prefixes(self, window: Window) -> list[str]:
        """How the names of all instances' streams begin.

        :param window: when something is read.
        """
        return list(dict.fromkeys(one.partition(INSTANCE)[0] for one in self._dated(window)))

    def of_longer_names(self, beginning: str, instances: Iterable[str], window: Window) -> tuple[str, ...]:
        """How the names of streams begin that are of an instance with a longer name, though they begin as another's.

        :param beginning: how the names of an instance's streams begin.
        :param instances: all that are read.
        :param window: when something is read.
        """
        others = (other for instance in instances for other in self.of(instance, window)) if self.many else ()
        return tuple(other for other in others if other.startswith(beginning) and other != beginning)

    def instance_in(self, name: str) -> str:
        """The instance that a stream is of, ``""`` for none.

        :param name: of the stream.
        """
        before, _, behind = self.template.removesuffix(ANY).partition(INSTANCE)
        form = f"{self._form(before)}(?P<instance>.+{'?' if self.many and behind else ''}){self._form(behind)}"
        found = (re.match if self.many else re.fullmatch)(form, name)
        return found["instance"] if found else ""

    def _dated(self, window: Window) -> Iterator[str]:
        """The template without ``*``, for each day in question."""
        if not self.many or not _FIELD.search(self.template):
            yield self.template.removesuffix(ANY)
            return
        day = window.since.astimezone(timezone.utc) - _DAY
        while day.date() <= window.until.astimezone(timezone.utc).date():
            yield self._on(day)
            day += _DAY

    def _on(self, day: datetime) -> str:
        return _FIELD.sub(lambda found: day.strftime(found[0]), self.template.removesuffix(ANY))

    def _form(self, text: str) -> str:
        if not self.many:
            return re.escape(text)
        return "".join(_PARTS.get(part, re.escape(part)) for part in re.split(r"(%.)", text))
