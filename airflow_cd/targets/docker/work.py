"""What one call of a target does to its instances, under one token: several at once, each on its own host."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from airflow_cd.errors import TargetRejected, TargetUnavailable
from airflow_cd.hooks.docker_naming import Role
from airflow_cd.instances import FAILED, HEALTHY, Instance
from airflow_cd.release import Release
from airflow_cd.targets.docker.engine import Gone, Refusal
from airflow_cd.targets.docker.health import health_of
from airflow_cd.targets.docker.host import Box, Host
from airflow_cd.targets.docker.replacing import Replacement, stop
from airflow_cd.targets.last_words import LINES_READ

log = logging.getLogger(__name__)

WORKERS = 8
POLL = 0.2
ASKED_EVERY = 5
"""While a container comes up, whether the caller was overruled is asked each time so many reads were made."""

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Place:
    """One instance, and where it is.

    :param host: its host.
    :param slot: its name there.
    :param seen: as it was read when the call began.
    """

    host: Host
    slot: str
    seen: Instance

    @property
    def serving(self) -> bool:
        """Whether requests reach it, so that it has to be replaced with care."""
        return not self.seen.drained and self.seen.health == HEALTHY


class Work:
    """Changes to instances of one environment.

    :param token: fencing token of the caller.
    :param settle: how long a container without a health check has to stay up.
    :param patience: how long one may take to come up before the others are left alone.
    :param sleep: called with seconds to wait.
    """

    def __init__(
        self,
        token: int,
        *,
        settle: timedelta,
        patience: timedelta,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._token = token
        self._settle = settle
        self._patience = patience
        self._sleep = sleep

    def roll(
        self, places: Sequence[Place], release: Release | None, images: Mapping[Host, str], *, at_once: int
    ) -> None:
        """Bring instances to a release: first those that serve nobody, together; then the others, a few at a time.

        Those after the first that does not come up stay as they are.

        :param places: the instances.
        :param release: what to run; None for nothing.
        :param images: id of its image on each host.
        :param at_once: how many of those that serve are replaced at a time.
        """
        idle = [place for place in places if release is None or not place.serving]
        serving = [place for place in places if place not in idle]
        batches = [idle] if idle else []
        batches += [serving[start : start + at_once] for start in range(0, len(serving), at_once)]
        for number, batch in enumerate(batches, 1):
            last = number == len(batches)
            came_up = in_parallel(batch, lambda place, last=last: self._bring(place, release, images, last))  # type: ignore[misc]
            if not last and not all(came_up):
                down = ", ".join(place.seen.name for place, up in zip(batch, came_up, strict=True) if not up)
                left = ", ".join(place.seen.name for later in batches[number:] for place in later)
                log.warning("%s did not come up on %s; left as they are: %s.", down, release, left)
                return

    def _bring(self, place: Place, release: Release | None, images: Mapping[Host, str], last: bool) -> bool:
        """Replace one instance, and wait for it where something depends on it; whether it came up."""
        host, router = place.host, place.host.router
        allowed = self.allowed(host)

        def leave_traffic() -> None:
            if router is not None:
                for sentence in router.take_out([place.slot], allowed=allowed):
                    log.warning("%s.", sentence)

        replacement = Replacement(
            host, place.slot, allowed=allowed, leave_traffic=leave_traffic, drained=place.seen.drained
        )
        replacement.bring(release, images.get(host))
        returns = router is not None and not place.seen.drained
        if release is None or (last and not returns):
            return True
        if not self._comes_up(place):
            return False
        if returns:
            self._give_traffic(place)
        return True

    def _comes_up(self, place: Place, patience: timedelta | None = None) -> bool:
        """Wait until an instance's container is healthy; False once that is hopeless, or takes too long."""
        ends = time.monotonic() + (patience or self._patience).total_seconds()
        reads = 0
        while True:
            health, message = self._health(place)
            if health == HEALTHY:
                return True
            if health == FAILED or time.monotonic() >= ends:
                log.warning("%s is %s: %s", place.seen.name, health, message)
                return False
            reads += 1
            if reads % ASKED_EVERY == 0:
                self.allowed(place.host)()
            self._sleep(POLL)

    def _health(self, place: Place) -> tuple[str, str]:
        host = place.host
        box = _current(place)
        if box is None:
            return FAILED, "its container is gone"
        return health_of(box, host.engine.now(), self._settle, lambda: host.engine.last_lines(box["Id"], LINES_READ))

    def _give_traffic(self, place: Place) -> None:
        host, router = place.host, place.host.router
        box = _current(place)
        if router is None or box is None:
            return
        allowed = self.allowed(host)
        addresses = host.addresses(box)
        allowed()
        router.follow(place.slot, addresses.own, addresses.taken)
        router.put_in([place.slot], allowed=allowed)

    def drain(self, host: Host, places: Sequence[Place]) -> None:
        """Keep instances of one host out of the traffic.

        :param host: the host.
        :param places: the instances.
        """
        names = [place.slot for place in places]
        if host.router is not None:
            for sentence in host.router.take_out(names, allowed=self.allowed(host)):
                log.warning("%s.", sentence)
            return
        in_parallel(places, self._stop)

    def _stop(self, place: Place) -> None:
        host = place.host
        box = _current(place)
        if box is not None:
            self.allowed(host)()
            stop(host, box, drained=False)

    def restore(self, places: Sequence[Place]) -> None:
        """Give instances their traffic back, each once it is healthy.

        :param places: the instances; an empty one gets it when something is deployed to it.
        :raises TargetUnavailable: one is not healthy.
        """
        in_parallel(places, self._restore)

    def _restore(self, place: Place) -> None:
        host = place.host
        box = _current(place)
        if box is None or (host.router is not None and not place.seen.drained):
            return
        if host.router is None:
            if place.seen.drained:
                self.allowed(host)()
                host.engine.start(box["Id"])
            return
        if not self._comes_up(place):
            health, message = self._health(place)
            raise TargetUnavailable(
                f"{place.seen.name} gets no traffic, as it is {health}: {message}.",
                instances=(place.seen.name,),
                state=f"{place.seen.name} stays drained.",
                next_step="Read its message; a deployment or a rollback replaces it.",
            )
        self._give_traffic(place)

    def forget(self, place: Place) -> None:
        """Remove what was kept of an instance for the way back.

        :param place: the instance.
        """
        Replacement(
            place.host, place.slot, allowed=self.allowed(place.host), leave_traffic=lambda: None, drained=True
        ).forget()

    def allowed(self, host: Host) -> Callable[[], None]:
        """What raises :class:`~airflow_cd.errors.TargetConflict` once the caller was overruled on a host.

        :param host: the host.
        """
        return lambda: host.register.require(self._token)


