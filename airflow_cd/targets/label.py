"""What people call a target: its kind, and what of that kind it is."""

from __future__ import annotations

from dataclasses import dataclass

REVISION = "revision"
"""What an instance is called where a release is a revision: there is one of each, however many requests it has."""


@dataclass(frozen=True)
class TargetLabel:
    """Kind and name of a target, as pages show them; holds no secret.

    :param kind: what it is in a word or two, such as ``Kubernetes``.
    :param name: which one of these, ``""`` where the kind says it all.
    :param connection: id of the Airflow connection that leads there, ``""`` where there is none.
    :param instance: what one of its instances is called; by default ``""``, for an instance, or a replica where a
        platform makes it.
    """

    kind: str
    name: str = ""
    connection: str = ""
    instance: str = ""

    def __str__(self) -> str:
        named = f"{self.kind}: {self.name}" if self.name else self.kind
        return f"{named} (connection {self.connection})" if self.connection else named
