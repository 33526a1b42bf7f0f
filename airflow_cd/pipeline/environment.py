"""An environment, as a DAG author writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_cd.durations import parse_duration
from airflow_cd.secret_values.detection import mistakes as secrets_in
from airflow_cd.spelling import keeps_misspelt_keywords
from airflow_cd.targets.base import in_place

if TYPE_CHECKING:
    from airflow_cd.targets.base import Target
    from airflow_cd.verification.settings import Verification

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\Z")


@keeps_misspelt_keywords
@dataclass(frozen=True)
class Environment:
    """A place the service runs in.

    As a stage it deploys to all its instances at once.

    :param name: letters, digits, dashes and underscores; unique in the pipeline. Also the name of its task group.
    :param target: how it is reached: a connection id whose part before the first underscore is the kind of target
        (``http_production``), or a target object. By default the pipeline's kind and this name (``http_dev``).
    :param configuration: run-time configuration of this environment, JSON values by name, on top of the pipeline's. A
        null in a run's overrides removes a key.
    :param instances: how many instances it has. When given, a canary's shares are checked when the file is parsed.
    :param verify: verify every deployment here too, against what ran before, and roll back by itself; needs no canary.
    :param timeout: how long instances may take to come up healthy, such as ``"5m"`` or a timedelta; must be greater
        than zero. Where the target changes replicas in place, one after the other, how long each of them may take.
    """

    name: str
    target: str | Target | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict)
    instances: int | None = None
    verify: Verification | None = None
    timeout: str | timedelta = "5m"

    def mistakes(self) -> Iterator[str]:
        """Everything that is wrong with it but for its verification, one sentence each."""
        name = f"environment {self.name!r}"
        if not NAME.match(str(self.name)):
            yield f"{name}: a name has letters, digits, dashes and underscores only"
        if self.instances is not None and not isinstance(self.instances, int):
            yield f"{name}: instances is {self.instances!r}, must be a whole number"
        elif self.instances is not None and self.instances < 1:
            yield f"{name}: {self.instances} instances; there must be at least one"
        yield from not_json(name, self.configuration)
        yield from not_a_duration(f"{name}: timeout", self.timeout)


def longest_deploy(timeout: str | timedelta, targets: Iterable[Target]) -> timedelta | None:
    """After how long Airflow kills a deployment, which is then rolled back like one that failed.

    :param timeout: of the environment.
    :param targets: where it deploys to.
    :returns: twice that; None where one of them changes replicas in place: each may take so long, and how many there
        are is not known. Whoever waits for them ends it then.
    """
    return None if any(map(in_place, targets)) else parse_duration(timeout) * 2


def not_json(what: str, configuration: Any) -> Iterator[str]:
    """What keeps a configuration from being one.

    :param what: whose it is.
    :param configuration: as an author gave it.
    """
    try:
        if not isinstance(configuration, Mapping):
            yield f"{what}: the configuration is a {type(configuration).__name__}, not a mapping"
            return
        json.dumps(dict(configuration), allow_nan=False)
    except (TypeError, ValueError) as error:
        yield f"{what}: the configuration is not JSON ({error})"
    except RecursionError:
        yield f"{what}: the configuration is nested too deeply"
    else:
        yield from secrets_in(configuration, what)


def not_a_duration(what: str, value: Any, *, or_none: bool = False) -> Iterator[str]:
    """What keeps a value from being a duration.

    :param what: what it is the duration of.
    :param value: as an author gave it.
    :param or_none: whether it may be nothing at all.
    """
    try:
        if parse_duration(value) <= timedelta(0) and not or_none:
            yield f"{what}: {value!r} must be greater than zero"
    except ValueError as error:
        yield f"{what}: {error}"
