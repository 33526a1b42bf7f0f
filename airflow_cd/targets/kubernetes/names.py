"""What Airflow CD writes on objects of a cluster, and how it finds them again."""

from __future__ import annotations

from typing import Any

OURS = "airflow-cd/"
"""Beginning of every label and annotation of ours."""
OF = "airflow-cd/of"
"""Label: the Deployment, or StatefulSet, that a canary, or a release's configuration, belongs to."""
TRACK = "airflow-cd/track"
"""Label of a canary and its pods."""
TOKEN = "airflow-cd/token"  # noqa: S105 - of a lease
"""Annotation of the Deployment or StatefulSet: the highest fencing token seen."""
KEYS = "airflow-cd/keys"
"""Annotation of the Deployment or StatefulSet: idempotency keys of what was done, the newest last."""
ARTIFACT = "airflow-cd/artifact"
"""Annotation of a pod template: the artifact as its release names it."""
VERSION = "airflow-cd/version"
"""Annotation of a pod template: the version of its release."""
IMAGE = "airflow-cd/image"
"""Annotation of a pod template: the image that stands for the artifact; another one was set by somebody else."""
CONFIGURATION = "airflow-cd/configuration"
"""Annotation of a pod template: name of the Secret that holds its release's configuration."""
POLICY = "airflow-cd/pull-policy"
"""Annotation of a pod template: the pull policy of its manifest, which a digest has made unnecessary."""
REPLACED = "airflow-cd/replaced"
"""Annotation of a pod template: variables of somebody else that the configuration stands in for, to be put back."""
IMAGES = "airflow-cd/images"
"""Annotation of the Deployment or StatefulSet: by artifact, the digest that has run here under its name, as JSON."""
MEANT = "airflow-cd/meant"
"""Annotation of the Deployment or StatefulSet: image and configuration that were last given to the stable pods."""
NOTED = "airflow-cd/noted"
"""Annotation of a Deployment or StatefulSet, and of a canary: its pod template as it was, while a deployment lasts."""
SHARE = "airflow-cd/share"
"""Annotation of a canary: percent of the requests that it is to have once it is given its traffic."""
WEIGHT = "airflow-cd/weight"
"""Beginning of annotations of an HTTPRoute or VirtualService: by number of a rule, the weight of the stable Service."""
GIVEN = "airflow-cd/given"
"""Annotation of an HTTPRoute, VirtualService or canary Ingress: the weight that the canary was last given."""
HEADER = "airflow-cd/header"
"""Annotation of an HTTPRoute: the header of the requests that rules of ours send to a canary."""
SELECTOR = "airflow-cd/selector"
"""Annotation of a Service: the selector that it had before all of its requests went to a canary."""
BEFORE = "airflow-cd/before"
"""Annotation of a StatefulSet: the revision of its pods that are no canary, for as long as there is one."""
LEFT = "airflow-cd/left"
"""Annotation of a StatefulSet: the revisions that its pods leave when all of them go back, as JSON."""
PULLS = "airflow-cd/pulls"
"""Label of a pod that runs nothing and only shows whether images can be pulled: the Deployment it is for."""
FILES = "airflow-cd-files"
"""Name of the volume of a release's files."""
CONTENT = "airflow-cd.json"
"""Key of the Secret under which the configuration stands as JSON."""

REVISION = "controller-revision-hash"
"""Label that the pods of a StatefulSet have from its controller: the revision of its pod template."""

_KINDS = {"deployments": "Deployment", "statefulsets": "StatefulSet"}
CANARY_SUFFIX = "-canary"
LONGEST_NAME = 63


def called(workload: dict[str, Any]) -> str:
    """Kind and name, as they stand in a sentence.

    :param workload: a Deployment or a StatefulSet, as it was read.
    """
    return f"{kind_of(workload)} {workload['metadata']['name']}"


def kind_of(workload: dict[str, Any]) -> str:
    """The kind of what was read.

    :param workload: a Deployment or a StatefulSet.
    """
    return str(workload.get("kind") or "Deployment")


def called_at(path: str) -> str:
    """Kind and name of the workload that a path leads to.

    :param path: of its URL.
    """
    before, _, name = path.rpartition("/")
    return f"{_KINDS[before.rpartition('/')[2]]} {name}"


def canary_of(deployment: str) -> str:
    """The name of a Deployment's canary.

    :param deployment: its name.
    """
    return deployment[: LONGEST_NAME - len(CANARY_SUFFIX)] + CANARY_SUFFIX


def ours(deployment: str) -> dict[str, str]:
    """The labels of a Deployment's canary and of its pods.

    :param deployment: its name.
    """
    return {OF: deployment, TRACK: "canary"}


def selector_of(labels: dict[str, str]) -> str:
    """Labels as a selector in a query.

    :param labels: by name.
    """
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def label_selector(selector: dict[str, Any]) -> str:
    """A selector of an object's specification, as a query takes it.

    :param selector: with ``matchLabels``, ``matchExpressions`` or both.
    """
    parts = [f"{name}={value}" for name, value in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or ():
        key, values = one["key"], ",".join(one.get("values") or ())
        operators = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(operators.get(one["operator"], f"!{key}"))
    return ",".join(parts)
