"""What the instances of an environment were last seen to run."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_cd.ledger import RunningInstance
from airflow_cd.release import UNSET, Release
from airflow_cd.report.words import as_text, one_line
from airflow_cd.secret_values.showing import shown
from airflow_cd.targets.base import EMPTY, FAILED, HEALTHY, STARTING, Instance, Track
from airflow_cd.targets.label import REVISION, TargetLabel
from airflow_cd.wording import first_of

MOST_KEYS = 3
MOST_NAMES = 3
LONGEST_VALUE = 40
EMPTY_TEXT = '""'


@dataclass(frozen=True)
class InstanceGroup:
    """Instances of one track that run the same release.

    :param track: of replicas; None where instances have their names from people.
    :param release: what they run.
    :param new: whether that is the release that is being deployed.
    :param differs: the keys of its configuration by which it differs from the others that run the same artifact, with
        their values; ``""`` where the artifact says it all.
    :param instances: by name.
    :param share: percent of all instances.
    :param traffic: percent of the requests that they are given.
    """

    track: Track | None
    release: str
    new: bool
    differs: str
    instances: Sequence[Instance]
    share: float
    traffic: float

    @property
    def troubled(self) -> Sequence[Instance]:
        """Those that are not as they should be."""
        return [one for one in self.instances if one.health not in (HEALTHY, EMPTY) or one.drained]

    @property
    def warnings(self) -> Sequence[tuple[str, str]]:
        """What their target says of those that are as they should be all the same: their names, and the message."""
        saying: dict[str, list[str]] = defaultdict(list)
        for one in self.instances:
            if one.message and one not in self.troubled:
                saying[one.message].append(one.name)
        return [(first_of(names, MOST_NAMES), message) for message, names in saying.items()]

    @property
    def name(self) -> str:
        """What they run, and how that differs."""
        return f"{self.release} ({self.differs})" if self.differs else self.release


@dataclass(frozen=True)
class InstanceSummary:
    """The instances of one environment, put together.

    :param groups: by what they run; a canary first, then what is being deployed, then the most frequent.
    :param problems: instances that are not as they should be, in a sentence; ``""`` without any.
    :param at: when they were last looked at; None when they never were.
    :param called: what their target calls one of them; ``""``, the default, where it does not say.
    """

    groups: Sequence[InstanceGroup]
    problems: str
    at: datetime | None
    called: str = ""

    @property
    def releases(self) -> Sequence[tuple[str, int]]:
        """What runs, and on how many instances, the most frequent first."""
        counted: dict[str, int] = defaultdict(int)
        for group in self.groups:
            counted[group.name] += len(group.instances)
        return sorted(counted.items(), key=lambda one: -one[1])

    @property
    def word(self) -> str:
        """What one of them is called; a replica where their platform makes and names it."""
        return self.called or ("replica" if any(group.track is not None for group in self.groups) else "instance")

    @property
    def counted(self) -> bool:
        """Whether their number says anything: there is one revision of a release, however many requests it has."""
        return self.called != REVISION

    @property
    def weighed(self) -> bool:
        """Whether the requests are divided by weights."""
        return any(one.weight is not None for group in self.groups for one in group.instances)


def summarize(
    running: Sequence[RunningInstance], release: Release | None = None, target: TargetLabel | None = None
) -> InstanceSummary:
    """Put the ledger's observations of one environment together.

    :param running: the last observation of each instance.
    :param release: what is being deployed there, None for nothing.
    :param target: what people call its target; None where that is not known.
    """
    instances = [found.instance for found in running]
    problems = [f"{found.name} is {found.health}" for found in instances if found.health not in (HEALTHY, EMPTY)]
    problems += [f"{found.name} gets no requests" for found in instances if found.drained]
    at = max((found.observed_at for found in running), default=None)
    called = target.instance if target is not None else ""
    return InstanceSummary(_groups(instances, release), "; ".join(problems), at, called)


def _groups(instances: Sequence[Instance], deployed: Release | None) -> list[InstanceGroup]:
    by_release: dict[tuple[Track | None, str, str], list[Instance]] = {}
    for one in instances:
        release = one.artifact or one.version or "nothing"
        configuration = json.dumps(one.configuration, sort_keys=True, default=str)
        by_release.setdefault((one.track, release, configuration), []).append(one)
    alike: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for (_, release, _), members in by_release.items():
        alike[release].append(members[0].configuration)
    traffic = _traffic(instances)
    groups = [
        InstanceGroup(
            track,
            release,
            deployed is not None and members[0].runs(deployed),
            _differs(members[0].configuration, alike[release]),
            sorted(members, key=lambda one: one.name),
            100 * len(members) / len(instances),
            sum(traffic[one.name] for one in members),
        )
        for (track, release, _), members in by_release.items()
    ]
    return sorted(
        groups, key=lambda group: (group.track is not Track.CANARY, not group.new, -len(group.instances), group.name)
    )


def _traffic(instances: Sequence[Instance]) -> dict[str, float]:
    """Percent of the requests that each is given."""
    open_to = [one for one in instances if not one.drained and one.health not in (EMPTY, FAILED, STARTING)]
    if any(one.weight is not None for one in instances):
        given = {one.name: one.weight or 0.0 for one in open_to}
    else:
        given = {one.name: 100 / len(open_to) for one in open_to}
    return {one.name: given.get(one.name, 0.0) for one in instances}


def _differs(configuration: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str:
    """What tells a configuration from others of the same artifact."""
    keys = sorted({key for other in others for key in other})
    kinds = {key: {json.dumps(other.get(key, UNSET), sort_keys=True, default=str) for other in others} for key in keys}
    different = [key for key in keys if len(kinds[key]) > 1]
    values = {
        key: as_text(shown(configuration[key], f"/{key}") if key in configuration else UNSET)
        for key in different[:MOST_KEYS]
    }
    named = [f"{key} {one_line(text, LONGEST_VALUE) or EMPTY_TEXT}" for key, text in values.items()]
    more = len(different) - MOST_KEYS
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")
