from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from airflow_cd.hooks.kubernetes import Cluster
from airflow_cd.sources import DockerLogs, KubernetesLogs
from airflow_cd.sources.pieces import PIECE, in_one_piece
from airflow_cd.verification.samples import Window

BEGIN = dt.datetime(2026, 11, 23, 5, tzinfo=dt.timezone.utc)
WINDOW = Window(BEGIN, BEGIN + dt.timedelta(minutes=1))
# Characters of two bytes, one of which every seam cuts in two.
LONG = json.dumps({"level": "error", "message": "ä" * (20 * 1024), "x": 1}, ensure_ascii=False)


def stamp(second: float) -> bytes:
    return f"{BEGIN + dt.timedelta(seconds=second):%Y-%m-%dT%H:%M:%S.%f}123Z ".encode()


def in_pieces(text: str, second: float) -> bytes:
    content = text.encode()
    parts = [content[at : at + PIECE] for at in range(0, len(content), PIECE)]
    return b"".join(stamp(second + n / 1000) + part for n, part in enumerate(parts)) + b"\n"


@pytest.mark.parametrize("text", ["short", "", "x" * PIECE, "x" * (PIECE + 1), "y" * (3 * PIECE), LONG])
def test_pieces_become_a_line_again(text):
    assert in_one_piece(in_pieces(text, 1).removesuffix(b"\n") or stamp(1)) in (stamp(1) + text.encode(), text.encode())


def test_a_long_line_that_was_not_cut_stays():
    line = stamp(1) + b"z" * (2 * PIECE + 7)
    assert in_one_piece(line) == line
    assert in_one_piece(b"no stamp " + b"z" * 2 * PIECE) == b"no stamp " + b"z" * 2 * PIECE


def test_a_pods_long_line_is_one_record(monkeypatch):
    content = in_pieces("INFO before", 1) + in_pieces(LONG, 2) + in_pieces("a\u2028b\x85c", 3)

    def answer(_: Any, __: str, params: dict[str, Any]) -> bytes:
        return b"" if params["previous"] == "true" else content

    monkeypatch.setattr(Cluster, "every", lambda *_, **__: [{"spec": {"containers": [{"name": "web"}]}}])
    monkeypatch.setattr(Cluster, "content", answer)
    frame = KubernetesLogs().read(WINDOW, ["web-1"]).frame
    assert list(frame["message"]) == ["INFO before", LONG, "a\u2028b\x85c"]


def test_a_containers_long_lines_are_one_record_each(monkeypatch):
    outputs = {"stdout": in_pieces(LONG, 2), "stderr": in_pieces("ERROR meanwhile", 2.0005) + in_pieces(LONG, 3)}

    class Client:
        def containers(self, all: bool) -> Any:  # noqa: A002 - Docker's own name
            return [{"Id": "c" * 64, "Names": ["/web-1"]}]

        def logs(self, container: str, *, stdout: bool, stderr: bool, **given: Any) -> Any:
            assert stdout is not stderr
            content = outputs["stdout" if stdout else "stderr"]
            return [content[at : at + 1000] for at in range(0, len(content), 1000)]

        def inspect_container(self, _: str) -> Any:
            return {}

    class Engine:
        @classmethod
        def read(cls, conn_id: str) -> Engine:
            return cls()

        def client(self) -> Client:
            return Client()

    monkeypatch.setattr("airflow_cd.sources.docker_logs.DockerConnection", Engine)
    frame = DockerLogs().read(WINDOW, ["web-1"]).frame
    assert list(frame["message"]) == [LONG, "ERROR meanwhile", LONG]
    assert frame["id"].is_unique
