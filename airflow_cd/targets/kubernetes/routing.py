"""How a canary's pods get requests: what is asked of it, whoever divides them.

By the Services of the stable pods (:mod:`.by_services`), or by weights of an HTTPRoute (:mod:`.by_route`), of a
VirtualService (:mod:`.by_virtual_service`) or of a canary Ingress (:mod:`.by_ingress`); nothing else of this package
asks which one it has before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from airflow_cd.hooks.kubernetes import Object


class Dividing(Protocol):
    """How requests come to pods, as far as it is read."""

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
        :param has: those that the pods of a canary have that is there: others would mean other pods, whatever has
            come to the cluster since. None, the default, where there is none yet.
        """
        ...

    def check(self, *, shared_with_gitops: bool = True) -> None:
        """Refuse what no canary can be given requests by; changes nothing.

        :param shared_with_gitops: whether what is changed of it may be what another tool keeps.
        :raises TargetRejected: says what is missing, or what a tool would put back.
        """
        ...

    def kept(self) -> str:
        """Which tool keeps what is changed of it, as a sentence without its full stop; ``""`` for none."""
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
        """That a canary has another weight than it was given, as a sentence without its full stop; ``""`` if not."""
        ...

    def abandoned(self) -> str:
        """Which requests a canary has that is gone, as a sentence without its full stop; ``""`` for none."""
        ...

    def undone(self) -> str:
        """What somebody else has undone of it, as a sentence without its full stop; ``""`` for nothing."""
        ...

    def clear(self) -> None:
        """Take away what :meth:`prepare` has made, the traffic first."""
        ...
