"""A platform that makes replicas and names them anew, in memory: for tests of what uses targets of that shape."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

from airflow_cd.errors import TargetConflict, TargetUnavailable
from airflow_cd.release import Release
from airflow_cd.targets.base import EMPTY, FAILED, HEALTHY, STARTING, Instance, Track


class ReplicaMemory:
    """Replicas as values; no name is ever used twice, and ``broken`` artifacts do not start.

    :ivar made: whether replicas that are asked for are there at once; False leaves them *starting*, as under a quota.
    """

    tracks = (Track.CANARY, Track.STABLE)

    def __init__(self, release: Release | None, count: int = 8) -> None:
        self._numbers = itertools.count(1)
        self.broken: set[str] = set()
        self.made = True
        self.away = False
        self.traffic = 0
        self.mirror = 0
        self.token = 0
        self._done: set[str] = set()
        self.shares: list[tuple[str, int]] = []
        self.before_call: Callable[[str], None] = lambda kind: None
        self.replicas: dict[Track, list[Instance]] = {Track.STABLE: [], Track.CANARY: []}
        if release is not None:
            self.replicas[Track.STABLE] = [self._new(release, Track.STABLE) for _ in range(count)]

    def instances(self) -> list[Instance]:
        if self.away:
            raise TargetUnavailable("the cluster does not answer.")
        found = [one for replicas in self.replicas.values() for one in replicas]
        return sorted(found, key=lambda one: one.name) or [
            Instance("web", None, None, health=EMPTY, track=Track.STABLE)
        ]

    def traffic_mistake(self, share: int, traffic: int) -> str:
        return ""

    def check(self, release: Release) -> None:
        self.instances()

    def deploy(
        self,
        release: Release | None,
        tracks: Sequence[Track],
        *,
        share: int,
        key: str,
        token: int,
        traffic: int | None = None,
    ) -> None:
        if not self._change("deploy", token, key):
            return
        if Track.CANARY in tracks:
            self.traffic = share if traffic is None else traffic
        for track in tracks:
            self.shares.append((f"{track} {release.version if release else 'nothing'}", share))
            if release is None:
                self._set_drained([Track.STABLE], drained=False)
                self.replicas[track] = []
                continue
            stable = len(self.replicas[Track.STABLE]) or 1
            wanted = stable if track is Track.STABLE or share >= 100 else max(1, round(stable * share / (100 - share)))
            same = [one for one in self.replicas[track] if one.runs(release)]
            new = [self._new(release, track) for _ in range(wanted - len(same))]
            # New ones are where the others of their track are: in the traffic, or kept out of it.
            out = traffic == 0 if track is Track.CANARY else any(one.drained for one in self.replicas[track])
            self.replicas[track] = (same + [replace(one, drained=out) for one in new])[:wanted]

    def drain(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        if self._change("drain", token, key):
            self._set_drained([Track.STABLE], drained=False)
            self._set_drained(tracks, drained=True)

    def restore(self, tracks: Sequence[Track], *, key: str, token: int) -> None:
        if self._change("restore", token, key):
            self._set_drained(tracks, drained=False)
            if Track.CANARY in tracks and self.traffic == 100:
                self._set_drained([Track.STABLE], drained=True)

    # -- what happens to replicas --------------------------------------------------------------------------------

    def reschedule(self, track: Track) -> None:
        """Every replica of a track is replaced by another of the same release."""
        self.replicas[track] = [replace(one, name=self._name()) for one in self.replicas[track]]

    def scale(self, count: int) -> None:
        """Have so many stable replicas, of the release that they run."""
        stable = self.replicas[Track.STABLE]
        more = [replace(stable[0], name=self._name()) for _ in range(count - len(stable))]
        self.replicas[Track.STABLE] = [*stable, *more][:count]

    def served_by(self) -> set[str | None]:
        """The artifacts that get requests."""
        return {one.artifact for one in self.instances() if not one.drained}

    def _set_drained(self, tracks: Sequence[Track], *, drained: bool) -> None:
        for track in tracks:
            self.replicas[track] = [replace(one, drained=drained) for one in self.replicas[track]]

    def _name(self) -> str:
        return f"web-{next(self._numbers):03d}"

    def _new(self, release: Release, track: Track) -> Instance:
        health = FAILED if release.artifact in self.broken else HEALTHY if self.made else STARTING
        message = {FAILED: f"{release.artifact}: web ended with exit code 1", STARTING: "exceeded quota"}.get(
            health, ""
        )
        configuration = dict(release.configuration)
        return Instance(
            self._name(), release.version, release.artifact, configuration, health, message=message, track=track
        )

    def _change(self, kind: str, token: int, key: str) -> bool:
        """Whether it is to be done: under a token that is not old, and for the first time."""
        self.before_call(kind)
        if self.away:
            raise TargetUnavailable("the cluster does not answer.")
        if token < self.token:
            raise TargetConflict(f"token {token} is older than {self.token}.")
        self.token = token
        if key in self._done:
            return False
        self._done.add(key)
        return True
