"""Metrics of the machine that an instance stands on: where it was placed, and nothing that a release did.

A source that measures the pods of a service often gives the figures of each pod's node beside the pod's own. On a busy
node all pods have busy neighbours, whatever they run.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_cd.verification.metrics.names.words import words_of
from airflow_cd.verification.samples import Metric

_MACHINE = frozenset(("node", "host", "machine", "hypervisor"))
_OWN = frozenset(("pod", "container", "process", "instance", "app", "application", "service", "task", "jvm"))


def of_the_machine(metrics: Sequence[Metric]) -> frozenset[str]:
    """Names of the metrics that say of the machine what another one says of the instance itself.

    Where nothing says it of the instance, the machine's figure is the best there is, and counts.

    :param metrics: all of a verification.
    """
    words = {metric.name: words_of(metric.name) for metric in metrics}
    own = {tuple(word for word in said if word not in _OWN) for said in words.values() if not _MACHINE & set(said)}
    return frozenset(
        name
        for name, said in words.items()
        if _MACHINE & set(said) and tuple(word for word in said if word not in _MACHINE) in own
    )
