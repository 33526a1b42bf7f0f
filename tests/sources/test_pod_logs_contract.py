"""The contract of log sources, for pods as the API hands out their logs: by whole seconds, without an end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_cd.errors import SourceUnauthorized
from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.sources import KubernetesLogs
from airflow_cd.sources.contract import LogSourceContract
from airflow_cd.verification.samples import Window

SINCE = datetime(2026, 11, 30, 4, 0, tzinfo=timezone.utc)
PODS = ("web-1", "web-2")
LINES = 240


def written(pod: str) -> str:
    """A line each quarter of a second, every eighth of them twice in one moment, and some outside the window."""
    lines = []
    for number in range(-20, LINES + 20):
        at = SINCE + timedelta(milliseconds=250 * number)
        line = f"{at:%Y-%m-%dT%H:%M:%S.%f}000Z INFO order {number} of {pod}\n"
        lines += [line] * (2 if number % 8 == 0 else 1)
    return "".join(lines)


class TestPodLogs(LogSourceContract):
    @pytest.fixture(autouse=True)
    def cluster(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def every(self: Cluster, path: str, selector: str = "", **more: Any) -> list[Any]:
            if self.conn_id == "closed":
                raise SourceUnauthorized("the token may not list pods.", next_step="Grant it.")
            asked = more.get("fieldSelector", "").removeprefix("metadata.name=")
            state = {"name": "shop", "restartCount": 0, "state": {"running": {"startedAt": "2026-11-30T03:00:00Z"}}}
            return [
                {
                    "metadata": {"name": pod},
                    "spec": {"containers": [{"name": "shop"}]},
                    "status": {"containerStatuses": [state]},
                }
                for pod in PODS
                if asked in ("", pod)
            ]

        def content(self: Cluster, path: str, params: dict[str, Any]) -> bytes:
            pod = path.split("/")[-2]
            begins = params.get("sinceTime", "").removesuffix("Z")
            lines = [line for line in written(pod).splitlines(keepends=True) if line[:19] >= begins]
            return "".join(lines).encode()[: params["limitBytes"]]

        monkeypatch.setattr(Cluster, "every", every)
        monkeypatch.setattr(Cluster, "content", content)

    @pytest.fixture
    def source(self) -> KubernetesLogs:
        return KubernetesLogs(namespace="shop")

    @pytest.fixture
    def broken(self) -> KubernetesLogs:
        return KubernetesLogs("closed", "shop")

    @pytest.fixture
    def window(self) -> Window:
        return Window(SINCE, SINCE + timedelta(milliseconds=250 * LINES))

    @pytest.fixture
    def instances(self) -> Sequence[str]:
        return PODS
