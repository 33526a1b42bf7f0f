"""How a canary's pods get requests, whatever divides them.

That may be the Services of the stable pods (:mod:`.by_services`), or weights of an HTTPRoute (:mod:`.by_route`), of a
VirtualService (:mod:`.by_virtual_service`) or of a canary Ingress (:mod:`.by_ingress`); nothing else in this package
needs to know which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from airflow_cd.hooks.kubernetes import Object


class Dividing(Protocol):
    """How requests come to pods, for whoever only reads it."""

    @property
    def services(self) -> list[Object]:
        """The Services that send requests to pods of either track."""
        ...

    def drained(self, pod: Object) -> bool:
        """Whether a pod gets no requests, though it could.

        :param pod: of either track.
        """
        ...

    def weight(self, pod: Object) -> float | None:
        """Percent of the requests that all pods of its track get together; None where every pod has an even part."""
        ...


class Routing(Dividing, Protocol):
    """How requests come to the pods of a canary that stands beside the stable ones."""

    def labels(self, labels: dict[str, str], traffic: int | None, has: dict[str, str] | None = None) -> dict[str, str]:
        """The labels of a canary's pods, before ours are added.

        :param labels: of the stable pods.
        :param traffic: percent of the requests that they are to have, None for an even part each.
        :param has: the labels that the pods of the present canary have: other labels would mean other pods, whatever
            was added to the cluster since. None, the default, where there is no canary yet.
        """
        ...

    def check(self, *, shared_with_gitops: bool = True) -> None:
        """Refuse an object that cannot give a canary requests; changes nothing.

        :param shared_with_gitops: whether another tool may keep the object that is changed.
        :raises TargetRejected: something is missing, or a tool would put it back; the message says what.
        """
        ...

    def kept(self) -> str:
        """Which tool keeps the object that is changed, as a sentence without its full stop; ``""`` for none."""
        ...

    def prepare(self, traffic: int | None) -> None:
        """Make what has to be there before the canary's pods.

        :param traffic: percent of the requests that they are to have, None for an even part each.
        :raises TargetRejected: they cannot have that; nothing was changed.
        :raises TargetUnauthorized: a right is missing for it; nothing was changed.
        """
        ...

    def take_out(self, pods: Sequence[Object]) -> None:
        """Keep the canary's pods out of the traffic; returns when no request comes any more."""
        ...

    def give(self, pods: Sequence[Object], share: int) -> None:
        """Give the canary's pods their traffic.

        :param pods: all of the canary's.
        :param share: percent that they are to have: all of them at 100; below, where every pod has an even part, their
            number decides.
        """
        ...

    def reweighed(self) -> str:
        """That a canary has another weight than it was given, as a sentence without its full stop; else ``""``."""
        ...

    def abandoned(self) -> str:
        """Which requests go to a canary that is gone, as a sentence without its full stop; ``""`` for none."""
        ...

    def undone(self) -> str:
        """What somebody else has undone here, as a sentence without its full stop; ``""`` for nothing."""
        ...

    def clear(self) -> None:
        """Remove what :meth:`prepare` has made, the traffic first."""
        ...
