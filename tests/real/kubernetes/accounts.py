"""Accounts that may do what they are told, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from tests.real.kubernetes.cluster import Cluster

_ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
_ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"


def account(cluster: Cluster, name: str, rights: Iterable[tuple[str, str, str]]) -> str:
    """Make a service account with rights in the namespace ``default``, and return a token of it.

    :param cluster: where it is made.
    :param name: of it, its Role and RoleBinding.
    :param rights: API group, resource and verb of each.
    """
    rules = [{"apiGroups": [group], "resources": [one], "verbs": [verb]} for group, one, verb in rights]
    bound = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
    }
    cluster.call("POST", _ACCOUNTS, {"metadata": {"name": name}})
    cluster.call("POST", f"{_ROLES}/roles", {"metadata": {"name": name}, "rules": rules})
    cluster.call("POST", f"{_ROLES}/rolebindings", bound)
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token: str = cluster.call("POST", f"{_ACCOUNTS}/{name}/token", asked)["status"]["token"]
    return token
