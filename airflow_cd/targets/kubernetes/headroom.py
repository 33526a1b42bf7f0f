"""Whether the quotas of a namespace leave room for a canary, and for the way back, before it begins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Object

_SUFFIXES = {"m": Decimal("0.001"), "": Decimal(1)}
_SUFFIXES |= {letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)}
_SUFFIXES |= {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)}
_QUANTITY = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)")
_SHORT = {"cpu": "requests.cpu", "memory": "requests.memory", "ephemeral-storage": "requests.ephemeral-storage"}


def quantity(text: object) -> Decimal | None:
    """A quantity as Kubernetes writes it; None for what is none.

    :param text: such as ``500m`` or ``1Gi``.
    """
    found = _QUANTITY.fullmatch(str(text).strip())
    if found is None or found.group(2) not in _SUFFIXES:
        return None
    return Decimal(found.group(1)) * _SUFFIXES[found.group(2)]


def needs_of(template: Object) -> dict[str, Decimal]:
    """What a pod counts for in a quota, by the name of the resource there.

    :param template: a pod template.
    """
    found = {"pods": Decimal(1), "count/pods": Decimal(1)}
    for container in template["spec"].get("containers") or ():
        for kind in ("requests", "limits"):
            given = (container.get("resources") or {}).get(kind) or {}
            if kind == "requests":
                # Where only a limit is given, the request is the same.
                given = {**((container.get("resources") or {}).get("limits") or {}), **given}
            for resource, amount in given.items():
                name = f"{kind}.{resource}"
                found[name] = found.get(name, Decimal(0)) + (quantity(amount) or Decimal(0))
    return found


def surge_of(deployment: Object) -> int:
    """How many more pods a change of a Deployment needs: none where it may have fewer meanwhile.

    :param deployment: as it was read.
    """
    strategy = deployment["spec"].get("strategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    replicas = int(deployment["spec"].get("replicas", 1))
    fewer = _part(rolling.get("maxUnavailable", "25%"), replicas)
    return 0 if strategy.get("type") == "Recreate" or fewer > 0 else 1


def require_headroom(quotas: Iterable[Object], deployment: Object, canaries: int) -> None:
    """Refuse what a quota would refuse later, when stable pods are replaced beside the canary's.

    :param quotas: the ResourceQuotas of the namespace.
    :param deployment: the Deployment, as it was read.
    :param canaries: how many more pods the canary is to have than it has.
    :raises TargetRejected: they leave no room; the message has their numbers.
    """
    pods = canaries + surge_of(deployment)
    needs = needs_of(deployment["spec"]["template"])
    if short := [sentence for one in quotas for sentence in _short_of(one, needs, pods)]:
        raise TargetRejected(
            f"the quota leaves no room for a canary of Deployment {deployment['metadata']['name']} and the way back, "
            f"which need {pods} more pod{'' if pods == 1 else 's'}: {'; '.join(short)}.",
            state="nothing was changed.",
            next_step="Raise the quota, or allow the Deployment to have a pod less while it changes (maxUnavailable).",
        )


def _short_of(quota: Object, needs: dict[str, Decimal], pods: int) -> Iterator[str]:
    spec, status = quota.get("spec") or {}, quota.get("status") or {}
    if spec.get("scopes") or spec.get("scopeSelector"):
        return  # only the cluster knows whether a pod counts there
    for name, written in (status.get("hard") or {}).items():
        hard, used = quantity(written), quantity((status.get("used") or {}).get(name, "0"))
        need = needs.get(_SHORT.get(name, name), Decimal(0)) * pods
        if hard is not None and used is not None and need > 0 and used + need > hard:
            taken = (status.get("used") or {}).get(name, "0")
            yield (
                f"quota {quota['metadata']['name']} has {name} {written}, of which {taken} are used and "
                f"{need.normalize():f} would be added"
            )


def _part(written: object, whole: int) -> int:
    """A number of pods, or a share of all of them rounded down."""
    text = str(written)
    return int(text[:-1]) * whole // 100 if text.endswith("%") else int(text)
