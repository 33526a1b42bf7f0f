"""What a Docker host remembers of an environment: the highest fencing token, idempotency keys, who is drained.

The daemon keeps it, so that whoever acts next finds it, from whichever machine. It is in the labels of a volume, the
one thing that a daemon keeps, that costs nothing and that needs no image. Labels cannot be changed: each state is a
volume of its own, numbered, and the highest number counts. Of two that make the same number at once one finds the
other's labels in it and begins again, so no write is lost.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_cd.errors import TargetConflict, TargetUnavailable
from airflow_cd.targets.docker.engine import Engine, Gone

LABEL = "airflow-cd.register"
STATE = "airflow-cd.state"
WRITER = "airflow-cd.writer"
KEYS_KEPT = 1000
IMAGES_KEPT = 50
ATTEMPTS = 20


@dataclass(frozen=True)
class State:
    """What is remembered.

    :param token: highest fencing token that was seen, -1 before the first.
    :param keys: digests of the idempotency keys of what was done, the newest last.
    :param drained: names of the instances that are to stay out of the traffic.
    :param images: id of the image that an artifact's name meant when it was first deployed here.
    """

    token: int = -1
    keys: tuple[str, ...] = ()
    drained: frozenset[str] = frozenset()
    images: Mapping[str, str] = field(default_factory=dict)

    def knows(self, key: str) -> bool:
        """Whether what an idempotency key stands for was done.

        :param key: the key.
        """
        return _digest(key) in self.keys

    def as_text(self) -> str:
        """The state as JSON."""
        content = {
            "token": self.token,
            "keys": list(self.keys[-KEYS_KEPT:]),
            "drained": sorted(self.drained),
            "images": dict(list(self.images.items())[-IMAGES_KEPT:]),
        }
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> State:
        """The reverse of :meth:`as_text`.

        :param text: JSON.
        """
        content: dict[str, Any] = json.loads(text)
        return cls(content["token"], tuple(content["keys"]), frozenset(content["drained"]), dict(content["images"]))


class Register:
    """The state of one environment on one host.

    :param engine: the host.
    :param environment: name of the environment.
    """

    def __init__(self, engine: Engine, environment: str) -> None:
        self._engine = engine
        self._environment = environment
        # Names of environments may hold what a volume's name may not.
        digest = hashlib.sha256(environment.encode()).hexdigest()[:12]
        readable = re.sub(r"[^A-Za-z0-9_.-]", "-", environment)[:40]
        self._name = f"airflow-cd.{readable}.{digest}"

    def read(self) -> State:
        """What is remembered now.

        :raises TargetUnavailable: the host does not answer.
        """
        return self._newest()[1]

    def claim(self, token: int) -> State:
        """Say that whoever acts has this token, and void all lower ones.

        :param token: fencing token of a lease.
        :raises TargetConflict: a higher one was seen.
        """

        def raised(state: State) -> State:
            self._refuse_lower(token, state)
            return replace(state, token=max(token, state.token))

        return self._change(raised)

    def require(self, token: int) -> None:
        """Check that nobody with a higher token has come meanwhile.

        :param token: fencing token of the caller.
        :raises TargetConflict: somebody has.
        """
        self._refuse_lower(token, self.read())

    def note(
        self,
        token: int,
        *,
        key: str | None = None,
        drain: frozenset[str] = frozenset(),
        restore: frozenset[str] = frozenset(),
        images: Mapping[str, str] | None = None,
    ) -> None:
        """Remember what was done, or what is about to be.

        :param token: fencing token of the caller.
        :param key: idempotency key of what was done.
        :param drain: instances that are to stay out of the traffic.
        :param restore: instances that are not to, any more.
        :param images: id of the image that each artifact means.
        :raises TargetConflict: somebody with a higher token has come meanwhile.
        """

        def noted(state: State) -> State:
            self._refuse_lower(token, state)
            return replace(
                state,
                keys=state.keys if key is None or state.knows(key) else (*state.keys, _digest(key)),
                drained=(state.drained | drain) - restore,
                images={**state.images, **(images or {})},
            )

        self._change(noted)

    def _refuse_lower(self, token: int, state: State) -> None:
        if token < state.token:
            raise TargetConflict(
                f"{self._engine.settings.title} has seen token {state.token}, newer than {token}, for environment "
                f"{self._environment!r}.",
                state="nothing was changed by this call.",
                next_step="This process was overruled and must stop; see who holds the environment's lease.",
            )

    def _change(self, change: Callable[[State], State]) -> State:
        for _ in range(ATTEMPTS):
            number, state = self._newest()
            wanted = change(state)
            if wanted == state:
                return state
            writer, name = uuid.uuid4().hex, f"{self._name}.{number + 1:012d}"
            labels = {LABEL: self._name, STATE: wanted.as_text(), WRITER: writer}
            try:
                there = self._engine.create_volume(name, labels)
            except Gone:
                continue
            mine = there.get(WRITER) == writer
            newest, _ = self._newest()
            if mine and newest == number + 1:
                self._forget_before(newest)
                return wanted
            if mine:
                # Somebody was faster by several writes, and had removed the volume of this number.
                self._engine.remove_volume(name)
        raise TargetUnavailable(
            f"{self._engine.settings.title}: the state of environment {self._environment!r} is being changed by others "
            "all the time.",
            next_step="See what else deploys to this environment.",
        )

    def _newest(self) -> tuple[int, State]:
        found = self._volumes()
        if not found:
            return 0, State()
        number = max(found)
        return number, State.from_text(found[number]["Labels"][STATE])

    def _forget_before(self, number: int) -> None:
        for older, volume in self._volumes().items():
            if older < number:
                self._engine.remove_volume(str(volume["Name"]))

    def _volumes(self) -> dict[int, dict[str, Any]]:
        listed = self._engine.volumes(f"{LABEL}={self._name}")
        return {int(str(volume["Name"]).rpartition(".")[2]): volume for volume in listed}


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:20]
