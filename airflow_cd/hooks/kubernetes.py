"""The API of a cluster of Kubernetes: plain JSON objects over the connection that Airflow's own hook has read."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from airflow_cd.http.auth import HeaderAuth, basic_auth
from airflow_cd.http.client import HttpClient
from airflow_cd.http.endpoint import Endpoint
from airflow_cd.http.exchange import Answer, Request
from airflow_cd.http.family import TARGET, ErrorFamily
from airflow_cd.http.redaction import Redactor
from airflow_cd.http.retry import RetryPolicy
from airflow_cd.http.session import new_session

if TYPE_CHECKING:
    import requests

Object = dict[str, Any]
"""An object of Kubernetes as its API writes it."""

FIELD_MANAGER = "airflow-cd"
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
_PAGE = 500
_NOT_YET = (b"waiting to start", b"is terminated", b"previous terminated container", b"PodInitializing")
"""How the API says that a container has no output, or none of a run before."""
_NO_RIGHT = " cannot "
"""How the API says that a user has no right to something; everything else that is forbidden an admission refuses."""
_RETRY = RetryPolicy(first_pause=0.1, longest_pause=2.0)
_READING = threading.Lock()
"""Held while a connection is read: the client keeps what it has read last for the whole process, and another thread
that reads the connection of another cluster would be given that."""


class Conflict(Exception):
    """The object was changed since it was read, or is there already: read it again and decide again."""


class Cluster:
    """One cluster.

    :param conn_id: Airflow connection of type ``kubernetes``, of the provider for Kubernetes.
    :param errors: what everything that goes wrong is raised as; a target's errors by default.
    :param timeout: seconds that one request may take.
    :param retry_for: seconds within which a request is tried again.
    """

    def __init__(
        self, conn_id: str, *, errors: ErrorFamily = TARGET, timeout: float = 10.0, retry_for: float = 15.0
    ) -> None:
        self.conn_id = conn_id
        self._errors = errors
        self._timeout = timeout
        self._retry_for = retry_for

    # -- objects -------------------------------------------------------------------------------------------------

    def get(self, path: str) -> Object | None:
        """Read an object.

        :param path: of its URL.
        :returns: None where there is none.
        """
        found = self._send(Request("GET", path), missing=True)
        return cast("Object | None", found)

    def content(self, path: str, params: Mapping[str, Any]) -> bytes | None:
        """Read something that is no JSON, such as a log.

        :param path: of its URL.
        :param params: of the query.
        :returns: None where there is none.
        """

        def judge(answer: Answer) -> None:
            if answer.status == 404 or (answer.status == 400 and any(word in answer.content for word in _NOT_YET)):
                raise _Missing

        with contextlib.suppress(_Missing):
            return self._client.content(Request("GET", path, params=params), judge=judge)
        return None

    def text(self, path: str, params: Mapping[str, Any]) -> str | None:
        """Read something that is no JSON, as text.

        :param path: of its URL.
        :param params: of the query.
        :returns: None where there is none.
        """
        found = self.content(path, params)
        return None if found is None else found.decode("utf-8", "replace")

    def every(self, path: str, selector: str = "", **params: Any) -> list[Object]:
        """Read all objects of a kind.

        :param path: of the kind's URL.
        :param selector: of labels; all by default.
        :param params: of the query.
        """
        query = {"limit": _PAGE, **({"labelSelector": selector} if selector else {}), **params}
        found: list[Object] = []
        while True:
            page = self._send(Request("GET", path, params=query)) or {}
            found += page.get("items") or []
            more = (page.get("metadata") or {}).get("continue")
            if not more:
                return found
            query = {**query, "continue": more}

    def create(self, path: str, body: Object) -> Object:
        """Create an object.

        :param path: of its kind's URL.
        :param body: the object.
        :raises Conflict: there is one of that name.
        """
        return self._write("POST", path, body, {"Content-Type": "application/json"})

    def patch(self, path: str, body: Object, content_type: str = STRATEGIC) -> Object:
        """Change parts of an object.

        :param path: of its URL.
        :param body: the patch; with the object's ``resourceVersion`` it takes effect on what was read alone.
        :param content_type: of the patch.
        :raises Conflict: it was changed since it was read.
        """
        return self._write("PATCH", path, body, {"Content-Type": content_type})

    def patch_if_there(self, path: str, body: Object, content_type: str = STRATEGIC) -> None:
        """Change parts of an object, unless it has gone by now.

        :param path: of its URL.
        :param body: the patch, as of :meth:`patch`.
        :param content_type: of the patch.
        :raises Conflict: as of :meth:`patch`.
        """
        self._write("PATCH", path, body, {"Content-Type": content_type}, missing=True)

    def put(self, path: str, body: Object) -> Object:
        """Put an object in the place of what was read.

        :param path: of its URL.
        :param body: the object, with the ``resourceVersion`` it was read with.
        :raises Conflict: it was changed since it was read.
        """
        return self._write("PUT", path, body, {"Content-Type": "application/json"})

    def delete(self, path: str, uid: str = "") -> None:
        """Delete an object and what it owns; one that is not there is gone already.

        :param path: of its URL.
        :param uid: of the object that is meant; by default whichever has the name.
        :raises Conflict: another object has the name by now.
        """
        body = {"preconditions": {"uid": uid}} if uid else None
        params = {"propagationPolicy": "Background"}
        self._send(Request("DELETE", path, body=body, params=params), missing=True)

    def evict(self, path: str, uid: str) -> None:
        """Have a pod end, as every PodDisruptionBudget allows; one that is not there is gone already.

        :param path: of its URL.
        :param uid: of the pod that is meant.
        :raises Conflict: another pod has the name by now.
        :raises TargetUnavailable: a budget does not let it go now.
        """
        namespace, _, name = path.rpartition("/pods/")
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace.rpartition("/")[2]},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        headers = {"Content-Type": "application/json"}
        self._send(Request("POST", f"{path}/eviction", body=body, headers=headers), missing=True)

    def missing_rights(self, namespace: str, wanted: Sequence[tuple[str, str, str]]) -> list[str]:
        """Which rights the connection does not have.

        :param namespace: where.
        :param wanted: API group, resource (``pods``, ``pods/log``) and verb of each.
        :returns: as ``verb resource``.
        """
        missing = []
        for group, resource, verb in wanted:
            name, _, sub = resource.partition("/")
            attributes = {"namespace": namespace, "group": group, "resource": name, "verb": verb}
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {**attributes, **({"subresource": sub} if sub else {})}},
            }
            answer = self.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
            if not (answer.get("status") or {}).get("allowed"):
                missing.append(f"{verb} {resource}")
        return missing

    # -- inside --------------------------------------------------------------------------------------------------

    def _write(
        self, method: str, path: str, body: Object, headers: Mapping[str, str], *, missing: bool = False
    ) -> Object:
        request = Request(method, path, body=body, params={"fieldManager": FIELD_MANAGER}, headers=headers)
        return cast("Object", self._send(request, missing=missing) or {})

    def _send(self, request: Request, *, missing: bool = False) -> Any:
        def judge(answer: Answer) -> None:
            if answer.status == 404 and missing:
                raise _Missing
            reason = self._client.endpoint.reason_of(answer) if not answer.ok else ""
            if answer.status == 409:
                raise Conflict(reason)
            if answer.status == 403 and _NO_RIGHT not in reason:
                raise self._errors.rejected(
                    f"the cluster of connection {self.conn_id!r} refuses it: {reason}.",
                    next_step="A quota, a policy or an admission webhook of the cluster says so; see there what it "
                    "asks for.",
                )

        try:
            return self._client.json(request, judge=judge)
        except _Missing:
            return None

    @cached_property
    def _client(self) -> HttpClient:
        endpoint, session = self._connect()
        return HttpClient(endpoint, session, renew=self._connect)

    def _connect(self) -> tuple[Endpoint, requests.Session]:
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
        except ImportError as error:
            raise self._errors.misconfigured(
                f"connection {self.conn_id!r} is of a Kubernetes cluster, and Airflow's provider for Kubernetes is not "
                f"installed: {error}.",
                state="nothing was changed.",
                next_step="pip install 'airflow-cd[kubernetes]'",
            ) from error
        try:
            with _READING:
                read = KubernetesHook(self.conn_id).get_conn().configuration
            # By what the client sends: under which name it keeps a token differs between its versions.
            bearer = (read.auth_settings().get("BearerToken") or {}).get("value")
        except AirflowNotFoundException:
            raise self._errors.misconfigured(
                f"connection {self.conn_id!r} of Kubernetes cannot be read: there is none of this id.",
                next_step="Create it in Airflow, or correct the connection id in the pipeline.",
            ) from None
        except Exception as error:  # whatever a kubeconfig or its login plugin does
            unavailable = isinstance(error, (OSError, ConnectionError)) and not isinstance(error, FileNotFoundError)
            kind = self._errors.unavailable if unavailable else self._errors.misconfigured
            raise kind(
                f"connection {self.conn_id!r} of Kubernetes cannot be used: {type(error).__name__}: {error}.",
                next_step="Check its kubeconfig, context and token with the Test button of the connection.",
            ) from error
        auth = HeaderAuth("Authorization", bearer) if bearer else basic_auth(read.username or "", read.password or "")
        session = new_session(auth, (read.ssl_ca_cert or True) if read.verify_ssl else False)
        if read.cert_file:
            session.cert = (read.cert_file, read.key_file) if read.key_file else read.cert_file
        secrets = [text for text in (bearer, (bearer or "").partition(" ")[2], read.password) if text]
        endpoint = Endpoint(
            "Kubernetes",
            self.conn_id,
            read.host.rstrip("/"),
            self._errors,
            redact=Redactor(secrets),
            retry=_RETRY,
            timeout=self._timeout,
            retry_for=self._retry_for,
        )
        return endpoint, session


class _Missing(Exception):
    """There is no such object."""
