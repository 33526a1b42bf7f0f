"""A cluster in memory: objects behind the methods of the hook, and the controllers of Deployments and ReplicaSets.

They do what a real cluster's do, at once after each write: a Deployment that is not paused has its pods replaced when
no ReplicaSet has its template, and a ReplicaSet makes pods as its own template says.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

from airflow_cd.hooks.kubernetes import Conflict, Object
from airflow_cd.targets.kubernetes.images import repository_of

APPS = "/apis/apps/v1/namespaces/shop"
CORE = "/api/v1/namespaces/shop"
AUTOSCALERS = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
_HASH = "pod-template-hash"
_KEEPER = "endpointslice.kubernetes.io/managed-by"


class ClusterInMemory:
    """One namespace with one Deployment, ``web``, and its Service.

    :ivar objects: by path.
    :ivar before_write: called before every write, with its method and path.
    :ivar keeps_endpoints: name of the controller that keeps the endpoints.
    :ivar digests: by image as a registry has it, its digest; the nodes say of no other which one it is.

    :param replicas: of the Deployment.
    :param more: labels that its pods are selected by and the Service does not ask for.
    """

    conn_id = "memory"
    keeps_endpoints = "endpointslice-controller.k8s.io"
    digests: Mapping[str, str] = MappingProxyType({})

    def __init__(self, replicas: int = 3, **more: str) -> None:
        self.objects: dict[str, Object] = {}
        self.before_write: Any = lambda method, path: None
        self._numbers = itertools.count(1)
        self._endpoints: dict[str, list[Object]] = {}
        labels = {"app": "web", **more}
        container = {"name": "web", "image": "web:1.0", "imagePullPolicy": "Never", "readinessProbe": {}}
        self.create(f"{CORE}/services", {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}}})
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        self.create(f"{APPS}/deployments", {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec})

    # -- the API -------------------------------------------------------------------------------------------------

    def get(self, path: str) -> Object | None:
        return copy.deepcopy(self.objects.get(path))

    def every(self, path: str, selector: str = "", **params: Any) -> list[Object]:
        if path == SLICES:
            return [self._slice(selector.partition("=")[2])]
        wanted = dict(part.partition("=")[::2] for part in selector.split(",") if part)
        found = [one for at, one in self.objects.items() if at.rpartition("/")[0] == path]
        return copy.deepcopy([one for one in found if wanted.items() <= (one["metadata"].get("labels") or {}).items()])

    def create(self, path: str, body: Object) -> Object:
        at = f"{path}/{body['metadata']['name']}"
        if at in self.objects:
            raise Conflict(f"{at} is there")
        return self._write("POST", at, copy.deepcopy(body))

    def put(self, path: str, body: Object) -> Object:
        return self._write("PUT", path, copy.deepcopy(body))

    def patch(self, path: str, body: Object, content_type: str = "") -> Object:
        return self._write("PATCH", path, _merged(self.objects[path], body))

    def patch_if_there(self, path: str, body: Object, content_type: str = "") -> None:
        self.before_write("PATCH", path)
        if path.startswith(SLICES):
            self._endpoints[path.rpartition("/")[2]] = body["endpoints"]
        if path in self.objects:
            self._keep(path, _merged(self.objects[path], body))

    def delete(self, path: str) -> None:
        self.before_write("DELETE", path)
        self.objects.pop(path, None)
        self._control()

    def missing_rights(self, namespace: str, wanted: Any) -> list[str]:
        return []

    def text(self, path: str, params: Any) -> str:
        return ""

    # -- what happens to it --------------------------------------------------------------------------------------

    def pods(self, of: str) -> list[Object]:
        """The pods of a Deployment."""
        sets = {one["metadata"]["uid"] for one in self._owned("replicasets", self.objects[f"{APPS}/deployments/{of}"])}
        found = self.every(f"{CORE}/pods")
        return [one for one in found if one["metadata"]["ownerReferences"][0]["uid"] in sets]

    def lose(self, pod: Object) -> None:
        """A pod goes, and its ReplicaSet makes another."""
        self.delete(f"{CORE}/pods/{pod['metadata']['name']}")

    def served(self) -> set[str]:
        """The images of the pods that the Service sends requests to."""
        names = {one["targetRef"]["name"] for one in self._slice("web")["endpoints"]}
        return {
            one["spec"]["containers"][0]["image"]
            for one in self.every(f"{CORE}/pods")
            if one["metadata"]["name"] in names
        }

    # -- its controllers -----------------------------------------------------------------------------------------

    def _write(self, method: str, path: str, body: Object) -> Object:
        self.before_write(method, path)
        return self._keep(path, body)

    def _keep(self, path: str, body: Object) -> Object:
        before = self.objects.get(path)
        meta = body["metadata"]
        meta.setdefault("uid", f"uid-{next(self._numbers)}")
        meta.setdefault("namespace", "shop")
        meta["generation"] = ((before or {}).get("metadata") or {}).get("generation", 0) + 1
        meta["resourceVersion"] = str(next(self._numbers))
        if before is not None:
            meta["uid"] = before["metadata"]["uid"]
        body["status"] = {**((before or {}).get("status") or {}), **(body.get("status") or {})}
        self.objects[path] = body
        written = copy.deepcopy(body)
        self._control()
        return written

    def _control(self) -> None:
        self._endpoints.clear()
        for path, one in list(self.objects.items()):
            if "/deployments/" in path:
                self._deploy(one)
        known = {one["metadata"]["uid"] for one in self.objects.values()}
        for kind in ("/replicasets/", "/pods/"):
            for path, one in list(self.objects.items()):
                owner = (one["metadata"].get("ownerReferences") or [{"uid": None}])[0]["uid"]
                if kind in path and owner not in known:
                    known.discard(self.objects.pop(path)["metadata"]["uid"])
        for path, one in list(self.objects.items()):
            if "/replicasets/" in path:
                self._replicate(one)
        for one in self.objects.values():
            one["status"]["observedGeneration"] = one["metadata"]["generation"]

    def _deploy(self, one: Object) -> None:
        sets, wanted = self._owned("replicasets", one), one["spec"].get("replicas", 1)
        newest = [each for each in sets if _bare(each["spec"]["template"]) == one["spec"]["template"]]
        if one["spec"].get("paused"):
            return
        if not newest:
            number = str(next(self._numbers))
            template = _merged(one["spec"]["template"], {"metadata": {"labels": {_HASH: number}}})
            name, labels = f"{one['metadata']['name']}-{number}", template["metadata"]["labels"]
            made = {"spec": {"template": template}, "status": {}}
            made["metadata"] = {"name": name, "labels": dict(labels), "uid": f"uid-{number}", "generation": 1}
            made["metadata"]["ownerReferences"] = [{"uid": one["metadata"]["uid"], "controller": True}]
            self.objects[f"{APPS}/replicasets/{name}"] = made
            newest = [made]
        for each in self._owned("replicasets", one):
            each["spec"]["replicas"] = wanted if each is newest[0] else 0

    def _replicate(self, one: Object) -> None:
        pods, wanted = self._owned("pods", one), one["spec"]["replicas"]
        for extra in pods[wanted:]:
            del self.objects[f"{CORE}/pods/{extra['metadata']['name']}"]
        for _ in range(wanted - len(pods)):
            self._make_pod(one)
        one["status"]["replicas"] = wanted

    def _make_pod(self, owner: Object) -> None:
        template, number = copy.deepcopy(owner["spec"]["template"]), next(self._numbers)
        since = (datetime.now(timezone.utc) - timedelta(minutes=1)).isoformat()
        name = f"{owner['metadata']['name']}-{number}"
        meta = {**template["metadata"], "name": name, "namespace": "shop", "uid": f"uid-{number}", "generation": 1}
        meta["ownerReferences"] = [{"uid": owner["metadata"]["uid"], "controller": True}]
        image_id = self._image_id(template)
        running = {"name": "web", "state": {"running": {}}, "ready": True, "imageID": image_id}
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": since}
        status = {"phase": "Running", "startTime": since, "conditions": [ready], "containerStatuses": [running]}
        self.objects[f"{CORE}/pods/{name}"] = {"metadata": meta, "spec": template["spec"], "status": status}

    def _image_id(self, template: Object) -> str:
        """What a node says of the image of a pod: repository and digest."""
        image = template["spec"]["containers"][0]["image"].partition("@")[0]
        return f"{repository_of(image)}@{self.digests[image]}" if image in self.digests else ""

    def _owned(self, kind: str, owner: Object) -> list[Object]:
        return [
            one
            for path, one in self.objects.items()
            if f"/{kind}/" in path and one["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]
        ]

    def _slice(self, service: str) -> Object:
        there = self.objects.get(f"{CORE}/services/{service}")
        selector = there["spec"]["selector"].items() if there is not None else ()
        pods = [one["metadata"] for path, one in self.objects.items() if "/pods/" in path]
        found = [one["name"] for one in pods if there is not None and selector <= one["labels"].items()]
        meta = {"name": service, "resourceVersion": "1", "labels": {_KEEPER: self.keeps_endpoints}}
        endpoints = [{"conditions": {"ready": True}, "targetRef": {"name": name}} for name in found]
        return {"metadata": meta, "endpoints": self._endpoints.get(service, endpoints)}


def _merged(one: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    found = copy.deepcopy(one) if isinstance(one, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = _merged(found.get(name), value)
    return found


def _bare(template: Object) -> Object:
    labels = {name: value for name, value in template["metadata"]["labels"].items() if name != _HASH}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}
