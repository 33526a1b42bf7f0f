"""Servers of ours that answer as Google's references say: tokens, entries of logs, time series."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from tests.hooks.vendor_servers import Answer, Asked
from tests.sources.stores import Store, form_of, iso

TOKEN = "ya29.token"
EMAIL = "verifier@shop.iam.gserviceaccount.com"
_STRING = r'"(?:[^"\\]|\\.)*"'
REFUSED = Answer(401, {"error": {"code": 401, "message": "Invalid credentials.", "status": "UNAUTHENTICATED"}})


@functools.lru_cache(maxsize=1)
def _private_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made = rsa.generate_private_key(65537, 1024)  # shorter, for nobody guesses it
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_of(url: str) -> str:
    """A service account's key whose tokens come from a server."""
    content = {
        "type": "service_account",
        "project_id": "shop",
        "private_key_id": url,
        "private_key": _private_key(),
        "client_email": EMAIL,
        "token_uri": f"{url}/token",
    }
    return json.dumps(content)


def token_for(asked: Asked) -> Answer | None:
    """The answer to who asks for a token, or has none; None for the others."""
    if asked.path == "/token":
        assert form_of(asked)["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return Answer(body={"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
    return None if asked.headers.get("authorization") == f"Bearer {TOKEN}" else REFUSED


@dataclass
class LoggingStore(Store):
    """Entries by pages, some of them empty; a reader that sends no time gets the newest."""

    empty_pages: bool = True

    def __call__(self, asked: Asked) -> Answer:
        given = token_for(asked)
        return given if given is not None and asked.path == "/token" else super().__call__(asked)

    def respond(self, asked: Asked) -> Answer:
        if (refused := token_for(asked)) is not None:
            return refused
        if asked.path != "/v2/entries:list":
            return Answer(404, {"error": {"code": 404, "message": "Not found", "status": "NOT_FOUND"}})
        body = asked.body
        if "(((" in body["filter"]:
            return Answer(400, {"error": {"code": 400, "message": "Unparseable filter", "status": "INVALID_ARGUMENT"}})
        bounds = dict(re.findall(r'timestamp(>=|<)"([^"]*)"', body["filter"]))
        begin, end = bounds.get(">=", ""), bounds.get("<", "9")
        named = re.search(rf"pod_name=\(({_STRING}(?: OR {_STRING})*)\) AND", body["filter"])
        hosts = [json.loads(name) for name in re.findall(_STRING, named[1])] if named else None
        found = [one for one in self.visible() if begin <= one.iso < end and (hosts is None or one.host in hosts)]
        found.sort(key=lambda one: (one.time, one.id), reverse=body["orderBy"].endswith("desc"))
        at, empty = map(int, body.get("pageToken", "0 0").split())
        if self.empty_pages and not empty and found:
            return Answer(body={"nextPageToken": f"{at} 1"})
        page = found[at : at + min(self.troubles.page, body["pageSize"])]
        entries = [self._entry(one) for one in page]
        more = {"nextPageToken": f"{at + len(page)} 0"} if at + len(page) < len(found) else {}
        return Answer(body={"entries": entries, **more})

    def _entry(self, one: Any) -> dict[str, Any]:
        received = one.time + timedelta(seconds=self.troubles.lag)
        return {
            "logName": "projects/shop/logs/stdout",
            "insertId": one.id,
            "timestamp": one.iso,
            "receiveTimestamp": iso(received),
            "resource": {"type": "k8s_container", "labels": {"pod_name": one.host}},
            "severity": "DEFAULT",
            "textPayload": f"{one.message}\n",
        }


DESCRIPTORS: dict[str, dict[str, Any]] = {
    "custom.googleapis.com/latency": {
        "metricKind": "DELTA",
        "valueType": "DISTRIBUTION",
        "unit": "ms",
        "metadata": {"ingestDelay": "120s", "samplePeriod": "60s"},
    },
    "custom.googleapis.com/requests": {"metricKind": "DELTA", "valueType": "INT64", "unit": "1"},
    "custom.googleapis.com/memory": {"metricKind": "GAUGE", "valueType": "DOUBLE", "unit": "By"},
    "custom.googleapis.com/state": {"metricKind": "GAUGE", "valueType": "STRING"},
}


@dataclass
class MonitoringServer:
    """Points at the ends of their intervals, newest first, by pages of so many; minutes that 4 divides have none."""

    hosts: list[str]
    page: int = 3
    errors: list[dict[str, str]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    value: Callable[[str, int], dict[str, Any]] | None = None

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if (given := token_for(asked)) is not None:
            return given
        path = asked.path.removeprefix("/v3/projects/shop/")
        if path == "timeSeries":
            return self._series(asked.params)
        if path == "metricDescriptors":
            return Answer(body={"metricDescriptors": [{"type": one} for one in DESCRIPTORS]})
        kind = path.removeprefix("metricDescriptors/")
        if kind not in DESCRIPTORS:
            return Answer(404, {"error": {"code": 404, "message": "Could not find descriptor", "status": "NOT_FOUND"}})
        return Answer(body={"type": kind, **DESCRIPTORS[kind]})

    def _series(self, params: dict[str, str]) -> Answer:
        kind = re.search(r'metric\.type = "(.*?)"', params["filter"])[1]  # type: ignore[index]
        listed = re.search(r"one_of\((.*)\)", params["filter"])
        wanted = json.loads(f"[{listed[1]}]") if listed else self.hosts
        hosts = [host for host in self.hosts if host in wanted]
        if params.get("view") == "HEADERS":
            return Answer(body={"timeSeries": [self._labels(host) for host in hosts], "unit": "ms"})
        begin, end = (
            int(datetime.fromisoformat(params[f"interval.{name}Time"].replace("Z", "+00:00")).timestamp())
            for name in ("start", "end")
        )
        width = int(params["aggregation.alignmentPeriod"].removesuffix("s"))
        points = [(host, at) for host in hosts for at in range(end, begin - 1, -width) if begin <= at and at // 60 % 4]
        first = int(params.get("pageToken", 0))
        page: dict[str, list[dict[str, Any]]] = {}
        for host, at in points[first : first + self.page]:
            page.setdefault(host, []).append(self._point(kind, host, at, width))
        more = {"nextPageToken": str(first + self.page)} if first + self.page < len(points) else {}
        series = [{**self._labels(host), "points": own} for host, own in page.items()]
        return Answer(body={"timeSeries": series, **({"executionErrors": self.errors} if self.errors else {}), **more})

    def _labels(self, host: str) -> dict[str, Any]:
        return {
            "metric": {"labels": {}},
            "resource": {"type": "gce_instance", "labels": {"instance_id": host, "zone": "a"}},
        }

    def _point(self, kind: str, host: str, at: int, width: int) -> dict[str, Any]:
        ends = (datetime.fromtimestamp(at - width, timezone.utc), datetime.fromtimestamp(at, timezone.utc))
        start, end = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in ends)
        if self.value is not None:
            value = self.value(host, at)
        elif kind.endswith("latency"):
            value = {"distributionValue": DISTRIBUTION}
        else:
            value = {"int64Value": "42"} if kind.endswith("requests") else {"doubleValue": float(at % 7)}
        return {"interval": {"startTime": start, "endTime": end}, "value": value}


# Ten measurements: nine between 10 and 20 ms, one between 40 and 80 ms.
DISTRIBUTION = {
    "count": "10",
    "mean": 20.0,
    "sumOfSquaredDeviation": 1960.0,
    "bucketOptions": {"exponentialBuckets": {"numFiniteBuckets": 8, "growthFactor": 2.0, "scale": 10.0}},
    "bucketCounts": ["0", "9", "0", "1"],
}
