"""A target that lives in memory and keeps its contract: for tests of what uses targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from airflow_cd.errors import ArtifactNotFound, TargetConflict, TargetUnavailable
from airflow_cd.release import Release
from airflow_cd.targets.base import EMPTY, FAILED, HEALTHY, Instance


class MemoryTarget:
    """Instances as values; ``broken`` artifacts do not start, ``missing`` ones do not exist."""

    def __init__(self, names: Sequence[str], release: Release | None = None) -> None:
        self.state = {name: self._instance(name, release) for name in names}
        self.broken: set[str] = set()
        self.missing: set[str] = set()
        self.away = False
        self.token = 0
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.before_call: Callable[[str], None] = lambda kind: None

    def instances(self) -> list[Instance]:
        self._answer()
        return [self.state[name] for name in sorted(self.state)]

    def check(self, release: Release) -> None:
        self._answer()
        if release.artifact in self.missing:
            raise ArtifactNotFound(f"there is no artifact {release.artifact}.")

    def deploy(self, release: Release | None, instances: Sequence[str], *, key: str, token: int) -> None:
        self._change("deploy", instances, token)
        for name in instances:
            old = self.state[name]
            if not old.runs(release) or old.health != HEALTHY:
                self.state[name] = replace(self._instance(name, release), drained=old.drained)

    def drain(self, instances: Sequence[str], *, key: str, token: int) -> None:
        self._change("drain", instances, token)
        for name in instances:
            self.state[name] = replace(self.state[name], drained=True)

    def restore(self, instances: Sequence[str], *, key: str, token: int) -> None:
        self._change("restore", instances, token)
        for name in instances:
            self.state[name] = replace(self.state[name], drained=False)

    def running(self) -> dict[str, str | None]:
        return {name: instance.artifact for name, instance in sorted(self.state.items())}

    def _instance(self, name: str, release: Release | None) -> Instance:
        if release is None:
            return Instance(name, None, None, health=EMPTY)
        broken = release.artifact in getattr(self, "broken", ())
        return Instance(
            name,
            release.version,
            release.artifact,
            release.configuration,
            health=FAILED if broken else HEALTHY,
            message="ImportError: no module named tax" if broken else "",
        )

    def _answer(self) -> None:
        if self.away:
            raise TargetUnavailable("the deployment API does not answer.")

    def _change(self, kind: str, instances: Sequence[str], token: int) -> None:
        self.before_call(kind)
        self._answer()
        if token < self.token:
            raise TargetConflict(f"token {token} is older than {self.token}.")
        self.token = token
        self.calls.append((kind, tuple(instances)))


def wholly_on(target: MemoryTarget, release: Release) -> bool:
    """Whether every instance runs the release, healthy and with its traffic."""
    return all(i.runs(release) and i.health == HEALTHY and not i.drained for i in target.instances())