def _current(place: Place) -> Box | None:
    """The container that an instance has now; None without one."""
    slot = place.host.slots().get(place.slot)
    return place.host.boxes(slot).get(Role.CURRENT) if slot is not None else None


def in_parallel(items: Iterable[In], action: Callable[[In], Out]) -> list[Out]:
    """Do something with each of several things, a few at a time; what they gave, in order.

    All of them are gone through, whatever becomes of the others.

    :param items: the things.
    :param action: what is done.
    :raises TargetError: the first that was raised.
    """
    given = list(items)
    if len(given) <= 1:
        return [_asked(action, item) for item in given]
    with ThreadPoolExecutor(max_workers=min(WORKERS, len(given))) as pool:
        futures = [pool.submit(_asked, action, item) for item in given]
    return [future.result() for future in futures]


def _asked(action: Callable[[In], Out], item: In) -> Out:
    name = item.seen.name if isinstance(item, Place) else "a container"
    try:
        return action(item)
    except Gone as gone:
        raise TargetUnavailable(
            f"{name} was changed by somebody else meanwhile: {gone}.",
            state=f"{name} may be between two containers; the next change puts it right.",
            next_step="See who else changes these containers; then try again.",
        ) from gone
    except Refusal as refusal:
        raise TargetRejected(
            f"the Docker host refuses what {name} is to become: {refusal}.",
            state=f"{name} runs what it ran, unless its message says otherwise.",
            next_step="Correct what the sentence names; then deploy again.",
        ) from refusal
