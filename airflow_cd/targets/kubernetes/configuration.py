"""The run-time configuration of a release, as an immutable Secret that bears its digest in its name.

A change of configuration has another Secret, so that the pods that run keep theirs byte for byte, and a rollback has
the old one. It is a Secret and no ConfigMap since references to secrets are resolved by the time it is written.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Cluster, Conflict, Object
from airflow_cd.targets.kubernetes.names import CONTENT, LONGEST_NAME, OF

_LARGEST = 1_000_000
"""Bytes that a Secret may hold, a little less than etcd takes."""


def name_of(deployment: str, configuration: Mapping[str, Any]) -> str:
    """The name of the Secret; ``""`` for a release without configuration.

    :param deployment: name of the Deployment.
    :param configuration: of the release.
    """
    if not configuration:
        return ""
    digest = hashlib.sha256(_content(configuration).encode()).hexdigest()[:12]
    return f"{deployment[: LONGEST_NAME - 16]}-cd-{digest}"


def environment_of(configuration: Mapping[str, Any]) -> dict[str, str]:
    """The environment variables of a configuration: a text as it is, everything else as JSON.

    :param configuration: of the release; a key that begins with ``/`` is a file and no variable.
    """
    return {key: _text(value) for key, value in sorted(configuration.items()) if not key.startswith("/")}


def files_of(configuration: Mapping[str, Any]) -> dict[str, str]:
    """By path, the key of the Secret that holds the file.

    :param configuration: of the release.
    """
    paths = sorted(key for key in configuration if key.startswith("/"))
    return {path: f"file.{hashlib.sha256(path.encode()).hexdigest()[:12]}" for path in paths}


def require_usable(configuration: Mapping[str, Any]) -> None:
    """Refuse what no container could be given.

    :param configuration: of the release.
    :raises TargetRejected: a key is no name of a variable, or it is too large.
    """
    wrong = [key for key in environment_of(configuration) if not key or "=" in key or "\0" in key or key == CONTENT]
    wrong += [path for path in files_of(configuration) if path.endswith("/") or "/../" in f"{path}/" or ":" in path]
    if wrong:
        raise TargetRejected(
            f"configuration {', '.join(map(repr, sorted(wrong)))} is no name of an environment variable or of a file.",
            state="nothing was changed.",
            next_step="A key is the name of an environment variable, or the path of a file when it begins with '/'.",
        )
    if len(_content(configuration)) * 2 > _LARGEST:
        raise TargetRejected(
            "the configuration is larger than a Secret of Kubernetes may be.",
            state="nothing was changed.",
            next_step="Keep large files in the image or in a volume.",
        )


def keep(cluster: Cluster, namespace: str, deployment: str, configuration: Mapping[str, Any]) -> str:
    """Write the Secret, unless it is there.

    :param cluster: the API.
    :param namespace: where.
    :param deployment: name of the Deployment.
    :param configuration: of the release.
    :returns: its name, ``""`` for a release without configuration.
    """
    name = name_of(deployment, configuration)
    if not name:
        return ""
    texts = {CONTENT: _content(configuration)}
    texts |= {key: _text(configuration[path]) for path, key in files_of(configuration).items()}
    texts |= environment_of(configuration)
    body: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": {OF: deployment}},
        "immutable": True,
        "data": {_key(key): base64.b64encode(text.encode()).decode() for key, text in texts.items()},
    }
    # One that is there has its content in its name.
    with contextlib.suppress(Conflict):
        cluster.create(f"/api/v1/namespaces/{namespace}/secrets", body)
    return name


def read(cluster: Cluster, namespace: str, name: str) -> dict[str, Any] | None:
    """The configuration in a Secret; None where that is gone.

    :param cluster: the API.
    :param namespace: where.
    :param name: of the Secret.
    """
    secret = cluster.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    content = ((secret or {}).get("data") or {}).get(CONTENT)
    if content is None:
        return None
    found: dict[str, Any] = json.loads(base64.b64decode(content))
    return found


def sweep(cluster: Cluster, namespace: str, deployment: str, used: set[str]) -> list[str]:
    """Delete Secrets of a Deployment that nothing names any more.

    :param cluster: the API.
    :param namespace: where.
    :param deployment: name of the Deployment.
    :param used: names that a pod, a ReplicaSet or a Deployment still has.
    :returns: the names of those that were deleted.
    """
    path = f"/api/v1/namespaces/{namespace}/secrets"
    unused = [
        one["metadata"]["name"]
        for one in cluster.every(path, f"{OF}={deployment}")
        if one["metadata"]["name"] not in used
    ]
    for name in unused:
        cluster.delete(f"{path}/{name}")
    return unused


def _content(configuration: Mapping[str, Any]) -> str:
    return json.dumps(configuration, sort_keys=True, ensure_ascii=False)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _key(name: str) -> str:
    """A key of a Secret, which has letters, digits, ``-``, ``_`` and ``.`` only."""
    if all(letter.isascii() and (letter.isalnum() or letter in "-_.") for letter in name) and len(name) < 253:
        return name
    return f"variable.{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def variables_of(configuration: Mapping[str, Any], secret: str) -> list[Object]:
    """The environment of a container, each variable from the Secret.

    :param configuration: of the release.
    :param secret: name of the Secret.
    """
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": _key(name)}}}
        for name in environment_of(configuration)
    ]
