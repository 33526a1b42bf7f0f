"""A platform of revisions with weights, in memory: for tests of what uses targets of that shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from airflow_cd.errors import ArtifactNotFound, TargetUnavailable
from airflow_cd.release import Release
from airflow_cd.targets.base import FAILED, HEALTHY, STARTING
from airflow_cd.targets.revisions import Revision, RevisionTarget, Serving


class RevisionMemory(RevisionTarget):
    """Revisions as values; those of ``broken`` artifacts do not come up, ``missing`` artifacts do not exist.

    :ivar ready: whether a revision that is published is up at once; False leaves it *starting* until :meth:`finish`.
    :ivar before_serve: called before weights are written, when what they were decided from has been read.
    """

    def __init__(self, release: Release | None = None) -> None:
        self.broken: set[str] = set()
        self.missing: set[str] = set()
        self.ready = True
        self.away = False
        self.revisions: dict[str, Revision] = {}
        self.weights: dict[str, float] = {}
        self.note = ""
        self.writes = 0
        self.served: list[dict[str, float]] = []
        self.before_serve: Callable[[], None] = lambda: None
        if release is not None:
            self.weights = {self.publish(release): 100.0}

    def serving(self) -> Serving:
        self._answer()
        return Serving(dict(self.weights), self.note, str(self.writes))

    def serve(self, weights: Mapping[str, float], note: str, *, mark: str) -> bool:
        self._answer()
        self.before_serve()
        if mark != str(self.writes):
            return False
        assert set(weights) <= set(self.revisions), "a revision that is not there cannot serve"
        assert not weights or sum(weights.values()) == 100
        self.weights, self.note = dict(weights), note
        self.writes += 1
        self.served.append(dict(weights))
        return True

    def revision(self, name: str) -> Revision | None:
        self._answer()
        return self.revisions.get(name)

    def publish(self, release: Release, *, beside: str = "") -> str:
        self.check(release)
        for name, one in self.revisions.items():
            if name != beside and one.runs(release):
                return name
        name = f"r{len(self.revisions) + 1}"
        health = FAILED if release.artifact in self.broken else HEALTHY if self.ready else STARTING
        message = {FAILED: f"{release.artifact}: the handler cannot be imported", STARTING: "Creating"}.get(health, "")
        configuration = dict(release.configuration)
        self.revisions[name] = Revision(name, release.version, release.artifact, configuration, health, message)
        return name

    def check(self, release: Release) -> None:
        self._answer()
        if release.artifact in self.missing:
            raise ArtifactNotFound(f"there is no artifact {release.artifact}.")

    # -- what happens to it --------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Have everything up that is starting."""
        self.revisions = {
            name: replace(one, health=HEALTHY, message="") if one.health == STARTING else one
            for name, one in self.revisions.items()
        }

    def meddle(self, weights: Mapping[str, float]) -> None:
        """Somebody else sets the weights, and leaves the note as it is."""
        self.weights = dict(weights)
        self.writes += 1

    def describe(self, text: str) -> None:
        """Somebody else writes over what was noted beside the weights."""
        self.note = text
        self.writes += 1

    def served_by(self) -> set[str]:
        """The artifacts that get requests."""
        return {self.revisions[name].artifact for name in self.weights}

    def _answer(self) -> None:
        if self.away:
            raise TargetUnavailable("the platform does not answer.")
