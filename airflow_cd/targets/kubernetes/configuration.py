"""The run-time configuration of a release, as an immutable Secret whose name says nothing about it.

A changed configuration is another Secret, so running pods keep theirs byte for byte, and a rollback finds the old one.
It is a Secret rather than a ConfigMap, because references to secrets are resolved by the time it is written.

The name stands in pods, which more people may read than the Secret: were it derived from the content, they could try
passwords against it. So it is random, and the Secret of a configuration is found by what our Secrets hold.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from airflow_cd.errors import TargetRejected
from airflow_cd.hooks.kubernetes import Cluster, Object
from airflow_cd.release import Release
from airflow_cd.targets.kubernetes.names import ARTIFACT, CONFIGURATION, CONTENT, LONGEST_NAME, OF

_LARGEST = 1_000_000
"""Bytes that a Secret may hold, a little less than etcd takes."""


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
    """Refuse a configuration that no container could be given.

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


def keep(
    cluster: Cluster,
    namespace: str,
    deployment: str,
    release: Release,
    templates: Callable[[], Iterable[Object]],
) -> str:
    """Write the Secret of a release's configuration, unless there is one.

    A release that runs here, or has run here, keeps the name of its Secret, so that none of its pods is replaced and
    the way back writes nothing. No other release gets a name derived from the content, as earlier versions gave it.

    :param cluster: the API.
    :param namespace: where.
    :param deployment: name of the Deployment.
    :param release: the release.
    :param templates: gives the pod templates that have run, or run.
    :returns: its name, ``""`` for a release without configuration.
    """
    if not release.configuration:
        return ""
    path, data = f"/api/v1/namespaces/{namespace}/secrets", _data(release.configuration)
    begins = f"{deployment[: LONGEST_NAME - 16]}-cd-"
    guessed = begins + hashlib.sha256(_content(release.configuration).encode()).hexdigest()[:12]
    alike = [one for one in cluster.every(path, f"{OF}={deployment}") if one.get("immutable")]
    found = {str(one["metadata"]["name"]) for one in alike if one.get("data") == data}
    fitting = sorted(found - {guessed})
    if found != set(fitting[:1]):
        fitting = [*sorted(found & set(_names_of(release, templates()))), *fitting]
    if fitting:
        return fitting[0]
    body: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": begins + secrets.token_hex(6), "labels": {OF: deployment}},
        "immutable": True,
        "data": data,
    }
    return str(cluster.create(path, body)["metadata"]["name"])


def _names_of(release: Release, templates: Iterable[Object]) -> Iterator[str]:
    """The Secrets of pod templates that have the artifact of a release."""
    for one in templates:
        annotations = (one.get("metadata") or {}).get("annotations") or {}
        if annotations.get(ARTIFACT) == release.artifact:
            yield annotations.get(CONFIGURATION) or ""


def _data(configuration: Mapping[str, Any]) -> dict[str, str]:
    """What the Secret holds, as the API writes it."""
    texts = {CONTENT: _content(configuration)}
    texts |= {key: _text(configuration[path]) for path, key in files_of(configuration).items()}
    texts |= environment_of(configuration)
    return {_key(key): base64.b64encode(text.encode()).decode() for key, text in texts.items()}


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
