"""Which text of an instance's configuration came from which reference, known by keyed digests alone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_cd.errors import LedgerError
from airflow_cd.secret_values.detection import suspicion
from airflow_cd.secret_values.references import PLAIN, SEALED, SECRET, texts

if TYPE_CHECKING:
    from airflow_cd.ledger import Ledger
    from airflow_cd.release import Release
    from airflow_cd.secret_values.sealing import Sealer
    from airflow_cd.targets.base import Instance


AWAY_SECONDS = 15.0
"""For how long a ledger that did not answer is not asked again."""


class GivenValues:
    """What instances of one environment were given in the place of references.

    :param ledger: remembers it across processes; None while it is away.
    :param service: what is deployed.
    :param environment: name of the environment.
    :param sealer: makes digests and seals.
    """

    def __init__(self, ledger: Ledger | None, service: str, environment: str, sealer: Sealer) -> None:
        self.sealer = sealer
        self._ledger = ledger
        self._place = (service, environment)
        self._expected: dict[str, dict[str, str]] = defaultdict(dict)
        self._literal: set[tuple[str, str]] = set()
        self._latest: dict[str, Mapping[str, tuple[str, str]]] = {}
        self._asked_again = 0.0

    @cached_property
    def _recorded(self) -> dict[str, list[tuple[str, str]]]:
        """By path, what was given: the source as it is written, and the digest; the newest last."""
        found: dict[str, list[tuple[str, str]]] = defaultdict(list)
        if self._ledger is None:
            return found
        for row in self._ledger.secret_values.given(*self._place):
            found[row.path].append((row.source, row.digest))
        return found

    @cached_property
    def _old_literals(self) -> set[tuple[str, str]]:
        """Texts of releases from before secrets were refused: they are compared as they are."""
        if self._ledger is None:
            return set()
        last = self._ledger.deployments.last_promoted(*self._place)
        unsettled = self._ledger.deployments.unsettled(*self._place)
        releases = [last.release] if last else []
        for deployment in unsettled:
            releases += [deployment.release, *(one for one in deployment.previous.values() if one)]
        return {leaf for release in releases for leaf in texts(release.configuration)}

    def expect(self, path: str, source: str, value: str) -> None:
        """Take a value for what a reference gives, before any instance has been given it.

        :param path: where it stands.
        :param source: the reference as it is written.
        :param value: what it gives now.
        """
        self._expected[path][value] = source

    def expect_literally(self, release: Release) -> None:
        """Take the texts of a release for what they are.

        :param release: about to be deployed.
        """
        for path, text in texts(release.configuration):
            if text.startswith(PLAIN):
                self._expected[path][text.removeprefix(PLAIN)] = text
            elif not text.startswith((SECRET, SEALED)):
                self._literal.add((path, text))

    def record(self, given: Mapping[str, tuple[str, str]]) -> list[str]:
        """Remember, before the target is called, what instances are given.

        :param given: by path, what is written there and the value that is sent.
        :returns: paths of references whose value is another one than was given before.
        :raises ReleaseError: there is no key to make digests with.
        :raises LedgerError: it cannot be remembered.
        """
        rows = [
            (path, _source(written), self.sealer.digest(path, _source(written), sent))
            for path, (written, sent) in given.items()
            if not written.startswith(SEALED)
        ]
        if not rows:
            return []
        changed = [
            path
            for path, source, digest in rows
            if source != PLAIN and (known := [one for was, one in self._known(path) if was == source])
            if digest != known[-1]
        ]
        if self._ledger is not None:
            self._ledger.secret_values.record(*self._place, rows)
            self.__dict__.pop("_recorded", None)
        return changed

    def gave(self, instances: Iterable[str], release: Release | None, given: Mapping[str, tuple[str, str]]) -> None:
        """Remember in this process what instances run from now on: nothing else counts for them any more.

        :param instances: their names, or tracks of replicas.
        :param release: what they were given.
        :param given: as of :meth:`record`.
        """
        for name in instances:
            self._latest[name] = given
        if release is not None:
            self.expect_literally(release)

    def written(self, instance: str, path: str, text: str) -> str:
        """What stands for a text that was read back: a reference, a sealed value, or itself.

        :param instance: name, or track, of the instance it was read from.
        :param path: where it stands.
        :param text: as the target has it.
        """
        latest = self._latest.get(instance)
        if latest is not None and path in latest:
            written, sent = latest[path]
            return written if sent == text else self._unexplained(path, text)
        if (source := self._expected.get(path, {}).get(text)) is not None:
            return source
        for source, digest in reversed(self._known(path)):
            if self.sealer.matches(digest, path, source, text):
                return PLAIN + text if source == PLAIN else source
        if (path, text) in self._literal:
            return text
        return self._unexplained(path, text)

    def kept(self, instances: Sequence[Instance], path: str, source: str) -> str | None:
        """The value that instances still have for a reference, as the target reads it back; None where none has it.

        :param instances: as the target lists them, secrets included.
        :param path: where it stands.
        :param source: the reference as it is written.
        """
        digests = [digest for was, digest in self._known(path) if was == source]
        for instance in instances:
            text = dict(texts(instance.configuration)).get(path)
            if text is None:
                continue
            if self._expected.get(path, {}).get(text) == source:
                return text
            if any(self.sealer.matches(digest, path, source, text) for digest in digests):
                return text
        return None

    def _known(self, path: str) -> list[tuple[str, str]]:
        if time.monotonic() < self._asked_again:
            return []
        try:
            return self._recorded.get(path, [])
        except LedgerError:
            # What this process has given is known without it; a rollback must not wait for it at every value.
            self._asked_again = time.monotonic() + AWAY_SECONDS
            return []

    def _unexplained(self, path: str, text: str) -> str:
        sources = [source for source, _ in self._known(path)] + list(self._expected.get(path, {}).values())
        if any(source.startswith(SECRET) for source in sources) or suspicion(path, text):
            return text if self._is_old(path, text) else self.sealer.seal(text)
        return PLAIN + text if text.startswith((SECRET, SEALED, PLAIN)) else text

    def _is_old(self, path: str, text: str) -> bool:
        if time.monotonic() < self._asked_again:
            return False
        try:
            return (path, text) in self._old_literals
        except LedgerError:
            self._asked_again = time.monotonic() + AWAY_SECONDS
            return False


def _source(written: str) -> str:
    return PLAIN if written.startswith(PLAIN) else written
