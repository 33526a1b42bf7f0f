"""A cluster in memory with the controller of StatefulSets, which does what a real one does, at once after each write.

With ``OrderedReady`` it stops at the first pod that is not ready; places from the partition on get the newest revision,
the highest first, and one that is made anew below it gets the current one.
"""

from __future__ import annotations

import copy
import itertools
from datetime import datetime, timedelta, timezone
from typing import Any, cast

from airflow_cd.hooks.kubernetes import Cluster, Conflict, Object
from airflow_cd.instances import Track
from airflow_cd.targets.kubernetes.stateful_set import TakenOverStatefulSet
from tests.targets.cluster_in_memory import APPS, CORE, ClusterInMemory

HASH = "controller-revision-hash"
REVISIONS = f"{APPS}/controllerrevisions"
SET = f"{APPS}/statefulsets/web"


class InPlaceTarget(TakenOverStatefulSet):
    """The target of a StatefulSet of a cluster in memory.

    :param cluster: the cluster.
    """

    in_place = True
    tracks = (Track.CANARY, Track.STABLE)

    def __init__(self, cluster: StatefulSetInMemory) -> None:
        super().__init__(cast("Cluster", cluster), "production", "shop", "web")


class StatefulSetInMemory(ClusterInMemory):
    """One namespace with one StatefulSet, ``web``, its headless Service ``peers`` and the Service ``web``.

    :ivar broken: images that no pod becomes ready with.
    :ivar works: whether the controller is there.
    :ivar deleted: names of the pods that were deleted by somebody else than the controller.

    :param replicas: of the StatefulSet.
    :param spec: what it has beside, or instead.
    """

    def __init__(self, replicas: int = 3, **spec: Any) -> None:
        self.objects: dict[str, Object] = {}
        self.before_write: Any = lambda method, path: None
        self.broken: set[str] = set()
        self.works = True
        self.deleted: list[str] = []
        self._numbers = itertools.count(1)
        self._endpoints: dict[str, list[Object]] = {}
        labels = {"app": "web"}
        container = {"name": "web", "image": "web:1.0", "imagePullPolicy": "Never", "readinessProbe": {}}
        peers = {"selector": labels, "clusterIP": "None"}
        self.create(f"{CORE}/services", {"metadata": {"name": "peers"}, "spec": peers})
        self.create(f"{CORE}/services", {"metadata": {"name": "web"}, "spec": {"selector": labels}})
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        body = {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "serviceName": "peers",
            "template": template,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            **spec,
        }
        meta = {"name": "web", "namespace": "shop"}
        self.create(f"{APPS}/statefulsets", {"kind": "StatefulSet", "metadata": meta, "spec": body})

    def evict(self, path: str, uid: str) -> None:
        """As of the hook; no budget keeps a pod."""
        self.delete(path, uid)

    def delete(self, path: str, uid: str = "") -> None:
        there = self.objects.get(path)
        if uid and there is not None and there["metadata"]["uid"] != uid:
            raise Conflict("another object has the name")
        if "/pods/" in path:
            self.deleted.append(path.rpartition("/")[2])
        super().delete(path)

    # -- what happens to it --------------------------------------------------------------------------------------

    @property
    def spec(self) -> Object:
        """The StatefulSet's, as it is."""
        return copy.deepcopy(self.objects[SET]["spec"])

    def images(self) -> list[str]:
        """The images of its pods, in their order."""
        pods = sorted(self.every(f"{CORE}/pods"), key=lambda one: one["metadata"]["name"])
        return [one["spec"]["containers"][0]["image"] for one in pods]

    def set(self, **spec: Any) -> None:
        """Somebody changes the StatefulSet."""
        self.patch(SET, {"spec": spec})

    # -- its controller ------------------------------------------------------------------------------------------

    def _control(self) -> None:
        if SET in self.objects and self.works:
            while self._sync():
                pass
        for path, one in self.objects.items():
            if self.works or path != SET:
                one["status"]["observedGeneration"] = one["metadata"]["generation"]

    def _sync(self) -> bool:
        """Do one thing; whether there was one to do."""
        there = self.objects[SET]
        spec, status = there["spec"], there["status"]
        strategy = spec["updateStrategy"]
        newest = self._revision(there)
        status["updateRevision"], current = newest, status.setdefault("currentRevision", newest)
        rolling = strategy["type"] == "RollingUpdate"
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0) if rolling else 0
        done = self._make_places(spec, current, newest, partition)
        if done is None and rolling:
            done = self._replace(spec["replicas"], newest, partition)
        if done is None and rolling and partition == 0:
            status["currentRevision"] = newest
        return bool(done)

    def _make_places(self, spec: Object, current: str, newest: str, partition: int) -> bool | None:
        """Make what is missing and take what is too much; None where neither is, False where it has to wait."""
        ordered = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
        for place in range(spec["replicas"]):
            if self._pod(place) is None:
                self._make(place, current if place < partition else newest)
                return True
            if ordered and not self._is_ready(place):
                return False
        extra = [path for path in self.objects if path.startswith(f"{CORE}/pods/web-")]
        for path in extra:
            if int(path.rpartition("-")[2]) >= spec["replicas"]:
                del self.objects[path]
                return True
        return None

    def _replace(self, replicas: int, newest: str, partition: int) -> bool | None:
        """Replace the highest pod that has another revision; None where there is none, False where it has to wait."""
        for place in reversed(range(partition, replicas)):
            if self._pod(place)["metadata"]["labels"][HASH] != newest:  # type: ignore[index]
                del self.objects[f"{CORE}/pods/web-{place}"]
                return True
            if not self._is_ready(place):
                return False
        return None

    def _revision(self, there: Object) -> str:
        """The name of the revision that its template is, made where there is none."""
        template = there["spec"]["template"]
        same = [one for path, one in self.objects.items() if path.startswith(REVISIONS) and _template(one) == template]
        number = 1 + max([one["revision"] for path, one in self.objects.items() if path.startswith(REVISIONS)] or [0])
        if same:
            same[0]["revision"] = max(same[0]["revision"], number - 1)
            return str(same[0]["metadata"]["name"])
        name = f"web-{number:x}abc"
        owner = {"uid": there["metadata"]["uid"], "controller": True}
        meta = {"name": name, "labels": {"app": "web"}, "ownerReferences": [owner], "generation": 1, "uid": name}
        data = {"spec": {"template": {**copy.deepcopy(template), "$patch": "replace"}}}
        self.objects[f"{REVISIONS}/{name}"] = {"metadata": meta, "revision": number, "data": data, "status": {}}
        return name

    def _pod(self, place: int) -> Object | None:
        return self.objects.get(f"{CORE}/pods/web-{place}")

    def _is_ready(self, place: int) -> bool:
        pod = self._pod(place)
        return pod is not None and pod["status"]["conditions"][0]["status"] == "True"

    def _make(self, place: int, revision: str) -> None:
        template, name = _template(self.objects[f"{REVISIONS}/{revision}"]), f"web-{place}"
        since = (datetime.now(timezone.utc) - timedelta(minutes=1)).isoformat()
        ready = template["spec"]["containers"][0]["image"] not in self.broken
        meta = {**template["metadata"], "name": name, "namespace": "shop", "uid": f"uid-{next(self._numbers)}"}
        meta["labels"] = {**meta["labels"], HASH: revision}
        meta["ownerReferences"] = [{"uid": self.objects[SET]["metadata"]["uid"], "controller": True}]
        meta["generation"] = 1
        image_id = self._image_id(template)
        state = {"running": {}} if ready else {"waiting": {"reason": "CrashLoopBackOff"}}
        one = {"name": "web", "state": state, "ready": ready, "imageID": image_id, "restartCount": 0 if ready else 3}
        condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": since}
        status = {"phase": "Running", "startTime": since, "conditions": [condition], "containerStatuses": [one]}
        self.objects[f"{CORE}/pods/{name}"] = {"metadata": meta, "spec": template["spec"], "status": status}


def _template(revision: Object) -> Object:
    template: Object = copy.deepcopy(revision["data"]["spec"]["template"])
    template.pop("$patch", None)
    return template
