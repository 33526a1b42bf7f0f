"""The baseline of one log source: what earlier good deployments taught, each as one profile with a name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airflow_cd.errors import VerificationError
from airflow_cd.verification.logs.profile import LogProfile


@dataclass(frozen=True)
class Learned:
    """What one good deployment logged.

    :param profile: what it logged.
    :param name: what reports call the deployment.
    """

    name: str
    profile: LogProfile


@dataclass(frozen=True)
class Baseline:
    """What a canary's logs are compared with beside the control.

    :param learned: newest first.
    :param unusable: why the baseline that was asked for cannot be had; then nothing is compared with another one
        instead. ``""`` when it can.
    """

    learned: Sequence[Learned] = ()
    unusable: str = ""

    @classmethod
    def of(cls, profiles: Iterable[tuple[str, str, bytes]]) -> Baseline:
        """The baseline of stored profiles, newest first; those of one deployment (its phases) become one.

        :param profiles: id and name of a deployment, and the bytes of one of its profiles.
        :raises airflow_cd.errors.VerificationError: one of them cannot be read.
        """
        names: dict[str, str] = {}
        phases: dict[str, list[LogProfile]] = {}
        for deployment, name, content in profiles:
            names[deployment] = name
            try:
                phases.setdefault(deployment, []).append(LogProfile.from_bytes(content))
            except VerificationError as error:
                raise VerificationError(
                    f"what {name} ({deployment}) taught cannot be used: {error.what}",
                    next_step="Pin another baseline or reset it (`airflow-cd baseline`), then verify again.",
                ) from error
        return cls([Learned(names[deployment], LogProfile.merge(*parts)) for deployment, parts in phases.items()])
