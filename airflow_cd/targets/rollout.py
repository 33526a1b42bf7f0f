"""Waiting until a target has done what was asked of it, and reading back what really runs; for deploy and rollback."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from airflow_cd.errors import DeploymentFailed, TargetUnavailable
from airflow_cd.release import Release
from airflow_cd.secret_values.showing import shown
from airflow_cd.targets.base import FAILED, HEALTHY, Instance, Target, Track, in_place

Wanted = Mapping[str, "Release | None"]
"""What should run: the release of each unit (a named instance, or a track of replicas), None where nothing should."""

MAX_VALUE = 80
SLOWEST = 2.0
"""Seconds between two reads at most."""
_OF_THE_WAIT = 0.05
"""Of what has been waited, the pause before the next read: it makes a wait so much longer at most."""


def wait_until(
    target: Target,
    wanted: Wanted,
    *,
    timeout: float | timedelta,
    before: Wanted | None = None,
    asked_at: float | None = None,
    poll: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    on_progress: Callable[[int, list[str]], None] | None = None,
    on_read: Callable[[list[Instance]], None] | None = None,
) -> list[Instance]:
    """Wait until every instance is healthy on exactly the release that is wanted.

    Ends early when one cannot get there any more: it has failed on the release, or the target no longer lists it.
    A target that cannot be reached for a while is read again until the time is over, and no sooner than it asks to
    (``retry_after``). Whether an instance is drained plays no part.

    Replicas that are changed in place come up one after the other, as many as there are: the time of such a target
    begins anew whenever one more of them is as it should be than ever before.

    :param target: the environment.
    :param wanted: the release of each instance by name, or of each track of replicas; None where nothing should run.
    :param timeout: seconds, or a timedelta; for each replica where they are changed in place.
    :param before: what each unit ran before it was asked for another release, by which an error tells what has failed
        from what was not begun; None where that is not known.
    :param asked_at: when that was asked for, by ``clock``; by default now. A target may do much of its work before it
        answers; the timeout counts from its answer.
    :param poll: seconds between two reads at first; later on a twentieth of the time that has been waited, up to
        :data:`SLOWEST`, as a read may be many requests to what serves others as well.
    :param clock: returns seconds that never go backwards.
    :param sleep: called with seconds to wait.
    :param on_progress: called after the first read and whenever something changed, with the number of instances that
        are ready and the :func:`differences` of the others.
    :param on_read: called after each read with all instances.
    :returns: the wanted instances, as they were read last.
    :raises DeploymentFailed: instances are not healthy on their release; ``instances`` names them, the message why.
    :raises TargetUnavailable: the target could not be reached when the time was over.
    :raises TargetError: the target refuses to be read.
    """
    limit = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    began = clock()
    counted = _Counted(began, anew=in_place(target))
    reported: list[str] | None = None
    while True:
        away: TargetUnavailable | None = None
        instances: list[Instance] = []
        try:
            instances = target.instances()
        except TargetUnavailable as error:
            away = error
        else:
            if on_read is not None:
                on_read(instances)
            left = differences(instances, wanted)
            if left != reported and on_progress is not None:
                on_progress(_ready(instances, wanted), left)
            reported = left
            counted.left(len(left), clock())
            if not left:
                return [instance for instance in instances if instance.unit in wanted]
            if _hopeless(instances, wanted):
                asked = began if asked_at is None else asked_at
                raise _failed(target, instances, wanted, before or {}, f"after {clock() - asked:.1f} s")
        waited = clock() - counted.since
        if waited + poll > limit:
            if away is not None:
                raise _away(away, target, wanted)
            last = " of the last one that came up" if counted.since > began else ""
            raise _failed(target, instances, wanted, before or {}, f"within {limit:.4g} s{last}")
        # Never past the end of the time, just before which it is read once more.
        pause = max(poll, min(SLOWEST, waited * _OF_THE_WAIT, limit - waited - poll))
        asked_for = (away.retry_after if away else None) or 0.0
        sleep(max(pause, min(asked_for, limit - waited)))


class _Counted:
    """From when the time of a wait counts.

    :param began: when it began.
    :param anew: whether it does so from every replica that comes up.
    """

    def __init__(self, began: float, *, anew: bool) -> None:
        self.since = began
        self._anew = anew
        self._fewest: int | None = None

    def left(self, count: int, at: float) -> None:
        """Take note of how many are not as they should be; fewer than ever before is one more that came up."""
        if self._anew and self._fewest is not None and count < self._fewest:
            self.since = at
        self._fewest = count if self._fewest is None else min(count, self._fewest)


def _away(error: TargetUnavailable, target: Target, wanted: Wanted) -> TargetUnavailable:
    error.state = error.state or "unknown: a change was requested and the target has not answered since."
    error.instances = error.instances or tuple(sorted(wanted))
    return error.at(environment=getattr(target, "environment", None))


def differences(instances: Iterable[Instance], wanted: Wanted) -> list[str]:
    """Compare instances with what is wanted, health included.

    :param instances: as read from the target; those that are not wanted are ignored.
    :param wanted: the release of each instance by name, or of each track of replicas; None where nothing should run.
    :returns: one sentence for each wanted instance that is not healthy on exactly its release, sorted by name.
    """
    return list(_compare(instances, wanted, health=True).values())


def left_over(
    instances: Iterable[Instance], release: Release, previous: Iterable[Release | None], wanted: Wanted
) -> list[str]:
    """What still gets requests and runs a release that was taken back, though nothing was wanted of it.

    :param instances: as read from the target.
    :param release: what was taken back.
    :param previous: what ran before; a release that is among it may go on.
    :param wanted: what should run on each unit, of which :func:`differences` tells.
    :returns: one sentence without its full stop for each instance, sorted by name.
    """
    # Two versions may be the same artifact and configuration, and then nobody can tell what runs apart.
    if release.digest in {old.digest for old in previous if old is not None}:
        return []
    found = {one.name: one for one in instances if one.unit not in wanted and one.runs(release) and _is_served(one)}
    return [_still(found[name], release) for name in sorted(found)]


def unhealthy(instances: Iterable[Instance], wanted: Wanted) -> list[str]:
    """Which instances run exactly what is wanted of them and are not healthy: what fails there is the release itself.

    :param instances: as read from the target; those that are not wanted are ignored.
    :param wanted: the release of each instance by name, or of each track of replicas; None where nothing should run.
    :returns: their names, sorted.
    """
    found = []
    for instance in instances:
        release = wanted.get(instance.unit)
        if release is not None and instance.health != HEALTHY and not _content(instance, release):
            found.append(instance.name)
    return sorted(found)


def read_back(target: Target, wanted: Wanted) -> list[str]:
    """Read what runs, and compare artifact and configuration with what is wanted; health plays no part.

    :param target: the environment.
    :param wanted: the release of each instance by name, or of each track of replicas; None where nothing should run.
    :returns: one sentence for each instance that runs something else, sorted by name.
    :raises TargetError: the target cannot be read.
    """
    return list(_compare(target.instances(), wanted, health=False).values())


def _compare(instances: Iterable[Instance], wanted: Wanted, *, health: bool) -> dict[str, str]:
    """By name of an instance or, where a unit has none, of the unit: what is wrong there."""
    seen = _by_unit(instances)
    found = {}
    for unit in sorted(wanted):
        release = wanted[unit]
        if unit not in seen and not _may_be_empty(unit, release):
            found[unit] = _gone(unit)
        for instance in seen.get(unit, ()):
            wrong = _content(instance, release)
            if health and release is not None and instance.health != HEALTHY:
                wrong.insert(0, f"is {instance.health}")
            if wrong:
                message = instance.message.strip() if health else ""
                found[instance.name] = f"{instance.name} {', '.join(wrong)}" + (f": {message}" if message else "")
    return found


def _by_unit(instances: Iterable[Instance]) -> dict[str, list[Instance]]:
    seen: dict[str, list[Instance]] = {}
    for instance in instances:
        seen.setdefault(instance.unit, []).append(instance)
    return seen


def _is_served(instance: Instance) -> bool:
    return instance.weight > 0 if instance.weight is not None else not instance.drained


def _still(instance: Instance, release: Release) -> str:
    part = f"{instance.weight:g} % of the requests" if instance.weight is not None else "requests"
    return f"{instance.name} still gets {part} and runs {release}" + (
        f": {instance.message}" if instance.message.strip() else ""
    )


def _may_be_empty(unit: str, release: Release | None) -> bool:
    """Whether nothing has to be listed there: replicas that are not wanted are gone for good."""
    return release is None and isinstance(unit, Track)


def _gone(unit: str) -> str:
    if isinstance(unit, Track):
        return f"the {unit} track has no replica"
    return f"{unit} is gone: the target no longer lists it"


def _ready(instances: Iterable[Instance], wanted: Wanted) -> int:
    """How many instances are as they should be."""
    of_these = [one for one in instances if one.unit in wanted]
    wrong = _compare(of_these, wanted, health=True)
    return sum(one.name not in wrong for one in of_these)


def _content(instance: Instance, release: Release | None) -> list[str]:
    """What is wrong with artifact and configuration, as parts of a sentence."""
    if release is None:
        return [] if instance.artifact is None else [f"runs {instance.artifact}, wanted nothing"]
    if instance.artifact is None:
        return [f"is empty, wanted {release.artifact}"]
    wrong = []
    if instance.artifact != release.artifact:
        wrong.append(f"runs {instance.artifact}, wanted {release.artifact}")
    for key in sorted({*instance.configuration, *release.configuration}):
        if _as_json(instance.configuration, key) != _as_json(release.configuration, key):
            has, wants = _shown(instance.configuration, key), _shown(release.configuration, key)
            begins = f"has {key} {_short(has)}" if key in instance.configuration else f"was not given {key}"
            wrong.append(f"{begins}, wanted {_short(wants)}")
    return wrong


def _as_json(configuration: Mapping[str, Any], key: str) -> str:
    """A value as JSON, in which true is not 1, and a key that is not there is not null."""
    return json.dumps(configuration[key], sort_keys=True) if key in configuration else "unset"


def _shown(configuration: Mapping[str, Any], key: str) -> str:
    return _as_json({key: shown(configuration[key], f"/{key}")}, key) if key in configuration else "none"


def _short(text: str) -> str:
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _hopeless(instances: Iterable[Instance], wanted: Wanted) -> bool:
    seen = _by_unit(instances)
    # One that failed on something else may be about to be replaced: only a failure on what is wanted is final.
    failed = any(
        one.health == FAILED and release is not None and not _content(one, release)
        for unit, release in wanted.items()
        for one in seen.get(unit, ())
    )
    return failed or any(unit not in seen and not isinstance(unit, Track) for unit in wanted)


def _failed(
    target: Target, instances: Iterable[Instance], wanted: Wanted, before: Wanted, when: str
) -> DeploymentFailed:
    of_these = [one for one in instances if one.unit in wanted]
    left = _compare(of_these, wanted, health=True)
    total = len({one.name for one in of_these} | left.keys())
    releases = {str(release) if release else "nothing": release for release in wanted.values()}
    only = next(iter(releases.values())) if len(releases) == 1 else None
    untouched = {one.name: before[one.unit] for one in of_these if one.name in left and _as_before(one, before)}
    left |= {name: f"{name} was not begun, and still runs {old or 'nothing'}" for name, old in untouched.items()}
    listed = "".join(f"\n  - {sentence}" for sentence in left.values())
    on = f"{', '.join(sorted(releases))} {when}"
    return DeploymentFailed(
        f"{_counted_out(len(left) - len(untouched), len(untouched), total, on)}{listed}\n",
        service=next((release.service for release in releases.values() if release), None),
        environment=getattr(target, "environment", None),
        release=str(only) if only else None,
        instances=tuple(left),
        unhealthy=unhealthy(of_these, wanted),
        state=f"{total - len(left)} of {total} instances run what was asked for.",
        next_step="Read the messages of the instances; the environment must go back to its release first.",
    )


def _as_before(instance: Instance, before: Wanted) -> bool:
    """Whether nothing was done to it yet, rather than something that has failed."""
    return instance.unit in before and instance.runs(before[instance.unit])


def _counted_out(failed: int, untouched: int, total: int, on: str) -> str:
    if not failed:
        return f"{untouched} of {total} instances {_were(untouched)} not begun on {on}."
    rest = f"; {untouched} {_were(untouched)} not begun" if untouched else ""
    return f"{failed} of {total} instances {'is' if failed == 1 else 'are'} not healthy on {on}{rest}."


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
